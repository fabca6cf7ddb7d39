/* SPDX-License-Identifier: MIT */
/*
 * recall.h - the stacks that a thread has seen, and how to know one again
 *
 * A program allocates from few stacks, over and over. Each stack that was
 * walked is kept with every frame's state and the slots that led there. To know
 * it again is to read those slots, from the allocating frame outwards, and to
 * find what they held: each step is a function of the state (pc, sp, bp) and
 * of the slots it reads, so by induction the stack is the same, exactly. The
 * slots are read in the order of a walk, so nothing else is ever touched.
 *
 * Which stack to try is a guess by hash, and where it differs, the value found
 * there makes the next guess. A bad guess costs time, never truth.
 *
 * Threads:  a struct seep_recall belongs to one thread.
 * Signals:  not reentrant. A handler may jump out of any function here for
 *           good: what is kept stays right, at worst something is forgotten.
 * Memory:   private memory of its own, grown by doubling and kept.
 * Trust:    see above.
 * Units:    addresses; stacks are named by their place in 8-byte words.
 * Errors:   without memory less is kept.
 */
#ifndef SEEP_PRELOAD_RECALL_H
#define SEEP_PRELOAD_RECALL_H

#include <stdbool.h>

#include "preload/cpu.h"
#include "wire/layout.h"

/* The state of unwinding at one frame, and how it was come by. */
struct seep_frame {
	uint64_t pc;	 /* as found in its slot; 0: there the stack ended */
	uint64_t sp, bp; /* bp: the CPU's frame pointer */
	uint32_t tag;	 /* node of the call tree, and flags */
	int16_t bp_at;	 /* words from sp where bp was saved; 0: not */
	int16_t ra_at;	 /* and pc, where that is not the same everywhere */
#ifdef __aarch64__
	uint64_t lr; /* of an interrupted pc: x30 may hold a return address */
#endif
};

/* flags of seep_frame.tag, above the node */
#define SEEP_FRAME_EXACT    (1u << 28) /* interrupted pc, no return address */
#define SEEP_FRAME_NEEDS_BP (1u << 29) /* bp matters here or further out */
#define SEEP_FRAME_CHECK_BP (1u << 30) /* ... and was read from bp_at */
#define SEEP_FRAME_BLIND    (1u << 31) /* reached by reading other slots, too */

_Static_assert(SEEP_NODE_BITS == 28, "flags above the node");

/* Innermost frame first. */
struct seep_stack {
	uint32_t nr, pad;
	struct seep_frame frames[];
};

struct seep_recall {
	uint64_t *arena; /* its first stack is an empty one */
	uint32_t *guesses;
	uint32_t shift; /* 64 - log2 of the number of guesses */
	uint32_t lost;	/* guesses pushed out */
	uint32_t first_shift;
	const uint32_t *first; /* the guesses, or nothing */
	uint32_t used, room;   /* of the arena, in words */
	uint32_t last;	       /* the stack met last */
	uint32_t turns, well;  /* looks, and how many went well; see recall.c */
	bool resting;	       /* it did not pay to look */
	/* A stack that is not kept, but changed from one walk to the next. */
	struct seep_frame *own, *own_end;
	uint32_t own_room;
};

/* For seep_recall.last, besides places in the arena. */
#define SEEP_NO_STACK  0u
#define SEEP_OWN_STACK UINT32_MAX

#define SEEP_FRAME_WORDS    ((uint32_t)sizeof(struct seep_frame) / 8u)
#define SEEP_STACK_WORDS(n) (1u + SEEP_FRAME_WORDS * (n))

bool seep_recall_init(struct seep_recall *r);
/* Gives back what seep_recall_init() got, also if that was not all. */
void seep_recall_end(struct seep_recall *r);

/* Forgets everything: code has moved. */
void seep_recall_reset(struct seep_recall *r);

static inline uint64_t seep_stack_load(uint64_t addr)
{
	return *(const volatile uint64_t *)(uintptr_t)addr;
}

static inline uint32_t seep_frame_node(const struct seep_frame *f)
{
	return f->tag & SEEP_NODE_MAX;
}

static inline struct seep_stack *seep_recall_at(
    const struct seep_recall *r, uint32_t at)
{
	return (struct seep_stack *)(r->arena + at);
}

static inline uint64_t seep_recall_key(uint64_t pc, uint64_t sp)
{
	return (pc ^ sp << 20) * 0x9e3779b97f4a7c15ull;
}

