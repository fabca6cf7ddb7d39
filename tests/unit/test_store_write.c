/* SPDX-License-Identifier: MIT */
/* test_store_write.c - what is written is what is read, also after accidents */
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/store_fixture.h"

static int64_t ask(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t ret;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	ret = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return ret;
}

static int64_t put_snapshot(struct seep_store *st, int64_t process,
    enum seep_snapshot_kind kind, uint64_t at_ms,
    const struct seep_site_row *rows, size_t nr)
{
	struct seep_snapshot s = {
	    .process_id = process, .kind = kind, .at_ms = at_ms};

	OK(seep_store_put_snapshot(st, &s, rows, nr));
	return s.id;
}

static uint64_t bytes_at(
    struct seep_store *st, int64_t process, int64_t snapshot, int64_t site)
{
	struct seep_site_row *rows;
	uint64_t bytes = 0;
	size_t nr;

	OK(seep_store_site_rows(st, process, snapshot, &rows, &nr));
	for (size_t i = 0; i < nr; i++) {
		if (rows[i].site == site)
			bytes = rows[i].counts.live_bytes;
	}
	free(rows);
	return bytes;
}

/* ---- all of it ---------------------------------------------------------- */

START_TEST(a_process_is_read_as_it_was_written)
{
	struct seep_process p = fixture_process(), *list;
	struct seep_drop_cause causes[SEEP_NR_DROP_CAUSES];
	struct store_fixture f;
	struct seep_store *st;
	size_t nr;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_put_drop_cause(st, 6, "nested", "skipped"));
	p.drops[6] = 42;
	OK(seep_store_put_process(st, &p));
	p.state = SEEP_PROCESS_EXITED;
	p.exit_signal = 9;
	p.peak_live_bytes = 77;
	OK(seep_store_put_process(st, &p));
	OK(seep_store_finish(st));

	OK(seep_store_open(f.path, &st));
	OK(seep_store_processes(st, &list, &nr));
	ck_assert_uint_eq(nr, 1);
	ck_assert_uint_eq(list[0].pid, 1234);
	ck_assert_int_eq(list[0].state, SEEP_PROCESS_EXITED);
	ck_assert_int_eq(list[0].exit_code, -1);
	ck_assert_int_eq(list[0].exit_signal, 9);
	ck_assert_str_eq(list[0].exe, "/usr/bin/prog");
	ck_assert_str_eq(list[0].command[2], "a b");
	ck_assert_ptr_null(list[0].command[3]);
	ck_assert_uint_eq(list[0].drops[6], 42);
	ck_assert_uint_eq(list[0].totals.alloc_bytes, 1000);
	ck_assert_uint_eq(list[0].peak_live_bytes, 77);
	OK(seep_store_drop_causes(st, causes));
	ck_assert_str_eq(causes[6].name, "nested");
	ck_assert_ptr_null(causes[5].name);
	seep_drop_causes_deinit(causes);
	seep_process_deinit(&list[0]);
	free(list);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

