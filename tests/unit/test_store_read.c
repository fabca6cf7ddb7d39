/* SPDX-License-Identifier: MIT */
/* test_store_read.c - damaged and hostile files give an error, never a crash */
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "tests/unit/store_fixture.h"

/* ---- failing allocations ------------------------------------------------ */

/* SQLite and strdup() allocate through these, too. */
static long fail_at = -1;

static bool fails(void)
{
	return fail_at >= 0 && fail_at-- == 0;
}

#if defined(__SANITIZE_ADDRESS__)
#define CAN_FAIL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define CAN_FAIL 0
#endif
#endif

#ifndef CAN_FAIL
#define CAN_FAIL 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nr, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : __libc_realloc(p, size);
}
#endif

/* ---- a small recording with everything in it ---------------------------- */

static struct seep_error *write_all(const char *path, bool finish)
{
	_cleanup_(seep_store_destroyp) struct seep_store *st = NULL;
	struct seep_frame frame = {
	    .function = (char *)"f", .file = (char *)"a.c", .line = 3};
	struct seep_process p = fixture_process();
	struct seep_snapshot snap = {.kind = SEEP_SNAPSHOT_PERIODIC};
	struct seep_survivor_row survivors[2] = {
	    {.site = 2, .size_bytes = 8, .blocks = 1},
	    {.site = 1, .size_bytes = 8, .blocks = 1}};
	struct seep_site_row rows[2];
	int64_t module = 0, ids[2] = {0, 0};
	struct seep_error *err = seep_store_create(path, &st);

	p.drops[3] = 1;
	if (!err)
		err = seep_store_begin(st);
	if (!err)
		err = seep_store_put_drop_cause(st, 3, "tree_full", "lost");
	if (!err)
		err = seep_store_put_process(st, &p);
	if (!err)
		err = seep_store_put_module(st, "/bin/prog", NULL, &module);
	for (int i = 0; !err && i < 2; i++)
		err = seep_store_put_node(st, i ? ids[0] : 0, 1, module,
		    (uint64_t)i * 16, false, &ids[i]);
	if (!err)
		err = seep_store_put_symbols(st, module, 0, false, &frame, 1);
	rows[0] = fixture_row(1, 1, 8);
	rows[1] = fixture_row(2, 1, 8);
	snap.process_id = p.id;
	if (!err)
		err = seep_store_put_snapshot(st, &snap, rows, 2);
	snap.label = (char *)"mark";
	snap.kind = SEEP_SNAPSHOT_MARK;
	rows[0] = fixture_row(1, 2, 16);
	if (!err)
		err = seep_store_put_snapshot(st, &snap, rows, 2);
	if (!err)
		err = seep_store_put_survivors(st, p.id, survivors, 2);
	if (!err)
		err = seep_store_commit(st);
	if (!err)
		err = seep_store_thin(st, 1000000000);
	if (!err && finish)
		err = seep_store_finish(no_cleanup_ptr(st));
	return err;
}

static struct seep_error *skip_string(void *ctx, int64_t id, const char *text)
{
	(void)ctx;
	(void)id;
	(void)text;
	return NULL;
}

static struct seep_error *skip_symbol(
    void *ctx, const struct seep_store_symbol *s)
{
	(void)ctx;
	(void)s;
	return NULL;
}

static struct seep_error *read_process(struct seep_store *st, int64_t id)
{
	struct seep_survivor_row *survivors = NULL;
	struct seep_snapshot *snapshots = NULL;
	struct seep_site_row *rows = NULL;
	struct seep_error *err;
	size_t nr = 0, n;

	err = seep_store_snapshots(st, id, &snapshots, &nr);
	for (size_t i = 0; i < nr; i++)
		seep_snapshot_deinit(&snapshots[i]);
	free(snapshots);
	if (!err)
		err = seep_store_site_rows(st, id, INT64_MAX, &rows, &n);
	free(rows);
	if (!err)
		err = seep_store_survivors(st, id, &survivors, &n);
	free(survivors);
	return err;
}

