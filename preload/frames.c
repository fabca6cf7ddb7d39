/* SPDX-License-Identifier: MIT */
/*
 * frames.c - the stack of the current allocation -> a node of the call tree
 *
 * A stack that the thread has seen before is known again (recall.h). Another
 * one shares its outer frames with the stack before it, as a rule: a walk steps
 * outwards by rules until it meets a frame of that stack in the same state;
 * from there the known frames are only checked.
 *
 * Frames that are new are looked up in the call tree from the outside in; a
 * small table of the thread's own answers most of these look-ups.
 */
#include <string.h>

#include "preload/frames.h"
#include "preload/step.h"
#include "preload/sys.h"

#define FIRST_SETS  64u
#define MAX_SETS    (1u << 14) /* 1 MiB */
#define FEW_LOST    32u	       /* one of so many answers */
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

bool seep_frames_begin(void)
{
	return seep_cfi_init();
}

bool seep_frames_init(struct seep_frames *f)
{
	memset(f, 0, sizeof(*f));
	f->edges = seep_sys_grab(FIRST_SETS * sizeof(*f->edges));
	f->edge_sets = FIRST_SETS;
	return f->edges && seep_recall_init(&f->recall);
}

void seep_frames_end(struct seep_frames *f)
{
	if (f->edges)
		seep_sys_release(f->edges, f->edge_sets * sizeof(*f->edges));
	seep_recall_end(&f->recall);
}

/* Forgets all: code has moved. */
static void forget_all(struct seep_frames *f)
{
	seep_recall_reset(&f->recall);
	memset(f->edges, 0, f->edge_sets * sizeof(*f->edges));
	memset(f->near, 0, sizeof(f->near));
}

static struct seep_edges *edges_of(
    const struct seep_frames *f, uint64_t pc, uint32_t parent)
{
	/* The parent comes late, from the look-up before: little is left to do
	 * with it. Nodes are numbers in a row. */
	uint64_t h = pc * 0x9e3779b97f4a7c15ull >> 40;

	return &f->edges[(h ^ parent) & (f->edge_sets - 1)];
}

static void more_edges(struct seep_frames *f)
{
	struct seep_edges *old = f->edges, *e;
	uint32_t sets = f->edge_sets;
	void *p;

	if (sets >= MAX_SETS)
		return;
	p = seep_sys_grab(2 * sets * sizeof(*old));
	if (!p)
		return;
	f->edges = p;
	atomic_signal_fence(memory_order_seq_cst);
	f->edge_sets = 2 * sets;
	for (uint32_t i = 0; i < sets; i++)
		for (uint32_t j = 0; j < SEEP_EDGE_WAYS; j++) {
			if (!old[i].pc[j])
				continue;
			e = edges_of(f, old[i].pc[j], old[i].parent[j]);
			e->parent[j] = old[i].parent[j];
			e->node[j] = old[i].node[j];
			/* As in child_slow(). */
			atomic_signal_fence(memory_order_seq_cst);
			e->pc[j] = old[i].pc[j];
		}
	seep_sys_release(old, sets * sizeof(*old));
}

/* ---- steps ------------------------------------------------------------- */