START_TEST(settings_and_baselines_are_kept_per_key)
{
	struct seep_process p = fixture_process();
	struct store_fixture f;
	struct seep_store *st;
	int64_t snapshot = 77;
	char *value;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_set(st, "host", "a"));
	OK(seep_store_set(st, "host", "b"));
	OK(seep_store_get(st, "host", &value));
	ck_assert_str_eq(value, "b");
	free(value);
	OK(seep_store_get(st, "nothing", &value));
	ck_assert_ptr_null(value);
	OK(seep_store_put_process(st, &p));
	OK(seep_store_get_baseline(st, p.id, 1000, &snapshot));
	ck_assert_int_eq(snapshot, 0);
	OK(seep_store_put_baseline(st, p.id, 1000, 5));
	OK(seep_store_get_baseline(st, p.id, 1001, &snapshot));
	ck_assert_int_eq(snapshot, 0);
	OK(seep_store_get_baseline(st, p.id, 1000, &snapshot));
	ck_assert_int_eq(snapshot, 5);
	OK(seep_store_put_event(st, p.id, 12, "mark", NULL));
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_node_is_stored_once)
{
	struct store_fixture f;
	struct seep_store *st;
	int64_t ids[1000], again[1000], id;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_begin(st));
	fixture_nodes(st, ids, 1000);
	fixture_nodes(st, again, 1000);
	OK(seep_store_commit(st));
	ck_assert_mem_eq(ids, again, sizeof(ids));
	for (int i = 1; i < 1000; i++)
		ck_assert_int_gt(ids[i], ids[i - 1]);
	/* the same address called from elsewhere, or as a pc, is another */
	OK(seep_store_put_node(st, ids[3], 1, 1, 0x1000, false, &id));
	ck_assert_int_eq(id, 1001);
	OK(seep_store_put_node(st, ids[3], 1, 1, 0x1000, true, &id));
	ck_assert_int_eq(id, 1002);
	FAILS(seep_store_put_node(st, 5000, 1, 1, 0, false, &id), "cannot be");
	seep_store_destroy(st);
	ck_assert_int_eq(ask(f.path, "SELECT count(*) FROM node"), 1002);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_continued_recording_knows_its_nodes_and_counts)
{
	struct seep_process p = fixture_process();
	struct seep_site_row rows[2];
	struct store_fixture f;
	struct seep_store *st;
	int64_t ids[5], again[5];

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	fixture_nodes(st, ids, 5);
	OK(seep_store_put_process(st, &p));
	rows[0] = fixture_row(ids[3], 1, 10);
	rows[1] = fixture_row(ids[4], 2, 20);
	put_snapshot(st, p.id, SEEP_SNAPSHOT_PERIODIC, 1, rows, 2);
	seep_store_destroy(st);

	OK(seep_store_append(f.path, &st));
	fixture_nodes(st, again, 5);
	ck_assert_mem_eq(ids, again, sizeof(ids));
	rows[1] = fixture_row(ids[4], 3, 30);
	put_snapshot(st, p.id, SEEP_SNAPSHOT_PERIODIC, 2, rows, 2);
	OK(seep_store_finish(st));
	ck_assert_int_eq(ask(f.path, "SELECT count(*) FROM site_count"), 3);
	fixture_deinit(&f);
}
END_TEST

START_TEST(after_a_rollback_ids_are_given_again)
{
	struct store_fixture f;
	struct seep_store *st;
	int64_t ids[4], again[4];

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_begin(st));
	fixture_nodes(st, ids, 4);
	seep_store_rollback(st);
	fixture_nodes(st, again, 4);
	OK(seep_store_finish(st));
	ck_assert_int_eq(ask(f.path, "SELECT count(*) FROM node"), 4);
	fixture_deinit(&f);
}
END_TEST

START_TEST(names_are_read_as_they_were_written)
{
	struct seep_frame in[2] = {{.function = (char *)"f",
				       .file = (char *)"a.c",
				       .line = 3,
				       .inlined = true},
	    {.function = (char *)"g"}};
	struct seep_frame *out;
	struct store_fixture f;
	struct seep_store *st;
	size_t nr;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_put_symbols(st, 1, 16, false, in, 1));
	OK(seep_store_put_symbols(st, 1, 16, false, in, 2));
	OK(seep_store_put_symbols(st, 1, UINT64_MAX, true, in, 2));
	OK(seep_store_symbols(st, 1, 16, false, &out, &nr));
	ck_assert_uint_eq(nr, 2);
	ck_assert_str_eq(out[0].function, "f");
	ck_assert_str_eq(out[0].file, "a.c");
	ck_assert_uint_eq(out[0].line, 3);
	ck_assert(out[0].inlined && !out[1].inlined);
	ck_assert_ptr_null(out[1].file);
	for (size_t i = 0; i < nr; i++)
		seep_frame_deinit(&out[i]);
	free(out);
	OK(seep_store_symbols(st, 1, 17, false, &out, &nr));
	ck_assert_uint_eq(nr, 0);
	free(out);
	OK(seep_store_finish(st));
	ck_assert_int_eq(ask(f.path, "SELECT count(*) FROM string"), 3);
	fixture_deinit(&f);
}
END_TEST

/* ---- snapshots ---------------------------------------------------------- */

