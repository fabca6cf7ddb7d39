/* SPDX-License-Identifier: MIT */
/*
 * history.h - which blocks are watched, and telling what happens to them
 *
 * Each thread counts its allocations down to the next one that is watched. By
 * default the distance is random, geometric with a mean of
 * SEEP_HISTORY_INTERVAL: every allocation has the same chance, whatever came
 * before it, so a site's watched blocks stand for all of its blocks. With
 * --record=events it is 1.
 *
 * A sample is never waited for. With --record=events a writer waits for room as
 * long as the collector shows that it is alive, each time for a second at most;
 * once a wait was in vain nobody waits until there is room again, and what is
 * lost meanwhile is counted. A handler on top of the shim does not wait.
 *
 * Threads:  any number at once; a struct seep_watch belongs to one.
 * Signals:  async-signal-safe; nests.
 * Memory:   the ring, from the pool.
 * Trust:    none.
 * Units:    requested bytes.
 * Errors:   counted: SEEP_DROP_HISTORY, or the ring's `lost` for a sample.
 */
#ifndef SEEP_PRELOAD_HISTORY_H
#define SEEP_PRELOAD_HISTORY_H

#include "wire/history.h"

#define SEEP_HISTORY_INTERVAL 1024u

struct seep_watch {
	uint32_t until; /* allocations, from 1: the next one is watched */
	uint32_t tid;
	uint64_t random;
	bool telling; /* a number is about to be taken, or was */
};

/* A new segment; all: the history of every block. */
void seep_history_start(bool all);

/* Another thread. */
void seep_watch_start(struct seep_watch *w, uint32_t tid);

/* `until` is 1: SEEP_EPOCH_WATCHED if this block is told of, 0 if it could not
 * be. Sets `until` anew. */
uint32_t seep_watch_alloc(
    struct seep_watch *w, void *p, size_t bytes, uint32_t node);

/* A handler has jumped out of whatever this thread was telling: nobody shall
 * wait for that. */
void seep_watch_jumped(struct seep_watch *w);

/* The block is watched and about to be freed by `node`. */
void seep_watch_free(
    struct seep_watch *w, void *p, unsigned flags, uint32_t node);
/* The realloc that this thread told of last has failed. */
void seep_watch_undo(struct seep_watch *w, void *p);
/* The block was watched; another took its place, which is not. */
void seep_watch_forget(struct seep_watch *w, void *p);

/* In a handler on top of the shim: blocks are watched only if all are. */
uint32_t seep_watch_alloc_nested(void *p, size_t bytes, uint32_t node);
void seep_watch_free_nested(void *p, uint32_t node);

#endif