static struct seep_error *read_all(const char *path)
{
	_cleanup_(seep_store_destroyp) struct seep_store *st = NULL;
	struct seep_drop_cause causes[SEEP_NR_DROP_CAUSES];
	struct seep_process *list = NULL;
	struct seep_module *modules = NULL;
	struct seep_store_node *nodes = NULL;
	struct seep_frame *frames = NULL;
	struct seep_error *err = seep_store_open(path, &st);
	size_t nr = 0, nr_modules = 0, nr_frames = 0, n;
	char *value = NULL;

	if (!err)
		err = seep_store_get(st, "host", &value);
	free(value);
	if (!err && !(err = seep_store_drop_causes(st, causes)))
		seep_drop_causes_deinit(causes);
	if (!err)
		err = seep_store_processes(st, &list, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!err)
			err = read_process(st, list[i].id);
		seep_process_deinit(&list[i]);
	}
	free(list);
	if (!err)
		err = seep_store_modules(st, &modules, &nr_modules);
	for (size_t i = 0; i < nr_modules; i++)
		seep_module_deinit(&modules[i]);
	free(modules);
	if (!err)
		err = seep_store_nodes(st, &nodes, &n);
	free(nodes);
	if (!err)
		err = seep_store_each_string(st, skip_string, NULL);
	if (!err)
		err = seep_store_each_symbol(st, skip_symbol, NULL);
	if (!err)
		err = seep_store_symbols(st, 1, 0, false, &frames, &nr_frames);
	for (size_t i = 0; i < nr_frames; i++)
		seep_frame_deinit(&frames[i]);
	free(frames);
	return err;
}

static void spoil(const char *path, const char *sql)
{
	char *message = NULL;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, sql, NULL, NULL, &message);
	ck_assert_msg(!message, "%s: %s", sql, message);
	sqlite3_close(db);
}

/* ---- tests -------------------------------------------------------------- */

START_TEST(no_file_folder_or_foreign_file_is_taken_for_a_recording)
{
	struct store_fixture f;
	struct seep_store *st;
	FILE *file;

	fixture_init(&f);
	FAILS(seep_store_open(f.path, &st), "No such file");
	FAILS(seep_store_open(f.folder, &st), "is not a seep recording");
	FAILS(seep_store_open("/dev/null", &st), "is not a seep recording");
	file = fopen(f.path, "w");
	FAILS(seep_store_open(f.path, &st), "is not a seep recording");
	for (int i = 0; i < 10000; i++)
		fputs("text ", file);
	fclose(file);
	FAILS(seep_store_open(f.path, &st), "is not a seep recording");
	unlink(f.path);
	spoil(f.path, "CREATE TABLE t (x)");
	FAILS(seep_store_open(f.path, &st), "is not a seep recording");
	fixture_deinit(&f);
}
END_TEST

START_TEST(an_older_schema_is_named)
{
	struct store_fixture f;
	struct seep_store *st;

	fixture_init(&f);
	OK(write_all(f.path, true));
	spoil(f.path, "PRAGMA user_version = 1");
	FAILS(seep_store_open(f.path, &st), "schema 1 is older than 2");
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_newer_schema_is_named)
{
	struct store_fixture f;
	struct seep_store *st;

	fixture_init(&f);
	OK(write_all(f.path, true));
	spoil(f.path, "PRAGMA user_version = 4");
	FAILS(seep_store_open(f.path, &st), "schema 4 is newer than 2");
	FAILS(seep_store_append(f.path, &st), "schema 4 is newer than 2");
	fixture_deinit(&f);
}
END_TEST

