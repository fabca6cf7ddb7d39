/* SPDX-License-Identifier: MIT */
/* test_sym_dwarf.c - functions, files, lines and inlining, as compiled */
#include "tests/unit/sym_fixture.h"

static void compile(const char *compiler, const char *flags, const char *source,
    const char *output)
{
	run("%s -O1 %s -o %s %s/%s", compiler, flags, output, targets, source);
}

static void check_inlined(const char *program)
{
	struct names n;

	names_open(&n, NULL, in_folder(program), NULL, -1);
	names_ask(
	    &n, return_address(in_folder(program), "outer", "malloc"), false);
	expect_inlined(&n);
	names_close(&n);
}

static const char *const flags[] = {
    "-g",
    "-gdwarf-2",
    "-gdwarf-3",
    "-gdwarf-4",
    "-gdwarf-5",
    "-gdwarf-4 -fdebug-types-section",
    "-gdwarf-5 -ffunction-sections -Wl,--gc-sections",
    "-gdwarf-5 -gz=zlib",
    "-gdwarf-4 -gsplit-dwarf",
    "-gdwarf-5 -gsplit-dwarf",
    "-g -static-pie",
    "-g -no-pie",
};

START_TEST(inlined_calls_of_gcc_are_unfolded)
{
	compile("gcc", flags[_i], "sym_inline.c", "prog");
	check_inlined("prog");
}
END_TEST

START_TEST(inlined_calls_of_clang_are_unfolded_without_aranges)
{
	if (!has_tool("clang"))
		return;
	compile("clang", flags[_i], "sym_inline.c", "prog");
	check_inlined("prog");
}
END_TEST

START_TEST(a_return_address_means_the_call_before_it)
{
	struct names n;
	uint64_t addr;

	compile("gcc", "-g -O2", "sym_inline.c", "prog");
	addr = return_address(in_folder("prog"), "last_call", "abort");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, addr, false);
	ck_assert_uint_eq(n.nr, 1);
	expect_frame(&n, 0, "last_call", "sym_inline.c", "last", false);
	/* The same address as a pc is what lies behind the call. */
	names_ask(&n, addr, true);
	ck_assert(!n.frames[0].function ||
		  strcmp(n.frames[0].function, "last_call") != 0);
	/* And the start of a function is in it, only if it is a pc. */
	addr = address_of(in_folder("prog"), "outer");
	names_ask(&n, addr, true);
	ck_assert_str_eq(n.frames[n.nr - 1].function, "outer");
	names_close(&n);
}
END_TEST

START_TEST(each_frame_has_module_and_offset)
{
	struct names n;
	uint64_t addr;

	compile("gcc", "-g", "sym_inline.c", "prog");
	addr = return_address(in_folder("prog"), "outer", "malloc");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, addr, false);
	for (size_t i = 0; i < n.nr; i++) {
		ck_assert_str_eq(n.frames[i].module, in_folder("prog"));
		ck_assert_uint_eq(n.frames[i].offset, addr);
	}
	names_close(&n);
}
END_TEST

START_TEST(a_relative_file_is_joined_to_the_folder_of_the_compiler)
{
	struct names n;

	run("mkdir -p a/b && cp %s/sym_inline.c a/", targets);
	run("cd a/b && gcc -O1 -g -o ../../prog .././../a/sym_inline.c");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(
	    &n, return_address(in_folder("prog"), "outer", "malloc"), false);
	ck_assert_uint_eq(n.nr, 3);
	for (size_t i = 0; i < n.nr; i++)
		ck_assert_str_eq(n.frames[i].file, in_folder("a/sym_inline.c"));
	names_close(&n);
}
END_TEST

START_TEST(a_folder_made_relative_is_not_there_twice)
{
	struct names n;

	run("mkdir -p a/b && cp %s/sym_inline.c a/b", targets);
	run("cd a/b && %s -O1 -g -ffile-prefix-map='%s/a'=. -o ../../prog "
	    "sym_inline.c",
	    _i ? "clang" : "gcc", folder);
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(
	    &n, return_address(in_folder("prog"), "outer", "malloc"), false);
	ck_assert_uint_eq(n.nr, 3);
	for (size_t i = 0; i < n.nr; i++)
		ck_assert_str_eq(n.frames[i].file, "b/sym_inline.c");
	names_close(&n);
}
END_TEST

