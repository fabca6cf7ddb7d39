/* SPDX-License-Identifier: MIT */
/* test_model.c - blame, fingerprints, stacks and trends */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/model/report.h"

/* ---- names -------------------------------------------------------------- */

static const struct {
	const char *name, *normal;
} names[] = {
    {"main", "main"},
    {"", ""},
    {"f.isra.0", "f"},
    {"f.constprop.3.cold", "f"},
    {".hidden", ".hidden"},
    {"void ns::Vec<int>::push(int const&) [clone .cold]", "ns::Vec::push"},
    {"std::vector<int, std::allocator<int> >::push_back(int&&)",
	"std::vector::push_back"},
    {"operator new(unsigned long)", "operator new"},
    {"operator new[](unsigned long, std::nothrow_t const&)", "operator new[]"},
    {"foo(int)::{lambda(int)#1}::operator()(int) const", "foo::{}::operator()"},
    {"(anonymous namespace)::bar(char*)", "(anonymous namespace)::bar"},
    {"A::operator<<(int)", "A::operator<<"},
    {"A::operator bool() const", "A::operator bool"},
    {"std::ostream& operator<< <char>(std::ostream&, char)", "operator<<"},
    {"<alloc::vec::Vec<T,A> as core::ops::Drop>::drop",
	"alloc::vec::Vec::drop"},
    {"core::ptr::drop_in_place::h0123456789abcdef", "core::ptr::drop_in_place"},
    {"decltype(auto) std::visit<x>(y)", "std::visit"},
    {"x::foo[abi:cxx11](int)", "x::foo"},
    {"((((", "(((("},
    {"a<b", "a"},
};

START_TEST(a_name_loses_what_compilers_add)
{
	char *normal = seep_function_normalise(names[_i].name);

	ck_assert_str_eq(normal, names[_i].normal);
	free(normal);
}
END_TEST

START_TEST(any_text_has_a_normal_form)
{
	static const char letters[] = "<>(){}[]: ,.-&*~aoperator new";
	unsigned long long r = 88172645463325252ull;
	char text[32];

	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)(i % 30);

		for (size_t k = 0; k < len; k++) {
			r ^= r << 13;
			r ^= r >> 7;
			r ^= r << 17;
			text[k] = letters[r % (sizeof(letters) - 1)];
		}
		text[len] = '\0';
		free(seep_function_normalise(text));
	}
}
END_TEST

/* ---- blame -------------------------------------------------------------- */

#define MAX_FRAMES 6

static const struct {
	const char *functions[MAX_FRAMES]; /* "module!function" */
	size_t blame;
} stacks[] = {
    {{"prog!leak", "prog!main"}, 0},
    {{"prog!malloc", "prog!leak", "prog!main"}, 1},
    {{"libjemalloc.so.2!anything", "prog!leak"}, 1},
    {{"libstdc++.so.6!operator new(unsigned long)",
	 "prog!std::vector<int>::_M_realloc_insert(int)", "prog!fill"},
	2},
    {{"libc.so.6!strdup", "prog!name", "prog!main"}, 1},
    {{"libc.so.6!?", "libc.so.6!qsort", "prog!sort"}, 2},
    {{"prog!xmalloc", "prog!new_node", "prog!main"}, 1},
    {{"libsqlite3.so.0!sqlite3MemMalloc", "libsqlite3.so.0!sqlite3Malloc",
	 "libsqlite3.so.0!sqlite3VdbeCreate", "prog!main"},
	2},
    {{"python3!_PyObject_GC_New", "python3!PyDict_New"}, 1},
    {{"python3!_PyObject_Vectorcall", "python3!main"}, 0},
    {{"prog!leak_malloc", "prog!main"}, 0}, /* not a known wrapper */
    {{"prog!?", "prog!main"}, 0},
    {{"libc.so.6!malloc", "ld-linux-x86-64.so.2!_dl_new_object",
	 "ld-linux-x86-64.so.2!_dl_map_object"},
	1},
    {{"prog!malloc", "cut"}, 0},
    {{"cut"}, 0},
};

/* Adds the stack outermost first; texts are interned. */
static uint32_t add_stack(
    struct seep_stacks *s, const char *const *functions, int nr, uint32_t line)
{
	uint32_t number = 0;

	while (nr--) {
		struct seep_frame f = {.line = line, .offset = 0x10};
		const char *name = strchr(functions[nr], '!');
		char module[64];

		if (name) {
			snprintf(module, sizeof(module), "/usr/lib/%.*s",
			    (int)(name - functions[nr]), functions[nr]);
			f.module = (char *)seep_stacks_intern(s, module);
			if (strcmp(name, "!?"))
				f.function =
				    (char *)seep_stacks_intern(s, name + 1);
		} else {
			f.truncated = true;
		}
		number = seep_stacks_add(
		    s, number, seep_stacks_add_address(s, &f, 1));
		ck_assert_uint_ne(number, 0);
	}
	return number;
}

