/* SPDX-License-Identifier: MIT */
/*
 * history.h - what happened to watched blocks: one ring for a whole process
 *
 * A block's history is two events: allocated, freed. Its map word has the
 * watched bit, so that whoever frees it knows to tell. All threads write into
 * one ring of slots of a cache line each. A writer takes a number by an atomic
 * addition, which is its place in the ring and in the order at once: the number
 * of an allocation is taken after the real call, that of a free before it, so
 * at each address they alternate, whoever called. Nobody merges by time stamps.
 *
 * A slot counts once its check fits its number and its words: what an earlier
 * lap left does not, nor what a writer that was held up wrote over a newer one.
 * A number whose slot does not come (a thread that was killed, or jumped out of
 * a handler) is a hole; the reader decides how long it waits for one.
 *
 * Threads:  any number of writers; one reader, in the collector.
 * Signals:  writers are async-signal-safe and nest.
 * Memory:   pages of the pool, all at once; the reader maps them.
 * Trust:    the reader keeps its own position and looks at slots of the ring
 *           only; what the peer says is checked or bounded.
 * Units:    stamps in nanoseconds of CLOCK_MONOTONIC; requested bytes.
 * Errors:   see each call.
 */
#ifndef SEEP_WIRE_HISTORY_H
#define SEEP_WIRE_HISTORY_H

#include <stdbool.h>
#include "wire/pool.h"

enum seep_history_kind {
	SEEP_HISTORY_ALLOC = 1, /* node: who allocated */
	SEEP_HISTORY_FREE,	/* node: who freed */
	SEEP_HISTORY_UNDO,	/* the thread's last free was a realloc that
				 * failed: the block lives on */
	SEEP_HISTORY_FORGET,	/* the block's end will not be told */
};

enum {
	/* FREE: by the thread whose last allocation this was. */
	SEEP_HISTORY_LAST = 1 << 0,
	/* FREE: by realloc, which may still fail. */
	SEEP_HISTORY_REALLOC = 1 << 1,
};

struct seep_history_event {
	uint8_t kind, flags;
	uint32_t node;
	uint32_t tid;
	uint64_t addr, size_bytes, at_ns;
};

#define SEEP_HISTORY_LOG_MIN 6u
#define SEEP_HISTORY_LOG_MAX 20u

struct seep_history_slot {
	_Atomic uint64_t check;
	_Atomic uint64_t words[7]; /* five in use */
};

/* One page, and then the slots. Numbers only grow; a number's slot is its
 * remainder. Each line here is written by one side only. */
struct seep_history_ring {
	_Atomic uint64_t next;	   /* numbers taken by writers */
	_Atomic uint64_t lost;	   /* events of a sample that found no room */
	_Atomic uint64_t given_up; /* numbers that writers took and left */
	uint32_t log;		   /* slots, as a power of two */
	uint32_t pad0[9];
	_Atomic uint64_t tail; /* the reader is done with all below */
	_Atomic uint64_t kept; /* all below is in the recording */
	uint64_t pad1[6];
	_Atomic uint32_t nr_waiting; /* writers that want to be woken */
	_Atomic uint32_t wakes;	     /* what they sleep on; the reader's */
	uint32_t pad2[14];
};

static inline uint64_t seep_history_bytes(uint32_t log)
{
	return SEEP_PAGE + (sizeof(struct seep_history_slot) << log);
}

/* ---- writers ----------------------------------------------------------- */

/* Makes the process's ring with 2^log slots, or fewer where there is no room,
 * and enters it in the header; the ring, which may be another thread's. */
struct seep_history_ring *seep_history_make(struct seep_pool *p, uint32_t log);

/* A number is the writer's; it has room once the reader has freed its slot. */
static inline bool seep_history_has_room(
    const struct seep_history_ring *r, uint64_t number)
{
	/* acquire: pairs with the release in seep_history_release(). */
	return number - atomic_load_explicit(&r->tail, memory_order_acquire) <
	       1ull << r->log;
}

/* Fills the slot of a number that has room. */
void seep_history_publish(struct seep_history_ring *r, uint64_t number,
    const struct seep_history_event *e);

/* ---- reader ------------------------------------------------------------ */

struct seep_history_reader {
	struct seep_history_ring *ring;
	uint32_t log;	/* as it was when the ring was mapped */
	uint64_t at;	/* the next number */
	uint64_t woken; /* where it was when it last woke writers */
};

enum seep_history_status {
	SEEP_HISTORY_OK,
	SEEP_HISTORY_EMPTY, /* no number was taken since */
	SEEP_HISTORY_HOLE,  /* the next number's slot is not filled (yet) */
};

/* `ring` is mapped with seep_history_bytes(log). Goes on where the last reader
 * was, as far as that can be. */
void seep_history_reader_init(struct seep_history_reader *rd,
    struct seep_history_ring *ring, uint32_t log);

enum seep_history_status seep_history_get(
    struct seep_history_reader *rd, struct seep_history_event *ret);

/* What the last reader read and did not keep. */
uint64_t seep_history_not_kept(const struct seep_history_reader *rd);
/* All below `number` is in the recording. */
void seep_history_keep(struct seep_history_reader *rd, uint64_t number);

/* Numbers that are taken and not read, at most the ring's slots. */
uint64_t seep_history_pending(const struct seep_history_reader *rd);

/* Passes the hole, and all up to the next slot that is filled: how many. */
uint64_t seep_history_skip(struct seep_history_reader *rd);

/*
 * Gives the slots back that were read. True: writers that sleep on ring->wakes
 * are to be woken. That is not worth it for a few slots: they would be asleep
 * again at once. done: nothing more is read for now.
 */
bool seep_history_release(struct seep_history_reader *rd, bool done);

_Static_assert(sizeof(struct seep_history_slot) == 64, "slot");
_Static_assert(sizeof(struct seep_history_ring) == 192, "ring");
_Static_assert(offsetof(struct seep_history_ring, tail) == 64, "lines");
_Static_assert(offsetof(struct seep_history_ring, nr_waiting) == 128, "lines");

#endif
