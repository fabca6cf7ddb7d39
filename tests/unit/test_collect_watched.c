/* SPDX-License-Identifier: MIT */
/* test_collect_watched.c - from a ring of histories into a recording */
#include <sched.h>

#include "analyzer/collect/watched.h"
#include "tests/unit/collect_fixture.h"

#define LOG SEEP_HISTORY_LOG_MIN

struct watched_fixture {
	struct fake_segment f;
	struct fake_sink *sink;
	struct seep_drain *drain;
	struct seep_segment *seg;
	struct seep_sites *sites;
	struct seep_history_ring *ring;
	struct seep_watched w;
	uint32_t site, freer;
};

static void open_all(struct watched_fixture *x, uint32_t flags)
{
	struct seep_hello h = {.magic = SEEP_HELLO_MAGIC,
	    .version = SEEP_WIRE_VERSION,
	    .flags = flags,
	    .pid = (uint32_t)getpid()};
	int fd = dup(x->f.fd);

	no_error(seep_segment_open(
	    &h, (uint32_t)getpid(), geteuid(), -1, &fd, 1, &x->seg));
	no_error(seep_sites_create(&x->seg->reader, &x->sink->sink, "/bin/prog",
	    NULL, NULL, &x->sites));
	x->drain = seep_drain_create();
	ck_assert_ptr_nonnull(x->drain);
}

static void close_all(struct watched_fixture *x)
{
	seep_watched_deinit(&x->w);
	memset(&x->w, 0, sizeof(x->w));
	seep_drain_destroy(x->drain);
	seep_sites_destroy(x->sites);
	seep_segment_close(x->seg);
}

static void fixture_init(struct watched_fixture *x, uint32_t flags)
{
	struct seep_process p = {.pid = 1};
	uint32_t module;

	memset(x, 0, sizeof(*x));
	x->sink = fake_sink_create();
	no_error(x->sink->sink.put_process(x->sink, &p));
	fake_init(&x->f, "/bin/prog");
	module = fake_module(&x->f, "/bin/prog");
	x->site = fake_node(&x->f, 0, module, 0x10);
	x->freer = fake_node(&x->f, 0, module, 0x20);
	x->ring = seep_history_make(&x->f.pool, LOG);
	fake_seal(&x->f);
	open_all(x, flags);
}

static void fixture_deinit(struct watched_fixture *x)
{
	close_all(x);
	fake_deinit(&x->f);
	fake_sink_destroy(x->sink);
}

static void tell(struct watched_fixture *x, enum seep_history_kind kind,
    uint64_t addr, uint64_t at_ns)
{
	struct seep_history_event e = {.kind = (uint8_t)kind,
	    .node = kind == SEEP_HISTORY_ALLOC ? x->site : x->freer,
	    .tid = 1,
	    .addr = addr,
	    .at_ns = at_ns};

	seep_history_publish(x->ring, atomic_fetch_add(&x->ring->next, 1), &e);
}

static void one_history(struct watched_fixture *x, uint64_t addr)
{
	tell(x, SEEP_HISTORY_ALLOC, addr, 1000);
	tell(x, SEEP_HISTORY_FREE, addr, 1500);
}

static void put(struct watched_fixture *x)
{
	no_error(seep_watched_put(
	    &x->w, x->sites, &x->sink->sink, 1, seep_watched_lost(&x->w)));
}

START_TEST(a_sample_is_read_by_polling_and_says_that_it_is_one)
{
	struct watched_fixture x;

	fixture_init(&x, 0);
	one_history(&x, 16);
	seep_watched_poll(&x.w, x.drain, x.seg);
	put(&x);
	seep_watched_committed(&x.w);
	ck_assert_uint_eq(x.sink->history.every, 1024);
	ck_assert_uint_eq(x.sink->histories.begun, 1);
	ck_assert_uint_eq(x.sink->histories.ended, 1);
	ck_assert_uint_eq(x.sink->histories.max_ns, 500);
	ck_assert_uint_eq(x.sink->nr_freed, 1);
	ck_assert_uint_eq(x.sink->nr_lifetimes, 1);
	/* What a sample lacks is no drop. */
	x.ring->lost = 7;
	ck_assert_uint_eq(seep_watched_lost(&x.w), 0);
	put(&x);
	ck_assert_uint_eq(x.sink->history.lost, 7);
	ck_assert_uint_eq(x.sink->histories.begun, 1);
	fixture_deinit(&x);
}
END_TEST

