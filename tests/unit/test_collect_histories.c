/* SPDX-License-Identifier: MIT */
/* test_collect_histories.c - what becomes of events, in order, lost or odd */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/collect/histories.h"

#define SITE   11u
#define FREER  22u
#define THREAD 7u

struct histories_fixture {
	struct seep_histories *h;
	struct seep_histories_delta d;
};

static void fixture_init(struct histories_fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->h = seep_histories_create();
	ck_assert_ptr_nonnull(f->h);
}

static void fixture_deinit(struct histories_fixture *f)
{
	seep_histories_delta_deinit(&f->d);
	seep_histories_destroy(f->h);
}

static void add(struct histories_fixture *f, enum seep_history_kind kind,
    uint64_t addr, uint32_t tid, uint64_t at_ns, unsigned flags)
{
	struct seep_history_event e = {.kind = (uint8_t)kind,
	    .flags = (uint8_t)flags,
	    .node = kind == SEEP_HISTORY_ALLOC ? SITE : FREER,
	    .tid = tid,
	    .addr = addr,
	    .size_bytes = kind == SEEP_HISTORY_ALLOC ? 100 : 0,
	    .at_ns = at_ns};

	seep_histories_add(f->h, &e);
}

static const struct seep_histories_site *take(struct histories_fixture *f)
{
	static const struct seep_histories_site none;

	seep_histories_delta_deinit(&f->d);
	seep_histories_take(f->h, &f->d);
	ck_assert_uint_le(f->d.nr_sites, 1);
	if (!f->d.nr_sites)
		return &none;
	ck_assert_uint_eq(f->d.sites[0].node, SITE);
	return &f->d.sites[0];
}

static uint64_t pairs(const struct histories_fixture *f, bool is_freed_by)
{
	uint64_t blocks = 0;

	for (uint32_t i = 0; i < f->d.nr_pairs; i++) {
		const struct seep_histories_pair *p = &f->d.pairs[i];

		if (p->is_freed_by == is_freed_by)
			blocks += p->blocks;
		if (is_freed_by && p->is_freed_by)
			ck_assert_uint_eq(p->other, FREER);
	}
	return blocks;
}

START_TEST(a_history_is_its_lifetime_and_who_ended_it)
{
	const struct seep_histories_site *s;
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 1000, 0);
	add(&f, SEEP_HISTORY_ALLOC, 32, THREAD, 2000, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 5000, 0);
	s = take(&f);
	ck_assert_int_eq(s->begun, 2);
	ck_assert_uint_eq(s->l.ended, 1);
	ck_assert_uint_eq(s->l.min_ns, 4000);
	ck_assert_uint_eq(s->l.max_ns, 4000);
	ck_assert_uint_eq(s->l.total_ns, 4000);
	ck_assert_uint_eq(s->l.temporary, 0);
	ck_assert_uint_eq(s->l.elsewhere, 0);
	ck_assert_uint_eq(pairs(&f, false), 1);
	ck_assert_uint_eq(pairs(&f, true), 1);
	ck_assert_uint_eq(seep_histories_nr_alive(f.h), 1);
	ck_assert_uint_eq(seep_histories_lost(f.h), 0);
	/* Told once only. */
	s = take(&f);
	ck_assert_int_eq(s->begun, 0);
	fixture_deinit(&f);
}
END_TEST

