/* SPDX-License-Identifier: MIT */
/* test_model_lifetime.c - classes of lifetimes, and quantiles from them */
#include <check.h>
#include <stdlib.h>

#include "analyzer/model/lifetime.h"

START_TEST(every_time_is_in_the_class_that_says_so)
{
	for (uint64_t ns = 0; ns < UINT64_MAX / 2; ns += 1 + ns / 7) {
		uint32_t c = seep_lifetime_class(ns);

		ck_assert_uint_lt(c, SEEP_LIFETIME_CLASSES);
		ck_assert_uint_le(seep_lifetime_from(c), ns);
		ck_assert_uint_gt(seep_lifetime_from(c + 1), ns);
	}
	ck_assert_uint_eq(
	    seep_lifetime_class(UINT64_MAX), SEEP_LIFETIME_CLASSES - 1);
}
END_TEST

START_TEST(a_class_is_at_most_a_quarter_wide)
{
	for (uint32_t c = 4; c + 1 < SEEP_LIFETIME_CLASSES; c++) {
		uint64_t from = seep_lifetime_from(c);

		ck_assert_uint_le(seep_lifetime_from(c + 1) - from, from / 4);
	}
}
END_TEST

START_TEST(quantiles_are_off_by_less_than_a_class)
{
	static const unsigned percents[] = {1, 25, 50, 95, 100};
	struct seep_lifetime_count counts[64] = {{0, 0}};
	struct seep_lifetime l = {.min_ns = 1000, .max_ns = 1999};
	size_t nr = 0;

	/* 1000, 1001, ... 1999 */
	for (uint64_t ns = 1000; ns < 2000; ns++) {
		uint32_t c = seep_lifetime_class(ns);

		if (!nr || counts[nr - 1].class_ != c)
			counts[nr++].class_ = c;
		counts[nr - 1].blocks++;
	}
	for (size_t i = 0; i < 5; i++) {
		double want = 1000 + 10.0 * percents[i];
		double got =
		    (double)seep_lifetime_quantile(&l, counts, nr, percents[i]);

		ck_assert_double_le(got, want * 1.05);
		ck_assert_double_ge(got, want * 0.95);
	}
}
END_TEST

START_TEST(quantiles_stay_within_what_was_seen)
{
	struct seep_lifetime_count one = {seep_lifetime_class(1000), 1};
	struct seep_lifetime l = {.min_ns = 1000, .max_ns = 1000};

	ck_assert_uint_eq(seep_lifetime_quantile(&l, &one, 1, 50), 1000);
	ck_assert_uint_eq(seep_lifetime_quantile(&l, &one, 1, 95), 1000);
	ck_assert_uint_eq(seep_lifetime_quantile(&l, NULL, 0, 50), 1000);
}
END_TEST

START_TEST(a_sum_has_the_least_and_the_most_of_both)
{
	struct seep_lifetime sum = {0};
	struct seep_lifetime a = {
	    .begun = 3, .ended = 2, .min_ns = 5, .max_ns = 9};
	struct seep_lifetime none = {.begun = 4};
	struct seep_lifetime b = {
	    .begun = 1, .ended = 1, .min_ns = 7, .max_ns = 80};

	seep_lifetime_add(&sum, &none);
	seep_lifetime_add(&sum, &a);
	seep_lifetime_add(&sum, &none);
	seep_lifetime_add(&sum, &b);
	ck_assert_uint_eq(sum.begun, 12);
	ck_assert_uint_eq(sum.ended, 3);
	ck_assert_uint_eq(sum.min_ns, 5);
	ck_assert_uint_eq(sum.max_ns, 80);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("model_lifetime");
	TCase *tc = tcase_create("lifetime");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, every_time_is_in_the_class_that_says_so);
	tcase_add_test(tc, a_class_is_at_most_a_quarter_wide);
	tcase_add_test(tc, quantiles_are_off_by_less_than_a_class);
	tcase_add_test(tc, quantiles_stay_within_what_was_seen);
	tcase_add_test(tc, a_sum_has_the_least_and_the_most_of_both);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
