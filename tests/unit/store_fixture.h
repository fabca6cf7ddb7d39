/* SPDX-License-Identifier: MIT */
/*
 * store_fixture.h - a recording in a folder of its own, for tests
 *
 * Threads:  none.
 * Signals:  none.
 * Memory:   fixture_deinit() removes the folder and what is in it.
 * Trust:    none.
 * Units:    none.
 * Errors:   a failed call fails the test with the error's text.
 */
#ifndef SEEP_TESTS_STORE_FIXTURE_H
#define SEEP_TESTS_STORE_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/store/store.h"

#define OK(expr)                                                               \
	do {                                                                   \
		struct seep_error *err_ = (expr);                              \
		ck_assert_msg(!err_, "%s", seep_error_text(err_));             \
	} while (0)

/* The call fails, and its text has these words. */
#define FAILS(expr, words)                                                     \
	do {                                                                   \
		struct seep_error *err_ = (expr);                              \
		ck_assert_msg(err_ != NULL, "no error: %s", (words));          \
		ck_assert_msg(strstr(seep_error_text(err_), words) != NULL,    \
		    "'%s' is not in '%s'", words, seep_error_text(err_));      \
		seep_error_destroy(err_);                                      \
	} while (0)

struct store_fixture {
	char folder[64];
	char path[96];
};

static inline void fixture_init(struct store_fixture *f)
{
	const char *tmp = getenv("TMPDIR");

	ck_assert_int_lt(snprintf(f->folder, sizeof(f->folder),
			     "%.32s/seep-store-XXXXXX", tmp ? tmp : "/tmp"),
	    (int)sizeof(f->folder));
	ck_assert_ptr_nonnull(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/a.seep", f->folder);
}

static inline void fixture_deinit(struct store_fixture *f)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
	ck_assert_int_eq(system(command), 0);
}

/* Any file in the folder whose name begins so. */
static inline bool fixture_has(const struct store_fixture *f, const char *what)
{
	DIR *dir = opendir(f->folder);
	struct dirent *e;
	bool found = false;

	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		found |= !strncmp(e->d_name, what, strlen(what));
	closedir(dir);
	return found;
}

static inline struct seep_process fixture_process(void)
{
	static char *command[] = {
	    (char *)"prog", (char *)"-x", (char *)"a b", NULL};

	return (struct seep_process){
	    .pid = 1234,
	    .ppid = 1,
	    .state = SEEP_PROCESS_RUNNING,
	    .exe = (char *)"/usr/bin/prog",
	    .command = command,
	    .start_unix_ms = 1700000000000,
	    .start_ms = 5,
	    .end_ms = 1000,
	    .exit_code = -1,
	    .exit_signal = -1,
	    .totals = {.live_blocks = 3,
		.live_bytes = 300,
		.alloc_blocks = 10,
		.alloc_bytes = 1000,
		.free_blocks = 7,
		.free_bytes = 700},
	};
}

static inline struct seep_site_row fixture_row(
    int64_t site, uint64_t blocks, uint64_t bytes)
{
	return (struct seep_site_row){
	    .site = site,
	    .counts = {.live_blocks = blocks,
		.live_bytes = bytes,
		.alloc_blocks = blocks,
		.alloc_bytes = bytes},
	};
}

/* Adds a chain of `nr` nodes in one module, ids[0] outermost. */
static inline void fixture_nodes(struct seep_store *st, int64_t *ids, int nr)
{
	int64_t module, parent = 0;

	OK(seep_store_put_module(st, "/usr/bin/prog", "00ff", &module));
	for (int i = 0; i < nr; i++) {
		OK(seep_store_put_node(st, parent, 1, module,
		    0x1000 + (uint64_t)i * 16, false, &ids[i]));
		parent = ids[i];
	}
}

#endif
