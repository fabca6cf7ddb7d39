/* SPDX-License-Identifier: MIT */
/* test_store_histories.c - histories add up in the file, and are checked */
#include <sqlite3.h>
#include <stdlib.h>

#include "tests/unit/store_fixture.h"

struct histories_fixture {
	struct store_fixture f;
	struct seep_store *st;
	int64_t process;
};

static void begin(struct histories_fixture *x)
{
	struct seep_process p = fixture_process();
	int64_t ids[3];

	fixture_init(&x->f);
	OK(seep_store_create(x->f.path, &x->st));
	OK(seep_store_put_process(x->st, &p));
	x->process = p.id;
	fixture_nodes(x->st, ids, 3);
}

static void put(struct histories_fixture *x, uint64_t lost, int64_t begun,
    uint64_t ended, uint64_t ns)
{
	struct seep_history h = {.every = 1, .lost = lost};
	struct seep_history_row site = {.site = 2,
	    .begun = begun,
	    .lifetime = {.ended = ended,
		.temporary = ended,
		.temporary_bytes = 10 * ended,
		.elsewhere = 1,
		.total_ns = ns,
		.min_ns = ended ? ns : 0,
		.max_ns = ended ? ns : 0}};
	struct seep_lifetime_row lifetime = {2, {7, ended}};
	struct seep_freed_row freed = {2, 3, ended};
	struct seep_history_rows rows = {&site, &lifetime, &freed, 1, 1, 1};

	OK(seep_store_put_histories(x->st, x->process, &h, &rows));
}

static void reopen(struct histories_fixture *x)
{
	OK(seep_store_finish(x->st));
	OK(seep_store_open(x->f.path, &x->st));
}

static void end(struct histories_fixture *x)
{
	seep_store_destroy(x->st);
	fixture_deinit(&x->f);
}

START_TEST(what_is_put_is_added_to_what_is_there)
{
	struct seep_history_rows rows;
	struct histories_fixture x;
	struct seep_history h;

	begin(&x);
	put(&x, 0, 5, 0, 0);
	put(&x, 1, 3, 2, 100);
	put(&x, 4, -1, 4, 70);
	put(&x, 4, 1, 1, 900);
	reopen(&x);
	OK(seep_store_histories(x.st, x.process, &h, &rows));
	ck_assert_uint_eq(h.every, 1);
	ck_assert_uint_eq(h.lost, 4);
	ck_assert_uint_eq(rows.nr_sites, 1);
	ck_assert_int_eq(rows.sites[0].site, 2);
	ck_assert_uint_eq(rows.sites[0].lifetime.begun, 8);
	ck_assert_uint_eq(rows.sites[0].lifetime.ended, 7);
	ck_assert_uint_eq(rows.sites[0].lifetime.temporary, 7);
	ck_assert_uint_eq(rows.sites[0].lifetime.temporary_bytes, 70);
	ck_assert_uint_eq(rows.sites[0].lifetime.elsewhere, 4);
	ck_assert_uint_eq(rows.sites[0].lifetime.total_ns, 1070);
	ck_assert_uint_eq(rows.sites[0].lifetime.min_ns, 70);
	ck_assert_uint_eq(rows.sites[0].lifetime.max_ns, 900);
	ck_assert_uint_eq(rows.nr_lifetimes, 1);
	ck_assert_uint_eq(rows.lifetimes[0].count.class_, 7);
	ck_assert_uint_eq(rows.lifetimes[0].count.blocks, 7);
	ck_assert_uint_eq(rows.nr_freed, 1);
	ck_assert_int_eq(rows.freed[0].free_site, 3);
	ck_assert_uint_eq(rows.freed[0].blocks, 7);
	seep_history_rows_deinit(&rows);
	end(&x);
}
END_TEST

START_TEST(a_process_without_histories_has_none)
{
	struct seep_history_rows rows;
	struct histories_fixture x;
	struct seep_history h;

	begin(&x);
	reopen(&x);
	OK(seep_store_histories(x.st, x.process, &h, &rows));
	ck_assert_uint_eq(h.every, 0);
	ck_assert_uint_eq(rows.nr_sites + rows.nr_lifetimes + rows.nr_freed, 0);
	seep_history_rows_deinit(&rows);
	end(&x);
}
END_TEST

static const struct {
	const char *sql, *words;
} spoilers[] = {
    {"UPDATE history SET every = -1", "out of range"},
    {"UPDATE history SET lost = 'x'", "not a number"},
    {"UPDATE site_history SET begun = -1", "out of range"},
    {"UPDATE site_history SET max_ns = 'long'", "not a number"},
    {"UPDATE lifetime SET class = 252", "out of range"},
    {"UPDATE freed_by SET blocks = -7", "out of range"},
    {"UPDATE freed_by SET free_site = 1.5", "not a number"},
};

START_TEST(spoilt_histories_say_what_is_wrong)
{
	struct seep_history_rows rows;
	struct histories_fixture x;
	struct seep_history h;
	sqlite3 *db;

	begin(&x);
	put(&x, 0, 1, 1, 10);
	OK(seep_store_finish(x.st));
	ck_assert_int_eq(sqlite3_open(x.f.path, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_exec(db, spoilers[_i].sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	OK(seep_store_open(x.f.path, &x.st));
	FAILS(seep_store_histories(x.st, x.process, &h, &rows),
	    spoilers[_i].words);
	end(&x);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_histories");
	TCase *tc = tcase_create("histories");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, what_is_put_is_added_to_what_is_there);
	tcase_add_test(tc, a_process_without_histories_has_none);
	tcase_add_loop_test(tc, spoilt_histories_say_what_is_wrong, 0,
	    sizeof(spoilers) / sizeof(spoilers[0]));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
