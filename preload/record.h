/* SPDX-License-Identifier: MIT */
/*
 * record.h - one operation of the malloc family -> live map and counters
 *
 * The order with the real call is part of the protocol (map.h): an allocation
 * is recorded after it, a free before it. realloc is a free before the call and
 * an allocation after it, or the free undone if the call failed.
 *
 * Threads:  any number at once.
 * Signals:  async-signal-safe; a handler that interrupts a recording is
 *           recorded too, by a slower way that keeps no memory of its own.
 * Memory:   a thread's state is made at its first operation and taken over by a
 *           later thread once it has ended.
 * Trust:    none.
 * Units:    requested bytes.
 * Errors:   counted in the segment, by enum seep_drop.
 *
 * `frame` is __builtin_frame_address(0) of the exported function, see frames.h.
 */
#ifndef SEEP_PRELOAD_RECORD_H
#define SEEP_PRELOAD_RECORD_H

#include "wire/map.h"

void seep_record_alloc(void *p, size_t bytes, void **frame);
void seep_record_free(void *p, void **frame);

/* Around realloc(): what the block was, for seep_record_realloc_end(). */
struct seep_realloc {
	struct seep_entry old;
	void *p;
};
void seep_record_realloc_begin(struct seep_realloc *r, void *p, void **frame);
/* The call failed and p is still alive. */
void seep_record_realloc_undo(const struct seep_realloc *r, void **frame);

/* Tells the collector of an event of this thread (wire/ring.h); text: NULL or a
 * NUL-terminated text. Lost and counted where the ring is full; a thread that
 * never allocated tells nothing. */
void seep_record_event(
    enum seep_event_kind kind, uint64_t value, const char *text, void **frame);

/* A new segment: forget every thread (session.c, before the gate opens). */
void seep_record_reset(void);

#endif
