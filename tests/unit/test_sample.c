/* SPDX-License-Identifier: MIT */
/*
 * test_sample.c - the sample is what it says, and so are its errors
 *
 * All random numbers come from fixed seeds: a test either always passes or
 * always fails. Bounds are five standard errors wide all the same, so that
 * another seed would do as well (one in 1.7 million would not).
 */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/collect/estimate.h"
#include "analyzer/model/sample.h"
#include "preload/sample.h"
#include "wire/layout.h"
#include "wire/sample.h"

#define SEED	0x5eedull
#define MANY	1000000
#define ERRORS	5
#define MIB	(1ull << 20)
#define AVERAGE (512ull << 10)

static const uint64_t intervals[] = {
    SEEP_SAMPLE_MIN, 4096, AVERAGE, 64 * MIB, SEEP_SAMPLE_MAX};
#define NR_INTERVALS (sizeof(intervals) / sizeof(intervals[0]))

/* |value - mean| within ERRORS times the square root of the variance. */
static void near(double value, double mean, double variance)
{
	ck_assert_double_le(fabs(value - mean), ERRORS * sqrt(variance));
}

/* ---- numbers ----------------------------------------------------------- */

/* xorshift64*, once more. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

START_TEST(the_logarithm_is_as_good_as_it_says)
{
	uint64_t random = SEED, same = SEED;

	for (int i = 0; i < MANY; i++) {
		uint64_t got = seep_sample_draw(&random, 1ull << 32);
		long double u = (long double)next_random(&same) / 0x1p64L;

		ck_assert(
		    fabsl((long double)got * 0x1p-32L + logl(u)) < 0x1p-30L);
	}
}
END_TEST

START_TEST(distances_are_exponential)
{
	static const double shares[] = {0.01, 0.1, 0.5, 0.9, 0.99};
	uint64_t random = SEED;
	double sum = 0, square = 0, mean = (double)AVERAGE;
	int below[5] = {0};

	for (int i = 0; i < MANY; i++) {
		double d = (double)seep_sample_draw(&random, AVERAGE);

		sum += d;
		square += (d - mean) * (d - mean);
		for (int k = 0; k < 5; k++)
			below[k] += d < -log1p(-shares[k]) * mean;
	}
	/* Of an exponential distribution: variance mean^2, fourth central
	 * moment 9 mean^4. */
	near(sum / MANY, mean, mean * mean / MANY);
	near(square / MANY, mean * mean, 8 * pow(mean, 4) / MANY);
	for (int k = 0; k < 5; k++)
		near(below[k], MANY * shares[k],
		    MANY * shares[k] * (1 - shares[k]));
}
END_TEST

/* ---- the count --------------------------------------------------------- */

static bool is_sampled(size_t bytes)
{
	return !seep_sample_passes(bytes) && seep_sample_hits(bytes);
}

START_TEST(a_block_is_sampled_by_its_size)
{
	static const size_t sizes[] = {0, 1, 16, 100, 1000, 1023};

	for (int k = 0; k < 6; k++) {
		double p = -expm1(-fmax(1, (double)sizes[k]) / SEEP_SAMPLE_MIN);
		int hits = 0;

		seep_sample_begin(SEEP_SAMPLE_MIN, SEED + (uint64_t)k);
		for (int i = 0; i < MANY; i++)
			hits += is_sampled(sizes[k]);
		near(hits, MANY * p, MANY * p * (1 - p));
	}
}
END_TEST

START_TEST(large_blocks_are_all_sampled_and_change_no_chance)
{
	double p = -expm1(-100.0 / 4096);
	int hits = 0;

	seep_sample_begin(4096, SEED);
	for (int i = 0; i < MANY; i++) {
		ck_assert(is_sampled(4096 + (size_t)i % 3 * 100000));
		hits += is_sampled(100);
		ck_assert_int_gt(seep_sample.left, 0);
		ck_assert_int_le(seep_sample.left, 4096);
	}
	near(hits, MANY * p, MANY * p * (1 - p));
}
END_TEST

