/* SPDX-License-Identifier: MIT */
/*
 * recall.c - the stacks that a thread has seen, and how to know one again
 *
 * The arena is filled from the front. When it is full it is doubled, up to a
 * limit; from there on everything but the last stack is forgotten and learned
 * anew. The guesses are a table without buckets: the newer one stays; where
 * they push out each other, the table grows.
 */
#include <string.h>

#include "preload/recall.h"
#include "preload/sys.h"

#define FIRST_WORDS 1024u      /* 8 KiB */
#define MAX_WORDS   (1u << 18) /* 2 MiB: then forget */
#define HARD_WORDS  (1u << 23) /* for one stack of a million frames */
#define FIRST_LOG   10u	       /* guesses: 4 KiB */
#define MAX_LOG	    17u
#define MANY_LOST   32u
#define MAX_GUESSES 6
#define FEW_GUESSES 3	 /* cost no more than the frames they save */
#define FIRST_OWN   256u /* frames */

/* Turns of looking, in the second half of which it must go well so often, and
 * of doing without; see seep_recall_pays(). */
#define LOOK_TURNS 2048u
#define LOOK_WELL  (LOOK_TURNS / 2 * 2 / 5)
#define REST_TURNS 131072u

/* The empty stack, at 0, is nobody's: no frame has pc 0 and sp 0. */
#define FIRST_STACK SEEP_STACK_WORDS(1)

static const uint32_t nothing[2] = {SEEP_NO_STACK, SEEP_NO_STACK};

/* The shift that is right for `nothing`, and too large for no table. */
#define NOTHING_SHIFT 63u

static void set_no_first(struct seep_recall *r)
{
	/* A handler may jump out anywhere: never a shift that is too small. */
	r->first_shift = NOTHING_SHIFT;
	atomic_signal_fence(memory_order_seq_cst);
	r->first = nothing;
	atomic_signal_fence(memory_order_seq_cst);
}

/* The first guess of seep_recall_first() is saved, too, when it does not pay.
 */
static void set_first(struct seep_recall *r)
{
	set_no_first(r);
	if (r->resting)
		return;
	r->first = r->guesses;
	atomic_signal_fence(memory_order_seq_cst);
	r->first_shift = r->shift;
}

static void set_resting(struct seep_recall *r, bool resting)
{
	r->resting = resting;
	r->turns = r->well = 0;
	set_first(r);
}

static size_t guesses_bytes(const struct seep_recall *r)
{
	return sizeof(*r->guesses) << (64 - r->shift);
}

bool seep_recall_init(struct seep_recall *r)
{
	memset(r, 0, sizeof(*r));
	r->room = FIRST_WORDS;
	r->shift = 64 - FIRST_LOG;
	r->arena = seep_sys_grab(FIRST_WORDS * sizeof(*r->arena));
	r->guesses = seep_sys_grab(guesses_bytes(r));
	if (!r->arena || !r->guesses)
		return false;
	seep_recall_reset(r);
	return true;
}

void seep_recall_end(struct seep_recall *r)
{
	if (r->arena)
		seep_sys_release(r->arena, r->room * sizeof(*r->arena));
	if (r->guesses)
		seep_sys_release(r->guesses, guesses_bytes(r));
}

void seep_recall_reset(struct seep_recall *r)
{
	r->last = SEEP_NO_STACK;
	memset(r->guesses, 0, guesses_bytes(r));
	atomic_signal_fence(memory_order_seq_cst);
	seep_recall_at(r, 0)->nr = 1;
	r->used = FIRST_STACK;
	set_first(r);
}

/* ---- finding ----------------------------------------------------------- */

/* While it does not, what is known grows old: after a while all is tried anew.
 */
bool seep_recall_pays(struct seep_recall *r)
{
	if (r->resting && ++r->turns == REST_TURNS)
		set_resting(r, false);
	return !r->resting;
}

/* The guess after finding `value` where the frames of s from f on begin to
 * differ: by all that was found up to there. */
static uint64_t next_key(uint64_t key, const struct seep_stack *s,
    const struct seep_frame *f, uint64_t value)
{
	for (const struct seep_frame *i = s->frames + 1; i < f; i++) {
		key ^= i->pc;
		key = key << 7 | key >> 57;
	}
	return seep_recall_next_key(key, f->sp, value);
}