START_TEST(temporary_is_what_its_own_thread_freed_at_once)
{
	const struct seep_histories_site *s;
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 1, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 2, SEEP_HISTORY_LAST);
	/* The other thread's last allocation was at this address, too. */
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 3, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD + 1, 4, SEEP_HISTORY_LAST);
	s = take(&f);
	ck_assert_uint_eq(s->l.ended, 2);
	ck_assert_uint_eq(s->l.temporary, 1);
	ck_assert_uint_eq(s->l.temporary_bytes, 100);
	ck_assert_uint_eq(s->l.elsewhere, 1);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_realloc_that_failed_ends_nothing)
{
	const struct seep_histories_site *s;
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 1000, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 2000, SEEP_HISTORY_REALLOC);
	/* Others go on meanwhile. */
	add(&f, SEEP_HISTORY_ALLOC, 64, THREAD + 1, 2500, 0);
	add(&f, SEEP_HISTORY_UNDO, 16, THREAD, 3000, 0);
	s = take(&f);
	ck_assert_int_eq(s->begun, 2);
	ck_assert_uint_eq(s->l.ended, 0);
	ck_assert_uint_eq(pairs(&f, true), 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 9000, 0);
	s = take(&f);
	ck_assert_uint_eq(s->l.ended, 1);
	ck_assert_uint_eq(s->l.min_ns, 8000);
	ck_assert_uint_eq(seep_histories_lost(f.h), 0);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_realloc_ends_one_history_and_begins_another)
{
	const struct seep_histories_site *s;
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 1000, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 2000, SEEP_HISTORY_REALLOC);
	/* Its old address is another's before it has its new one. */
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD + 1, 2100, 0);
	add(&f, SEEP_HISTORY_ALLOC, 64, THREAD, 2200, 0);
	s = take(&f);
	ck_assert_int_eq(s->begun, 3);
	ck_assert_uint_eq(s->l.ended, 1);
	ck_assert_uint_eq(s->l.max_ns, 1000);
	/* The last one before the end. */
	add(&f, SEEP_HISTORY_FREE, 64, THREAD, 2300, SEEP_HISTORY_REALLOC);
	seep_histories_settle(f.h);
	s = take(&f);
	ck_assert_uint_eq(s->l.ended, 1);
	ck_assert_uint_eq(seep_histories_nr_alive(f.h), 1);
	fixture_deinit(&f);
}
END_TEST

START_TEST(more_reallocs_under_way_than_are_remembered_still_end)
{
	struct histories_fixture f;

	fixture_init(&f);
	for (uint32_t i = 1; i <= 1000; i++) {
		add(&f, SEEP_HISTORY_ALLOC, i * 16, i, 1, 0);
		add(&f, SEEP_HISTORY_FREE, i * 16, i, 2, SEEP_HISTORY_REALLOC);
	}
	seep_histories_settle(f.h);
	ck_assert_uint_eq(take(&f)->l.ended, 1000);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_missing_end_takes_its_beginning_with_it)
{
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 1, 0);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 2, 0);
	ck_assert_int_eq(take(&f)->begun, 1);
	add(&f, SEEP_HISTORY_FORGET, 16, THREAD, 3, 0);
	ck_assert_int_eq(take(&f)->begun, -1);
	ck_assert_uint_eq(seep_histories_nr_alive(f.h), 0);
	/* Twice, and never begun: nothing to take back. */
	add(&f, SEEP_HISTORY_FORGET, 16, THREAD, 3, 0);
	ck_assert_int_eq(take(&f)->begun, 0);
	fixture_deinit(&f);
}
END_TEST

START_TEST(events_that_fit_nothing_are_counted_as_lost)
{
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 1, 0);
	add(&f, SEEP_HISTORY_ALLOC, 0, THREAD, 1, 0);
	add(&f, SEEP_HISTORY_FREE, 0, THREAD, 1, SEEP_HISTORY_REALLOC);
	add(&f, (enum seep_history_kind)200, 16, THREAD, 1, 255);
	ck_assert_uint_eq(seep_histories_lost(f.h), 4);
	add(&f, SEEP_HISTORY_UNDO, 16, THREAD, 1, 0);
	ck_assert_uint_eq(seep_histories_nr_alive(f.h), 0);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_clock_that_goes_back_gives_no_lifetime)
{
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 1000, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 10, 0);
	ck_assert_uint_eq(take(&f)->l.max_ns, 0);
	fixture_deinit(&f);
}
END_TEST

