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

#include "preload/caller.h"
#include "preload/objects.h"
#include "wire/tree.h"
#ifndef SEEP_CAPTURE_LIBUNWIND
#include "preload/recall.h"
#endif

/* A cache line of answers: the node of a pc below a node. */
#define SEEP_EDGE_WAYS 4u
struct seep_edges {
	uint64_t pc[SEEP_EDGE_WAYS]; /* bit 63: interrupted; 0: free */
	uint32_t parent[SEEP_EDGE_WAYS];
	uint32_t node[SEEP_EDGE_WAYS];
};

#define SEEP_NEAR_MODULES 4u

#ifdef SEEP_CAPTURE_LIBUNWIND
struct seep_frames {
	uint64_t *pcs; /* room for a stack: nothing is kept */
};
#else
struct seep_frames {
	struct seep_recall recall;
	struct seep_edges *edges;
	uint32_t edge_sets;
	uint32_t edges_lost, edges_asked; /* pushed out, looked for */
	uint32_t code_epoch;		  /* what all of this holds for */
	uint32_t next_near;
	struct {
		uint64_t start, end, bias;
		uint32_t module;
	} near[SEEP_NEAR_MODULES];
};
#endif

/* What captures share: set once per segment, before the first capture. */
struct seep_capture {
	struct seep_tree *tree;
	struct seep_pool *pool;
	uint64_t main_stack_end; /* of the first thread; 0: unknown */
};
extern struct seep_capture seep_capture;

/* What all threads share; false without memory. */
bool seep_frames_begin(void);

bool seep_frames_init(struct seep_frames *f);
/* Gives back what seep_frames_init() got, also if that was not all. */
void seep_frames_end(struct seep_frames *f);

/* A copy of what the thread last unloaded code at; see frames.c. */
extern _Atomic uint32_t seep_code_epoch;

/*
 * The node of the stack whose innermost frame is the caller of the function
 * that this SEEP_FRAME is of.
 */
uint32_t seep_frames_capture(struct seep_frames *f, void **frame);

/* To be asked first: the same where the first guess is right, by far the most
 * common; else 0. */
static inline uint32_t seep_frames_recall(struct seep_frames *f, void **frame)
{
#ifndef SEEP_CAPTURE_LIBUNWIND
	uint64_t pc = seep_caller_pc(frame);
	uint64_t sp = seep_caller_sp(frame);
	uint32_t at = seep_recall_first(&f->recall, pc, sp);
	const struct seep_stack *s = seep_recall_at(&f->recall, at);
	const struct seep_frame *end = s->frames + s->nr;

	if (__builtin_expect(
		seep_frame_is(&s->frames[0], pc, sp, seep_caller_bp(frame)) &&
		    f->code_epoch == atomic_load_explicit(&seep_code_epoch,
					 memory_order_relaxed) &&
		    seep_recall_check(s->frames + 1, end) == end,
		1)) {
		f->recall.last = at;
		return seep_frame_node(&s->frames[0]);
	}
#else
	(void)f;
	(void)frame;
#endif
	return 0;
}
uint32_t seep_frames_capture_nested(void **frame);

/*
 * The pcs of that stack, innermost first, walked by rules alone; bit 63 marks
 * an interrupted pc. Returns how many; *cut: it goes on, but not for us.
 */
uint32_t seep_frames_walk(
    void **frame, uint64_t *pcs, uint32_t room, bool *cut);

/* Does this thread allocate because a capture opens libunwind (frames_unw.c)?
 * Then what it allocates is ours and not the program's. */
#ifdef SEEP_CAPTURE_LIBUNWIND
extern __thread bool seep_frames_own;
#else
#define seep_frames_own false
#endif

/* A module is about to be, or has been, unloaded. */
void seep_frames_unload_begin(void);
void seep_frames_unload_end(void);

#endif
