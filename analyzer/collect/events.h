/* SPDX-License-Identifier: MIT */
/*
 * events.h - what the threads of a process tell through their rings
 *
 * Rings are small and emptied often; what they told waits here until it is
 * committed, so that a write that fails loses nothing.
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   embedded by the caller; a bounded number of events of a process
 *           ever, because a recording does not follow their number.
 * Trust:    texts come from the process and are stored as they are.
 * Units:    at_ms as in model.h.
 * Errors:   struct seep_error of the sink.
 */
#ifndef SEEP_COLLECT_EVENTS_H
#define SEEP_COLLECT_EVENTS_H

#include <stdbool.h>

#include "analyzer/base/error.h"
#include "analyzer/collect/segment.h"
#include "analyzer/collect/sink.h"

struct seep_events {
	struct seep_events_entry *entries;
	size_t nr, room;
	size_t nr_put; /* of them, in the transaction at hand */
	size_t nr_ever;
};

void seep_events_deinit(struct seep_events *ev);

/* Empties the rings; start_ns: what at_ms 0 is. True if there was any. */
bool seep_events_take(
    struct seep_events *ev, struct seep_segment *seg, uint64_t start_ns);

/* Stores what has been taken; the sink has an open transaction. */
struct seep_error *seep_events_put(struct seep_events *ev,
    const struct seep_sink *sink, int64_t process_id) SEEP_MUST_CHECK;
void seep_events_committed(struct seep_events *ev);
void seep_events_rolled_back(struct seep_events *ev);

#endif
