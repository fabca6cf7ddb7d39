/* SPDX-License-Identifier: MIT */
/*
 * fuzz_recording.c - any bytes as a recording: the reader, the reports
 *
 * An input that begins like an SQLite file is one. Any other input is a list of
 * changes to a sound recording: bytes that are overwritten, and values of
 * columns that are replaced, which gets past SQLite's own checks.
 *
 * For libFuzzer as it is. With -DSEEP_FUZZ_MAIN, for other compilers, main()
 * runs the files that are its arguments, or random changes for the number of
 * seconds given (and a second number, to vary it).
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/cmd/query.h"
#include "analyzer/out/out.h"

#define MAX_BYTES (1u << 20)

static char folder[] = "/tmp/seep-fuzz-XXXXXX";
static char path[64];
static uint8_t *seed;
static size_t seed_bytes;
static FILE *null_file;

/* ---- a sound recording -------------------------------------------------- */

static void must(struct seep_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "%s\n", seep_error_text(err));
	abort();
}

static void put_process(struct seep_store *st, int64_t *ids)
{
	static char *command[] = {(char *)"prog", (char *)"x", NULL};
	struct seep_process p = {
	    .pid = 7,
	    .state = SEEP_PROCESS_EXITED,
	    .exe = (char *)"/bin/prog",
	    .command = command,
	    .end_ms = 9000,
	    .totals = {.live_blocks = 8, .live_bytes = 64},
	    .drops = {[3] = 1},
	};

	must(seep_store_put_process(st, &p));
	for (uint64_t i = 1; i < 12; i++) {
		struct seep_snapshot s = {.process_id = p.id, .at_ms = i};
		struct seep_site_row rows[4] = {{.site = 0}};

		for (int k = 0; k < 4; k++) {
			rows[k].site = ids[k * 2];
			rows[k].counts.live_bytes = i * (uint64_t)k * 8;
			rows[k].counts.live_blocks = i * (uint64_t)k;
			rows[k].counts.alloc_blocks = i * 5;
		}
		must(seep_store_put_snapshot(st, &s, rows, 4));
	}
	for (int round = 0; round < 2; round++) {
		struct seep_survivor_row rows[8];

		for (int k = 0; k < 8; k++)
			rows[k] =
			    (struct seep_survivor_row){ids[k], 0, 8, 1, 1, 2};
		must(seep_store_put_survivors(st, p.id, rows, 8));
	}
}

static void put_all(struct seep_store *st)
{
	struct seep_frame frames[2] = {{.function = (char *)"std::f<int>(int)",
					   .file = (char *)"f.cc",
					   .line = 3,
					   .inlined = true},
	    {.function = (char *)"main"}};
	int64_t module, ids[8], parent = 0;

	must(seep_store_put_drop_cause(st, 3, "tree_full", "lost"));
	must(seep_store_put_module(st, "/nonexistent/prog", "00", &module));
	for (int i = 0; i < 8; i++) {
		must(seep_store_put_node(st, parent, i == 7 ? 3 : 1,
		    i % 3 ? module : 0, (uint64_t)i * 16, false, &ids[i]));
		parent = i == 4 ? 0 : ids[i];
		must(seep_store_put_symbols(st, module, (uint64_t)i * 16, false,
		    frames, 1 + (size_t)i % 2));
	}
	put_process(st, ids);
	put_process(st, ids);
}

static void remove_all(void)
{
	unlink(path);
	rmdir(folder);
}