START_TEST(one_sample_does_not_tell_of_the_next)
{
	double p = -expm1(-1000.0 / 4096);
	int pairs = 0, last = 0;

	seep_sample_begin(4096, SEED);
	for (int i = 0; i < MANY; i++) {
		int now = is_sampled(1000);

		pairs += now && last;
		last = now;
	}
	/* Neighbouring pairs share a block: 1 + 2 p for their variance. */
	near(pairs, MANY * p * p, MANY * p * p * (1 + 2 * p));
}
END_TEST

static void *first_distance(void *arg)
{
	(void)arg;
	seep_sample_hits(1);
	return (void *)(uintptr_t)(seep_sample.left + seep_sample.rest);
}

START_TEST(threads_and_processes_differ)
{
	uint64_t found[64];
	pthread_t thread;
	void *distance;

	for (int i = 0; i < 64; i++) {
		/* 8 processes of 8 threads each */
		if (i % 8 == 0)
			seep_sample_begin(AVERAGE, SEED + (uint64_t)i);
		ck_assert_int_eq(
		    pthread_create(&thread, NULL, first_distance, NULL), 0);
		pthread_join(thread, &distance);
		found[i] = (uintptr_t)distance;
		for (int k = 0; k < i; k++)
			ck_assert_uint_ne(found[k], found[i]);
	}
}
END_TEST

/* ---- the filter -------------------------------------------------------- */

START_TEST(the_filter_forgets_what_was_freed)
{
	const char *p = (const char *)0x7f1234567890, *near_by = p + 32;
	const char *far_off = p + 4096;

	seep_sample_begin(AVERAGE, SEED);
	ck_assert(!seep_sample_may_have(p));
	seep_sample_add(p);
	seep_sample_add(near_by);
	ck_assert(seep_sample_may_have(p));
	ck_assert(!seep_sample_may_have(far_off));
	seep_sample_remove(p);
	ck_assert(seep_sample_may_have(near_by));
	seep_sample_remove(near_by);
	ck_assert(!seep_sample_may_have(near_by));
	seep_sample_add(p);
	seep_sample_begin(AVERAGE, SEED); /* as in a child */
	ck_assert(!seep_sample_may_have(p));
}
END_TEST

START_TEST(a_filter_that_lost_count_says_maybe_for_good)
{
	const char *p = (const char *)0x7f1234567890;

	seep_sample_begin(AVERAGE, SEED);
	for (int i = 0; i < 300; i++)
		seep_sample_add(p);
	for (int i = 0; i < 300; i++)
		seep_sample_remove(p);
	ck_assert(seep_sample_may_have(p));
}
END_TEST

/* ---- estimates --------------------------------------------------------- */

/* Sizes from 0 to above the interval, denser at the lower end. */
static uint64_t nth_size(uint64_t interval, int i, int nr)
{
	double x = (double)i / (double)nr;

	return (uint64_t)(1.1 * x * x * x * (double)interval);
}

START_TEST(shim_and_analyzer_weigh_alike)
{
	for (size_t t = 0; t < NR_INTERVALS; t++) {
		uint64_t interval = intervals[t];
		double square = (double)interval * (double)interval / 256;

		for (int i = 0; i <= 1000; i++) {
			uint64_t s = nth_size(interval, i, 1000);
			struct seep_weight w = seep_weight_of(interval, s);
			struct seep_estimate e = {0};

			seep_estimate_add(&e, interval, s, 1);
			/* the error of w, and that of rounding */
			ck_assert_double_le(
			    fabs((double)w.blocks / 65536 - e.blocks), 0x1p-14);
			ck_assert_double_le(fabs((double)w.bytes - e.bytes),
			    0.5 + e.bytes * 0x1p-14);
			ck_assert_double_le(
			    fabs((double)w.blocks_spread / 64 - e.blocks_var),
			    1.0 / 128 + e.blocks_var * 0x1p-12);
			ck_assert_double_le(
			    fabs((double)w.bytes_spread * square - e.bytes_var),
			    square / 2 + e.bytes_var * 0x1p-8);
			if (s >= interval) {
				ck_assert_uint_eq(w.blocks, 65536);
				ck_assert_uint_eq(w.bytes, s);
				ck_assert_uint_eq(w.blocks_spread, 0);
				ck_assert_uint_eq(w.bytes_spread, 0);
			}
		}
	}
}
END_TEST