static int count_frames(const char *const *functions)
{
	int nr = 0;

	while (nr < MAX_FRAMES && functions[nr])
		nr++;
	return nr;
}

START_TEST(the_blame_is_on_the_first_frame_that_is_no_wrapper)
{
	struct seep_stack stack = {0};
	struct seep_stacks s;
	uint32_t number;

	ck_assert(seep_stacks_init(&s));
	number = add_stack(
	    &s, stacks[_i].functions, count_frames(stacks[_i].functions), 0);
	ck_assert(seep_stack_load(&stack, &s, number));
	ck_assert_uint_eq(stack.blame, stacks[_i].blame);
	seep_stack_deinit(&stack);
	seep_stacks_deinit(&s);
}
END_TEST

static void fingerprint(
    const char *const *functions, int nr, uint32_t line, char ret[24])
{
	struct seep_stack stack = {0};
	struct seep_stacks s;

	ck_assert(seep_stacks_init(&s));
	ck_assert(
	    seep_stack_load(&stack, &s, add_stack(&s, functions, nr, line)));
	memcpy(ret, stack.fingerprint, 24);
	seep_stack_deinit(&stack);
	seep_stacks_deinit(&s);
}

START_TEST(a_fingerprint_knows_functions_and_not_lines)
{
	static const char *const a[] = {"libc.so.6!malloc",
	    "prog!void leak<int>(int) [clone .cold]", "prog!main",
	    "libc.so.6!?"};
	static const char *const b[] = {"libjemalloc.so.2!je_malloc",
	    "prog!void leak<char>(char)", "prog!main"};
	static const char *const c[] = {
	    "libc.so.6!malloc", "prog!other(int)", "prog!main"};
	char fa[24], fb[24], fc[24], again[24];

	fingerprint(a, 4, 10, fa);
	fingerprint(b, 3, 77, fb);
	fingerprint(c, 3, 10, fc);
	fingerprint(a, 4, 10, again);
	ck_assert_str_eq(fa, fb);
	ck_assert_str_ne(fa, fc);
	ck_assert_str_eq(fa, again);
	ck_assert_uint_eq(strlen(fa), 19);
	/* version 1 stays what it is: recordings are compared by it */
	ck_assert_str_eq(fa, "v1:ac9cc58971483229");
}
END_TEST

START_TEST(stacks_that_read_the_same_are_one)
{
	static const char *const f[] = {"prog!leak", "prog!main"};
	struct seep_frame frame = {.line = 3, .offset = 1};
	struct seep_stacks s;
	uint32_t a, b;

	ck_assert(seep_stacks_init(&s));
	ck_assert_uint_eq(add_stack(&s, f, 2, 5), add_stack(&s, f, 2, 5));
	ck_assert_uint_ne(add_stack(&s, f, 2, 5), add_stack(&s, f, 2, 6));
	/* two calls on one line */
	a = seep_stacks_add_address(&s, &frame, 1);
	frame.offset = 2;
	b = seep_stacks_add_address(&s, &frame, 1);
	ck_assert_uint_eq(a, b);
	/* without a line the place in the code is all there is */
	frame.line = 0;
	a = seep_stacks_add_address(&s, &frame, 1);
	frame.offset = 3;
	b = seep_stacks_add_address(&s, &frame, 1);
	ck_assert_uint_ne(a, b);
	for (uint32_t i = 0; i < 5000; i++) {
		frame.offset = 100 + i;
		a = seep_stacks_add_address(&s, &frame, 1);
		ck_assert_uint_eq(
		    seep_stacks_add(&s, i, a), seep_stacks_add(&s, i, a));
	}
	seep_stacks_deinit(&s);
}
END_TEST

START_TEST(a_limited_stack_is_cut_visibly)
{
	static const char *const f[] = {
	    "prog!a", "prog!b", "prog!c", "prog!d", "prog!main"};
	struct seep_stack stack = {0};
	struct seep_stacks s;
	uint32_t number;

	ck_assert(seep_stacks_init(&s));
	number = add_stack(&s, f, 5, 1);
	ck_assert(seep_stacks_limit(&s, 2));
	ck_assert(seep_stack_load(&stack, &s, number));
	ck_assert_uint_eq(stack.nr, 3);
	ck_assert_str_eq(stack.frames[1]->function, "b");
	ck_assert(stack.frames[2]->truncated);
	seep_stack_deinit(&stack);
	seep_stacks_deinit(&s);
}
END_TEST

/* ---- trends ------------------------------------------------------------- */

enum shape {
	LEAK,
	SLOW_LEAK, /* now and then */
	NOISY_LEAK,
	FULL_CACHE,
	STEADY,
	CHURN,
	SHRINKING,
	NR_SHAPES
};

