/* SPDX-License-Identifier: MIT */
/*
 * test_recall.c - a stack is known again when all its slots hold, else never
 *
 * The stacks lie in an array: frame i's return address is in words[4 * i - 1],
 * its saved rbp in words[4 * i - 2].
 */
#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "preload/recall.h"

#define LEAF_PC 0x400000u
#define DEPTH	200u

/* as in recall.c */
#define LOOK_TURNS 2048u
#define REST_TURNS 131072u

static uint64_t words[4 * DEPTH];
static struct seep_recall recall;

static uint64_t sp_of(uint32_t i)
{
	return (uint64_t)(uintptr_t)&words[4 * i];
}

/* What a walk over `nr` frames would keep, their slots being as they are. */
static void put(uint32_t nr, uint32_t node)
{
	struct seep_stack *s;

	ck_assert_ptr_nonnull(seep_recall_room(&recall, 0, nr));
	ck_assert_uint_le(recall.used + SEEP_STACK_WORDS(nr), recall.room);
	ck_assert_uint_ge(seep_recall_free(&recall), nr);
	s = seep_recall_at(&recall, recall.used);
	memset(s->frames, 0, nr * sizeof(*s->frames));
	s->nr = nr;
	for (uint32_t i = 0; i < nr; i++) {
		s->frames[i].pc = i ? words[4 * i - 1] : LEAF_PC;
		s->frames[i].sp = sp_of(i);
		s->frames[i].tag = node + i;
	}
}

static void learn(uint32_t nr, uint32_t node, uint64_t key)
{
	put(nr, node);
	seep_recall_keep(&recall, key);
}

static uint64_t key;

/* The node of the current stack, or 0 for one not known; sets `key`. */
static uint32_t find(uint64_t bp)
{
	uint32_t at = seep_recall_find(&recall, LEAF_PC, sp_of(0), bp, &key);

	if (at == SEEP_NO_STACK)
		return 0;
	ck_assert_uint_eq(recall.last, at);
	return seep_frame_node(&seep_recall_at(&recall, at)->frames[0]);
}

static void setup(void)
{
	ck_assert(seep_recall_init(&recall));
	for (uint32_t i = 0; i < 4 * DEPTH; i++)
		words[i] = 0x500000 + i;
}

START_TEST(a_stack_is_known_by_every_slot)
{
	ck_assert_uint_eq(find(0), 0);
	learn(10, 100, key);
	ck_assert_uint_eq(find(0), 100);
	for (uint32_t i = 1; i < 10; i++) {
		words[4 * i - 1]++;
		ck_assert_uint_eq(find(0), 0);
		words[4 * i - 1]--;
		ck_assert_uint_eq(find(0), 100);
	}
	words[4 * 10 - 1]++; /* beyond its end */
	ck_assert_uint_eq(find(0), 100);
}
END_TEST

START_TEST(the_value_found_leads_to_the_other_stack)
{
	uint32_t known = 0;

	/* Four stacks that differ near and far out. Each way from one to the
	 * other is learned once; a guess may push out another. */
	for (uint32_t n = 0; n < 64; n++) {
		uint32_t v = n < 4 ? n : n * 7 / 3 % 4, node;

		words[4 * 1 - 1] = 0x600000 + v % 2;
		words[4 * 8 - 1] = 0x600000 + v / 2;
		node = find(0);
		if (node)
			ck_assert_uint_eq(node, 1000 + 100 * v);
		else
			learn(20, 1000 + 100 * v, key);
		known += n >= 48 && node;
	}
	ck_assert_uint_ge(known, 8);
}
END_TEST

START_TEST(a_stack_met_in_another_way_is_not_kept_twice)
{
	uint32_t used;

	find(0);
	learn(10, 100, key);
	used = recall.used;
	learn(10, 100, key ^ 0xabcdef);
	ck_assert_uint_eq(recall.used, used);
	ck_assert_uint_eq(seep_recall_guess(&recall, key ^ 0xabcdef),
	    seep_recall_guess(&recall, key));
}
END_TEST

START_TEST(rbp_counts_where_it_is_needed)
{
	struct seep_frame *f;

	find(7);
	learn(10, 100, key);
	f = seep_recall_at(&recall, recall.last)->frames;
	ck_assert_uint_eq(find(8), 100);
	f[0].tag |= SEEP_FRAME_NEEDS_BP;
	f[0].bp = 7;
	ck_assert_uint_eq(find(7), 100);
	ck_assert_uint_eq(find(8), 0);
	/* Saved in a slot: only what the slot holds counts. */
	f[4].tag |= SEEP_FRAME_NEEDS_BP | SEEP_FRAME_CHECK_BP;
	f[4].bp_at = -2;
	f[4].bp = words[4 * 4 - 2];
	ck_assert_uint_eq(find(7), 100);
	words[4 * 4 - 2]++;
	ck_assert_uint_eq(find(7), 0);
}
END_TEST

