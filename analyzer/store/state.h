/* SPDX-License-Identifier: MIT */
/*
 * state.h - the counts of every site of a process as they were last stored
 *
 * The writer compares a new snapshot with it and stores only what changed.
 *
 * Threads:  none of its own.
 * Signals:  not for signal handlers.
 * Memory:   owned, about 65 bytes per site; _destroy frees it.
 * Trust:    none.
 * Units:    as in model.h.
 * Errors:   false when memory runs out.
 */
#ifndef SEEP_STORE_STATE_H
#define SEEP_STORE_STATE_H

#include "analyzer/model/model.h"

struct seep_state {
	struct seep_state *next;
	int64_t process_id;
	int64_t last_snapshot; /* 0: none */
	enum seep_snapshot_kind last_kind;
	struct seep_site_row *rows; /* in the order they were first seen */
	uint32_t nr, room;
	uint32_t *index; /* position + 1 in rows, 0 = free */
	uint32_t index_size;
};

struct seep_state *seep_state_create(int64_t process_id);
void seep_state_destroy(struct seep_state *s);

/* Position of the site, added with counts of 0 when new; -1: no memory. */
int64_t seep_state_get(struct seep_state *s, int64_t site);

#endif
