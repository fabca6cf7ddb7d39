/* SPDX-License-Identifier: MIT */
/*
 * events.h - what the threads of a process told through their rings
 *
 * Threads:  one reader per segment.
 * Signals:  not for signal handlers.
 * Memory:   none beyond the call; maps a page of the segment for its time.
 * Trust:    a ring that contradicts itself is left alone, the rest is read.
 * Units:    at_ms as in model.h.
 * Errors:   struct seep_error, from the sink; needs an open transaction.
 */
#ifndef SEEP_COLLECT_EVENTS_H
#define SEEP_COLLECT_EVENTS_H

#include "analyzer/collect/tracked.h"

/* Moves all events of the process from its rings to the recording. */
struct seep_error *seep_events_drain(
    struct seep_tracked *t, const struct seep_trace *tr) SEEP_MUST_CHECK;

#endif
