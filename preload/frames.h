/* SPDX-License-Identifier: MIT */
/*
 * frames.h - the stack of the current allocation -> a node of the call tree
 *
 * Threads:  a struct seep_frames belongs to one thread.
 * Signals:  seep_frames_capture() does not nest: a handler that interrupts it
 *           calls seep_frames_capture_nested(), which keeps nothing.
 * Memory:   private memory of its own, grown by doubling and kept.
 * Trust:    reads only stack slots that the unwind rules name, from the
 *           allocating frame outwards, and only below the end of the thread's
 *           stack where that is known.
 * Units:    addresses of this process.
 * Errors:   a stack that cannot be followed ends in a truncated node;
 *           SEEP_NODE_FULL when the tree has no room.
 */
#ifndef SEEP_PRELOAD_FRAMES_H
#define SEEP_PRELOAD_FRAMES_H

#include "preload/cpu.h"
#include "preload/objects.h"
#include "wire/tree.h"

/* The state of unwinding at one frame, and where its step outwards led. */
struct seep_frame_state {
	uint64_t pc;	 /* without a signature, where the CPU has such */
	uint64_t sp, bp; /* bp: the CPU's frame pointer */
	uint32_t node;
	uint16_t flags;
	int16_t bp_slot; /* words from the CFA where bp was saved; 0: not */
	uint32_t checks; /* checks of this frame's step and all further out */
	uint32_t pad;
};

/* flags of struct seep_frame_state */
enum {
	SEEP_FRAME_EXACT = 1, /* the pc was interrupted, no return address */
	SEEP_FRAME_UNCHECKED = 2, /* its step reads more than two slots */
	SEEP_FRAME_USES_BP = 4,	  /* its step computes the CFA from bp */
	SEEP_FRAME_NEEDS_BP = 8,  /* that step or one further out does */
};

/* A stack slot that a step read, and what was in it. */
struct seep_check {
	uint64_t addr, value;
};

struct seep_edge {
	uint64_t pc; /* with bit 63 for an interrupted pc */
	uint32_t parent, node;
};

#define SEEP_NEAR_MODULES 4u

struct seep_frames {
	/* The last stack, outermost first: known[0 .. nr_known). The checks of
	 * the steps are in the same order, at most two for a frame. */
	struct seep_frame_state *known, *fresh;
	struct seep_check *checks;
	uint32_t nr_known, room;
	struct seep_edge *edges;
	uint32_t edge_mask, edge_misses;
	uint32_t code_epoch; /* what `edges`, `known` and `near` hold for */
	uint32_t next_near;
	struct {
		uint64_t start, end, bias;
		uint32_t module;
	} near[SEEP_NEAR_MODULES];
};

/* What captures share: set once per segment, before the first capture. */
struct seep_capture {
	struct seep_tree *tree;
	struct seep_pool *pool;
	uint64_t main_stack_end; /* of the first thread; 0: unknown */
};
extern struct seep_capture seep_capture;

bool seep_frames_init(struct seep_frames *f);
/* Forgets the last stack and all nodes: for another segment or thread. */
void seep_frames_reset(struct seep_frames *f);

/* A copy of what the thread last unloaded code at; see frames.c. */
extern _Atomic uint32_t seep_code_epoch;

uint32_t seep_frames_capture_slow(struct seep_frames *f, void **frame);

static inline uint64_t seep_stack_load(uint64_t addr)
{
	return *(const volatile uint64_t *)(uintptr_t)addr;
}

/* The index of the outermost check that fails, counted from 1; 0: all hold.
 * `nr`: how many, from the innermost outwards, in the order of a walk. */
static inline uint32_t seep_frames_check(
    const struct seep_check *checks, uint32_t nr)
{
	while (
	    nr && seep_stack_load(checks[nr - 1].addr) == checks[nr - 1].value)
		nr--;
	return nr;
}

/*
 * The node of the stack whose innermost frame is the caller of the function
 * that this SEEP_FRAME is of.
 */
static inline uint32_t seep_frames_capture(struct seep_frames *f, void **frame)
{
	/* By far the most common: the very frame of the last time. */
	if (f->nr_known) {
		const struct seep_frame_state *k = &f->known[f->nr_known - 1];

		if (k->sp == seep_caller_sp(frame) &&
		    k->pc == seep_caller_pc(frame) &&
		    (!(k->flags & SEEP_FRAME_NEEDS_BP) ||
			k->bp == seep_caller_bp(frame)) &&
		    f->code_epoch == atomic_load_explicit(&seep_code_epoch,
					 memory_order_relaxed) &&
		    !seep_frames_check(f->checks, k->checks))
			return k->node;
	}
	return seep_frames_capture_slow(f, frame);
}
uint32_t seep_frames_capture_nested(void **frame);

/*
 * The pcs of that stack, innermost first, walked by rules alone; bit 63 marks
 * an interrupted pc. Returns how many; *cut: it goes on, but not for us.
 */
uint32_t seep_frames_walk(
    void **frame, uint64_t *pcs, uint32_t room, bool *cut);

/* A module is about to be, or has been, unloaded. */
void seep_frames_unload_begin(void);
void seep_frames_unload_end(void);

#endif
