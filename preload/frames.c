/* SPDX-License-Identifier: MIT */
/*
 * frames.c - the stack of the current allocation -> a node of the call tree
 *
 * Two allocations of a thread share most of their outer frames. The thread
 * keeps its last stack. A new walk steps outwards by rules until it meets a
 * frame in the same state (pc, sp, bp) as one it knows; from there each known
 * step is only checked: a step reads the return address and perhaps the saved
 * bp from fixed slots, so as long as these hold what they held, the next state
 * is the known one. By induction this is exact. The slots are read in the order
 * in which a walk would read them, so nothing else is touched.
 *
 * Fresh frames are looked up in the call tree from the outside in; a small
 * table of the thread's own answers most of these look-ups.
 */
#include <string.h>

#include "preload/frames.h"
#include "preload/step.h"
#include "preload/sys.h"

#define FIRST_ROOM  64u
#define MAX_ROOM    (1u << 20)
#define FIRST_EDGES 256u
#define MAX_EDGES   (1u << 15)
#define NESTED_ROOM 256u
#define STACK_MAX   (1ull << 30) /* farther than this is another stack */

struct seep_capture seep_capture;
_Atomic uint32_t seep_code_epoch;

void seep_frames_unload_begin(void)
{
	atomic_fetch_add(&seep_cfi_closing, 1);
	atomic_fetch_add(&seep_code_epoch, 1);
}

void seep_frames_unload_end(void)
{
	seep_cfi_flush();
	atomic_fetch_add(&seep_code_epoch, 1);
	atomic_fetch_sub(&seep_cfi_closing, 1);
}

/* Places for `room` frames in one piece of memory; bytes_for(room) long. */
static void lay_out(struct seep_frames *f, void *p, uint32_t room)
{
	f->known = p;
	f->fresh = f->known + room;
	f->checks = (struct seep_check *)(f->fresh + room);
	f->room = room;
}

static size_t bytes_for(uint32_t room)
{
	return room * (2 * sizeof(struct seep_frame_state) +
			  2 * sizeof(struct seep_check));
}

bool seep_frames_init(struct seep_frames *f)
{
	unsigned char *p = seep_sys_grab(
	    bytes_for(FIRST_ROOM) + FIRST_EDGES * sizeof(*f->edges));

	memset(f, 0, sizeof(*f));
	if (!p)
		return false;
	lay_out(f, p, FIRST_ROOM);
	f->edges = (struct seep_edge *)(p + bytes_for(FIRST_ROOM));
	f->edge_mask = FIRST_EDGES - 1;
	return true;
}

void seep_frames_reset(struct seep_frames *f)
{
	f->nr_known = 0;
	memset(f->edges, 0, (f->edge_mask + 1) * sizeof(*f->edges));
	memset(f->near, 0, sizeof(f->near));
}

/* Room for twice as many frames. The first room shares its pages with the
 * first edges and stays. */
static bool more_room(struct seep_frames *f, uint32_t nr_fresh)
{
	struct seep_frames old = *f;
	uint32_t room = f->room * 2;
	void *p;

	if (room > MAX_ROOM)
		return false;
	p = seep_sys_grab(bytes_for(room));
	if (!p)
		return false;
	lay_out(f, p, room);
	memcpy(f->known, old.known, old.nr_known * sizeof(*f->known));
	memcpy(f->fresh, old.fresh, nr_fresh * sizeof(*f->fresh));
	if (old.nr_known)
		memcpy(f->checks, old.checks,
		    old.known[old.nr_known - 1].checks * sizeof(*f->checks));
	if (old.room > FIRST_ROOM)
		seep_sys_release(old.known, bytes_for(old.room));
	return true;
}

static void more_edges(struct seep_frames *f)
{
	uint32_t old_nr = f->edge_mask + 1, nr = old_nr * 4;
	struct seep_edge *e, *old = f->edges;

	f->edge_misses = 0;
	if (nr > MAX_EDGES)
		return;
	e = seep_sys_grab(nr * sizeof(*e));
	if (!e)
		return;
	f->edges = e;
	atomic_signal_fence(memory_order_seq_cst);
	f->edge_mask = nr - 1;
	if (old_nr > FIRST_EDGES)
		seep_sys_release(old, old_nr * sizeof(*e));
}

/* ---- steps ------------------------------------------------------------- */

/* The end of the stack that sp is on: nothing is read at or above it. */
static inline uint64_t stack_end(uint64_t sp)
{
	/* glibc places a thread's control block at the top of its stack. */
	uint64_t tp = (uint64_t)(uintptr_t)__builtin_thread_pointer();
	uint64_t up_to_tp = tp - sp;
	uint64_t up_to_main = seep_capture.main_stack_end - sp;
	uint64_t least = up_to_tp < up_to_main ? up_to_tp : up_to_main;

	return least < STACK_MAX ? sp + least : 0;
}