START_TEST(a_snapshot_stores_only_what_changed)
{
	struct seep_process p = fixture_process();
	struct seep_site_row rows[3];
	struct store_fixture f;
	struct seep_store *st;
	int64_t ids[4], a, b, c;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	fixture_nodes(st, ids, 4);
	OK(seep_store_put_process(st, &p));
	for (int i = 0; i < 3; i++)
		rows[i] = fixture_row(ids[i], 1, 100);
	a = put_snapshot(st, p.id, SEEP_SNAPSHOT_PERIODIC, 1, rows, 3);
	rows[1] = fixture_row(ids[1], 2, 200);
	b = put_snapshot(st, p.id, SEEP_SNAPSHOT_PERIODIC, 2, rows, 3);
	/* a site that is not there any more has nothing */
	c = put_snapshot(st, p.id, SEEP_SNAPSHOT_END, 3, rows, 2);
	ck_assert_uint_eq(bytes_at(st, p.id, a, ids[1]), 100);
	ck_assert_uint_eq(bytes_at(st, p.id, b, ids[1]), 200);
	ck_assert_uint_eq(bytes_at(st, p.id, b, ids[2]), 100);
	ck_assert_uint_eq(bytes_at(st, p.id, c, ids[2]), 0);
	OK(seep_store_finish(st));
	ck_assert_int_eq(ask(f.path, "SELECT count(*) FROM site_count"), 5);
	fixture_deinit(&f);
}
END_TEST