/* The guess after finding `value` at `addr` in a stack that began with key. */
static inline uint64_t seep_recall_next_key(
    uint64_t key, uint64_t addr, uint64_t value)
{
	return (key ^ addr << 24 ^ value) * 0x9e3779b97f4a7c15ull;
}

static inline uint32_t seep_recall_guess(
    const struct seep_recall *r, uint64_t key)
{
	return r->guesses[key >> r->shift];
}

/* Is this frame in the given state, as far as anything further out depends on
 * it? */
static inline bool seep_frame_is(
    const struct seep_frame *f, uint64_t pc, uint64_t sp, uint64_t bp)
{
	return f->pc == pc && f->sp == sp &&
	       (!(f->tag & SEEP_FRAME_NEEDS_BP) || f->bp == bp);
}

/*
 * The first of the frames f .. end - 1 that is not reached any more by the step
 * from the frame before it; `end` if all are. f[-1] is known to be right.
 */
static inline const struct seep_frame *seep_recall_check(
    const struct seep_frame *f, const struct seep_frame *end)
{
	for (; f < end; f++) {
		if (f->tag & (SEEP_FRAME_BLIND | SEEP_FRAME_CHECK_BP) &&
		    (f->tag & SEEP_FRAME_BLIND ||
			seep_stack_load(f->sp + (uint64_t)(f->bp_at * 8)) !=
			    f->bp))
			break;
		if (seep_stack_load(seep_ra_slot(f->sp, f->ra_at)) != f->pc)
			break;
	}
	return f;
}

/*
 * Is it likely enough that the stack is found, and that keeping it pays? Some
 * programs hardly ever come back to a stack.
 */
bool seep_recall_pays(struct seep_recall *r);

/* The first guess for a stack that begins so. */
static inline uint32_t seep_recall_first(
    const struct seep_recall *r, uint64_t pc, uint64_t sp)
{
	return r->first[seep_recall_key(pc, sp) >> r->first_shift];
}

/*
 * A stack that is the current one, or SEEP_NO_STACK; then *key is the guess
 * that was missing.
 */
uint32_t seep_recall_find(struct seep_recall *r, uint64_t pc, uint64_t sp,
    uint64_t bp, uint64_t *key);

/* The frames of the stack met last, innermost first, up to *end. */
static inline struct seep_frame *seep_recall_last(
    const struct seep_recall *r, const struct seep_frame **end)
{
	struct seep_stack *s = seep_recall_at(r, r->last);

	if (r->last == SEEP_OWN_STACK) {
		*end = r->own_end;
		return r->own;
	}
	*end = s->frames + s->nr;
	return s->frames;
}

/* ---- a new stack ------------------------------------------------------- */

/*
 * Where to put a stack of nr frames together, `done` of which are there
 * already; NULL without memory. All frames may move.
 */
struct seep_stack *seep_recall_room(
    struct seep_recall *r, uint32_t done, uint32_t nr);

/* Frames that can be put there without asking for more room. */
static inline uint32_t seep_recall_free(const struct seep_recall *r)
{
	return r->used < r->room ? (r->room - r->used - 1) / SEEP_FRAME_WORDS
				 : 0;
}

/*
 * Where the stack goes of which nr frames were put there, and the `known` ones
 * behind them are the outermost of the last stack; NULL without memory.
 * seep_recall_join() is for a stack that seep_recall_keep() will keep, in the
 * very place. seep_recall_change() makes the own stack that: the nr frames are
 * left to the caller, who says so by seep_recall_changed(). Of the room one
 * more frame than nr can still be read.
 */
struct seep_frame *seep_recall_join(
    struct seep_recall *r, uint32_t nr, uint32_t known);
struct seep_frame *seep_recall_change(
    struct seep_recall *r, uint32_t nr, uint32_t known);

/*
 * Keeps the stack that was joined, for the guess at `key` and for that of its
 * innermost frame; or, if it is known already, keeps only the guesses.
 */
void seep_recall_keep(struct seep_recall *r, uint64_t key);

/* The own stack is complete. */
static inline void seep_recall_changed(struct seep_recall *r, uint32_t nr)
{
	/* A handler may jump out anywhere: whole before it is longer. */
	atomic_signal_fence(memory_order_seq_cst);
	r->own -= nr;
	r->last = SEEP_OWN_STACK;
}

#endif
