/* SPDX-License-Identifier: MIT */
/*
 * histories.h - events of watched blocks, put together to histories of sites
 *
 * Events come in the order of their numbers (wire/history.h). What has begun
 * waits in a table for its end; what has ended only counts, by site: how long,
 * freed where. The counts are those since the last take, so what is here
 * follows the number of watched blocks alive and the sites at work, not the
 * number of events.
 *
 * An event may be missing. An end without a beginning is counted; a beginning
 * at an address that is taken ends the history there, unseen, and it does not
 * count.
 *
 * Threads:  belongs to one at a time; a taken delta to whoever took it.
 * Signals:  not for signal handlers.
 * Memory:   bounded; what finds no room is counted as lost.
 * Trust:    events come from the process: any value will do.
 * Units:    nanoseconds, requested bytes; nodes of the segment.
 * Errors:   none; what is lost is counted.
 */
#ifndef SEEP_COLLECT_HISTORIES_H
#define SEEP_COLLECT_HISTORIES_H

#include <stdbool.h>

#include "analyzer/base/cleanup.h"
#include "analyzer/model/lifetime.h"
#include "wire/history.h"

/* Of a site, by its node. `begun` may be less than nothing: of a history that
 * was in an earlier delta it turned out that it cannot be told. */
struct seep_histories_site {
	uint32_t node;
	int64_t begun;
	struct seep_lifetime l; /* but for begun */
	uint32_t last_pair[2];	/* the last pair of either kind, from 1 */
};

/* How many blocks of `node` are in this lifetime class, or, with has_free, were
 * freed by the stack `other`. */
struct seep_histories_pair {
	uint32_t node;
	uint32_t other;
	bool is_freed_by;
	uint64_t blocks;
};

struct seep_histories_delta {
	struct seep_histories_site *sites;
	struct seep_histories_pair *pairs;
	uint32_t nr_sites, nr_pairs;
	uint32_t site_room, pair_room;
	uint32_t *site_index, *pair_index; /* position + 1; 0: free */
	uint32_t site_log, pair_log;
};

void seep_histories_delta_deinit(struct seep_histories_delta *d);

struct seep_histories;

struct seep_histories *seep_histories_create(void); /* NULL: no memory */
void seep_histories_destroy(struct seep_histories *h);
SEEP_DEFINE_CLEANUP(struct seep_histories *, seep_histories_destroy)

void seep_histories_add(
    struct seep_histories *h, const struct seep_history_event *e);

/* No more events come: a realloc that was under way counts as a free. */
void seep_histories_settle(struct seep_histories *h);

/* Events that came to nothing. */
uint64_t seep_histories_lost(const struct seep_histories *h);
size_t seep_histories_nr_alive(const struct seep_histories *h);

/* All counts since the last call; the caller deinits *ret. */
void seep_histories_take(
    struct seep_histories *h, struct seep_histories_delta *ret);
/* Takes back what could not be stored. */
void seep_histories_give_back(
    struct seep_histories *h, const struct seep_histories_delta *d);

#endif