START_TEST(rows_of_one_site_add_up)
{
	struct seep_process p = fixture_process();
	struct seep_site_row rows[2];
	struct store_fixture f;
	struct seep_store *st;
	int64_t ids[1], a;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	fixture_nodes(st, ids, 1);
	OK(seep_store_put_process(st, &p));
	rows[0] = rows[1] = fixture_row(ids[0], 1, 100);
	a = put_snapshot(st, p.id, SEEP_SNAPSHOT_PERIODIC, 1, rows, 2);
	ck_assert_uint_eq(bytes_at(st, p.id, a, ids[0]), 200);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_checkpoint_is_overwritten_by_what_follows)
{
	struct seep_process p = fixture_process();
	struct seep_snapshot *list;
	struct seep_site_row row;
	struct store_fixture f;
	struct seep_store *st;
	int64_t ids[1], last = 0;
	size_t nr;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	fixture_nodes(st, ids, 1);
	OK(seep_store_put_process(st, &p));
	row = fixture_row(ids[0], 1, 7);
	put_snapshot(st, p.id, SEEP_SNAPSHOT_REQUEST, 1, &row, 1);
	for (uint64_t i = 2; i < 20; i++) {
		row = fixture_row(ids[0], i, i * 10);
		last = put_snapshot(
		    st, p.id, SEEP_SNAPSHOT_CHECKPOINT, i, &row, 1);
	}
	ck_assert_uint_eq(bytes_at(st, p.id, last, ids[0]), 190);
	ck_assert_int_eq(
	    put_snapshot(st, p.id, SEEP_SNAPSHOT_END, 20, &row, 1), last);
	OK(seep_store_snapshots(st, p.id, &list, &nr));
	ck_assert_uint_eq(nr, 2);
	ck_assert_int_eq(list[0].kind, SEEP_SNAPSHOT_REQUEST);
	ck_assert_int_eq(list[1].kind, SEEP_SNAPSHOT_END);
	ck_assert_uint_eq(bytes_at(st, p.id, list[0].id, ids[0]), 7);
	free(list);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

START_TEST(survivors_are_replaced_as_a_whole)
{
	struct seep_process p = fixture_process();
	struct seep_survivor_row rows[4] = {
	    {1, SEEP_CLASS_UNKNOWN, 16, 1, 10, 10},
	    {2, SEEP_CLASS_UNKNOWN, 32, 2, 10, 20},
	    {3, SEEP_CLASS_UNKNOWN, 8, 1, SEEP_AGE_UNKNOWN, SEEP_AGE_UNKNOWN},
	    {3, SEEP_CLASS_UNKNOWN, 24, 1, 5, 5}};
	struct seep_survivor_row *out, next[3];
	struct store_fixture f;
	struct seep_store *st;
	size_t nr;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_put_process(st, &p));
	OK(seep_store_put_survivors(st, p.id, rows, 4));
	/* unsorted, one key twice, one gone, one changed, one new */
	next[0] = (struct seep_survivor_row){3, 0, 24, 3, 7, 9};
	next[1] = (struct seep_survivor_row){2, 0, 32, 2, 10, 20};
	next[2] = (struct seep_survivor_row){3, 0, 24, 1, 5, 8};
	OK(seep_store_put_survivors(st, p.id, next, 3));
	OK(seep_store_survivors(st, p.id, &out, &nr));
	ck_assert_uint_eq(nr, 2);
	ck_assert_int_eq(out[0].site, 2);
	ck_assert_int_eq(out[1].site, 3);
	ck_assert_uint_eq(out[1].blocks, 4);
	ck_assert_uint_eq(out[1].oldest_ms, 5);
	ck_assert_uint_eq(out[1].newest_ms, 9);
	free(out);
	OK(seep_store_put_survivors(st, p.id, NULL, 0));
	OK(seep_store_survivors(st, p.id, &out, &nr));
	ck_assert_uint_eq(nr, 0);
	free(out);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

#define HOURS  3
#define SECOND 1000u

START_TEST(thinning_keeps_what_the_remaining_snapshots_say)
{
	struct seep_process p = fixture_process();
	struct seep_snapshot *list;
	struct store_fixture f;
	struct seep_store *st;
	int64_t ids[2], kept;
	uint64_t now = 0;
	size_t nr, recent = 0;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_begin(st));
	fixture_nodes(st, ids, 2);
	OK(seep_store_put_process(st, &p));
	kept = 0;
	for (unsigned i = 1; i <= HOURS * 3600; i++) {
		struct seep_site_row rows[2];

		now = i * SECOND;
		rows[0] = fixture_row(ids[0], i, i);
		rows[1] = fixture_row(ids[1], i / 100, i / 100 * 5);
		if (i == 1000)
			kept = put_snapshot(
			    st, p.id, SEEP_SNAPSHOT_REQUEST, now, rows, 2);
		else
			put_snapshot(
			    st, p.id, SEEP_SNAPSHOT_PERIODIC, now, rows, 2);
		if (i % 60 == 0)
			OK(seep_store_thin(st, now));
	}
	OK(seep_store_commit(st));
	OK(seep_store_snapshots(st, p.id, &list, &nr));
	/* 120 of the last 2 min, about 360 of the last hour, some before */
	ck_assert_uint_gt(nr, 480);
	ck_assert_uint_lt(nr, 1300);
	for (size_t i = 0; i < nr; i++) {
		uint64_t s = list[i].at_ms / SECOND;

		recent += now - list[i].at_ms < 120 * SECOND;
		kept = list[i].id == kept ? 0 : kept;
		if (i % 50)
			continue;
		ck_assert_uint_eq(bytes_at(st, p.id, list[i].id, ids[0]), s);
		ck_assert_uint_eq(
		    bytes_at(st, p.id, list[i].id, ids[1]), s / 100 * 5);
	}
	ck_assert_uint_eq(recent, 120);
	ck_assert_int_eq(kept, 0);
	free(list);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

START_TEST(requests_without_end_are_thinned_but_for_the_newest)
{
	struct seep_snapshot named = {
	    .kind = SEEP_SNAPSHOT_REQUEST, .label = (char *)"before"};
	struct seep_process p = fixture_process();
	struct seep_snapshot *list;
	struct store_fixture f;
	struct seep_store *st;
	int64_t id, first = 0;
	uint64_t now = 0;
	size_t nr, newest = 0;
	bool has_named = false;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_begin(st));
	fixture_nodes(st, &id, 1);
	OK(seep_store_put_process(st, &p));
	named.process_id = p.id;
	OK(seep_store_put_snapshot(st, &named, NULL, 0));
	for (unsigned i = 1; i <= 1000; i++) {
		struct seep_site_row row = fixture_row(id, i, i);

		now = i * SECOND;
		if (i == 901)
			first = put_snapshot(
			    st, p.id, SEEP_SNAPSHOT_REQUEST, now, &row, 1);
		else
			put_snapshot(
			    st, p.id, SEEP_SNAPSHOT_REQUEST, now, &row, 1);
	}
	/* Long after: of those older than two minutes all but the newest. */
	OK(seep_store_thin(st, now + 1000 * SECOND));
	OK(seep_store_commit(st));
	OK(seep_store_snapshots(st, p.id, &list, &nr));
	ck_assert_uint_lt(nr, 1 + 1000 / 10 + 100 + 10);
	for (size_t i = 0; i < nr; i++) {
		has_named |= list[i].id == named.id;
		newest += list[i].id >= first;
		if (list[i].id != named.id)
			ck_assert_uint_eq(bytes_at(st, p.id, list[i].id, id),
			    list[i].at_ms / SECOND);
		seep_snapshot_deinit(&list[i]);
	}
	ck_assert_uint_eq(newest, 100);
	ck_assert(has_named);
	free(list);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

/* ---- files -------------------------------------------------------------- */

START_TEST(a_finished_recording_is_one_private_file)
{
	struct seep_process p = fixture_process();
	struct store_fixture f;
	struct seep_store *st;
	struct stat sb;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_put_process(st, &p));
	ck_assert(fixture_has(&f, "a.seep-wal"));
	OK(seep_store_finish(st));
	ck_assert(fixture_has(&f, "a.seep"));
	ck_assert(!fixture_has(&f, "a.seep."));
	ck_assert(!fixture_has(&f, "a.seep-"));
	ck_assert_int_eq(stat(f.path, &sb), 0);
	ck_assert_int_eq(sb.st_mode & 07777, 0600);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_foreign_file_is_left_as_it_is)
{
	struct store_fixture f;
	struct seep_store *st;
	char text[16] = "";
	FILE *file;

	fixture_init(&f);
	file = fopen(f.path, "w");
	fputs("my thesis", file);
	fclose(file);
	FAILS(seep_store_create(f.path, &st), "is not a seep recording");
	file = fopen(f.path, "r");
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	ck_assert_str_eq(text, "my thesis");
	ck_assert(!fixture_has(&f, "a.seep."));
	FAILS(seep_store_create(f.folder, &st), "Is a directory");
	strcat(f.path, "/no/such");
	FAILS(seep_store_create(f.path, &st), "Not a directory");
	fixture_deinit(&f);
}
END_TEST

