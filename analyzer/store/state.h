/* SPDX-License-Identifier: MIT */
/*
 * state.h - what was last stored of every site of a process
 *
 * The writer compares a new snapshot with it and stores only what changed. Of
 * the counts only a 64-bit hash is kept, to save two thirds of the memory: a
 * change is missed once in 1.8e19.
 *
 * Threads:  none of its own.
 * Signals:  not for signal handlers.
 * Memory:   owned, about 20 bytes per site; _destroy frees it.
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
	uint32_t *sites; /* in the order they were first seen */
	uint64_t *sums;	 /* of their counts; 0: all are 0 */
	uint32_t nr, room;
	uint32_t *index; /* position + 1 in sites, 0 = free */
	uint32_t index_size;
};

struct seep_state *seep_state_create(int64_t process_id);
void seep_state_destroy(struct seep_state *s);

/* Position of the site, added with a sum of 0 when new; -1: no memory. */
int64_t seep_state_get(struct seep_state *s, uint32_t site);

uint64_t seep_counts_sum(const struct seep_counts *c);

#endif