START_TEST(a_ring_that_is_not_there_yet_is_attached_later)
{
	struct watched_fixture x;
	uint32_t page;

	fixture_init(&x, 0);
	page = x.f.pool.head->history_page;
	x.f.pool.head->history_page = 0;
	seep_watched_poll(&x.w, x.drain, x.seg);
	put(&x);
	ck_assert_uint_eq(x.sink->history.every, 0);
	x.f.pool.head->history_page = page;
	one_history(&x, 16);
	seep_watched_poll(&x.w, x.drain, x.seg);
	put(&x);
	ck_assert_uint_eq(x.sink->histories.ended, 1);
	fixture_deinit(&x);
}
END_TEST

/* The thread gives slots back, or this would not come to an end. */
START_TEST(all_histories_are_read_without_polling)
{
	struct watched_fixture x;

	fixture_init(&x, SEEP_FLAG_EVENTS);
	seep_watched_poll(&x.w, x.drain, x.seg);
	for (uint64_t i = 1; i <= 10000; i++) {
		while (!seep_history_has_room(x.ring, x.ring->next + 1))
			sched_yield();
		one_history(&x, i * 16);
	}
	ck_assert_uint_gt(x.f.pool.head->heartbeat_ns, 0);
	seep_watched_read(&x.w, true);
	put(&x);
	ck_assert_uint_eq(x.sink->history.every, 1);
	ck_assert_uint_eq(x.sink->histories.begun, 10000);
	ck_assert_uint_eq(x.sink->histories.ended, 10000);
	ck_assert_uint_eq(seep_watched_lost(&x.w), 0);
	fixture_deinit(&x);
}
END_TEST

START_TEST(at_the_end_what_was_in_flight_is_passed_and_is_no_loss)
{
	struct watched_fixture x;

	fixture_init(&x, SEEP_FLAG_EVENTS);
	one_history(&x, 16);
	atomic_fetch_add(&x.ring->next, 1);
	one_history(&x, 32);
	atomic_fetch_add(&x.ring->next, 1);
	seep_watched_poll(&x.w, x.drain, x.seg);
	seep_watched_read(&x.w, true);
	put(&x);
	ck_assert_uint_eq(x.sink->histories.ended, 2);
	/* As much as there are threads, and no more. */
	x.seg->reader.head.nr_slots = 2;
	ck_assert_uint_eq(seep_watched_lost(&x.w), 0);
	x.seg->reader.head.nr_slots = 1;
	ck_assert_uint_eq(seep_watched_lost(&x.w), 1);
	fixture_deinit(&x);
}
END_TEST

START_TEST(a_hole_in_a_ring_that_is_full_is_given_up_and_counted)
{
	struct watched_fixture x;

	fixture_init(&x, SEEP_FLAG_EVENTS);
	atomic_fetch_add(&x.ring->next, 1);
	for (uint64_t i = 1; x.ring->next < (1u << LOG) - 1; i++)
		one_history(&x, i * 16);
	atomic_fetch_add(&x.ring->next, 1);
	seep_watched_poll(&x.w, x.drain, x.seg);
	while (!seep_watched_lost(&x.w))
		sched_yield();
	/* The one at the end may be filled any time. */
	ck_assert_uint_eq(seep_watched_lost(&x.w), 1);
	put(&x);
	ck_assert_uint_eq(x.sink->histories.ended, (1u << LOG) / 2 - 1);
	/* One that its writer has given up himself, and counted. */
	x.ring->given_up = 1;
	ck_assert_uint_eq(seep_watched_lost(&x.w), 0);
	fixture_deinit(&x);
}
END_TEST

