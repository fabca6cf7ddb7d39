/* SPDX-License-Identifier: MIT */
/* test_wire_history.c - events of histories come once, in order, or are a hole
 */
#include <pthread.h>
#include <sched.h>

#include "tests/unit/wire_fixture.h"
#include "wire/history.h"

#define LOG   6u
#define SLOTS (1u << LOG)

struct history_fixture {
	struct wire_fixture f;
	struct seep_history_ring *ring;
	struct seep_history_reader rd;
};

static void fixture_init(struct history_fixture *h)
{
	wire_fixture_init(&h->f, 64);
	h->ring = seep_history_make(&h->f.pool, LOG);
	ck_assert_ptr_nonnull(h->ring);
	ck_assert_uint_eq(h->ring->log, LOG);
	seep_history_reader_init(&h->rd, h->ring, LOG);
}

static uint64_t take(struct seep_history_ring *r)
{
	return atomic_fetch_add(&r->next, 1);
}

static struct seep_history_event event(uint64_t i)
{
	struct seep_history_event e = {.kind = 1 + i % 4,
	    .flags = i % 7,
	    .node = (uint32_t)i * 77,
	    .tid = (uint32_t)i + 5,
	    .addr = i << 4,
	    .size_bytes = i << 40,
	    .at_ns = ~i};

	return e;
}

static void put(struct history_fixture *h, uint64_t i)
{
	struct seep_history_event e = event(i);

	seep_history_publish(h->ring, take(h->ring), &e);
}

static void expect(struct history_fixture *h, uint64_t i)
{
	struct seep_history_event e = {0}, want = event(i);

	ck_assert_int_eq(seep_history_get(&h->rd, &e), SEEP_HISTORY_OK);
	ck_assert_uint_eq(e.kind, want.kind);
	ck_assert_uint_eq(e.flags, want.flags);
	ck_assert_uint_eq(e.node, want.node);
	ck_assert_uint_eq(e.tid, want.tid);
	ck_assert_uint_eq(e.addr, want.addr);
	ck_assert_uint_eq(e.size_bytes, want.size_bytes);
	ck_assert_uint_eq(e.at_ns, want.at_ns);
}

static void expect_nothing(
    struct history_fixture *h, enum seep_history_status what)
{
	struct seep_history_event e;

	ck_assert_int_eq(seep_history_get(&h->rd, &e), what);
}

START_TEST(events_come_out_as_they_went_in_lap_after_lap)
{
	struct history_fixture h;
	uint64_t in = 0, out = 0;

	fixture_init(&h);
	while (out < 10 * SLOTS) {
		while (in < out + 1 + out % SLOTS)
			put(&h, in++);
		while (out < in)
			expect(&h, out++);
		expect_nothing(&h, SEEP_HISTORY_EMPTY);
		seep_history_release(&h.rd, true);
	}
	wire_fixture_deinit(&h.f);
}
END_TEST

START_TEST(a_number_has_room_once_its_slot_was_given_back)
{
	struct history_fixture h;

	fixture_init(&h);
	for (uint64_t i = 0; i < SLOTS; i++) {
		ck_assert(seep_history_has_room(h.ring, i));
		put(&h, i);
	}
	ck_assert(!seep_history_has_room(h.ring, SLOTS));
	expect(&h, 0);
	ck_assert(!seep_history_has_room(h.ring, SLOTS));
	ck_assert(!seep_history_release(&h.rd, true));
	ck_assert(seep_history_has_room(h.ring, SLOTS));
	ck_assert(!seep_history_has_room(h.ring, SLOTS + 1));
	h.ring->nr_waiting = 1;
	ck_assert(seep_history_release(&h.rd, true));
	wire_fixture_deinit(&h.f);
}
END_TEST

