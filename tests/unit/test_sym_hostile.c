/* SPDX-License-Identifier: MIT */
/* test_sym_hostile.c - damaged ELF and DWARF cost names, and nothing else */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "analyzer/sym/engine.h"
#include "analyzer/sym/worker.h"
#include "tests/unit/sym_fixture.h"

static unsigned char *image;
static size_t image_bytes;

static void read_image(const char *name)
{
	FILE *f = fopen(name, "r");
	struct stat st;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fstat(fileno(f), &st), 0);
	image_bytes = (size_t)st.st_size;
	image = malloc(image_bytes);
	ck_assert_uint_eq(fread(image, 1, image_bytes, f), image_bytes);
	fclose(f);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void compile(const char *options)
{
	run("gcc -O1 %s -o prog %s/sym_inline.c", options, targets);
	read_image("prog");
}

static uint32_t seed = 4711;

static uint32_t any(uint32_t limit)
{
	seed = seed * 1103515245 + 12345;
	return (uint32_t)(((uint64_t)(seed >> 1) * limit) >> 31);
}

/* Where section headers, or the debug sections, are damaged. */
static void damage(unsigned char *bytes, size_t from, size_t to)
{
	static const unsigned char values[] = {
	    0, 1, 0x7f, 0x80, 0xff, 0xfe, 8, 0x10};
	unsigned nr = 1 + any(6);

	for (unsigned i = 0; i < nr; i++) {
		size_t at = from + any((uint32_t)(to - from));

		bytes[at] = any(2) ? values[any(sizeof(values))]
				   : (unsigned char)any(256);
	}
}

static void section_range(const char *name, size_t *from, size_t *to)
{
	const Elf64_Ehdr *eh = (const void *)image;
	const Elf64_Shdr *sh = (const void *)(image + eh->e_shoff);
	const char *names = (char *)image + sh[eh->e_shstrndx].sh_offset;

	for (int i = 0; i < eh->e_shnum; i++)
		if (!strcmp(names + sh[i].sh_name, name)) {
			*from = sh[i].sh_offset;
			*to = *from + sh[i].sh_size;
			return;
		}
	ck_abort_msg("no section %s", name);
}

/* In this process: what is ours, and libelf, must stand it alone. */
static void ask_engine(const char *path, const uint64_t *addrs, size_t nr)
{
	static const struct seep_engine_options none;
	struct seep_engine_module *m;
	struct seep_engine *e;
	uint32_t ms = 0;

	ck_assert_ptr_null(seep_engine_create(&none, &e));
	ck_assert_ptr_null(
	    seep_engine_module(e, path, NULL, -1, SEEP_ENGINE_SYMBOLS, &m));
	for (size_t i = 0; i < nr; i++) {
		struct seep_frame *frames;
		size_t n;

		ck_assert_ptr_null(seep_engine_lookup(
		    e, m, addrs[i], false, &ms, &frames, &n));
		while (n)
			seep_frame_deinit(&frames[--n]);
		free(frames);
	}
	seep_engine_destroy(e);
}

START_TEST(damaged_headers_and_symbols_are_no_harm)
{
	unsigned char *bytes;
	uint64_t addrs[4] = {0, 0x1200, UINT64_MAX};
	const Elf64_Ehdr *eh;

	compile(_i ? "-g -Wl,--build-id" : "-g -static");
	addrs[3] = return_address("prog", "outer", "malloc");
	bytes = malloc(image_bytes);
	eh = (const void *)image;
	for (int i = 0; i < 700; i++) {
		size_t from = 0, to = 0;

		switch (any(5)) {
		case 0:
			to = sizeof(*eh);
			break;
		case 1:
			from = eh->e_shoff;
			to = from + (size_t)eh->e_shnum * sizeof(Elf64_Shdr);
			break;
		case 2:
			section_range(".symtab", &from, &to);
			break;
		case 3:
			section_range(".note.gnu.build-id", &from, &to);
			break;
		default:
			from = eh->e_phoff;
			to = from + (size_t)eh->e_phnum * sizeof(Elf64_Phdr);
		}
		memcpy(bytes, image, image_bytes);
		damage(bytes, from, to);
		write_file("damaged", bytes,
		    any(8) ? image_bytes : any((uint32_t)image_bytes));
		ask_engine(in_folder("damaged"), addrs, 4);
	}
	free(bytes);
}
END_TEST

/* By way of the worker: libdw may crash. */
START_TEST(damaged_debug_information_is_no_harm)
{
	static const char *const sections[] = {".debug_info", ".debug_abbrev",
	    ".debug_line", ".debug_str", ".debug_rnglists"};
	unsigned char *bytes;
	uint64_t site;

	compile(_i ? "-gdwarf-5 -O2" : "-gdwarf-5");
	bytes = malloc(image_bytes);
	site = return_address("prog", "outer", "malloc");
	for (int i = 0; i < 150; i++) {
		size_t from, to, which = any(5);
		struct names n;

		section_range(sections[which], &from, &to);
		memcpy(bytes, image, image_bytes);
		damage(bytes, from, to);
		write_file("damaged", bytes, image_bytes);
		names_open(&n, NULL, in_folder("damaged"), NULL, -1);
		names_ask(&n, site, false);
		/* Whatever became of the DWARF: the symbol is known. */
		ck_assert_ptr_nonnull(n.frames[n.nr - 1].module);
		names_ask(&n, site + 64, true);
		names_close(&n);
	}
	free(bytes);
}
END_TEST