static uint64_t value(enum shape shape, uint32_t i, uint32_t nr)
{
	uint64_t noise = (i * 2654435761u) >> 24; /* 0 to 255 */

	switch (shape) {
	case LEAK:
		return i * 1000;
	case SLOW_LEAK:
		return i * 8 / nr * 16;
	case NOISY_LEAK:
		return i * 1000 + noise * 4;
	case FULL_CACHE:
		return (i < nr / 2 ? i : nr / 2) * 1000;
	case STEADY:
		return 5000;
	case CHURN:
		return 100000 + noise * 100 + (i == nr ? 100 : 0);
	case SHRINKING:
		return (nr - i) * 10;
	case NR_SHAPES:
		break;
	}
	return 0;
}

static const struct {
	enum shape shape;
	uint32_t nr;
	enum seep_trend trend;
} trends[] = {
    {LEAK, 1, SEEP_TREND_GREW},
    {LEAK, 3, SEEP_TREND_GROWING},
    {LEAK, 4, SEEP_TREND_GROWING},
    {LEAK, 5, SEEP_TREND_GROWING},
    {LEAK, 100, SEEP_TREND_GROWING},
    {SLOW_LEAK, 100, SEEP_TREND_GROWING},
    {NOISY_LEAK, 100, SEEP_TREND_GROWING},
    {FULL_CACHE, 3, SEEP_TREND_STOPPED},
    {FULL_CACHE, 100, SEEP_TREND_STOPPED},
    {FULL_CACHE, 9, SEEP_TREND_STOPPED},
    {STEADY, 1, SEEP_TREND_NONE},
    {STEADY, 100, SEEP_TREND_NONE},
    {SHRINKING, 100, SEEP_TREND_NONE},
};

static struct seep_series make_series(enum shape shape, uint32_t nr)
{
	uint64_t last = value(shape, 0, nr);
	struct seep_series s;

	seep_series_init(&s, nr, last);
	for (uint32_t i = 1; i <= nr; i++) {
		uint64_t now = value(shape, i, nr);

		/* as the recording has it: only what changed */
		if (now != last)
			seep_series_add(&s, i, now);
		last = now;
	}
	seep_series_end(&s);
	return s;
}

START_TEST(growth_that_never_stops_is_told_from_growth_that_did)
{
	struct seep_series s = make_series(trends[_i].shape, trends[_i].nr);

	ck_assert_int_eq(seep_series_trend(&s), trends[_i].trend);
	if (trends[_i].shape == LEAK)
		ck_assert_uint_eq(s.grew_in, trends[_i].nr);
}
END_TEST

START_TEST(a_site_that_goes_up_and_down_is_not_called_growing)
{
	for (uint32_t nr = 20; nr < 200; nr++) {
		struct seep_series s = make_series(CHURN, nr);
		enum seep_trend t = seep_series_trend(&s);

		ck_assert_int_ne(t, SEEP_TREND_GROWING);
	}
}
END_TEST

START_TEST(what_a_site_held_before_is_no_growth_of_a_short_window)
{
	struct seep_series churn = make_series(CHURN, 20);
	struct seep_series leak = make_series(LEAK, 20);
	struct seep_series steady = make_series(STEADY, 20);
	struct seep_series now;

	/* up again, to less than it once was */
	seep_series_init(&now, 2, churn.last - 5000);
	seep_series_add(&now, 2, churn.last);
	seep_series_end(&now);
	ck_assert(seep_series_is_usual(&churn, &now));
	/* more than ever, but the ups and downs are larger */
	seep_series_init(&now, 1, churn.last);
	seep_series_add(&now, 1, churn.most + 100);
	seep_series_end(&now);
	ck_assert(seep_series_is_usual(&churn, &now));

	seep_series_init(&now, 1, leak.last);
	seep_series_add(&now, 1, leak.last + 10);
	seep_series_end(&now);
	ck_assert(!seep_series_is_usual(&leak, &now));
	seep_series_init(&now, 1, steady.last);
	seep_series_add(&now, 1, steady.last + 10);
	seep_series_end(&now);
	ck_assert(!seep_series_is_usual(&steady, &now));
}
END_TEST

#define NR(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *s = suite_create("model");
	TCase *tc = tcase_create("model");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, a_name_loses_what_compilers_add, 0, NR(names));
	tcase_add_test(tc, any_text_has_a_normal_form);
	tcase_add_loop_test(tc,
	    the_blame_is_on_the_first_frame_that_is_no_wrapper, 0, NR(stacks));
	tcase_add_test(tc, a_fingerprint_knows_functions_and_not_lines);
	tcase_add_test(tc, stacks_that_read_the_same_are_one);
	tcase_add_test(tc, a_limited_stack_is_cut_visibly);
	tcase_add_loop_test(tc,
	    growth_that_never_stops_is_told_from_growth_that_did, 0,
	    NR(trends));
	tcase_add_test(tc, a_site_that_goes_up_and_down_is_not_called_growing);
	tcase_add_test(
	    tc, what_a_site_held_before_is_no_growth_of_a_short_window);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