START_TEST(writers_are_woken_for_more_than_a_few_slots)
{
	struct history_fixture h;

	fixture_init(&h);
	for (uint64_t i = 0; i < SLOTS; i++)
		put(&h, i);
	h.ring->nr_waiting = 1;
	for (uint64_t i = 0; i < SLOTS / 4; i++) {
		ck_assert(!seep_history_release(&h.rd, false));
		expect(&h, i);
	}
	ck_assert_uint_eq(h.ring->wakes, 0);
	ck_assert(seep_history_release(&h.rd, false));
	ck_assert_uint_eq(h.ring->wakes, 1);
	ck_assert(!seep_history_release(&h.rd, false));
	/* Or when there is nothing more to wait for. */
	ck_assert(seep_history_release(&h.rd, true));
	wire_fixture_deinit(&h.f);
}
END_TEST

START_TEST(a_number_without_its_event_is_a_hole_until_it_comes)
{
	struct history_fixture h;
	struct seep_history_event late = event(1);
	uint64_t number;

	fixture_init(&h);
	put(&h, 0);
	number = take(h.ring);
	put(&h, 2);
	expect(&h, 0);
	expect_nothing(&h, SEEP_HISTORY_HOLE);
	seep_history_publish(h.ring, number, &late);
	expect(&h, 1);
	expect(&h, 2);
	wire_fixture_deinit(&h.f);
}
END_TEST

START_TEST(holes_are_passed_up_to_the_next_event)
{
	struct history_fixture h;

	fixture_init(&h);
	take(h.ring);
	take(h.ring);
	take(h.ring);
	put(&h, 3);
	take(h.ring);
	expect_nothing(&h, SEEP_HISTORY_HOLE);
	ck_assert_uint_eq(seep_history_skip(&h.rd), 3);
	expect(&h, 3);
	ck_assert_uint_eq(seep_history_skip(&h.rd), 1);
	expect_nothing(&h, SEEP_HISTORY_EMPTY);
	wire_fixture_deinit(&h.f);
}
END_TEST

START_TEST(what_an_earlier_lap_left_is_no_event)
{
	struct history_fixture h;

	fixture_init(&h);
	for (uint64_t i = 0; i < SLOTS; i++)
		put(&h, i);
	for (uint64_t i = 0; i < SLOTS; i++)
		expect(&h, i);
	seep_history_release(&h.rd, true);
	expect_nothing(&h, SEEP_HISTORY_EMPTY);
	take(h.ring);
	expect_nothing(&h, SEEP_HISTORY_HOLE);
	wire_fixture_deinit(&h.f);
}
END_TEST

/* A writer that was given up and comes back a lap later. */
START_TEST(an_event_that_another_writer_wrote_over_is_none)
{
	struct history_fixture h;
	struct seep_history_event late = event(99);
	_Atomic uint64_t *words;

	fixture_init(&h);
	take(h.ring);
	for (uint64_t i = 1; i <= SLOTS; i++)
		put(&h, i);
	/* As far as it got when it was stopped: one word. */
	words = (_Atomic uint64_t *)((unsigned char *)h.ring + SEEP_PAGE);
	words[1] = late.addr;
	seep_history_skip(&h.rd);
	for (uint64_t i = 1; i < SLOTS; i++)
		expect(&h, i);
	expect_nothing(&h, SEEP_HISTORY_HOLE);
	/* And when it got to the end. */
	seep_history_publish(h.ring, 0, &late);
	expect_nothing(&h, SEEP_HISTORY_HOLE);
	wire_fixture_deinit(&h.f);
}
END_TEST

START_TEST(scribbled_positions_lead_to_no_more_than_the_ring)
{
	struct history_fixture h;

	fixture_init(&h);
	put(&h, 0);
	h.ring->next = UINT64_MAX / 2;
	expect(&h, 0);
	ck_assert_uint_eq(seep_history_pending(&h.rd), SLOTS);
	ck_assert_uint_eq(seep_history_skip(&h.rd), SLOTS);
	h.ring->next = 3; /* backwards */
	ck_assert_uint_eq(seep_history_pending(&h.rd), 0);
	expect_nothing(&h, SEEP_HISTORY_EMPTY);
	h.ring->tail = UINT64_MAX - 5;
	seep_history_reader_init(&h.rd, h.ring, LOG);
	ck_assert_uint_eq(seep_history_pending(&h.rd), 9);
	/* Past the end of all numbers, up to the event of number 0. */
	ck_assert_uint_eq(seep_history_skip(&h.rd), 6);
	h.ring->tail = 1ull << 40;
	seep_history_reader_init(&h.rd, h.ring, LOG);
	ck_assert_uint_eq(seep_history_pending(&h.rd), 0);
	wire_fixture_deinit(&h.f);
}
END_TEST