START_TEST(what_cannot_be_checked_is_never_known)
{
	find(0);
	learn(10, 100, key);
	seep_recall_at(&recall, recall.last)->frames[9].tag |= SEEP_FRAME_BLIND;
	ck_assert_uint_eq(find(0), 0);
}
END_TEST

/* Far more stacks than there is room for, of all lengths: the bounds hold, the
 * last one is always there, and many of the ones before it. */
START_TEST(old_stacks_make_room)
{
	uint32_t known = 0;

	for (uint32_t n = 0; n < 20000; n++) {
		uint32_t nr = 1 + n * 7919 % DEPTH, before = recall.last;
		uint64_t first;

		words[3] = n;
		words[7] = n & 1;
		find(0);
		learn(nr, 100 + n, key);
		if (nr > 1) {
			ck_assert_uint_eq(find(0), 100 + n);
			ck_assert_uint_ne(recall.last, before);
		}
		first = words[3];
		words[3] = n ? n - 1 : 0;
		words[7] = words[3] & 1;
		known += find(0) == 100 + n - 1;
		words[3] = first;
	}
	ck_assert_uint_gt(known, 15000);
	/* 2 MiB, and the table. */
	ck_assert_uint_le(recall.room, 1u << 18);
}
END_TEST

/* Behind the last word of the room there may be nothing to read. */
START_TEST(the_room_is_used_to_its_last_word)
{
	static const uint32_t nr[] = {84, 85, 85};
	uint32_t room = recall.room;

	for (uint32_t i = 0; i < 3; i++) {
		words[3] = i;
		find(0);
		learn(nr[i], 100 + i, key);
	}
	ck_assert_uint_eq(recall.used, room);
	ck_assert_uint_eq(seep_recall_free(&recall), 0);
	words[3] = 3;
	find(0);
	learn(10, 200, key);
	ck_assert_uint_eq(find(0), 200);
}
END_TEST

START_TEST(guesses_that_push_out_each_other_get_more_room)
{
	uint32_t shift = recall.shift, known = 0;

	for (uint32_t n = 0; n < 3000; n++) {
		words[3] = n % 300;
		if (find(0))
			known += n >= 2400;
		else
			learn(4, 100 + n % 300, key);
	}
	ck_assert_uint_gt(known, 500);
	ck_assert_uint_le(recall.shift, shift);
}
END_TEST

START_TEST(one_stack_may_be_larger_than_all_the_room)
{
	static uint64_t saved;
	struct seep_stack *s;
	uint32_t nr = 300000;

	find(0);
	learn(3, 50, key);
	saved = key;
	s = seep_recall_room(&recall, 0, nr);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_ge(seep_recall_free(&recall), nr);
	memset(s->frames, 0, nr * sizeof(*s->frames));
	s->nr = nr;
	seep_recall_keep(&recall, saved ^ 1);
	ck_assert_uint_eq(seep_recall_at(&recall, recall.last)->nr, nr);
	/* Two of these are one too many for what may be had. */
	ck_assert_ptr_null(seep_recall_room(&recall, 0, 4 * nr * 8));
}
END_TEST

/* Puts `nr` new frames in front of the `known` outermost ones. */
static void change(uint32_t nr, uint32_t known, uint32_t node)
{
	uint32_t sp = known ? 4 * (DEPTH - known) : 4 * DEPTH;
	struct seep_frame *f;

	f = seep_recall_change(&recall, nr, known);
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_eq(f, recall.own - nr);
	for (uint32_t i = 0; i < nr; i++)
		f[i] = (struct seep_frame){
		    .pc = 1, .sp = sp - 4 * (nr - i), .tag = node + i};
	seep_recall_changed(&recall, nr);
}

static uint32_t last_nodes(uint32_t *nodes)
{
	const struct seep_frame *end, *f = seep_recall_last(&recall, &end);
	uint32_t n = 0;

	while (f < end)
		nodes[n++] = seep_frame_node(f++);
	return n;
}

START_TEST(the_own_stack_changes_at_its_inner_end)
{
	static uint32_t nodes[4000];

	find(0);
	learn(10, 100, key);
	change(2, 4, 200); /* the four outermost of that one */
	ck_assert_uint_eq(last_nodes(nodes), 6);
	ck_assert_uint_eq(nodes[0], 200);
	ck_assert_uint_eq(nodes[1], 201);
	ck_assert_uint_eq(nodes[2], 106);
	ck_assert_uint_eq(nodes[5], 109);
	change(1, 5, 300);
	ck_assert_uint_eq(last_nodes(nodes), 6);
	ck_assert_uint_eq(nodes[0], 300);
	ck_assert_uint_eq(nodes[1], 201);
	/* More than there is room for, twice. */
	change(1500, 5, 1000);
	ck_assert_uint_eq(last_nodes(nodes), 1505);
	ck_assert_uint_eq(nodes[1499], 2499);
	ck_assert_uint_eq(nodes[1500], 201);
	change(0, 3, 0);
	ck_assert_uint_eq(last_nodes(nodes), 3);
	ck_assert_uint_eq(nodes[2], 109);
	/* A stack of the arena again, and back. */
	ck_assert_uint_eq(find(0), 100);
	ck_assert_uint_eq(last_nodes(nodes), 10);
	change(1, 9, 400);
	ck_assert_uint_eq(last_nodes(nodes), 10);
	ck_assert_uint_eq(nodes[1], 101);
}
END_TEST