static const struct {
	const char *sql, *words;
} spoilers[] = {
    {"UPDATE node SET parent = 2 WHERE id = 1", "circle"},
    {"UPDATE node SET parent = 1 WHERE id = 1", "circle"},
    {"DELETE FROM node WHERE id = 1", "missing"},
    {"UPDATE node SET parent = -5", "out of range"},
    {"UPDATE node SET kind = 1000", "out of range"},
    {"UPDATE node SET module = 1 << 40", "out of range"},
    {"UPDATE node SET id = 1 << 50 WHERE id = 2", "out of range"},
    {"UPDATE node SET offset = 'x'", "not a number"},
    {"UPDATE process SET state = 'gone'", "none of the known words"},
    {"UPDATE process SET state = x'00'", "not a text"},
    {"UPDATE process SET pid = 1 << 40", "out of range"},
    {"UPDATE process SET live_bytes = 1.5", "not a number"},
    {"UPDATE process SET exit_code = 999", "out of range"},
    {"UPDATE argument SET value = zeroblob(10)", "not a text"},
    {"UPDATE snapshot SET kind = 'x'", "none of the known words"},
    {"UPDATE snapshot SET at_ms = -1", "out of range"},
    {"UPDATE site_count SET live_bytes = -1", "out of range"},
    {"UPDATE site_count SET site = -1 WHERE site = 2", "out of range"},
    {"UPDATE site_count SET live_bytes_var = -1.5", "out of range"},
    {"UPDATE site_count SET free_blocks_var = 9e999", "out of range"},
    {"UPDATE process SET alloc_bytes_var = 'x'", "not a number"},
    {"UPDATE snapshot SET live_blocks_var = x'00'", "not a number"},
    {"UPDATE process SET sample_bytes = -1", "out of range"},
    {"UPDATE survivor SET class = 77", "out of range"},
    {"UPDATE survivor SET blocks = 'many'", "not a number"},
    {"UPDATE survivor SET oldest_ms = -1", "out of range"},
    {"UPDATE symbol SET function = 99", "missing"},
    {"UPDATE symbol SET line = -1", "out of range"},
    {"UPDATE string SET text = x'ff'", "not a text"},
    {"DROP TABLE survivor", "has no table 'survivor'"},
    {"DROP TABLE survivor; CREATE VIEW survivor AS SELECT 1",
	"has no table 'survivor'"},
    {"DROP TABLE event; CREATE TABLE event (a, x AS (1))", "not as seep makes"},
    {"ALTER TABLE process ADD COLUMN x", "not as seep makes"},
    {"PRAGMA user_version = 0", "no schema version"},
    {"PRAGMA application_id = 7", "is not a seep recording"},
};

START_TEST(a_spoilt_recording_says_what_is_wrong)
{
	struct store_fixture f;

	fixture_init(&f);
	OK(write_all(f.path, true));
	spoil(f.path, spoilers[_i].sql);
	FAILS(read_all(f.path), f.path);
	FAILS(read_all(f.path), spoilers[_i].words);
	fixture_deinit(&f);
}
END_TEST

START_TEST(triggers_and_views_of_a_file_do_not_run)
{
	struct store_fixture f;

	fixture_init(&f);
	OK(write_all(f.path, true));
	spoil(f.path,
	    "CREATE VIEW evil AS SELECT load_extension('x');"
	    "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM node; "
	    "END; CREATE INDEX i ON node (abs(parent));");
	OK(read_all(f.path));
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_an_error_or_empty)
{
	struct store_fixture f;
	struct stat sb;

	fixture_init(&f);
	OK(write_all(f.path, true));
	ck_assert_int_eq(stat(f.path, &sb), 0);
	for (off_t size = sb.st_size; size > 0; size -= 1000) {
		struct seep_error *err;

		ck_assert_int_eq(truncate(f.path, size), 0);
		err = read_all(f.path);
		if (size < sb.st_size - 8192)
			ck_assert_ptr_nonnull(err);
		seep_error_destroy(err);
	}
	fixture_deinit(&f);
}
END_TEST

START_TEST(flipped_bytes_never_crash)
{
	unsigned long long state = 88172645463325252ull;
	struct store_fixture f;
	struct stat sb;
	int fd;

	fixture_init(&f);
	OK(write_all(f.path, true));
	ck_assert_int_eq(stat(f.path, &sb), 0);
	for (int i = 0; i < 400; i++) {
		unsigned char old, now;
		off_t at;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		/* often in the headers of pages, where it hurts most */
		at = (off_t)(state % (unsigned long long)sb.st_size);
		if (i % 2)
			at = at / 4096 * 4096 + at % 110;
		fd = open(f.path, O_RDWR);
		ck_assert_int_eq(pread(fd, &old, 1, at), 1);
		now = (unsigned char)(state >> 40);
		ck_assert_int_eq(pwrite(fd, &now, 1, at), 1);
		close(fd);
		seep_error_destroy(read_all(f.path));
		if (i % 8 == 7)
			continue; /* leave some of it, for company */
		fd = open(f.path, O_RDWR);
		ck_assert_int_eq(pwrite(fd, &old, 1, at), 1);
		close(fd);
	}
	fixture_deinit(&f);
}
END_TEST