static void check_cxx(const char *compiler, const char *options)
{
	static const char lambda[] =
	    "app::box<std::string>::put(std::string const&, int)::"
	    "{lambda(int)#1}::operator()";
	struct names n;
	const char *mangled;
	char symbol[1024];

	compile(compiler, options, "sym_names.cpp", "prog");
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	mangled =
	    output_of("nm prog | sed -n 's/.* t \\(_Z.*hidden.*\\)/\\1/p'");
	snprintf(symbol, sizeof(symbol), "%s", mangled);
	names_ask(
	    &n, return_address(in_folder("prog"), symbol, "malloc"), false);
	ck_assert_uint_eq(n.nr, 1);
	expect_frame(&n, 0, "app::(anonymous namespace)::hidden::get",
	    "sym_names.cpp", "hidden", false);
	mangled =
	    output_of("nm prog | sed -n 's/.* [tTwW] \\(_Z.*ENKU.*\\)/\\1/p'");
	snprintf(symbol, sizeof(symbol), "%s", mangled);
	if (!symbol[0])
		mangled = output_of(
		    "nm prog | sed -n 's/.* [tTwW] \\(_Z.*Ul.*\\)/\\1/p'");
	snprintf(symbol, sizeof(symbol), "%s", mangled);
	names_ask(
	    &n, return_address(in_folder("prog"), symbol, "malloc"), false);
	expect_frame(&n, n.nr - 1, lambda, "sym_names.cpp", "lambda", false);
	names_close(&n);
}

START_TEST(cxx_names_of_gcc_are_those_of_the_source)
{
	if (has_tool("g++"))
		check_cxx("g++", flags[_i]);
}
END_TEST

START_TEST(cxx_names_of_clang_are_those_of_the_source)
{
	if (has_tool("clang++"))
		check_cxx("clang++", flags[_i]);
}
END_TEST

START_TEST(lines_are_those_of_addr2line)
{
	struct names n;
	uint64_t start, end;

	if (!has_tool("addr2line"))
		return;
	compile("gcc", "-g -gdwarf-4", "sym_inline.c", "prog");
	start = address_of(in_folder("prog"), "last_call");
	end = address_of(in_folder("prog"), "main");
	if (end < start) {
		uint64_t swap = start;

		start = end;
		end = swap;
	}
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	for (uint64_t at = start; at < end; at++) {
		char mine[4 * PATH_MAX];
		size_t used = 0;

		names_ask(&n, at, true);
		for (size_t i = 0; i < n.nr; i++)
			used +=
			    (size_t)snprintf(mine + used, sizeof(mine) - used,
				"%s %s:%u ", n.frames[i].function,
				n.frames[i].file, n.frames[i].line);
		ck_assert_str_eq(
		    mine, output_of("addr2line -i -f -e prog 0x%" PRIx64
				    " | sed 's/ (disc.*//' | tr '\\n' ' '",
			      at));
	}
	names_close(&n);
}
END_TEST

START_TEST(rust_names_are_readable)
{
	static const char source[] =
	    "mod inner { #[inline(never)] pub fn grow(n: usize) -> Vec<u64> "
	    "{ Vec::with_capacity(n) } }\n"
	    "fn main() { let v = inner::grow(std::env::args().count() * 9);\n"
	    "println!(\\\"{}\\\", v.capacity()); }\n";
	struct names n;
	const char *symbol;

	if (!has_tool("rustc"))
		return;
	run("printf \"%s\" >prog.rs", source);
	if (try_run("rustc -g -O %s prog.rs 2>/dev/null",
		_i ? "-C symbol-mangling-version=v0" : ""))
		return; /* installed without its library */
	symbol = output_of(
	    "nm prog | awk '/[tT] _[ZR].*5inner.*4grow/{print $3; exit}'");
	ck_assert(symbol[0]);
	names_open(&n, NULL, in_folder("prog"), NULL, -1);
	names_ask(&n, address_of(in_folder("prog"), symbol), true);
	ck_assert_str_eq(n.frames[n.nr - 1].function, "prog::inner::grow");
	ck_assert_str_eq(n.frames[n.nr - 1].file, in_folder("prog.rs"));
	names_close(&n);
}
END_TEST

int main(void)
{
	int nr = sizeof(flags) / sizeof(flags[0]);
	Suite *s = suite_create("sym_dwarf");
	TCase *tc = tcase_create("dwarf");

	tcase_add_checked_fixture(tc, enter_folder, leave_folder);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, inlined_calls_of_gcc_are_unfolded, 0, nr);
	tcase_add_loop_test(
	    tc, inlined_calls_of_clang_are_unfolded_without_aranges, 0, nr);
	tcase_add_test(tc, a_return_address_means_the_call_before_it);
	tcase_add_test(tc, each_frame_has_module_and_offset);
	tcase_add_test(
	    tc, a_relative_file_is_joined_to_the_folder_of_the_compiler);
	tcase_add_loop_test(tc, a_folder_made_relative_is_not_there_twice, 0,
	    has_tool("clang") ? 2 : 1);
	/* The DWARF versions. */
	tcase_add_loop_test(tc, cxx_names_of_gcc_are_those_of_the_source, 2, 5);
	tcase_add_loop_test(
	    tc, cxx_names_of_clang_are_those_of_the_source, 2, 5);
	tcase_add_test(tc, lines_are_those_of_addr2line);
	tcase_add_loop_test(tc, rust_names_are_readable, 0, 2);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