/* The end of the stack that sp is on: nothing is read at or above it. */
static inline uint64_t stack_end(uint64_t sp)
{
	/* glibc places a thread's control block at the top of its stack, or,
	 * as on aarch64, a little above it. */
	uint64_t tp = (uint64_t)(uintptr_t)__builtin_thread_pointer();
	uint64_t up_to_tp = tp - sp;
	uint64_t up_to_main = seep_capture.main_stack_end - sp;
	uint64_t least = up_to_tp < up_to_main ? up_to_tp : up_to_main;

	return least < STACK_MAX ? sp + least : 0;
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

			/* Empty until it is whole: a handler may jump out. */
			f->near[i].end = 0;
			atomic_signal_fence(memory_order_seq_cst);
			f->near[i].start = o.start;
			f->near[i].bias = o.bias;
			f->near[i].module = module;
			atomic_signal_fence(memory_order_seq_cst);
			f->near[i].end = o.end;
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

static __attribute__((noinline)) uint32_t child_slow(
    struct seep_frames *f, uint32_t parent, uint64_t pc)
{
	struct seep_edges *e;
	uint32_t way;

	/* A larger table is further away: only if this one is too small. */
	if (f->edges_lost > f->edge_sets) {
		if (f->edges_asked < f->edges_lost * FEW_LOST)
			more_edges(f);
		f->edges_lost = f->edges_asked = 0;
	}
	e = edges_of(f, pc, parent);
	for (way = 0; way < SEEP_EDGE_WAYS - 1 && e->pc[way]; way++)
		;
	if (e->pc[way])
		way = f->edges_lost++ % SEEP_EDGE_WAYS;
	e->pc[way] = 0;
	e->node[way] = node_below(f, parent, pc & ~(1ull << 63), pc >> 63);
	e->parent[way] = parent;
	/* A handler may jump out anywhere: the key makes the entry count. */
	atomic_signal_fence(memory_order_seq_cst);
	e->pc[way] = pc;
	return e->node[way];
}

static inline uint32_t edge_is(
    const struct seep_edges *e, uint32_t way, uint64_t pc, uint32_t parent)
{
	return (uint32_t)((e->pc[way] == pc) & (e->parent[way] == parent))
	       << way;
}

static inline uint32_t child(
    struct seep_frames *f, uint32_t parent, uint64_t pc, bool exact)
{
	const struct seep_edges *e;
	uint32_t found;

	pc |= (uint64_t)exact << 63;
	e = edges_of(f, pc, parent);
	/* All of them: which one it is cannot be foretold. */
	found = edge_is(e, 0, pc, parent) | edge_is(e, 1, pc, parent) |
		edge_is(e, 2, pc, parent) | edge_is(e, 3, pc, parent);
	if (__builtin_expect(!found, 0))
		return child_slow(f, parent, pc);
	return e->node[__builtin_ctz(found)];
}
_Static_assert(SEEP_EDGE_WAYS == 4, "child() asks four");

static uint32_t truncated_root(void)
{
	return seep_tree_child(
	    seep_capture.tree, 0, seep_node_pack(SEEP_NODE_TRUNCATED, 0, 0), 0);
}

/* ---- captures ---------------------------------------------------------- */

/*
 * The current stack by walking it: nr new frames, put together at the room for
 * that, innermost first, and then the *known outermost ones of the last stack.
 */
static uint32_t walk(
    struct seep_recall *r, void **frame, uint32_t *known, enum seep_step *st)
{
	struct seep_stack *s = seep_recall_at(r, r->used);
	uint32_t n = 0, room = seep_recall_free(r);
	const struct seep_frame *last_end, *j = seep_recall_last(r, &last_end);
	uint64_t end;

	*known = 0;
	*st = SEEP_STEP_CUT;
	if (room < 2) {
		s = seep_recall_room(r, 0, 2);
		if (!s)
			return 0;
		room = seep_recall_free(r);
		j = seep_recall_last(r, &last_end);
	}
	s->frames[0] = (struct seep_frame){.pc = seep_caller_pc(frame),
	    .sp = seep_caller_sp(frame),
	    .bp = seep_caller_bp(frame)};
	end = stack_end(s->frames[0].sp);
	for (;;) {
		struct seep_frame *cur = &s->frames[n];

		while (j < last_end && j->sp < cur->sp)
			j++;
		if (j < last_end &&
		    seep_frame_is(j, cur->pc, cur->sp, cur->bp) &&
		    !((j->tag ^ cur->tag) & SEEP_FRAME_EXACT)) {
			const struct seep_frame *left =
			    seep_recall_check(j + 1, last_end);

			if (left == last_end) {
				*known = (uint32_t)(last_end - j);
				return n;
			}
			/* Walk on, and try again further out than that. */
			j = left;
		}
		if (n + 2 > room) {
			uint32_t to_go = (uint32_t)(last_end - j);

			s = seep_recall_room(r, n + 1, n + 2);
			if (!s) {
				*st = SEEP_STEP_CUT;
				return n;
			}
			room = seep_recall_free(r);
			seep_recall_last(r, &last_end);
			j = last_end - to_go;
			cur = &s->frames[n];
		}
		*st = seep_step(cur, cur + 1, end);
		n++;
		if (*st != SEEP_STEP_ON)
			return n + (cur[1].sp != 0);
		if (cur[1].tag & SEEP_FRAME_EXACT)
			end = stack_end(cur[1].sp);
	}
}

/*
 * Gives the nr new frames of a stack, innermost first, their nodes, outermost
 * first, and puts them to `frames`. If there are known ones behind them, the
 * first of these is as `met` says: this walk came to it in its own way. `root`
 * is the node of a stack without frames.
 *
 * The frames at `from` have just been written: each field is read as it was
 * written, for anything else would wait until the store is through.
 */
static uint32_t name(struct seep_frames *f, struct seep_frame *frames,
    const struct seep_frame *from, uint32_t nr, const struct seep_frame *met,
    uint32_t root)
{
	uint32_t node = root, needs_bp = 0;

	f->edges_asked += nr;

	if (met) {
		struct seep_frame *m = &frames[nr];
		uint32_t tag = m->tag;

		tag &= ~(SEEP_FRAME_BLIND | SEEP_FRAME_CHECK_BP);
		tag |= met->tag & SEEP_FRAME_BLIND;
		needs_bp = tag & SEEP_FRAME_NEEDS_BP;
		m->bp = met->bp;
		m->ra_at = met->ra_at;
		m->bp_at = met->bp_at;
		if (needs_bp && met->bp_at) {
			tag |= SEEP_FRAME_CHECK_BP;
			needs_bp = 0;
		}
		m->tag = tag;
		node = tag & SEEP_NODE_MAX;
	}
	for (uint32_t i = nr; i-- > 0;) {
		uint64_t pc = from[i].pc;
		int16_t bp_at = from[i].bp_at;
		/* bp as it is here is what the next frame out computes with,
		 * unless that one's was read from memory. */
		uint32_t tag = from[i].tag | needs_bp;

		if (pc)
			node = child(
			    f, node, seep_plain_pc(pc), tag & SEEP_FRAME_EXACT);
		needs_bp = tag & SEEP_FRAME_NEEDS_BP;
		if (needs_bp && bp_at) {
			tag |= SEEP_FRAME_CHECK_BP;
			needs_bp = 0;
		}
		frames[i].pc = pc;
		frames[i].sp = from[i].sp;
		frames[i].bp = from[i].bp;
		frames[i].tag = tag | node;
		frames[i].bp_at = bp_at;
		frames[i].ra_at = from[i].ra_at;
	}
	return node;
}

uint32_t seep_frames_capture(struct seep_frames *f, void **frame)
{
	uint32_t epoch =
	    atomic_load_explicit(&seep_code_epoch, memory_order_relaxed);
	struct seep_recall *r = &f->recall;
	struct seep_frame *frames, *from, met = {0};
	uint32_t at, nr, known, node;
	enum seep_step st;
	uint64_t key;
	bool pays;

	if (__builtin_expect(f->code_epoch != epoch, 0)) {
		/* Code is being unloaded: keep nothing that may soon be wrong.
		 */
		if (atomic_load(&seep_cfi_closing))
			return seep_frames_capture_nested(frame);
		forget_all(f);
		f->code_epoch = epoch;
	}
	pays = seep_recall_pays(r);
	if (pays) {
		at = seep_recall_find(r, seep_caller_pc(frame),
		    seep_caller_sp(frame), seep_caller_bp(frame), &key);
		if (at != SEEP_NO_STACK)
			return seep_frame_node(
			    &seep_recall_at(r, at)->frames[0]);
	}
	nr = walk(r, frame, &known, &st);
	if (!(nr + known))
		return SEEP_NODE_FULL;
	from = seep_recall_at(r, r->used)->frames;
	if (known) { /* the fields that name() wants, see there */
		met.bp = from[nr].bp;
		met.tag = from[nr].tag;
		met.bp_at = from[nr].bp_at;
		met.ra_at = from[nr].ra_at;
	}
	frames = pays ? seep_recall_join(r, nr, known)
		      : seep_recall_change(r, nr, known);
	if (!frames)
		return SEEP_NODE_FULL;
	node = name(f, frames, seep_recall_at(r, r->used)->frames, nr,
	    known ? &met : NULL,
	    st == SEEP_STEP_CUT && !known ? truncated_root() : 0);
	if (pays)
		seep_recall_keep(r, key);
	else
		seep_recall_changed(r, nr);
	return node;
}

uint32_t seep_frames_walk(void **frame, uint64_t *pcs, uint32_t room, bool *cut)
{
	struct seep_frame s = {.pc = seep_caller_pc(frame),
	    .sp = seep_caller_sp(frame),
	    .bp = seep_caller_bp(frame)};
	struct seep_frame next;
	uint64_t end = stack_end(s.sp);
	uint32_t n = 0;
	enum seep_step st = SEEP_STEP_ON;

	while (st == SEEP_STEP_ON && n < room) {
		pcs[n++] = seep_plain_pc(s.pc) |
			   (s.tag & SEEP_FRAME_EXACT ? 1ull << 63 : 0);
		st = seep_step(&s, &next, end);
		s = next;
		if (s.tag & SEEP_FRAME_EXACT)
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