static uint32_t find(struct seep_recall *r, uint64_t pc, uint64_t sp,
    uint64_t bp, uint64_t *ret, int *guesses)
{
	uint64_t first = seep_recall_key(pc, sp), key = first, value;
	long far = -1;

	for (int n = 0; n < MAX_GUESSES; n++) {
		uint32_t at = seep_recall_guess(r, key);
		const struct seep_stack *s = seep_recall_at(r, at);
		const struct seep_frame *f = s->frames, *end = f + s->nr;

		*guesses = n + 1;
		*ret = key;
		if (f->pc != pc || f->sp != sp)
			break;
		if (f->tag & SEEP_FRAME_NEEDS_BP && f->bp != bp)
			value = bp;
		else {
			f = seep_recall_check(f + 1, end);
			if (f == end) {
				r->guesses[first >> r->shift] = at;
				return at;
			}
			/* A walk would read these slots as well. */
			if (f->tag & SEEP_FRAME_BLIND)
				break;
			value = f->bp;
			if (f->tag & SEEP_FRAME_CHECK_BP)
				value = seep_stack_load(
				    f->sp + (uint64_t)(f->bp_at * 8));
			if (value == f->bp)
				value = seep_stack_load(
				    seep_ra_slot(f->sp, f->ra_at));
		}
		/* Each guess must be a better one. */
		if (f - s->frames <= far)
			break;
		far = f - s->frames;
		key = next_key(first, s, f, value);
	}
	return SEEP_NO_STACK;
}

uint32_t seep_recall_find(
    struct seep_recall *r, uint64_t pc, uint64_t sp, uint64_t bp, uint64_t *key)
{
	int guesses;
	uint32_t at = find(r, pc, sp, bp, key, &guesses);

	if (at != SEEP_NO_STACK)
		r->last = at;
	if (r->turns++ >= LOOK_TURNS / 2)
		r->well += at != SEEP_NO_STACK && guesses <= FEW_GUESSES;
	if (r->turns == LOOK_TURNS)
		set_resting(r, r->well < LOOK_WELL);
	return at;
}

/* ---- keeping ----------------------------------------------------------- */

/* Forgets all but the last stack; `nr` words behind it are moved along. */
static void forget(struct seep_recall *r, uint32_t nr)
{
	uint32_t last = r->last, from = r->used, words = 0;

	r->last = SEEP_NO_STACK;
	memset(r->guesses, 0, guesses_bytes(r));
	set_first(r); /* a jump may have left an older table there */
	atomic_signal_fence(memory_order_seq_cst);
	r->used = FIRST_STACK;
	if (last == SEEP_OWN_STACK) {
		r->last = last;
	} else if (last != SEEP_NO_STACK) {
		words = SEEP_STACK_WORDS(seep_recall_at(r, last)->nr);
		memmove(r->arena + FIRST_STACK, r->arena + last,
		    words * sizeof(*r->arena));
		r->used += words;
	}
	memmove(r->arena + r->used, r->arena + from, nr * sizeof(*r->arena));
	atomic_signal_fence(memory_order_seq_cst);
	if (words)
		r->last = FIRST_STACK;
}

static bool grow(struct seep_recall *r, uint32_t nr, uint32_t room)
{
	uint64_t *old = r->arena, *arena;
	uint32_t old_room = r->room;

	if (room > HARD_WORDS)
		return false;
	arena = seep_sys_grab(room * sizeof(*arena));
	if (!arena)
		return false;
	memcpy(arena, old, (r->used + nr) * sizeof(*arena));
	/* A stack is in the same place in both. */
	r->arena = arena;
	atomic_signal_fence(memory_order_seq_cst);
	r->room = room;
	seep_sys_release(old, old_room * sizeof(*old));
	return true;
}

/* Stacks push out each other's guesses: four times as many. Those by values are
 * learned anew. */
static void more_guesses(struct seep_recall *r)
{
	struct seep_recall more = *r;
	uint32_t *old;
	size_t bytes;

	r->lost = 0;
	if (64 - r->shift >= MAX_LOG)
		return;
	more.shift -= 2;
	more.guesses = seep_sys_grab(guesses_bytes(&more));
	if (!more.guesses)
		return;
	for (uint32_t at = FIRST_STACK; at < r->used;) {
		const struct seep_stack *s = seep_recall_at(r, at);
		uint64_t key =
		    seep_recall_key(s->frames[0].pc, s->frames[0].sp);

		more.guesses[key >> more.shift] = at;
		at += SEEP_STACK_WORDS(s->nr);
	}
	old = r->guesses;
	bytes = guesses_bytes(r);
	set_no_first(r);
	/* Nor here: first the larger table. */
	r->guesses = more.guesses;
	atomic_signal_fence(memory_order_seq_cst);
	r->shift = more.shift;
	set_first(r);
	seep_sys_release(old, bytes);
}

struct seep_stack *seep_recall_room(
    struct seep_recall *r, uint32_t done, uint32_t nr)
{
	uint32_t words = done ? SEEP_STACK_WORDS(done) : 0;
	uint32_t kept = FIRST_STACK;