static void write_file(const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void set_up(void)
{
	struct seep_store *st;
	struct stat sb;
	FILE *f;

	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/a.seep", folder);
	atexit(remove_all);
	must(seep_store_create(path, &st));
	must(seep_store_begin(st));
	put_all(st);
	must(seep_store_commit(st));
	must(seep_store_finish(st));
	f = fopen(path, "r");
	null_file = fopen("/dev/null", "w");
	if (!f || !null_file || fstat(fileno(f), &sb))
		abort();
	seed_bytes = (size_t)sb.st_size;
	seed = malloc(seed_bytes);
	if (!seed || fread(seed, 1, seed_bytes, f) != seed_bytes)
		abort();
	fclose(f);
}

/* ---- changes ------------------------------------------------------------ */

static const char *const columns[] = {"process.id", "process.parent",
    "process.pid", "process.state", "process.exe", "process.live_bytes",
    "process.live_blocks", "process.end_ms", "process.exit_code",
    "argument.value", "drops.cause", "drops.count", "drop_cause.name",
    "module.id", "module.path", "node.id", "node.parent", "node.module",
    "node.offset", "node.kind", "node.exact", "string.id", "string.text",
    "symbol.function", "symbol.file", "symbol.line", "symbol.inlined",
    "snapshot.id", "snapshot.process", "snapshot.kind", "snapshot.at_ms",
    "snapshot.live_bytes", "site_count.snapshot", "site_count.site",
    "site_count.live_bytes", "site_count.live_blocks", "survivor.site",
    "survivor.class", "survivor.size_bytes", "survivor.blocks",
    "survivor.oldest_ms", "survivor.newest_ms"};

static const char *const values[] = {"0", "1", "2", "3", "-1", "100",
    "4294967295", "4294967296", "9223372036854775807", "-9223372036854775808",
    "268435455", "NULL", "1.5", "'x'", "''", "x'00ff'", "'exited'",
    "'a\x1b[31m'", "hex(zeroblob(3000))", "parent", "id", "id + 1", "rowid"};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static void change_column(sqlite3 *db, const uint8_t *c)
{
	const char *column = columns[c[1] % NR(columns)];
	size_t table = strcspn(column, ".");
	char sql[256];

	snprintf(sql, sizeof(sql),
	    "UPDATE OR REPLACE %.*s SET %s = %s WHERE (%s + %d) %% 4 < %d",
	    (int)table, column, column + table + 1, values[c[2] % NR(values)],
	    column + table + 1, c[4], c[3] % 5);
	sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void apply(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(seed_bytes);
	sqlite3 *db = NULL;
	size_t at;

	if (!copy)
		abort();
	memcpy(copy, seed, seed_bytes);
	for (at = 0; at + 5 <= size; at += 5) {
		const uint8_t *c = data + at;

		if (c[0] & 1)
			copy[(c[1] | (size_t)c[2] << 8 | (size_t)c[3] << 16) %
			     seed_bytes] = c[4];
	}
	write_file(copy, seed_bytes);
	free(copy);
	if (sqlite3_open(path, &db) == SQLITE_OK) {
		sqlite3_exec(db,
		    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL,
		    NULL, NULL);
		for (at = 0; at + 5 <= size; at += 5) {
			if (!(data[at] & 1))
				change_column(db, data + at);
		}
	}
	sqlite3_close(db);
}

/* ---- reading ------------------------------------------------------------ */

static void read_report(struct seep_query *q)
{
	struct seep_text_options opt = {.top = 0, .depth = 0};
	struct seep_report r;
	struct seep_error *err = seep_query_report(q, &r);

	if (!err) {
		seep_error_destroy(seep_text_report(&r, &opt, null_file));
		opt.top = 3;
		opt.depth = 2;
		seep_error_destroy(seep_text_report(&r, &opt, null_file));
		seep_error_destroy(seep_json_report(&r, 0, null_file));
		seep_error_destroy(seep_folded_report(&r, null_file));
		seep_report_deinit(&r);
	}
	seep_error_destroy(err);
}

static void read_growth(struct seep_query *q)
{
	struct seep_query_window w = {.all = true};
	struct seep_text_options opt = {.top = 0};
	struct seep_growth g;
	struct seep_error *err = seep_query_growth(q, &w, &g);

	if (!err) {
		seep_error_destroy(seep_text_growth(&g, &opt, null_file));
		seep_error_destroy(seep_json_growth(&g, 0, null_file));
		seep_growth_deinit(&g);
	}
	seep_error_destroy(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Nothing is looked up: a file could name any module. */
	struct seep_query_options opt = {.resolve_top = 0, .trends = true};
	struct seep_query *q = NULL;
	struct seep_stacks stacks;
	struct seep_error *err;

	if (!seed)
		set_up();
	if (size > MAX_BYTES)
		return 0;
	if (size > 16 && !memcmp(data, "SQLite format 3", 16))
		write_file(data, size);
	else
		apply(data, size);
	if (!seep_stacks_init(&stacks))
		return 0;
	err = seep_query_open(path, &stacks, &opt, &q);
	if (!err) {
		read_report(q);
		read_growth(q);
	}
	seep_error_destroy(err);
	seep_query_destroy(q);
	seep_stacks_deinit(&stacks);
	return 0;
}

/* ---- on its own --------------------------------------------------------- */

#ifdef SEEP_FUZZ_MAIN

static uint64_t rng = 88172645463325252ull;

static uint8_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint8_t)(rng >> 32);
}

static int run_file(const char *name)
{
	uint8_t *data = malloc(MAX_BYTES);
	FILE *f = fopen(name, "rb");
	size_t n;

	if (!f || !data) {
		perror(name);
		return 99;
	}
	n = fread(data, 1, MAX_BYTES, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long runs = 0;
	uint8_t data[40];
	time_t end;
	char *rest;

	if (argc > 1 && (strtol(argv[1], &rest, 10), *rest)) {
		int status = 0;

		for (int i = 1; i < argc && !status; i++)
			status = run_file(argv[i]);
		return status;
	}
	end = time(NULL) + (argc > 1 ? strtol(argv[1], NULL, 10) : 2);
	if (argc > 2)
		rng ^= strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull;
	while (time(NULL) < end) {
		size_t size = 5 * (size_t)(1 + rnd() % 8);

		for (size_t i = 0; i < size; i++)
			data[i] = rnd();
		LLVMFuzzerTestOneInput(data, size);
		runs++;
	}
	printf("%lu recordings\n", runs);
	return 0;
}

#endif
