/* SPDX-License-Identifier: MIT */
/* test_sym_jit.c - names of code made at run time */
#include "analyzer/sym/jit.h"
#include "tests/unit/sym_fixture.h"

#define PID 12345u

static const char *map_file(void)
{
	return in_folder("perf-12345.map");
}

static void write_map(const char *text)
{
	FILE *f = fopen(map_file(), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void expect(struct seep_jit *j, uint64_t pc, const char *name)
{
	size_t length = 0;
	const char *found = seep_jit_find(j, pc, &length);

	if (!name) {
		ck_assert_ptr_null(found);
		return;
	}
	ck_assert_ptr_nonnull(found);
	ck_assert_uint_eq(length, strlen(name));
	ck_assert(!memcmp(found, name, length));
}

static struct seep_jit *open_map(void)
{
	struct seep_jit *j;

	seep_filemap_enter();
	j = seep_jit_create(folder, PID);
	ck_assert_ptr_nonnull(j);
	return j;
}

static void close_map(struct seep_jit *j)
{
	seep_jit_destroy(j);
	seep_filemap_leave();
}

START_TEST(an_address_in_an_entry_has_its_name)
{
	struct seep_jit *j;

	write_map("7f00001000 20 LazyCompile:~one two /a b.js:3\n"
		  "0x7f00001020 0x10 second\n"
		  "7F00002000 8 third\r\n");
	j = open_map();
	expect(j, 0x7f00000fff, NULL);
	expect(j, 0x7f00001000, "LazyCompile:~one two /a b.js:3");
	expect(j, 0x7f0000101f, "LazyCompile:~one two /a b.js:3");
	expect(j, 0x7f00001020, "second");
	expect(j, 0x7f0000102f, "second");
	expect(j, 0x7f00001030, NULL);
	expect(j, 0x7f00002007, "third");
	expect(j, UINT64_MAX, NULL);
	close_map(j);
}
END_TEST

START_TEST(of_entries_that_overlap_the_later_one_holds)
{
	struct seep_jit *j;

	write_map("1000 100 old\n1040 10 new\n1000 20 newest\n");
	j = open_map();
	expect(j, 0x1000, "newest");
	expect(j, 0x101f, "newest");
	expect(j, 0x1020, "old");
	expect(j, 0x1045, "new");
	expect(j, 0x1050, "old");
	close_map(j);
}
END_TEST

START_TEST(damaged_lines_are_left_out)
{
	struct seep_jit *j;

	write_map("\n \nxyz 10 a\n1000\n1000 \n1000 10\n1000 10 \n"
		  "11111111111111111 10 toolong\n"
		  "ffffffffffffffff ffffffffffffffff wraps\n2000 0 empty\n"
		  "3000 10 good\n4000 10 not yet complete");
	j = open_map();
	expect(j, 0x1000, NULL);
	expect(j, 0x2000, NULL);
	expect(j, 0xffffffffffffffff, NULL);
	expect(j, 0x3001, "good");
	expect(j, 0x4001, NULL);
	close_map(j);
}
END_TEST

START_TEST(a_link_a_fifo_and_a_missing_file_have_no_names)
{
	struct seep_jit *j;

	j = open_map();
	expect(j, 0x1000, NULL);
	close_map(j);
	run("mkfifo %s", map_file());
	j = open_map();
	expect(j, 0x1000, NULL);
	close_map(j);
	run("rm %s && echo '1000 10 a' >real && ln -s real %s", map_file(),
	    map_file());
	j = open_map();
	expect(j, 0x1000, NULL);
	close_map(j);
}
END_TEST

START_TEST(a_file_of_another_user_has_no_names)
{
	struct seep_jit *j;

	write_map("1000 10 a\n");
	if (geteuid() || chown(map_file(), 54321, (gid_t)-1))
		return;
	j = open_map();
	expect(j, 0x1000, NULL);
	close_map(j);
}
END_TEST

START_TEST(the_public_call_gives_a_frame_without_a_module)
{
	static const struct seep_sym_options none;
	char path[64];
	struct seep_frame *frames;
	struct seep_sym *s;
	FILE *f;
	size_t nr;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	f = fopen(path, "wx");
	if (!f)
		return;
	fputs("5000 10 made\n", f);
	fclose(f);
	ck_assert_ptr_null(seep_sym_create(&none, &s));
	ck_assert_ptr_null(
	    seep_sym_lookup_jit(s, (uint32_t)getpid(), 0x5010, &frames, &nr));
	unlink(path);
	ck_assert_uint_eq(nr, 1);
	ck_assert_str_eq(frames[0].function, "made");
	ck_assert_ptr_null(frames[0].module);
	ck_assert_uint_eq(frames[0].offset, 0x5010);
	seep_frame_deinit(&frames[0]);
	free(frames);
	seep_sym_destroy(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sym_jit");
	TCase *tc = tcase_create("jit");

	tcase_add_checked_fixture(tc, enter_folder, leave_folder);
	tcase_add_test(tc, an_address_in_an_entry_has_its_name);
	tcase_add_test(tc, of_entries_that_overlap_the_later_one_holds);
	tcase_add_test(tc, damaged_lines_are_left_out);
	tcase_add_test(tc, a_link_a_fifo_and_a_missing_file_have_no_names);
	tcase_add_test(tc, a_file_of_another_user_has_no_names);
	tcase_add_test(tc, the_public_call_gives_a_frame_without_a_module);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
