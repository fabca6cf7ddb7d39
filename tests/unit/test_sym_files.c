/* SPDX-License-Identifier: MIT */
/* test_sym_files.c - symbols, and which file they are read from */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/unit/sym_fixture.h"

static void compile(const char *options)
{
	run("gcc -O1 %s -o prog %s/sym_inline.c", options, targets);
}

static uint64_t site_of_prog(void)
{
	return return_address(in_folder("prog"), "outer", "malloc");
}

START_TEST(without_debug_information_it_is_the_symbol)
{
	struct names n;

	compile("-g0");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site_of_prog(), false);
	ck_assert_uint_eq(n.nr, 1);
	expect_frame(&n, 0, "outer", NULL, NULL, false);
	names_close(&n);
}
END_TEST

START_TEST(a_stripped_program_has_module_and_offset)
{
	struct names n;
	uint64_t site;

	compile("-g");
	site = site_of_prog();
	run("strip prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	ck_assert_uint_eq(n.nr, 1);
	ck_assert_ptr_null(n.frames[0].function);
	ck_assert_ptr_null(n.frames[0].file);
	ck_assert_str_eq(n.frames[0].module, in_folder("prog"));
	ck_assert_uint_eq(n.frames[0].offset, site);
	names_close(&n);
}
END_TEST

START_TEST(a_stripped_library_has_its_exported_names_only)
{
	struct names n;
	uint64_t site, hidden;

	compile("-fPIC -shared");
	site = site_of_prog();
	hidden = address_of(in_folder("prog"), "local_to_file");
	run("strip prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	expect_frame(&n, 0, "outer", NULL, NULL, false);
	/* Not "outer+0x40": it is another function. */
	names_ask(&n, hidden + 1, true);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
}
END_TEST

START_TEST(a_missing_file_has_module_and_offset)
{
	struct names n;

	names_open(&n, NULL, in_folder("nowhere"), NULL, -1);
	names_ask(&n, 0x1234, false);
	ck_assert_uint_eq(n.nr, 1);
	ck_assert_ptr_null(n.frames[0].function);
	ck_assert_uint_eq(n.frames[0].offset, 0x1234);
	names_close(&n);
}
END_TEST

START_TEST(a_file_with_another_build_id_is_not_used)
{
	struct names n;

	compile("-g");
	names_open(&n, NULL, in_folder("prog"),
	    "00112233445566778899aabbccddeeff00112233", -1);
	names_ask(&n, site_of_prog(), false);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
	names_open(&n, NULL, in_folder("prog"), "not an id", -1);
	names_ask(&n, site_of_prog(), false);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
	names_open(
	    &n, NULL, in_folder("prog"), build_id_of(in_folder("prog")), -1);
	names_ask(&n, site_of_prog(), false);
	expect_inlined(&n);
	names_close(&n);
}
END_TEST

/* ---- separate debug files ----------------------------------------------- */

static uint64_t split_debug(const char *debug_name, bool link)
{
	uint64_t site = site_of_prog();

	run("objcopy --only-keep-debug prog '%s' && strip prog", debug_name);
	if (link)
		run("objcopy --add-gnu-debuglink='%s' prog", debug_name);
	return site;
}

START_TEST(a_debug_file_is_found_by_its_build_id)
{
	struct seep_sym_options o = {.debug_path = "/nowhere:"};
	char path[PATH_MAX + 32], id[256];
	struct names n;
	uint64_t site;

	compile("-g");
	snprintf(id, sizeof(id), "%s", build_id_of("prog"));
	run("mkdir -p dbg/.build-id/%.2s", id);
	site = split_debug("prog.debug", false);
	run("mv prog.debug dbg/.build-id/%.2s/%s.debug", id, id + 2);
	snprintf(path, sizeof(path), "/nowhere:%s/dbg", folder);
	o.debug_path = path;
	names_open(&n, &o, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	expect_inlined(&n);
	names_close(&n);
	/* Also when the program itself is gone. */
	names_open(&n, &o, in_folder("gone"), id, -1);
	names_ask(&n, site, false);
	expect_inlined(&n);
	names_close(&n);
}
END_TEST

START_TEST(a_debug_file_is_found_by_its_link)
{
	static const char *const places[] = {
	    "prog.debug", ".debug/prog.debug", "dbg%s/prog.debug"};
	struct seep_sym_options o = {0};
	char to[2 * PATH_MAX], path[PATH_MAX + 32];
	struct names n;
	uint64_t site;

	/* Without a build-id its CRC must be right. */
	compile("-g -Wl,--build-id=none");
	site = split_debug("prog.debug", true);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(to, sizeof(to), "%s", places[i]);
		if (strstr(places[i], "%s"))
			snprintf(to, sizeof(to), "dbg%s/prog.debug", folder);
		run("mkdir -p $(dirname '%s')", to);
		run("test '%s' = prog.debug || cp prog.debug '%s'", to, to);
		run("test '%s' = prog.debug || mv prog.debug saved", to);
		snprintf(path, sizeof(path), "%s/dbg", folder);
		o.debug_path = path;
		names_open(&n, &o, in_folder("prog"), NULL, -1);
		names_ask(&n, site, false);
		expect_inlined(&n);
		names_close(&n);
		run("test '%s' = prog.debug || mv saved prog.debug", to);
		run("test '%s' = prog.debug || rm '%s'", to, to);
	}
}
END_TEST

START_TEST(a_linked_debug_file_with_another_crc_is_not_used)
{
	struct names n;
	uint64_t site;

	compile("-g -Wl,--build-id=none");
	site = split_debug("prog.debug", true);
	run("printf x >>prog.debug");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
}
END_TEST

START_TEST(a_linked_debug_file_with_another_build_id_is_not_used)
{
	struct names n;
	uint64_t site;

	compile("-g -DOTHER='\"one\"'");
	run("cp prog other");
	compile("-g -DOTHER='\"two\"' -frandom-seed=2");
	run("objcopy --only-keep-debug other prog.debug");
	site = site_of_prog();
	run("strip prog && objcopy --add-gnu-debuglink=prog.debug prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	if (strcmp(build_id_of("other"), build_id_of("prog")) != 0)
		ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
}
END_TEST

START_TEST(a_dwz_file_is_used_and_not_missed)
{
	struct names n;
	uint64_t site;

	if (!has_tool("dwz"))
		return;
	compile("-g -gdwarf-4");
	run("cp prog twin");
	site = site_of_prog();
	if (try_run("dwz -m common.debug prog twin 2>/dev/null"))
		return;
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	expect_inlined(&n);
	names_close(&n);
	run("rm common.debug");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	ck_assert_uint_ge(n.nr, 1);
	names_close(&n);
}
END_TEST

START_TEST(packed_symbols_of_a_stripped_program_are_used)
{
	struct names n;
	uint64_t site;

	if (!has_tool("xz"))
		return;
	compile("-g");
	site = site_of_prog();
	run("objcopy -S --only-keep-debug -K outer prog mini && xz mini");
	run("strip prog && objcopy --add-section .gnu_debugdata=mini.xz prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	if (n.frames[0].function) /* else built --without-lzma */
		expect_frame(&n, 0, "outer", NULL, NULL, false);
	names_close(&n);
	/* Damaged. */
	run("xz -dc mini.xz >mini && head -c 300 mini.xz >short.xz");
	run("objcopy --update-section .gnu_debugdata=short.xz prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
}
END_TEST

/* ---- files that go away ------------------------------------------------- */

START_TEST(a_deleted_file_is_read_through_its_descriptor)
{
	char path[PATH_MAX + 32];
	struct names n;
	uint64_t site;
	int fd;

	compile("-g");
	site = site_of_prog();
	fd = open("prog", (_i ? O_PATH : O_RDONLY) | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	run("rm prog");
	snprintf(path, sizeof(path), "%s (deleted)", in_folder("prog"));
	names_open(&n, NULL, path, NULL, fd);
	names_ask(&n, site, false);
	expect_inlined(&n);
	names_close(&n);
	close(fd);
}
END_TEST

START_TEST(what_has_the_name_of_a_deleted_file_is_not_taken_for_it)
{
	char path[PATH_MAX + 32];
	struct names n;

	compile("-g");
	snprintf(path, sizeof(path), "%s (deleted)", in_folder("prog"));
	names_open(&n, NULL, path, NULL, -1);
	names_ask(&n, site_of_prog(), false);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
	/* A copy of the same build is. */
	names_open(&n, NULL, path, build_id_of("prog"), -1);
	names_ask(&n, site_of_prog(), false);
	expect_inlined(&n);
	names_close(&n);
}
END_TEST

START_TEST(a_file_that_shrinks_under_us_costs_names_only)
{
	struct names n;
	uint64_t site;

	compile("-g");
	site = site_of_prog();
	run("head -c 3000000 /dev/zero >>prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	expect_inlined(&n);
	for (off_t size = 16384; size >= 0; size -= 512) {
		ck_assert_int_eq(truncate("prog", size), 0);
		for (uint64_t i = 0; i < 300; i++)
			names_ask(&n, site + i, false);
	}
	names_close(&n);
}
END_TEST

START_TEST(a_fifo_or_a_device_is_not_waited_for)
{
	struct names n;

	run("mkfifo prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, 0x1000, false);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
	names_open(&n, NULL, "/dev/zero", NULL, -1);
	names_ask(&n, 0x1000, false);
	names_close(&n);
}
END_TEST

/* ---- symbols ------------------------------------------------------------ */

START_TEST(the_better_of_two_symbols_at_an_address_is_shown)
{
	static const char source[] =
	    ".text\n"
	    ".type local_name,@function\nlocal_name:\n"
	    ".globl global_name\n.type global_name,@function\nglobal_name:\n"
	    ".globl __global_name\n.type __global_name,@function\n"
	    "__global_name:\n"
	    "nop\nnop\nnop\nnop\n"
	    ".size local_name,4\n.size global_name,4\n.size __global_name,4\n"
	    "hole: .fill 16,1,0x90\n"
	    ".type no_size,@function\nno_size:\nnop\nnop\n"
	    ".globl resolver\n.type resolver,@gnu_indirect_function\n"
	    "resolver:\nnop\nnop\n.size resolver,2\n"
	    ".globl _start\n_start: nop\n"
	    ".globl versioned\n.type versioned,@function\n"
	    "old_versioned: nop\nnop\n.size old_versioned,2\n"
	    ".type old_versioned,@function\n"
	    ".symver old_versioned,versioned@@V_1\n";
	struct names n;
	uint64_t start;

	run("printf '%s' >prog.S && printf 'V_1 { *; };' >prog.map", source);
	run("gcc -shared -nostdlib -o prog -Wl,--version-script=prog.map "
	    "prog.S");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	start = address_of(in_folder("prog"), "global_name");
	names_ask(&n, start + 2, true);
	ck_assert_str_eq(n.frames[0].function, "global_name");
	names_ask(&n, start + 6, true);
	ck_assert_str_eq(n.frames[0].function, "hole");
	names_ask(&n, address_of(in_folder("prog"), "no_size") + 1, true);
	ck_assert_str_eq(n.frames[0].function, "no_size");
	names_ask(&n, address_of(in_folder("prog"), "resolver") + 1, true);
	ck_assert_str_eq(n.frames[0].function, "resolver");
	run("strip prog");
	names_close(&n);
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, start + 2, true);
	ck_assert_str_eq(n.frames[0].function, "global_name");
	names_close(&n);
}
END_TEST

START_TEST(suffixes_of_compiler_and_linker_are_left_out)
{
	static const char source[] =
	    ".text\n.globl f.cold\n.type f.cold,@function\nf.cold: nop\n"
	    ".size f.cold,1\n.globl _ZN1a1bEv.constprop.0\n"
	    ".type _ZN1a1bEv.constprop.0,@function\n"
	    "_ZN1a1bEv.constprop.0: nop\n.size _ZN1a1bEv.constprop.0,1\n";
	struct names n;
	uint64_t start;

	run("printf '%s' >prog.S && gcc -shared -nostdlib -o prog prog.S",
	    source);
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	start = address_of(in_folder("prog"), "f.cold");
	names_ask(&n, start, true);
	ck_assert_str_eq(n.frames[0].function, "f");
	names_ask(&n, start + 1, true);
	ck_assert_str_eq(n.frames[0].function, "a::b");
	names_close(&n);
}
END_TEST

START_TEST(the_vdso_has_names)
{
	struct names n;

	if (!getauxval(AT_SYSINFO_EHDR))
		return;
	names_open(&n, NULL, "[vdso]", NULL, -1);
	for (uint64_t at = 0; at < 0x2000; at += 16) {
		names_ask(&n, at, true);
		if (n.frames[0].function &&
		    strstr(n.frames[0].function, "clock_gettime"))
			break;
		ck_assert_uint_lt(at + 16, 0x2000);
	}
	ck_assert_str_eq(n.frames[0].module, "[vdso]");
	names_close(&n);
}
END_TEST

START_TEST(many_modules_may_be_asked_in_turn)
{
	enum { NR = 40, ROUNDS = 3 };
	struct seep_sym_module *m[NR];
	struct names n;
	uint64_t site;
	char path[64];

	compile("-g");
	site = site_of_prog();
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	for (int i = 0; i < NR; i++) {
		snprintf(path, sizeof(path), "prog%d", i);
		run("ln prog %s", path);
		ck_assert_ptr_null(seep_sym_module(
		    n.sym, in_folder(path), NULL, -1, SEEP_SYM_LINES, &m[i]));
	}
	for (int i = 0; i < NR * ROUNDS; i++) {
		n.module = m[i % NR];
		names_ask(&n, site, false);
		expect_inlined(&n);
	}
	/* The same module again is the same. */
	ck_assert_ptr_null(seep_sym_module(
	    n.sym, in_folder(path), NULL, -1, SEEP_SYM_LINES, &n.module));
	ck_assert_ptr_eq(n.module, m[NR - 1]);
	names_close(&n);
}
END_TEST

/* ---- many addresses ----------------------------------------------------- */

START_TEST(functions_alone_come_without_lines_and_inlining)
{
	struct names n;

	compile("-g");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	ck_assert_ptr_null(seep_sym_module(
	    n.sym, in_folder("prog"), NULL, -1, SEEP_SYM_FUNCTIONS, &n.module));
	names_ask(&n, site_of_prog(), false);
	ck_assert_uint_eq(n.nr, 1);
	expect_frame(&n, 0, "outer", NULL, NULL, false);
	names_close(&n);
}
END_TEST

struct many {
	struct seep_sym_address addresses[1000];
	size_t nr, fail_at;
};

/* Every third address is that of the site, the others are of no function. */
static void many_init(struct many *m, uint64_t site, size_t fail_at)
{
	memset(m, 0, sizeof(*m));
	m->fail_at = fail_at;
	for (size_t i = 0; i < 1000; i++)
		m->addresses[i].offset = i % 3 ? i : site;
}

static struct seep_error *take(
    void *ctx, size_t i, struct seep_frame *frames, size_t nr)
{
	struct many *m = ctx;
	struct names n = {.frames = frames, .nr = nr};

	ck_assert_uint_eq(i, m->nr);
	ck_assert_uint_eq(frames[0].offset, m->addresses[i].offset);
	if (i % 3)
		ck_assert_ptr_null(frames[0].function);
	else
		expect_inlined(&n);
	names_forget(&n);
	return ++m->nr == m->fail_at
		   ? seep_error_new(SEEP_ERROR_OTHER, "enough")
		   : NULL;
}

START_TEST(many_addresses_are_answered_in_their_order)
{
	static struct many m;
	struct names n;

	compile("-g");
	many_init(&m, site_of_prog(), SIZE_MAX);
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	ck_assert_ptr_null(
	    seep_sym_lookup_all(n.sym, n.module, m.addresses, 1000, take, &m));
	ck_assert_uint_eq(m.nr, 1000);
	names_close(&n);
}
END_TEST

START_TEST(an_error_in_between_leaves_no_answers_behind)
{
	static struct many m;
	struct seep_error *err;
	struct names n;

	compile("-g");
	many_init(&m, site_of_prog(), 5);
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	err = seep_sym_lookup_all(n.sym, n.module, m.addresses, 1000, take, &m);
	ck_assert_str_eq(seep_error_text(err), "enough");
	seep_error_destroy(err);
	ck_assert_uint_eq(m.nr, 5);
	names_ask(&n, m.addresses[0].offset, false);
	expect_inlined(&n);
	names_close(&n);
}
END_TEST

/* ---- servers ------------------------------------------------------------ */

/* A server that never answers; its port is in DEBUGINFOD_URLS. */
static int listen_silently(void)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char url[64];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(at.sin_port));
	setenv("DEBUGINFOD_URLS", url, 1);
	setenv("DEBUGINFOD_CACHE_PATH", in_folder("cache"), 1);
	return fd;
}

static bool was_called(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* L14 */
START_TEST(no_server_is_asked_unless_told_to)
{
	struct names n;
	uint64_t site;
	int fd = listen_silently();

	compile("-g");
	site = site_of_prog();
	run("strip prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	names_close(&n);
	names_open(&n, NULL, in_folder("gone"),
	    "00112233445566778899aabbccddeeff00112233", -1);
	names_ask(&n, site, false);
	names_close(&n);
	/* With a dwz file, or a .dwo, to be searched for. */
	compile("-g -gsplit-dwarf");
	run("rm *.dwo");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site_of_prog(), false);
	ck_assert_str_eq(n.frames[n.nr - 1].function, "outer");
	names_close(&n);
	ck_assert(!was_called(fd));
	close(fd);
}
END_TEST

/* L14 */
START_TEST(a_silent_server_is_given_up_in_time)
{
	struct seep_sym_options o = {
	    .debuginfod = true, .debuginfod_timeout_s = 2};
	struct names n;
	uint64_t site;
	time_t start;
	int fd = listen_silently();

	compile("-g0");
	site = site_of_prog();
	run("for i in 1 2 3 4 5; do cp prog prog$i; done");
	start = now_s();
	names_open(&n, &o, in_folder("prog"), NULL, -1);
	for (int i = 0; i < 6; i++) {
		char path[16];

		/* The deadline is for all files together. */
		snprintf(path, sizeof(path), i ? "prog%d" : "prog", i);
		ck_assert_ptr_null(seep_sym_module(n.sym, in_folder(path), NULL,
		    -1, SEEP_SYM_LINES, &n.module));
		names_ask(&n, site, false);
		ck_assert_str_eq(n.frames[0].function, "outer");
	}
	names_close(&n);
	ck_assert_int_le(now_s() - start, 6);
	close(fd);
}
END_TEST

START_TEST(a_server_that_has_the_file_is_used_when_told_to)
{
	struct seep_sym_options o = {.debuginfod = true};
	struct names n;
	char url[PATH_MAX + 32], id[256];
	uint64_t site;

	if (try_run("ldconfig -p 2>/dev/null | grep -q libdebuginfod.so.1"))
		return;
	compile("-g");
	snprintf(id, sizeof(id), "%s", build_id_of("prog"));
	run("mkdir -p server/buildid/%s", id);
	site = split_debug("prog.debug", false);
	run("mv prog.debug server/buildid/%s/debuginfo", id);
	snprintf(url, sizeof(url), "file://%s/server", folder);
	setenv("DEBUGINFOD_URLS", url, 1);
	setenv("DEBUGINFOD_CACHE_PATH", in_folder("cache"), 1);
	names_open(&n, &o, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	if (n.frames[0].function) /* else built --without-debuginfod */
		expect_inlined(&n);
	names_close(&n);
	/* What it left in its cache is not looked at unasked either. */
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	ck_assert_ptr_null(n.frames[0].function);
	names_close(&n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sym_files");
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, enter_folder, leave_folder);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, without_debug_information_it_is_the_symbol);
	tcase_add_test(tc, a_stripped_program_has_module_and_offset);
	tcase_add_test(tc, a_stripped_library_has_its_exported_names_only);
	tcase_add_test(tc, a_missing_file_has_module_and_offset);
	tcase_add_test(tc, a_file_with_another_build_id_is_not_used);
	tcase_add_test(tc, a_debug_file_is_found_by_its_build_id);
	tcase_add_test(tc, a_debug_file_is_found_by_its_link);
	tcase_add_test(tc, a_linked_debug_file_with_another_crc_is_not_used);
	tcase_add_test(
	    tc, a_linked_debug_file_with_another_build_id_is_not_used);
	tcase_add_test(tc, a_dwz_file_is_used_and_not_missed);
	tcase_add_test(tc, packed_symbols_of_a_stripped_program_are_used);
	tcase_add_loop_test(
	    tc, a_deleted_file_is_read_through_its_descriptor, 0, 2);
	tcase_add_test(
	    tc, what_has_the_name_of_a_deleted_file_is_not_taken_for_it);
	tcase_add_test(tc, a_file_that_shrinks_under_us_costs_names_only);
	tcase_add_test(tc, a_fifo_or_a_device_is_not_waited_for);
	tcase_add_test(tc, the_better_of_two_symbols_at_an_address_is_shown);
	tcase_add_test(tc, suffixes_of_compiler_and_linker_are_left_out);
	tcase_add_test(tc, the_vdso_has_names);
	tcase_add_test(tc, many_modules_may_be_asked_in_turn);
	tcase_add_test(tc, functions_alone_come_without_lines_and_inlining);
	tcase_add_test(tc, many_addresses_are_answered_in_their_order);
	tcase_add_test(tc, an_error_in_between_leaves_no_answers_behind);
	tcase_add_test(tc, no_server_is_asked_unless_told_to);
	tcase_add_test(tc, a_silent_server_is_given_up_in_time);
	tcase_add_test(tc, a_server_that_has_the_file_is_used_when_told_to);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