START_TEST(what_was_rolled_back_is_put_again)
{
	struct watched_fixture x;

	fixture_init(&x, 0);
	one_history(&x, 16);
	seep_watched_poll(&x.w, x.drain, x.seg);
	put(&x);
	seep_watched_rolled_back(&x.w);
	seep_sites_forget(x.sites);
	memset(&x.sink->histories, 0, sizeof(x.sink->histories));
	one_history(&x, 32);
	seep_watched_poll(&x.w, x.drain, x.seg);
	put(&x);
	seep_watched_committed(&x.w);
	ck_assert_uint_eq(x.sink->histories.begun, 2);
	ck_assert_uint_eq(x.sink->histories.ended, 2);
	fixture_deinit(&x);
}
END_TEST

START_TEST(what_a_dead_collector_had_read_and_not_stored_is_lost)
{
	struct watched_fixture x;

	fixture_init(&x, SEEP_FLAG_EVENTS);
	one_history(&x, 16);
	seep_watched_poll(&x.w, x.drain, x.seg);
	seep_watched_read(&x.w, false);
	put(&x);
	seep_watched_committed(&x.w);
	one_history(&x, 32);
	seep_watched_read(&x.w, false);
	close_all(&x);
	open_all(&x, SEEP_FLAG_EVENTS);
	one_history(&x, 48);
	seep_watched_poll(&x.w, x.drain, x.seg);
	seep_watched_read(&x.w, true);
	put(&x);
	ck_assert_uint_eq(seep_watched_lost(&x.w), 2);
	ck_assert_uint_eq(x.sink->histories.ended, 2);
	fixture_deinit(&x);
}
END_TEST

START_TEST(a_ring_that_cannot_be_is_left_alone_and_counted)
{
	static const uint32_t pages[] = {UINT32_MAX, FAKE_PAGES - 1, 0};
	struct watched_fixture x;

	for (int i = 0; pages[i]; i++) {
		fixture_init(&x, SEEP_FLAG_EVENTS);
		x.f.pool.head->history_page = pages[i];
		seep_watched_poll(&x.w, x.drain, x.seg);
		seep_watched_read(&x.w, true);
		put(&x);
		ck_assert_uint_eq(seep_watched_lost(&x.w), 1);
		fixture_deinit(&x);
	}
	fixture_init(&x, SEEP_FLAG_EVENTS);
	x.ring->log = 63;
	seep_watched_poll(&x.w, x.drain, x.seg);
	ck_assert_uint_eq(seep_watched_lost(&x.w), 1);
	fixture_deinit(&x);
}
END_TEST

/* It says that there is no end of it, at the end of its process. */
START_TEST(a_ring_that_claims_more_than_it_holds_comes_to_an_end)
{
	struct watched_fixture x;

	fixture_init(&x, SEEP_FLAG_EVENTS);
	one_history(&x, 16);
	x.ring->next = UINT64_MAX / 2;
	seep_watched_poll(&x.w, x.drain, x.seg);
	seep_watched_read(&x.w, true);
	put(&x);
	ck_assert_uint_eq(x.sink->history.every, 1);
	fixture_deinit(&x);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("collect_watched");
	TCase *tc = tcase_create("watched");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, a_sample_is_read_by_polling_and_says_that_it_is_one);
	tcase_add_test(tc, a_ring_that_is_not_there_yet_is_attached_later);
	tcase_add_test(tc, all_histories_are_read_without_polling);
	tcase_add_test(
	    tc, at_the_end_what_was_in_flight_is_passed_and_is_no_loss);
	tcase_add_test(
	    tc, a_hole_in_a_ring_that_is_full_is_given_up_and_counted);
	tcase_add_test(tc, what_was_rolled_back_is_put_again);
	tcase_add_test(
	    tc, what_a_dead_collector_had_read_and_not_stored_is_lost);
	tcase_add_test(tc, a_ring_that_cannot_be_is_left_alone_and_counted);
	tcase_add_test(
	    tc, a_ring_that_claims_more_than_it_holds_comes_to_an_end);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