/*
 * A program of known totals, sampled again and again: the mean of its estimates
 * is the truth, and their standard errors are neither too small nor too large.
 */
#define RUNS   2000
#define BLOCKS 3000

START_TEST(estimates_are_unbiased_and_know_their_error)
{
	const uint64_t interval = 64 << 10;
	double blocks = 0, bytes = 0, blocks_var = 0, bytes_var = 0;
	double true_bytes = 0, z_blocks = 0, z_bytes = 0;

	for (int i = 0; i < BLOCKS; i++)
		true_bytes += (double)nth_size(interval, i, BLOCKS);
	seep_sample_begin(interval, SEED);
	for (int run = 0; run < RUNS; run++) {
		struct seep_estimate e = {0};

		for (int i = 0; i < BLOCKS; i++) {
			uint64_t s = nth_size(interval, i, BLOCKS);

			if (is_sampled(s))
				seep_estimate_add(&e, interval, s, 1);
		}
		blocks += e.blocks;
		bytes += e.bytes;
		blocks_var += e.blocks_var;
		bytes_var += e.bytes_var;
		z_blocks += (e.blocks - BLOCKS) * (e.blocks - BLOCKS);
		z_bytes += (e.bytes - true_bytes) * (e.bytes - true_bytes);
	}
	near(blocks / RUNS, BLOCKS, blocks_var / RUNS / RUNS);
	near(bytes / RUNS, true_bytes, bytes_var / RUNS / RUNS);
	/* Seen and estimated variance: their ratio has a standard error of
	 * about sqrt(2 / RUNS), 3%; more for blocks, whose sum hangs on few
	 * small ones. */
	ck_assert_double_eq_tol(z_bytes / bytes_var, 1, 0.15);
	ck_assert_double_eq_tol(z_blocks / blocks_var, 1, 0.5);
}
END_TEST

START_TEST(counters_become_estimates)
{
	struct seep_sums sums = {0}, spread = {0};
	struct seep_weight small = seep_weight_of(AVERAGE, 100);
	struct seep_counts c;
	struct seep_estimate e = {0};

	/* five allocated, two of them freed */
	for (int i = 0; i < 5; i++) {
		sums.alloc_blocks += small.blocks;
		sums.alloc_bytes += small.bytes;
		spread.alloc_blocks += small.blocks_spread;
		spread.alloc_bytes += small.bytes_spread;
	}
	sums.free_blocks = 2 * small.blocks;
	sums.free_bytes = 2 * small.bytes;
	spread.free_blocks = 2 * small.blocks_spread;
	spread.free_bytes = 2 * small.bytes_spread;
	c = seep_counts_of(&sums, &spread, AVERAGE);
	seep_estimate_add(&e, AVERAGE, 100, 3);
	ck_assert_double_eq_tol((double)c.live_blocks, e.blocks, 1);
	ck_assert_double_eq_tol((double)c.live_bytes, e.bytes, 3);
	ck_assert_double_eq_tol(c.var.live_blocks / e.blocks_var, 1, 0.001);
	ck_assert_double_eq_tol(c.var.live_bytes / e.bytes_var, 1, 0.01);
	/* sums of variances may wrap around: their difference does not */
	spread.alloc_blocks -= spread.free_blocks + 1;
	spread.free_blocks = -1ull;
	c = seep_counts_of(&sums, &spread, AVERAGE);
	ck_assert_double_eq_tol(c.var.live_blocks / e.blocks_var, 1, 0.001);
	/* a free that is ahead of its allocation is no live block */
	sums.free_blocks = sums.alloc_blocks + 1;
	ck_assert_uint_eq(
	    seep_counts_of(&sums, &spread, AVERAGE).live_blocks, 0);
	/* without a sample they are what they are */
	sums = (struct seep_sums){7, 700, 3, 300};
	c = seep_counts_of(&sums, NULL, 0);
	ck_assert_uint_eq(c.live_blocks, 4);
	ck_assert_uint_eq(c.live_bytes, 400);
	ck_assert_double_eq(c.var.live_bytes, 0);
}
END_TEST