/* The table of blocks alive, with many removed from between others. */
START_TEST(every_free_finds_its_block_whatever_the_order)
{
	enum { BLOCKS = 5000, STEPS = 200000 };
	static bool alive[BLOCKS];
	struct histories_fixture f;
	uint64_t nr = 0, ends = 0;

	fixture_init(&f);
	srand(1);
	for (int i = 0; i < STEPS; i++) {
		unsigned b = (unsigned)rand() % BLOCKS;

		/* Few bits differ, as in addresses of a heap. */
		add(&f, alive[b] ? SEEP_HISTORY_FREE : SEEP_HISTORY_ALLOC,
		    0x7f0000000000 + b * 32ull, THREAD, (uint64_t)i, 0);
		ends += alive[b];
		nr = alive[b] ? nr - 1 : nr + 1;
		alive[b] = !alive[b];
		ck_assert_uint_eq(seep_histories_nr_alive(f.h), nr);
	}
	ck_assert_uint_eq(take(&f)->l.ended, ends);
	ck_assert_uint_eq(pairs(&f, false), ends);
	ck_assert_uint_eq(seep_histories_lost(f.h), 0);
	fixture_deinit(&f);
}
END_TEST

START_TEST(what_could_not_be_stored_comes_with_the_next)
{
	const struct seep_histories_site *s;
	struct histories_fixture f;

	fixture_init(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 1000, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 1010, 0);
	take(&f);
	add(&f, SEEP_HISTORY_ALLOC, 16, THREAD, 2000, 0);
	add(&f, SEEP_HISTORY_FREE, 16, THREAD, 2500, 0);
	seep_histories_give_back(f.h, &f.d);
	s = take(&f);
	ck_assert_int_eq(s->begun, 2);
	ck_assert_uint_eq(s->l.ended, 2);
	ck_assert_uint_eq(s->l.min_ns, 10);
	ck_assert_uint_eq(s->l.max_ns, 500);
	ck_assert_uint_eq(pairs(&f, true), 2);
	fixture_deinit(&f);
}
END_TEST

START_TEST(each_site_and_each_freer_is_counted_by_itself)
{
	struct histories_fixture f;
	uint64_t blocks = 0;

	fixture_init(&f);
	for (uint32_t i = 0; i < 3000; i++) {
		struct seep_history_event e = {.kind = SEEP_HISTORY_ALLOC,
		    .node = i % 1000,
		    .addr = 16 + i,
		    .at_ns = 1};

		seep_histories_add(f.h, &e);
		e.kind = SEEP_HISTORY_FREE;
		e.node = i % 7;
		seep_histories_add(f.h, &e);
	}
	seep_histories_take(f.h, &f.d);
	ck_assert_uint_eq(f.d.nr_sites, 1000);
	for (uint32_t i = 0; i < f.d.nr_sites; i++)
		ck_assert_int_eq(f.d.sites[i].begun, 3);
	for (uint32_t i = 0; i < f.d.nr_pairs; i++)
		if (f.d.pairs[i].is_freed_by)
			blocks += f.d.pairs[i].blocks;
	ck_assert_uint_eq(blocks, 3000);
	fixture_deinit(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("collect_histories");
	TCase *tc = tcase_create("histories");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, a_history_is_its_lifetime_and_who_ended_it);
	tcase_add_test(tc, temporary_is_what_its_own_thread_freed_at_once);
	tcase_add_test(tc, a_realloc_that_failed_ends_nothing);
	tcase_add_test(tc, a_realloc_ends_one_history_and_begins_another);
	tcase_add_test(
	    tc, more_reallocs_under_way_than_are_remembered_still_end);
	tcase_add_test(tc, a_missing_end_takes_its_beginning_with_it);
	tcase_add_test(tc, events_that_fit_nothing_are_counted_as_lost);
	tcase_add_test(tc, a_clock_that_goes_back_gives_no_lifetime);
	tcase_add_test(tc, every_free_finds_its_block_whatever_the_order);
	tcase_add_test(tc, what_could_not_be_stored_comes_with_the_next);
	tcase_add_test(tc, each_site_and_each_freer_is_counted_by_itself);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