START_TEST(who_never_comes_back_is_seldom_looked_for)
{
	uint32_t looks = 0, found = 0;

	for (uint32_t n = 0; n < 100000; n++) {
		words[3] = n;
		if (!seep_recall_pays(&recall))
			continue;
		looks++;
		if (!find(0))
			learn(10, 100, key);
	}
	ck_assert_uint_lt(looks, 10000);
	/* One who does is found again, after a while. */
	for (uint32_t n = 0; n < 300000; n++) {
		words[3] = n % 2;
		if (!seep_recall_pays(&recall))
			continue;
		if (find(0))
			found++;
		else
			learn(10, 100, key);
	}
	ck_assert_uint_gt(found, 100000);
}
END_TEST

START_TEST(after_a_reset_nothing_is_known)
{
	find(0);
	learn(10, 100, key);
	seep_recall_reset(&recall);
	ck_assert_uint_eq(find(0), 0);
	ck_assert_uint_eq(recall.last, SEEP_NO_STACK);
}
END_TEST

#ifdef __x86_64__
/* ---- handlers that jump out for good ----------------------------------- */

static sigjmp_buf out;
static volatile long steps_left;

static void after_each_instruction(int sig)
{
	(void)sig;
	if (!steps_left--)
		siglongjmp(out, 1);
}

/* Jumps out of `op` after so many instructions; false: it was done before. */
static bool jump_out_of(void (*op)(void), long steps)
{
	steps_left = steps;
	if (sigsetjmp(out, 1))
		return true;
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory");
	op();
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory");
	return false;
}

static void look(void)
{
	find(0);
}

static void wake(void)
{
	seep_recall_pays(&recall);
}

static void keep(void)
{
	seep_recall_keep(&recall, key);
}

static void look_in_vain(uint32_t turns)
{
	recall.turns = turns;
	recall.well = 0;
	find(0);
}

/* A rest begins, a rest ends, there are more guesses: whatever of that was
 * done, no first guess is looked for behind the end of its table. */
START_TEST(a_handler_may_jump_out_anywhere)
{
	static void (*const ops[])(void) = {look, wake, keep};
	void (*op)(void) = ops[_i];
	bool jumped = true;

	signal(SIGTRAP, after_each_instruction);
	for (long steps = 0; jumped; steps++) {
		ck_assert(seep_recall_init(&recall));
		words[3] = 1;
		find(0);
		learn(4, 100, key);
		words[3] = 2;
		look_in_vain(op == wake ? LOOK_TURNS - 1 : 0);
		put(4, 200);
		recall.turns = op == look ? LOOK_TURNS - 1 : REST_TURNS - 1;
		recall.lost = op == keep ? 1000 : 0;
		jumped = jump_out_of(op, steps);
		if (recall.first == recall.guesses)
			ck_assert_uint_ge(recall.first_shift, recall.shift);
		else
			ck_assert_uint_eq(recall.first_shift, 63);
	}
	ck_assert(op == look   ? recall.resting
		  : op == wake ? !recall.resting
			       : recall.lost == 0);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("recall");
	TCase *tc = tcase_create("recall");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_stack_is_known_by_every_slot);
	tcase_add_test(tc, the_value_found_leads_to_the_other_stack);
	tcase_add_test(tc, a_stack_met_in_another_way_is_not_kept_twice);
	tcase_add_test(tc, rbp_counts_where_it_is_needed);
	tcase_add_test(tc, what_cannot_be_checked_is_never_known);
	tcase_add_test(tc, old_stacks_make_room);
	tcase_add_test(tc, the_room_is_used_to_its_last_word);
	tcase_add_test(tc, guesses_that_push_out_each_other_get_more_room);
	tcase_add_test(tc, one_stack_may_be_larger_than_all_the_room);
	tcase_add_test(tc, the_own_stack_changes_at_its_inner_end);
	tcase_add_test(tc, who_never_comes_back_is_seldom_looked_for);
	tcase_add_test(tc, after_a_reset_nothing_is_known);
#ifdef __x86_64__
	tcase_add_loop_test(tc, a_handler_may_jump_out_anywhere, 0, 3);
#endif
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
