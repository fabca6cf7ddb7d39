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

#include "preload/frames.h"
#include "preload/sample.h"
#include "preload/session.h"

/* What the inline functions below go on with, by the gate: every block is
 * recorded; a sample is, and this block may be in it; it was not open. */
void seep_record_alloc_each(void *p, size_t bytes, void **frame);
void seep_record_free_each(void *p, void **frame);
void seep_record_alloc_sampled(void *p, size_t bytes, void **frame);
void seep_record_free_sampled(void *p, void **frame);
void seep_record_alloc_first(void *p, size_t bytes, void **frame);
void seep_record_free_first(void *p, void **frame);

/* In the hook itself, so that a block that is not sampled costs no call. */
static inline void seep_record_alloc(void *p, size_t bytes, void **frame)
{
	uint32_t gate = seep_gate_now();

	if (seep_frames_own)
		return;
	if (__builtin_expect(gate == SEEP_GATE_ON, 1)) {
		seep_record_alloc_each(p, bytes, frame);
	} else if (gate == SEEP_GATE_SAMPLE) {
		if (!seep_sample_passes(bytes))
			seep_record_alloc_sampled(p, bytes, frame);
	} else {
		seep_record_alloc_first(p, bytes, frame);
	}
}

/*
 * For entry points that the allocator may serve by another of ours, which has
 * then recorded the block or not. `mark` is seep_sample.left before the call:
 * if that moved, the block has had its chance, and a second one would count too
 * many. Where all blocks are recorded record.c takes the inner record back.
 */
static inline void seep_record_alloc_once(
    void *p, size_t bytes, void **frame, int64_t mark)
{
	uint32_t gate = seep_gate_now();

	if (seep_frames_own)
		return;
	if (__builtin_expect(gate == SEEP_GATE_ON, 1)) {
		seep_record_alloc_each(p, bytes, frame);
	} else if (gate == SEEP_GATE_SAMPLE) {
		if (seep_sample.left == mark && !seep_sample_passes(bytes))
			seep_record_alloc_sampled(p, bytes, frame);
	} else {
		seep_record_alloc_first(p, bytes, frame);
	}
}

static inline void seep_record_free(void *p, void **frame)
{
	uint32_t gate = seep_gate_now();

	if (seep_frames_own)
		return;
	if (__builtin_expect(gate == SEEP_GATE_ON, 1)) {
		seep_record_free_each(p, frame);
	} else if (gate == SEEP_GATE_SAMPLE) {
		if (seep_sample_may_have(p))
			seep_record_free_sampled(p, frame);
	} else {
		seep_record_free_first(p, frame);
	}
}

/* Around realloc(): what the block was, for seep_record_realloc_undo(). */
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