START_TEST(an_old_recording_is_replaced_unless_it_is_in_use)
{
	struct seep_process p = fixture_process();
	struct store_fixture f;
	struct seep_store *st, *other;
	int status;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_put_process(st, &p));
	if (fork() == 0) {
		struct seep_error *err = seep_store_create(f.path, &other);

		_exit(err && strstr(seep_error_text(err), "in use") ? 0 : 1);
	}
	wait(&status);
	ck_assert_int_eq(status, 0);
	seep_store_destroy(st);
	OK(seep_store_create(f.path, &st));
	seep_store_destroy(st);
	ck_assert_int_eq(ask(f.path, "SELECT count(*) FROM process"), 0);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_reader_sees_what_is_committed_while_it_is_written)
{
	struct seep_process p = fixture_process(), q = p, *list;
	struct store_fixture f;
	struct seep_store *st, *reader;
	size_t nr;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_put_process(st, &p));
	OK(seep_store_begin(st));
	OK(seep_store_put_process(st, &q));
	OK(seep_store_open(f.path, &reader));
	OK(seep_store_processes(reader, &list, &nr));
	ck_assert_uint_eq(nr, 1);
	seep_process_deinit(&list[0]);
	free(list);
	OK(seep_store_commit(st));
	OK(seep_store_processes(reader, &list, &nr));
	ck_assert_uint_eq(nr, 2);
	/* or of one moment, when asked for that */
	OK(seep_store_freeze(reader));
	q.id = 0;
	OK(seep_store_put_process(st, &q));
	for (size_t i = 0; i < nr; i++)
		seep_process_deinit(&list[i]);
	free(list);
	OK(seep_store_processes(reader, &list, &nr));
	ck_assert_uint_eq(nr, 2);
	for (size_t i = 0; i < nr; i++)
		seep_process_deinit(&list[i]);
	free(list);
	seep_store_destroy(reader);
	OK(seep_store_finish(st));
	fixture_deinit(&f);
}
END_TEST