/* A recording that was copied with its -wal into a folder that nobody may
 * write to, or without it. */
START_TEST(an_unfinished_recording_is_read_without_its_wal)
{
	char wal[128], moved[128];
	struct store_fixture f;

	fixture_init(&f);
	OK(write_all(f.path, true));
	spoil(f.path, "PRAGMA journal_mode = WAL; DELETE FROM event");
	snprintf(wal, sizeof(wal), "%s-wal", f.path);
	snprintf(moved, sizeof(moved), "%s/b#?%%.seep", f.folder);
	unlink(wal);
	ck_assert_int_eq(rename(f.path, moved), 0);
	OK(read_all(moved));
	fixture_deinit(&f);
}
END_TEST

#if CAN_FAIL
START_TEST(each_failing_allocation_of_a_writer_is_an_error)
{
	struct store_fixture f;
	long nr;

	fixture_init(&f);
	for (nr = 0; nr < 20000; nr += nr < 500 ? 1 : 7) {
		struct seep_error *err;

		fail_at = nr;
		err = write_all(f.path, true);
		if (fail_at >= 0) {
			fail_at = -1;
			OK(err);
			break;
		}
		fail_at = -1;
		seep_error_destroy(err);
		/* what is there is a recording, or nothing */
		if (!access(f.path, F_OK)) {
			struct seep_store *st = NULL;

			OK(seep_store_open(f.path, &st));
			seep_store_destroy(st);
			unlink(f.path);
		}
		ck_assert(!fixture_has(&f, "a.seep.new"));
	}
	ck_assert_int_gt(nr, 100);
	ck_assert_int_lt(nr, 20000);
	fixture_deinit(&f);
}
END_TEST

START_TEST(each_failing_allocation_of_a_reader_is_an_error)
{
	struct store_fixture f;
	long nr;

	fixture_init(&f);
	OK(write_all(f.path, true));
	for (nr = 0; nr < 20000; nr++) {
		struct seep_error *err;

		fail_at = nr;
		err = read_all(f.path);
		if (fail_at >= 0) {
			fail_at = -1;
			OK(err);
			break;
		}
		fail_at = -1;
		if (err)
			ck_assert_msg(
			    seep_error_code(err) != SEEP_ERROR_CORRUPT,
			    "%ld: %s", nr, seep_error_text(err));
		seep_error_destroy(err);
	}
	ck_assert_int_gt(nr, 100);
	ck_assert_int_lt(nr, 20000);
	fixture_deinit(&f);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("store_read");
	TCase *tc = tcase_create("files");
	int nr = (int)(sizeof(spoilers) / sizeof(spoilers[0]));
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(
	    tc, no_file_folder_or_foreign_file_is_taken_for_a_recording);
	tcase_add_test(tc, an_older_schema_is_named);
	tcase_add_test(tc, a_newer_schema_is_named);
	tcase_add_loop_test(tc, a_spoilt_recording_says_what_is_wrong, 0, nr);
	tcase_add_test(tc, triggers_and_views_of_a_file_do_not_run);
	tcase_add_test(tc, a_file_cut_anywhere_is_an_error_or_empty);
	tcase_add_test(tc, flipped_bytes_never_crash);
	tcase_add_test(tc, an_unfinished_recording_is_read_without_its_wal);
#if CAN_FAIL
	tcase_add_test(tc, each_failing_allocation_of_a_writer_is_an_error);
	tcase_add_test(tc, each_failing_allocation_of_a_reader_is_an_error);
#endif
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