/* An abstract origin that leads to itself, a sibling that leads back. */
START_TEST(references_in_a_circle_end)
{
	static const char source[] =
	    ".text\n.globl f\n.type f,@function\nf: nop\nnop\n"
	    ".size f,2\n.Lend:\n"
	    ".section .debug_abbrev,\"\",@progbits\n"
	    ".byte 1,0x11,1,0x11,1,0x12,6,0,0\n" /* unit: low, high */
	    ".byte 2,0x2e,1,0x11,1,0x12,6,0x31,0x13,1,0x13,0,0\n"
	    ".byte 3,0x1d,0,0x31,0x13,0x11,1,0x12,6,1,0x13,0,0\n"
	    ".byte 0\n"
	    ".section .debug_info,\"\",@progbits\n"
	    "start: .long end-start-4\n.short 4\n.long 0\n.byte 8\n"
	    ".byte 1\n.quad f\n.long .Lend-f\n"
	    "one: .byte 2\n.quad f\n.long .Lend-f\n"
	    ".long two-start\n.long one-start\n"
	    "two: .byte 3\n.long one-start\n.quad f\n.long .Lend-f\n"
	    ".long two-start\n"
	    ".byte 0,0\nend:\n";
	struct names n;
	struct timespec from, to;

	run("printf '%s' >prog.S && gcc -shared -nostdlib -o prog prog.S",
	    source);
	clock_gettime(CLOCK_MONOTONIC, &from);
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, address_of(in_folder("prog"), "f"), true);
	ck_assert_str_eq(n.frames[n.nr - 1].function, "f");
	names_close(&n);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ck_assert_int_le(to.tv_sec - from.tv_sec, 25);
}
END_TEST

/* ---- the worker --------------------------------------------------------- */

static pid_t child_of_this(void)
{
	return (pid_t)atoi(output_of("pgrep -P %d seep-names", getpid()));
}

START_TEST(a_worker_that_dies_is_replaced)
{
	struct names n;
	uint64_t site;

	if (!has_tool("pgrep"))
		return;
	compile("-g");
	site = return_address("prog", "outer", "malloc");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, site, false);
	expect_inlined(&n);
	ck_assert_int_gt(child_of_this(), 0);
	ck_assert_int_eq(kill(child_of_this(), SIGSEGV), 0);
	/* It may be the file's fault: its symbols remain. */
	names_ask(&n, site, false);
	ck_assert_str_eq(n.frames[n.nr - 1].function, "outer");
	names_close(&n);
	ck_assert_int_eq(child_of_this(), 0);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(a_worker_that_hangs_is_given_up)
{
	static const struct seep_engine_options none;
	static const struct seep_sym_address address = {.offset = 0x1000};
	struct seep_frame *frames;
	struct seep_worker *w;
	uint32_t ms = 0;
	size_t nr;

	if (!has_tool("pgrep"))
		return;
	compile("-g");
	w = seep_worker_create(&none);
	ck_assert_ptr_nonnull(w);
	ck_assert_int_eq(
	    seep_worker_module(w, in_folder("prog"), NULL, -1, SEEP_ENGINE_ALL),
	    SEEP_WORKER_OK);
	ck_assert_int_eq(
	    seep_worker_ask(w, 0, &address, 1, ms), SEEP_WORKER_OK);
	ck_assert_int_eq(
	    seep_worker_answer(w, 5000, &ms, &frames, &nr), SEEP_WORKER_OK);
	while (nr)
		seep_frame_deinit(&frames[--nr]);
	free(frames);
	ck_assert_int_eq(kill(child_of_this(), SIGSTOP), 0);
	ck_assert_int_eq(
	    seep_worker_ask(w, 0, &address, 1, ms), SEEP_WORKER_OK);
	ck_assert_int_eq(
	    seep_worker_answer(w, 200, &ms, &frames, &nr), SEEP_WORKER_GONE);
	seep_worker_destroy(w);
}
END_TEST

START_TEST(a_worker_has_no_other_descriptor_of_ours)
{
	char command[128];
	struct names n;
	int fd;

	if (!has_tool("pgrep"))
		return;
	compile("-g");
	fd = open("prog", O_RDONLY); /* not even close-on-exec */
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, 0x1000, false);
	snprintf(command, sizeof(command), "ls -l /proc/%d/fd | grep -c /prog",
	    child_of_this());
	ck_assert_str_eq(output_of("%s", command), "0");
	names_close(&n);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sym_hostile");
	TCase *tc = tcase_create("hostile");

	tcase_add_checked_fixture(tc, enter_folder, leave_folder);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, damaged_headers_and_symbols_are_no_harm, 0, 2);
	tcase_add_loop_test(tc, damaged_debug_information_is_no_harm, 0, 2);
	tcase_add_test(tc, references_in_a_circle_end);
	tcase_add_test(tc, a_worker_that_dies_is_replaced);
	tcase_add_test(tc, a_worker_that_hangs_is_given_up);
	tcase_add_test(tc, a_worker_has_no_other_descriptor_of_ours);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