/* ---- accidents ---------------------------------------------------------- */

static void write_until_killed(const char *path, int ready)
{
	struct seep_process p = fixture_process();
	struct seep_store *st;
	int64_t ids[100];

	OK(seep_store_create(path, &st));
	OK(seep_store_begin(st));
	fixture_nodes(st, ids, 100);
	OK(seep_store_put_process(st, &p));
	OK(seep_store_commit(st));
	for (uint64_t i = 1;; i++) {
		struct seep_site_row rows[100];
		struct seep_survivor_row survivors[100];

		for (int k = 0; k < 100; k++) {
			rows[k] = fixture_row(ids[k], i, i * 8);
			survivors[k] =
			    (struct seep_survivor_row){ids[k], 0, 8, i, 1, 1};
		}
		OK(seep_store_begin(st));
		put_snapshot(st, p.id, SEEP_SNAPSHOT_PERIODIC, i, rows, 100);
		OK(seep_store_put_survivors(st, p.id, survivors, 100));
		OK(seep_store_commit(st));
		if (i == 3)
			ck_assert_int_eq(write(ready, "", 1), 1);
	}
}

static void same_variances(
    const struct seep_variances *a, const struct seep_variances *b)
{
	ck_assert_double_eq(a->live_blocks, b->live_blocks);
	ck_assert_double_eq(a->live_bytes, b->live_bytes);
	ck_assert_double_eq(a->alloc_blocks, b->alloc_blocks);
	ck_assert_double_eq(a->alloc_bytes, b->alloc_bytes);
	ck_assert_double_eq(a->free_blocks, b->free_blocks);
	ck_assert_double_eq(a->free_bytes, b->free_bytes);
}

