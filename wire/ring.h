/* SPDX-License-Identifier: MIT */
/*
 * ring.h - events of one thread: a one-writer, one-reader ring in the segment
 *
 * What is an event and not state goes through here (layout.h has the kinds). A
 * record counts once the writer's position has passed it: a writer that is
 * killed while it writes leaves nothing behind (D31). A full ring refuses and
 * the caller counts it; nobody waits for anybody (D32).
 *
 * Threads:  writer calls from the owning thread, reader calls from one thread
 *           of the collector.
 * Signals:  writer calls are async-signal-safe but do not nest; the guard of
 *           record.c sees to it.
 * Memory:   one page, from the pool; the reader maps it.
 * Trust:    the reader checks every position and length; the peer may scribble.
 * Units:    bytes, multiples of 8; stamps in nanoseconds of CLOCK_MONOTONIC.
 * Errors:   put returns false when full; get returns SEEP_READ_CORRUPT.
 */
#ifndef SEEP_WIRE_RING_H
#define SEEP_WIRE_RING_H

#include <stdbool.h>
#include "wire/read.h"

#define SEEP_RING_DATA (SEEP_PAGE - 64u)
#define SEEP_RING_TEXT 256u /* bytes of text in a record, at most */

/* One page. Positions only grow; a place is position % SEEP_RING_DATA. */
struct seep_ring {
	_Atomic uint64_t head; /* the writer's */
	uint64_t pad0[3];
	_Atomic uint64_t tail; /* the reader's */
	uint64_t pad1[3];
	unsigned char data[SEEP_RING_DATA];
};

struct seep_event {
	uint32_t kind; /* enum seep_event_kind */
	uint32_t text_len;
	uint64_t at_ns;
	uint64_t value; /* a pid, or 0 */
};

/* Adds an event with its text (cut to SEEP_RING_TEXT). */
bool seep_ring_put(
    struct seep_ring *r, const struct seep_event *e, const char *text);

/*
 * Takes the oldest event: *e, and its text with a NUL in text (at least
 * SEEP_RING_TEXT + 1 bytes). SEEP_READ_STOP when there is none.
 */
enum seep_read_status seep_ring_get(
    struct seep_ring *r, struct seep_event *e, char *text);

_Static_assert(sizeof(struct seep_ring) == SEEP_PAGE, "ring");
_Static_assert(sizeof(struct seep_event) == 24, "event");

#endif