	if (r->last != SEEP_NO_STACK && r->last != SEEP_OWN_STACK)
		kept += SEEP_STACK_WORDS(seep_recall_at(r, r->last)->nr);
	while (seep_recall_free(r) < nr) {
		if (r->room >= MAX_WORDS &&
		    kept + SEEP_STACK_WORDS(nr) <= r->room)
			forget(r, words);
		else if (!grow(r, words, r->room * 2))
			return NULL;
	}
	return seep_recall_at(r, r->used);
}

struct seep_frame *seep_recall_join(
    struct seep_recall *r, uint32_t nr, uint32_t known)
{
	struct seep_stack *s = seep_recall_room(r, nr, nr + known);
	const struct seep_frame *end;

	if (!s)
		return NULL;
	seep_recall_last(r, &end);
	s->nr = nr + known;
	memcpy(s->frames + nr, end - known, known * sizeof(*s->frames));
	return s->frames;
}

/* A larger place for the own stack, its `known` outermost frames in it. */
static bool grow_own(struct seep_recall *r, uint32_t room, uint32_t known)
{
	struct seep_frame *old_end = r->own_end;
	uint32_t old_room = r->own_room;
	struct seep_frame *p;

	if (room < FIRST_OWN)
		room = FIRST_OWN;
	p = room <= HARD_WORDS / SEEP_FRAME_WORDS
		? seep_sys_grab(room * sizeof(*p))
		: NULL;
	if (!p)
		return false;
	if (r->last == SEEP_OWN_STACK) {
		memcpy(p + room - known, old_end - known, known * sizeof(*p));
		r->last = SEEP_NO_STACK;
		atomic_signal_fence(memory_order_seq_cst);
		r->own_end = p + room;
		r->own = r->own_end - known;
		atomic_signal_fence(memory_order_seq_cst);
		r->last = SEEP_OWN_STACK;
	} else {
		r->own = r->own_end = p + room;
	}
	r->own_room = room;
	if (old_room)
		seep_sys_release(old_end - old_room, old_room * sizeof(*p));
	return true;
}

struct seep_frame *seep_recall_change(
    struct seep_recall *r, uint32_t nr, uint32_t known)
{
	const struct seep_frame *end;

	if (nr + known > r->own_room && !grow_own(r, 2 * (nr + known), known))
		return NULL;
	if (r->last != SEEP_OWN_STACK) {
		seep_recall_last(r, &end);
		r->last = SEEP_NO_STACK;
		memcpy(r->own_end - known, end - known, known * sizeof(*end));
	}
	/* From here on the last stack is shorter, not wrong. */
	r->own = r->own_end - known;
	atomic_signal_fence(memory_order_seq_cst);
	return r->own - nr;
}

/* The same stack, if it is here: found by its node, proved by its slots. */
static uint32_t same(struct seep_recall *r, uint64_t key, uint32_t tag)
{
	uint32_t at = seep_recall_guess(r, key);
	const struct seep_stack *s = seep_recall_at(r, at);
	const struct seep_stack *mine = seep_recall_at(r, r->used);
	const struct seep_frame *end = s->frames + s->nr;

	return at != SEEP_NO_STACK && s->frames[0].tag == tag &&
		       seep_frame_is(&s->frames[0], mine->frames[0].pc,
			   mine->frames[0].sp, mine->frames[0].bp) &&
		       seep_recall_check(s->frames + 1, end) == end
		   ? at
		   : SEEP_NO_STACK;
}

/* Enters a guess; what it pushes out of another innermost frame is missed. */
static void enter(struct seep_recall *r, uint64_t key, uint32_t at)
{
	uint32_t *guess = &r->guesses[key >> r->shift];
	const struct seep_frame *old = seep_recall_at(r, *guess)->frames;
	const struct seep_frame *leaf = seep_recall_at(r, at)->frames;

	r->lost += *guess != SEEP_NO_STACK &&
		   (old->pc != leaf->pc || old->sp != leaf->sp);
	*guess = at;
}

void seep_recall_keep(struct seep_recall *r, uint64_t key)
{
	const struct seep_stack *s = seep_recall_at(r, r->used);
	const struct seep_frame *leaf = &s->frames[0];
	uint64_t first = seep_recall_key(leaf->pc, leaf->sp);
	uint64_t by_node = seep_recall_next_key(first, 0, leaf->tag);
	uint32_t at = same(r, by_node, leaf->tag);

	if (at == SEEP_NO_STACK) {
		at = r->used;
		r->used += SEEP_STACK_WORDS(s->nr);
		/* A handler may jump out anywhere: whole before it is named. */
		atomic_signal_fence(memory_order_seq_cst);
		enter(r, by_node, at);
	}
	if (key != first)
		enter(r, key, at);
	enter(r, first, at);
	r->last = at;
	if (r->lost > MANY_LOST)
		more_guesses(r);
}
