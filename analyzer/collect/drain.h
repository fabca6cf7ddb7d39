/* SPDX-License-Identifier: MIT */
/*
 * drain.h - empties the rings of block histories, in time
 *
 * A sample is read by whoever polls the process. Where every history is
 * recorded, the program waits while its ring is full and believes in us only
 * while we show that we are alive (GROUND 17), so its ring is read by a thread
 * that does nothing else and never waits for the disk.
 *
 * Threads:  calls come from the collector's one thread; the other one is in
 *           here alone. A lock guards what both touch.
 * Signals:  the thread has all blocked.
 * Memory:   a ring is mapped while it is attached.
 * Trust:    a ring's place and size are checked against the file; what is in
 *           it: see wire/history.h and histories.h.
 * Units:    nanoseconds.
 * Errors:   struct seep_error; a ring that cannot be is not attached.
 */
#ifndef SEEP_COLLECT_DRAIN_H
#define SEEP_COLLECT_DRAIN_H

#include "analyzer/base/error.h"
#include "analyzer/collect/histories.h"
#include "analyzer/collect/segment.h"

struct seep_drain;

/* Its thread begins with the first ring that needs it. NULL: no memory. */
struct seep_drain *seep_drain_create(void);
/* All rings are detached by then. */
void seep_drain_destroy(struct seep_drain *d);

struct seep_drain_ring;

/* The ring of the segment, once there is one: *ret stays NULL before. */
struct seep_error *seep_drain_attach(struct seep_drain *d,
    struct seep_segment *seg, struct seep_drain_ring **ret) SEEP_MUST_CHECK;
/* Before the segment is closed; NULL allowed. */
void seep_drain_detach(struct seep_drain_ring *r);

/* Reads what is there. over: the process has ended, what is missing does not
 * come any more. */
void seep_drain_read(struct seep_drain_ring *r, bool over);

/* What came since the last call. */
void seep_drain_take(
    struct seep_drain_ring *r, struct seep_histories_delta *ret);
/* It is in the recording, */
void seep_drain_kept(struct seep_drain_ring *r);
/* or it could not be stored. */
void seep_drain_give_back(
    struct seep_drain_ring *r, const struct seep_histories_delta *d);

/* Events that were lost and that the process does not count as drops itself. */
uint64_t seep_drain_lost(struct seep_drain_ring *r);

#endif
