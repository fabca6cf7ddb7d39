/* SPDX-License-Identifier: MIT */
/*
 * sym_fixture.h - builds little programs and asks for the names in them
 *
 * Threads:  one.
 * Signals:  none.
 * Memory:   a folder per test, removed at its end; paths are static buffers.
 * Trust:    none.
 * Units:    addresses are ELF virtual addresses.
 * Errors:   a tool that fails fails the test; one that is not there skips it.
 */
#ifndef SEEP_TESTS_UNIT_SYM_FIXTURE_H
#define SEEP_TESTS_UNIT_SYM_FIXTURE_H

#include <check.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/sym/sym.h"

/* The folder of the running test, and of the victims' sources. */
static char folder[PATH_MAX];
static char targets[PATH_MAX];

static inline void enter_folder(void)
{
	const char *from = getenv("TARGETS");
	const char *tmp = getenv("TMPDIR");

	ck_assert_ptr_nonnull(realpath(from ? from : "tests/targets", targets));
	snprintf(folder, sizeof(folder), "%s/seep-sym-XXXXXX",
	    tmp && tmp[0] == '/' ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

__attribute__((format(printf, 1, 2))) static inline int try_run(
    const char *fmt, ...)
{
	char command[4 * PATH_MAX];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define run(...) ck_assert_int_eq(try_run(__VA_ARGS__), 0)

static inline void leave_folder(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	if (strstr(folder, "/seep-sym-"))
		try_run("rm -rf '%s'", folder);
}

static inline bool has_tool(const char *tool)
{
	return !try_run("command -v %s >/dev/null 2>&1", tool);
}

/* folder/name, good until the call after the next three. */
static inline const char *in_folder(const char *name)
{
	static char paths[4][PATH_MAX + 256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

/* First line of what a command prints. */
__attribute__((format(printf, 1, 2))) static inline const char *output_of(
    const char *fmt, ...)
{
	static char line[PATH_MAX];
	char command[2 * PATH_MAX];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	pclose(f);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static inline const char *build_id_of(const char *file)
{
	return output_of("readelf -n '%s' 2>/dev/null | "
			 "sed -n 's/.*Build ID: //p'",
	    file);
}

static inline uint64_t address_of(const char *file, const char *symbol)
{
	const char *hex =
	    output_of("nm '%s' | sed -n 's/ [tTwWiIuU] %s$//p'", file, symbol);

	ck_assert_msg(hex[0], "no symbol %s in %s", symbol, file);
	return strtoull(hex, NULL, 16);
}

/* What the first call of `callee` in `function` returns to. */
static inline uint64_t return_address(
    const char *file, const char *function, const char *callee)
{
	char call[256];
	const char *bytes;
	uint64_t addr;

	snprintf(call, sizeof(call), "%s",
	    output_of("objdump -dw '%s' | awk -F'\t' '"
		      "/^[0-9a-f]+ </ { f = index($1, \" <%s>:\"); next }"
		      "f && $3 ~ /^(call|bl) .*<[^>]*%s/ "
		      "{ print $1 $2; exit }'",
		file, function, callee));
	bytes = strchr(call, ':');
	ck_assert_msg(
	    bytes != NULL, "no call of %s in %s of %s", callee, function, file);
	addr = strtoull(call, NULL, 16);
	for (size_t digits = 0; *bytes; bytes++) {
		digits += *bytes != ':' && *bytes != ' ';
		if (digits == 2) {
			addr++;
			digits = 0;
		}
	}
	return addr;
}

/* The line of a victim that has the comment "at: mark". */
static inline uint32_t line_of(const char *source, const char *mark)
{
	return (uint32_t)atoi(
	    output_of("sed -n '/at: %s \\*/=' '%s/%s'", mark, targets, source));
}

struct names {
	struct seep_sym *sym;
	struct seep_sym_module *module;
	struct seep_frame *frames;
	size_t nr;
};

static inline void names_forget(struct names *n)
{
	for (size_t i = 0; i < n->nr; i++)
		seep_frame_deinit(&n->frames[i]);
	free(n->frames);
	n->frames = NULL;
	n->nr = 0;
}

static inline void names_open(struct names *n, const struct seep_sym_options *o,
    const char *path, const char *build_id, int fd)
{
	static const struct seep_sym_options none;

	*n = (struct names){0};
	ck_assert_ptr_null(seep_sym_create(o ? o : &none, &n->sym));
	ck_assert_ptr_null(seep_sym_module(
	    n->sym, path, build_id, fd, SEEP_SYM_LINES, &n->module));
}

static inline void names_ask(struct names *n, uint64_t addr, bool exact)
{
	names_forget(n);
	ck_assert_ptr_null(seep_sym_lookup(
	    n->sym, n->module, addr, exact, &n->frames, &n->nr));
	ck_assert_uint_ge(n->nr, 1);
}

static inline void names_close(struct names *n)
{
	names_forget(n);
	seep_sym_destroy(n->sym);
}

static inline void expect_frame(const struct names *n, size_t i,
    const char *function, const char *source, const char *mark, bool inlined)
{
	char file[2 * PATH_MAX];

	ck_assert_uint_gt(n->nr, i);
	ck_assert_ptr_nonnull(n->frames[i].function);
	ck_assert_str_eq(n->frames[i].function, function);
	ck_assert_int_eq(n->frames[i].inlined, inlined);
	if (!source) {
		ck_assert_ptr_null(n->frames[i].file);
		return;
	}
	snprintf(file, sizeof(file), "%s/%s", targets, source);
	ck_assert_ptr_nonnull(n->frames[i].file);
	ck_assert_str_eq(n->frames[i].file, file);
	ck_assert_uint_eq(n->frames[i].line, line_of(source, mark));
}

/* The names of sym_inline.c around its malloc, with debug information. */
static inline void expect_inlined(const struct names *n)
{
	ck_assert_uint_eq(n->nr, 3);
	expect_frame(n, 0, "take", "sym_inline.c", "take", true);
	expect_frame(n, 1, "twice", "sym_inline.c", "twice", true);
	expect_frame(n, 2, "outer", "sym_inline.c", "outer", false);
}

static inline int run_suite(Suite *s)
{
	SRunner *runner = srunner_create(s);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