START_TEST(a_sample_keeps_its_interval_and_variances)
{
	const struct seep_variances var = {1.5, 2e12, 3.25, 4e15, 5, 0};
	struct seep_process p = fixture_process(), *list;
	struct seep_snapshot s = {.totals.var = var}, *snapshots;
	struct seep_site_row row = fixture_row(1, 3, 300), *rows;
	struct store_fixture f;
	struct seep_store *st;
	size_t nr;
	int64_t id;

	fixture_init(&f);
	OK(seep_store_create(f.path, &st));
	fixture_nodes(st, &id, 1);
	p.sample_bytes = 524288;
	p.totals.var = var;
	OK(seep_store_put_process(st, &p));
	s.process_id = p.id;
	row.counts.var = var;
	OK(seep_store_put_snapshot(st, &s, &row, 1));
	/* the rows of a site that are merged add up */
	OK(seep_store_put_snapshot(
	    st, &s, (struct seep_site_row[]){row, row}, 2));
	OK(seep_store_finish(st));

	OK(seep_store_open(f.path, &st));
	OK(seep_store_processes(st, &list, &nr));
	ck_assert_uint_eq(list[0].sample_bytes, 524288);
	same_variances(&list[0].totals.var, &var);
	seep_process_deinit(&list[0]);
	free(list);
	OK(seep_store_snapshots(st, p.id, &snapshots, &nr));
	ck_assert_uint_eq(nr, 2);
	same_variances(&snapshots[0].totals.var, &var);
	OK(seep_store_site_rows(st, p.id, snapshots[0].id, &rows, &nr));
	ck_assert_uint_eq(nr, 1);
	same_variances(&rows[0].counts.var, &var);
	free(rows);
	OK(seep_store_site_rows(st, p.id, snapshots[1].id, &rows, &nr));
	ck_assert_uint_eq(nr, 1);
	ck_assert_double_eq(rows[0].counts.var.live_bytes, 4e12);
	free(rows);
	free(snapshots);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_killed_writer_leaves_its_last_commit)
{
	struct seep_survivor_row *survivors;
	struct seep_snapshot *snapshots;
	struct seep_site_row *rows;
	struct store_fixture f;
	struct seep_store *st;
	size_t nr, nr_rows;
	int ready[2];
	char byte;
	pid_t pid;

	fixture_init(&f);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid)
		write_until_killed(f.path, ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	usleep((useconds_t)_i * 3000); /* somewhere in a later transaction */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);

	OK(seep_store_open(f.path, &st));
	OK(seep_store_snapshots(st, 1, &snapshots, &nr));
	ck_assert_uint_ge(nr, 3);
	OK(seep_store_site_rows(st, 1, snapshots[nr - 1].id, &rows, &nr_rows));
	ck_assert_uint_eq(nr_rows, 100);
	OK(seep_store_survivors(st, 1, &survivors, &nr_rows));
	ck_assert_uint_eq(nr_rows, 100);
	/* both of one moment */
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(rows[i].counts.live_blocks, nr);
		ck_assert_uint_eq(survivors[i].blocks, nr);
	}
	free(survivors);
	free(rows);
	free(snapshots);
	seep_store_destroy(st);

	/* and it can be continued, and finished */
	OK(seep_store_append(f.path, &st));
	OK(seep_store_finish(st));
	ck_assert(!fixture_has(&f, "a.seep-"));
	close(ready[0]);
	close(ready[1]);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_keeps_what_was_committed)
{
	struct rlimit limit = {256 * 1024, RLIM_INFINITY};
	struct seep_process p = fixture_process(), *list;
	struct seep_error *err = NULL;
	struct store_fixture f;
	struct seep_store *st;
	int64_t id;
	size_t nr;

	fixture_init(&f);
	signal(SIGXFSZ, SIG_IGN);
	OK(seep_store_create(f.path, &st));
	OK(seep_store_put_process(st, &p));
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int round = 0; !err && round < 100; round++) {
		err = seep_store_begin(st);
		for (int i = 0; !err && i < 5000; i++)
			err = seep_store_put_node(st, 0, 1, 0,
			    (uint64_t)(round * 5000 + i), false, &id);
		if (!err)
			err = seep_store_commit(st);
	}
	ck_assert_msg(err != NULL, "the limit was not reached");
	ck_assert_msg(strstr(seep_error_text(err), f.path) != NULL, "%s",
	    seep_error_text(err));
	seep_error_destroy(err);
	seep_store_rollback(st);
	/* the writer can go on with what fits */
	OK(seep_store_put_event(st, p.id, 1, "late", NULL));
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	OK(seep_store_finish(st));
	OK(seep_store_open(f.path, &st));
	OK(seep_store_processes(st, &list, &nr));
	ck_assert_uint_eq(nr, 1);
	seep_process_deinit(&list[0]);
	free(list);
	seep_store_destroy(st);
	fixture_deinit(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_write");
	TCase *tc = tcase_create("rows");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_process_is_read_as_it_was_written);
	tcase_add_test(tc, settings_and_baselines_are_kept_per_key);
	tcase_add_test(tc, a_node_is_stored_once);
	tcase_add_test(tc, a_continued_recording_knows_its_nodes_and_counts);
	tcase_add_test(tc, a_sample_keeps_its_interval_and_variances);
	tcase_add_test(tc, after_a_rollback_ids_are_given_again);
	tcase_add_test(tc, names_are_read_as_they_were_written);
	tcase_add_test(tc, a_snapshot_stores_only_what_changed);
	tcase_add_test(tc, rows_of_one_site_add_up);
	tcase_add_test(tc, a_checkpoint_is_overwritten_by_what_follows);
	tcase_add_test(tc, survivors_are_replaced_as_a_whole);
	tcase_add_test(tc, thinning_keeps_what_the_remaining_snapshots_say);
	tcase_add_test(tc, requests_without_end_are_thinned_but_for_the_newest);
	tcase_add_test(tc, a_finished_recording_is_one_private_file);
	tcase_add_test(tc, a_foreign_file_is_left_as_it_is);
	tcase_add_test(tc, an_old_recording_is_replaced_unless_it_is_in_use);
	tcase_add_test(tc, a_reader_sees_what_is_committed_while_it_is_written);
	tcase_add_loop_test(tc, a_killed_writer_leaves_its_last_commit, 0, 8);
	tcase_add_test(
	    tc, a_full_disk_is_an_error_and_keeps_what_was_committed);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
