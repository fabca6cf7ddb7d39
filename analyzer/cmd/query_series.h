/* SPDX-License-Identifier: MIT */
/*
 * query_series.h - the sites of a process over a window of its snapshots
 *
 * Threads:  as in query.h.
 * Signals:  not for signal handlers.
 * Memory:   owned, about 280 bytes per site; _deinit frees it.
 * Trust:    sites that are no node of the tree are refused.
 * Units:    bytes and blocks.
 * Errors:   struct seep_error.
 */
#ifndef SEEP_CMD_QUERY_SERIES_H
#define SEEP_CMD_QUERY_SERIES_H

#include "analyzer/cmd/query_tree.h"

struct seep_track {
	uint32_t stack;
	bool touched;
	struct seep_counts now, from; /* `from`: when the window began */
	struct seep_series series;    /* of bytes */
};

struct seep_tracks {
	struct seep_track *tracks;
	uint32_t nr, room;
	uint32_t *of_stack; /* position + 1 */
};

/* The window goes from snapshots[from] to snapshots[to]. */
struct seep_error *seep_tracks_load(struct seep_tracks *t,
    struct seep_store *st, const struct seep_tree *tree,
    const struct seep_snapshot *snapshots, size_t from,
    size_t to) SEEP_MUST_CHECK;
void seep_tracks_deinit(struct seep_tracks *t);

/* The track of a stack, or NULL. */
const struct seep_track *seep_tracks_find(
    const struct seep_tracks *t, uint32_t stack);

/* Index of the last warm-up snapshot: the first fifth of them. */
size_t seep_warm_up(size_t nr_snapshots);

#endif