/*
 * Does every step from known[i] outwards still lead where it led? Returns 0 if
 * all do, else the index of the frame that is left another way. Saved values of
 * bp that no frame further out needs may differ: they have no check.
 */
static uint32_t check_outwards(const struct seep_frames *f, uint32_t i)
{
	uint32_t failed = seep_frames_check(f->checks, f->known[i].checks);
	uint32_t lo = 0, hi = i;

	if (!failed)
		return 0;
	/* The outermost frame whose checks include the one that failed. */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (f->known[mid].checks >= failed)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Notes what to check for the step from known[i] to known[i - 1]. */
static void put_checks(struct seep_frames *f, uint32_t i)
{
	static const uint64_t never;
	struct seep_frame_state *k = &f->known[i];
	struct seep_check *c;

	if (!i) {
		k->checks = 0;
		return;
	}
	c = &f->checks[k[-1].checks];
	if (k->flags & SEEP_FRAME_UNCHECKED) {
		c->addr = (uint64_t)(uintptr_t)&never;
		c++->value = 1;
	} else {
		if (k->bp_slot && k[-1].flags & SEEP_FRAME_NEEDS_BP) {
			c->addr =
			    k[-1].sp + (uint64_t)((int64_t)k->bp_slot * 8);
			c++->value = k[-1].bp;
		}
		*c++ = seep_step_check(k, &k[-1]);
	}
	k->checks = (uint32_t)(c - f->checks);
}

/* Is this the known frame, as far as anything further out depends on it? */
static inline bool is_known(
    const struct seep_frame_state *k, const struct seep_frame_state *s)
{
	return k->sp == s->sp && k->pc == s->pc &&
	       !((k->flags ^ s->flags) & SEEP_FRAME_EXACT) &&
	       (!(k->flags & SEEP_FRAME_NEEDS_BP) || k->bp == s->bp);
}

/* ---- nodes ------------------------------------------------------------- */

static uint32_t describe(
    struct seep_frames *f, uint64_t pc, bool exact, uint64_t *offset)
{
	struct seep_object o;
	uint64_t at = pc - !exact;
	uint32_t module = SEEP_NO_MODULE;
	uint64_t bias = 0;

	if (f)
		for (uint32_t i = 0; i < SEEP_NEAR_MODULES; i++)
			if (at >= f->near[i].start && at < f->near[i].end) {
				module = f->near[i].module;
				bias = f->near[i].bias;
				goto found;
			}
	if (seep_object_find(at, &o)) {
		module = seep_object_module(seep_capture.pool, &o);
		bias = o.bias;
		if (f && module != SEEP_NO_MODULE &&
		    !atomic_load(&seep_cfi_closing)) {
			uint32_t i = f->next_near++ % SEEP_NEAR_MODULES;

			f->near[i].start = o.start;
			f->near[i].end = o.end;
			f->near[i].bias = o.bias;
			f->near[i].module = module;
		}
	}
found:
	if (module == SEEP_NO_MODULE || (pc - bias) >> 32) {
		atomic_fetch_add_explicit(
		    &seep_capture.pool->head->drops[SEEP_DROP_NO_RULE], 1,
		    memory_order_relaxed);
		*offset = pc & 0xffffffffffffull;
		return seep_node_pack(SEEP_NODE_UNKNOWN, exact, 0);
	}
	*offset = pc - bias;
	return seep_node_pack(SEEP_NODE_NATIVE, exact, module);
}

static uint32_t node_below(
    struct seep_frames *f, uint32_t parent, uint64_t pc, bool exact)
{
	uint64_t offset;
	uint32_t kind = describe(f, pc, exact, &offset);

	return seep_tree_child(seep_capture.tree, parent, kind, offset);
}

static inline uint32_t child(
    struct seep_frames *f, uint32_t parent, uint64_t pc, bool exact)
{
	uint64_t key = pc | (uint64_t)exact << 63;
	uint64_t h = (key ^ (uint64_t)parent << 20) * 0x9e3779b97f4a7c15ull;
	struct seep_edge *e = &f->edges[h >> 40 & f->edge_mask];

	if (__builtin_expect(e->pc == key && e->parent == parent, 1))
		return e->node;
	if (++f->edge_misses > 4 * f->edge_mask)
		more_edges(f);
	e = &f->edges[h >> 40 & f->edge_mask];
	e->pc = 0;
	e->node = node_below(f, parent, pc, exact);
	e->parent = parent;
	/* A handler may jump out anywhere: the key makes the entry count. */
	atomic_signal_fence(memory_order_seq_cst);
	e->pc = key;
	return e->node;
}

static uint32_t truncated_root(void)
{
	return seep_tree_child(
	    seep_capture.tree, 0, seep_node_pack(SEEP_NODE_TRUNCATED, 0, 0), 0);
}

/* ---- captures ---------------------------------------------------------- */

uint32_t seep_frames_capture_slow(struct seep_frames *f, void **frame)
{
	uint32_t epoch =
	    atomic_load_explicit(&seep_code_epoch, memory_order_relaxed);
	struct seep_frame_state s;
	uint32_t j, n = 0, node = 0;
	uint64_t end;
	bool cut = false;

	if (__builtin_expect(f->code_epoch != epoch, 0)) {
		/* Code is being unloaded: keep nothing that may soon be wrong.
		 */
		if (atomic_load(&seep_cfi_closing))
			return seep_frames_capture_nested(frame);
		seep_frames_reset(f);
		f->code_epoch = epoch;
	}
	s.pc = seep_caller_pc(frame);
	s.sp = seep_caller_sp(frame);
	s.bp = seep_caller_bp(frame);
	s.flags = 0;
	end = stack_end(s.sp);
	for (j = f->nr_known;;) {
		struct seep_frame_state next;
		enum seep_step st;

		while (j > 0 && f->known[j - 1].sp < s.sp)
			j--;
		if (j > 0 && is_known(&f->known[j - 1], &s)) {
			uint32_t left = check_outwards(f, j - 1);

			if (!left) {
				node = f->known[j - 1].node;
				break;
			}
			/* Walk on, and try again further out than that. */
			j = left;
		}
		if (n == f->room && !more_room(f, n)) {
			cut = true;
			j = 0;
			break;
		}
		s.flags &= SEEP_FRAME_EXACT;
		st = seep_step(&s, &next, end);
		f->fresh[n++] = s;
		if (st != SEEP_STEP_ON) {
			cut = st == SEEP_STEP_CUT;
			j = 0;
			break;
		}
		s = next;
		if (s.flags & SEEP_FRAME_EXACT)
			end = stack_end(s.sp);
	}
	while (j + n > f->room)
		if (!more_room(f, n)) {
			f->nr_known = 0;
			return SEEP_NODE_FULL;
		}
	/* Shorten what is known, rewrite, then extend: a handler that jumps out
	 * of here leaves a shorter memory and never a wrong one. */
	f->nr_known = j;
	atomic_signal_fence(memory_order_seq_cst);
	if (!j)
		node = cut ? truncated_root() : 0;
	for (uint32_t i = n; i-- > 0;) {
		struct seep_frame_state *k = &f->known[j + (n - 1 - i)];

		*k = f->fresh[i];
		node = child(f, node, k->pc, k->flags & SEEP_FRAME_EXACT);
		k->node = node;
		if (k->flags & SEEP_FRAME_USES_BP ||
		    (!k->bp_slot && k > f->known &&
			k[-1].flags & SEEP_FRAME_NEEDS_BP))
			k->flags |= SEEP_FRAME_NEEDS_BP;
		put_checks(f, (uint32_t)(k - f->known));
	}
	atomic_signal_fence(memory_order_seq_cst);
	f->nr_known = j + n;
	return node;
}

uint32_t seep_frames_walk(void **frame, uint64_t *pcs, uint32_t room, bool *cut)
{
	struct seep_frame_state s, next;
	uint64_t end;
	uint32_t n = 0;
	enum seep_step st = SEEP_STEP_ON;

	s.pc = seep_caller_pc(frame);
	s.sp = seep_caller_sp(frame);
	s.bp = seep_caller_bp(frame);
	s.flags = 0;
	end = stack_end(s.sp);
	while (st == SEEP_STEP_ON && n < room) {
		pcs[n++] = s.pc | (uint64_t)(s.flags & SEEP_FRAME_EXACT) << 63;
		st = seep_step(&s, &next, end);
		s = next;
		if (s.flags & SEEP_FRAME_EXACT)
			end = stack_end(s.sp);
	}
	*cut = st != SEEP_STEP_END;
	return n;
}

uint32_t seep_frames_capture_nested(void **frame)
{
	uint64_t pcs[NESTED_ROOM];
	bool cut;
	uint32_t n = seep_frames_walk(frame, pcs, NESTED_ROOM, &cut), node;

	if (cut && n == NESTED_ROOM)
		atomic_fetch_add_explicit(
		    &seep_capture.pool->head->drops[SEEP_DROP_TRUNCATED], 1,
		    memory_order_relaxed);
	node = cut ? truncated_root() : 0;
	while (n-- > 0)
		node = node_below(
		    NULL, node, pcs[n] & ~(1ull << 63), pcs[n] >> 63);
	return node;
}