START_TEST(a_small_pool_gets_a_small_ring_and_all_threads_the_same)
{
	struct wire_fixture f;
	struct seep_history_ring *r;

	wire_fixture_init(&f, 64);
	r = seep_history_make(&f.pool, 20);
	ck_assert_ptr_nonnull(r);
	ck_assert_uint_ge(r->log, SEEP_HISTORY_LOG_MIN);
	ck_assert_uint_le(seep_history_bytes(r->log), 64 * SEEP_PAGE);
	ck_assert_ptr_eq(seep_history_make(&f.pool, SEEP_HISTORY_LOG_MIN), r);
	wire_fixture_deinit(&f);
	wire_fixture_init(&f, 2);
	ck_assert_ptr_null(seep_history_make(&f.pool, 20));
	ck_assert_uint_eq(f.pool.head->history_page, 0);
	wire_fixture_deinit(&f);
}
END_TEST

#define WRITERS 3
#define EACH	20000

static void *write_many(void *arg)
{
	struct seep_history_ring *r = arg;
	static _Atomic uint32_t tids;
	struct seep_history_event e = {
	    .kind = SEEP_HISTORY_ALLOC, .tid = atomic_fetch_add(&tids, 1)};

	for (uint64_t i = 0; i < EACH; i++) {
		uint64_t number = take(r);

		while (!seep_history_has_room(r, number))
			sched_yield();
		e.addr = i;
		seep_history_publish(r, number, &e);
	}
	return NULL;
}

START_TEST(events_of_several_writers_are_all_there_each_in_its_order)
{
	struct history_fixture h;
	struct seep_history_event e;
	uint64_t next[WRITERS] = {0}, all = 0;
	pthread_t t[WRITERS];

	fixture_init(&h);
	for (int i = 0; i < WRITERS; i++)
		pthread_create(&t[i], NULL, write_many, h.ring);
	while (all < WRITERS * EACH) {
		if (seep_history_get(&h.rd, &e) != SEEP_HISTORY_OK) {
			seep_history_release(&h.rd, true);
			sched_yield();
			continue;
		}
		ck_assert_uint_lt(e.tid, WRITERS);
		ck_assert_uint_eq(e.addr, next[e.tid]++);
		all++;
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	expect_nothing(&h, SEEP_HISTORY_EMPTY);
	wire_fixture_deinit(&h.f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire_history");
	TCase *tc = tcase_create("ring");

	tcase_add_test(tc, events_come_out_as_they_went_in_lap_after_lap);
	tcase_add_test(tc, a_number_has_room_once_its_slot_was_given_back);
	tcase_add_test(tc, writers_are_woken_for_more_than_a_few_slots);
	tcase_add_test(tc, a_number_without_its_event_is_a_hole_until_it_comes);
	tcase_add_test(tc, holes_are_passed_up_to_the_next_event);
	tcase_add_test(tc, what_an_earlier_lap_left_is_no_event);
	tcase_add_test(tc, an_event_that_another_writer_wrote_over_is_none);
	tcase_add_test(tc, scribbled_positions_lead_to_no_more_than_the_ring);
	tcase_add_test(
	    tc, a_small_pool_gets_a_small_ring_and_all_threads_the_same);
	tcase_add_test(
	    tc, events_of_several_writers_are_all_there_each_in_its_order);
	suite_add_tcase(s, tc);
	return wire_fixture_main(s);
}
