/* SPDX-License-Identifier: MIT */
/* test_wire_ring.c - events arrive whole, in order, or are refused */
#include <pthread.h>

#include "tests/unit/wire_fixture.h"
#include "wire/ring.h"

static struct seep_ring ring;

static bool put(uint64_t value, const char *text)
{
	struct seep_event e = {.kind = SEEP_EVENT_EXEC, .value = value};

	e.text_len = (uint32_t)strlen(text);
	return seep_ring_put(&ring, &e, text);
}

START_TEST(events_come_out_as_they_went_in)
{
	char text[SEEP_RING_TEXT + 1], want[SEEP_RING_TEXT + 1];
	struct seep_event e;

	for (unsigned i = 0; i < 5000; i++) {
		memset(want, 'a' + (int)(i % 26), i % SEEP_RING_TEXT);
		want[i % SEEP_RING_TEXT] = '\0';
		ck_assert(put(i, want));
		ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_OK);
		ck_assert_uint_eq(e.value, i);
		ck_assert_str_eq(text, want);
	}
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_STOP);
}
END_TEST

START_TEST(a_full_ring_refuses_and_keeps_what_it_has)
{
	char text[SEEP_RING_TEXT + 1];
	struct seep_event e;
	unsigned n = 0;

	while (put(n, "some text"))
		n++;
	ck_assert_uint_eq(n, SEEP_RING_DATA / 40);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_OK);
		ck_assert_uint_eq(e.value, i);
	}
	ck_assert(put(0, "again"));
}
END_TEST

START_TEST(a_text_too_long_is_cut)
{
	static char longer[2 * SEEP_RING_TEXT];
	char text[SEEP_RING_TEXT + 1];
	struct seep_event e;

	memset(longer, 'x', sizeof(longer) - 1);
	ck_assert(put(1, longer));
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_OK);
	ck_assert_uint_eq(strlen(text), SEEP_RING_TEXT);
}
END_TEST

START_TEST(a_writer_killed_before_its_last_store_left_nothing)
{
	char text[SEEP_RING_TEXT + 1];
	struct seep_event e;
	uint64_t head;

	ck_assert(put(1, "first"));
	head = ring.head;
	ck_assert(put(2, "second"));
	ring.head = head; /* as if the last store had not been made (D31) */
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_OK);
	ck_assert_uint_eq(e.value, 1);
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_STOP);
}
END_TEST

START_TEST(scribbled_positions_and_lengths_are_corrupt)
{
	char text[SEEP_RING_TEXT + 1];
	struct seep_event e;

	ring.head = 8;
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_CORRUPT);
	ring.head = SEEP_RING_DATA + 8;
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_CORRUPT);
	ring.head = 0;
	ring.tail = 8;
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_CORRUPT);
	ck_assert(!put(1, "text"));
	ring.tail = 0;
	ck_assert(put(1, "text"));
	ring.data[4] = 0xff; /* its text_len */
	ring.data[5] = 0xff;
	ck_assert_int_eq(seep_ring_get(&ring, &e, text), SEEP_READ_CORRUPT);
}
END_TEST

#define EVENTS 20000

static void *write_all(void *arg)
{
	for (uint64_t i = 0; i < EVENTS;)
		i += put(i, "from the other thread");
	return arg;
}

START_TEST(a_reader_beside_the_writer_sees_all_in_order)
{
	char text[SEEP_RING_TEXT + 1];
	struct seep_event e;
	pthread_t t;
	uint64_t next = 0;

	ck_assert_int_eq(pthread_create(&t, NULL, write_all, NULL), 0);
	while (next < EVENTS) {
		enum seep_read_status st = seep_ring_get(&ring, &e, text);

		if (st == SEEP_READ_STOP)
			continue;
		ck_assert_int_eq(st, SEEP_READ_OK);
		ck_assert_uint_eq(e.value, next++);
		ck_assert_str_eq(text, "from the other thread");
	}
	pthread_join(t, NULL);
}
END_TEST

static void setup(void)
{
	memset(&ring, 0, sizeof(ring));
}

int main(void)
{
	Suite *s = suite_create("wire_ring");
	TCase *tc = tcase_create("ring");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, events_come_out_as_they_went_in);
	tcase_add_test(tc, a_full_ring_refuses_and_keeps_what_it_has);
	tcase_add_test(tc, a_text_too_long_is_cut);
	tcase_add_test(tc, a_writer_killed_before_its_last_store_left_nothing);
	tcase_add_test(tc, scribbled_positions_and_lengths_are_corrupt);
	tcase_add_test(tc, a_reader_beside_the_writer_sees_all_in_order);
	suite_add_tcase(s, tc);
	return wire_fixture_main(s);
}
