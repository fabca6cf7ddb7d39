/* SPDX-License-Identifier: MIT */
/*
 * watched.h - the histories of one process on their way into the recording
 *
 * What was handed to the sink waits here until it is committed.
 *
 * Threads:  one, beside that of drain.h.
 * Signals:  not for signal handlers.
 * Memory:   embedded by the caller, zeroed at first; follows the sites at work.
 * Trust:    see drain.h and sites.h.
 * Units:    as in model.h.
 * Errors:   struct seep_error. A ring that is damaged is left alone from then
 *           on and counts as lost.
 */
#ifndef SEEP_COLLECT_WATCHED_H
#define SEEP_COLLECT_WATCHED_H

#include "analyzer/collect/drain.h"
#include "analyzer/collect/sink.h"
#include "analyzer/collect/sites.h"

struct seep_watched {
	struct seep_drain_ring *ring; /* NULL: there is none (yet) */
	struct seep_histories_delta staged;
	struct seep_history h;
	bool is_damaged;
};

/* Before the segment is closed. */
void seep_watched_deinit(struct seep_watched *w);

/* Attaches the ring once there is one; reads a sample. */
void seep_watched_poll(
    struct seep_watched *w, struct seep_drain *d, struct seep_segment *seg);

/* Reads all there is; over: the process has ended. */
void seep_watched_read(struct seep_watched *w, bool over);

/* Hands what came to the sink, which has an open transaction. dropped: what is
 * known to be lost where all should be there. */
struct seep_error *seep_watched_put(struct seep_watched *w,
    struct seep_sites *sites, const struct seep_sink *sink, int64_t process_id,
    uint64_t dropped) SEEP_MUST_CHECK;
void seep_watched_committed(struct seep_watched *w);
void seep_watched_rolled_back(struct seep_watched *w);

/* Events that should be there and are not; 0 for a sample, whose size is not
 * promised. */
uint64_t seep_watched_lost(const struct seep_watched *w);

#endif