START_TEST(what_lives_at_both_ends_is_no_uncertainty)
{
	/* much alive all the time, little moved */
	struct seep_variances from = {.live_blocks = 1e6,
	    .live_bytes = 1e12,
	    .alloc_blocks = 5e6,
	    .alloc_bytes = 5e12,
	    .free_blocks = 4e6,
	    .free_bytes = 4e12};
	struct seep_variances to = from;
	double blocks, bytes;

	to.live_blocks += 100;
	to.live_bytes += 1000;
	to.alloc_blocks += 300;
	to.alloc_bytes += 3000;
	to.free_blocks += 200;
	to.free_bytes += 2000;
	seep_change_variances(&from, &to, &blocks, &bytes);
	ck_assert_double_eq_tol(blocks, 500, 1e-3);
	ck_assert_double_eq_tol(bytes, 5000, 1e-3);
	/* little alive, much moved */
	to.alloc_bytes += 1e15;
	to.free_bytes += 1e15;
	from.live_bytes = 10;
	to.live_bytes = 20;
	seep_change_variances(&from, &to, &blocks, &bytes);
	ck_assert_double_eq_tol(bytes, 30, 1e-3);
	ck_assert(seep_is_noise(10, bytes));
	ck_assert(seep_is_noise(-10, bytes));
	ck_assert(!seep_is_noise(11, bytes));
	/* exact figures are never chance */
	ck_assert(!seep_is_noise(1, 0));
	ck_assert(!seep_is_noise(0, 0));
}
END_TEST

START_TEST(estimates_of_nonsense_are_bounded)
{
	struct seep_estimate e = {0};
	struct seep_counts c = {0};

	for (int i = 0; i < 100; i++)
		seep_estimate_add(&e, SEEP_SAMPLE_MAX, INT64_MAX, INT64_MAX);
	seep_estimate_set(&e, &c);
	ck_assert_uint_eq(c.live_bytes, INT64_MAX);
	ck_assert_uint_eq(seep_estimate_round(-1), 0);
	ck_assert_uint_eq(seep_estimate_round(NAN), 0);
	ck_assert_uint_eq(seep_standard_error(-1), 0);
	ck_assert_uint_eq(seep_standard_error(INFINITY), INT64_MAX);
	ck_assert_uint_eq(seep_standard_error(0), 0);
	ck_assert_uint_eq(seep_standard_error(0.001), 1);
	ck_assert_uint_eq(seep_standard_error(100), 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sample");
	TCase *tc = tcase_create("sample");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, the_logarithm_is_as_good_as_it_says);
	tcase_add_test(tc, distances_are_exponential);
	tcase_add_test(tc, a_block_is_sampled_by_its_size);
	tcase_add_test(tc, large_blocks_are_all_sampled_and_change_no_chance);
	tcase_add_test(tc, one_sample_does_not_tell_of_the_next);
	tcase_add_test(tc, threads_and_processes_differ);
	tcase_add_test(tc, the_filter_forgets_what_was_freed);
	tcase_add_test(tc, a_filter_that_lost_count_says_maybe_for_good);
	tcase_add_test(tc, shim_and_analyzer_weigh_alike);
	tcase_add_test(tc, estimates_are_unbiased_and_know_their_error);
	tcase_add_test(tc, counters_become_estimates);
	tcase_add_test(tc, what_lives_at_both_ends_is_no_uncertainty);
	tcase_add_test(tc, estimates_of_nonsense_are_bounded);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
