/* SPDX-License-Identifier: MIT */
/* test_base.c - errors, option tables, sizes and times */
#include <check.h>
#include <string.h>

#include "analyzer/base/error.h"
#include "analyzer/base/option.h"

struct values {
	bool flag;
	const char *text;
	uint64_t number, size, time;
	int choice;
};

static const char *const words[] = {"red", "green", NULL};

static const struct seep_option options[] = {
    {"flag", 'f', SEEP_OPTION_FLAG, offsetof(struct values, flag), NULL,
	"a flag", NULL},
    {"text", 't', SEEP_OPTION_STRING, offsetof(struct values, text), "TEXT",
	"a text", NULL},
    {"number", 0, SEEP_OPTION_UINT, offsetof(struct values, number), "N",
	"a number", NULL},
    {"size", 's', SEEP_OPTION_SIZE, offsetof(struct values, size), "SIZE",
	"a size", NULL},
    {"time", 0, SEEP_OPTION_TIME, offsetof(struct values, time), "TIME",
	"a time", NULL},
    {"choice", 0, SEEP_OPTION_CHOICE, offsetof(struct values, choice),
	"red|green", "a choice", words},
    {0},
};

static struct seep_usage usage = {
    .usage = "test [OPTION]... FILE",
    .summary = "Tests.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
};

static struct seep_error *parse(
    struct values *v, char **argv, int *first, bool *help)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return seep_options_parse(&usage, v, argc, argv, first, help);
}

#define ARGV(...) ((char *[]){(char *)"test", __VA_ARGS__, NULL})

START_TEST(options_and_operands_may_come_in_any_order)
{
	struct values v = {0};
	char **argv = ARGV((char *)"-f", (char *)"file", (char *)"--size=4k",
	    (char *)"--time", (char *)"1.5s", (char *)"--choice",
	    (char *)"green", (char *)"-t", (char *)"x y", (char *)"--number",
	    (char *)"7");
	bool help;
	int first;

	ck_assert_ptr_null(parse(&v, argv, &first, &help));
	ck_assert(v.flag && !help);
	ck_assert_str_eq(v.text, "x y");
	ck_assert_uint_eq(v.number, 7);
	ck_assert_uint_eq(v.size, 4096);
	ck_assert_uint_eq(v.time, 1500);
	ck_assert_int_eq(v.choice, 1);
	ck_assert_str_eq(argv[first], "file");
}
END_TEST

START_TEST(what_follows_a_program_is_not_ours)
{
	struct values v = {0};
	char **argv = ARGV(
	    (char *)"-f", (char *)"prog", (char *)"--size=x", (char *)"-h");
	bool help;
	int first;

	usage.stop_at_operand = true;
	usage.max_operands = -1;
	ck_assert_ptr_null(parse(&v, argv, &first, &help));
	ck_assert(!help);
	ck_assert_str_eq(argv[first], "prog");
	ck_assert_str_eq(argv[first + 2], "-h");
}
END_TEST

static const struct {
	const char *args[3];
	const char *words;
} wrong[] = {
    {{"--nothing", "f", NULL}, "'--nothing' is not known"},
    {{"-x", "f", NULL}, "'-x' is not known"},
    {{"f", "-t", NULL}, "needs an argument"},
    {{"f", "--text", NULL}, "needs an argument"},
    {{"--size=", "f", NULL}, "is not understood"},
    {{"--size=-1", "f", NULL}, "is not understood"},
    {{"--size=1q", "f", NULL}, "is not understood"},
    {{"--size=inf", "f", NULL}, "is not understood"},
    {{"--size=0x10", "f", NULL}, "is not understood"},
    {{"--size=99999999999999999999", "f", NULL}, "is not understood"},
    {{"--time=5y", "f", NULL}, "is not understood"},
    {{"--number=1x", "f", NULL}, "is not a number"},
    {{"--number=-1", "f", NULL}, "is not a number"},
    {{"--number=99999999999", "f", NULL}, "is not a number"},
    {{"--choice=blue", "f", NULL}, "is not one of red|green"},
    {{"f", "g", NULL}, "unexpected argument 'g'"},
    {{NULL}, "too few arguments"},
};

START_TEST(a_wrong_command_line_says_what_is_wrong)
{
	char **argv = ARGV((char *)wrong[_i].args[0], (char *)wrong[_i].args[1],
	    (char *)wrong[_i].args[2]);
	struct values v = {0};
	struct seep_error *err;
	bool help;
	int first;

	err = parse(&v, argv, &first, &help);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(seep_error_status(err), 2);
	ck_assert_msg(strstr(seep_error_text(err), wrong[_i].words) != NULL,
	    "'%s' lacks '%s'", seep_error_text(err), wrong[_i].words);
	seep_error_destroy(err);
}
END_TEST

START_TEST(help_lists_every_option)
{
	struct values v = {0};
	char **argv = ARGV((char *)"--help", (char *)"--size=x");
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool help;
	int first;

	ck_assert_ptr_null(parse(&v, argv, &first, &help));
	ck_assert(help);
	seep_options_print(&usage, f);
	fclose(f);
	for (const struct seep_option *o = options; o->name; o++)
		ck_assert_ptr_nonnull(strstr(text, o->name));
	ck_assert_ptr_nonnull(strstr(text, "-s, --size SIZE"));
	ck_assert_ptr_nonnull(strstr(text, "-h, --help"));
	free(text);
}
END_TEST

static const struct {
	const char *text;
	uint64_t bytes;
} sizes[] = {{"0", 0}, {"1", 1}, {"1b", 1}, {"4096", 4096}, {"1k", 1024},
    {"1.5M", 1572864}, {"2GiB", 2147483648}, {"1t", 1099511627776},
    {"9007199254740993", 9007199254740993}};

START_TEST(sizes_have_units)
{
	uint64_t bytes;

	ck_assert_ptr_null(seep_parse_size(sizes[_i].text, "x", &bytes));
	ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

static const struct {
	const char *text;
	uint64_t ms;
} times[] = {{"1", 1000}, {"0.5", 500}, {"200ms", 200}, {"2s", 2000},
    {"5min", 300000}, {"1m", 60000}, {"1h", 3600000}, {"1d", 86400000}};

START_TEST(times_have_units)
{
	uint64_t ms;

	ck_assert_ptr_null(seep_parse_time(times[_i].text, "x", &ms));
	ck_assert_uint_eq(ms, times[_i].ms);
}
END_TEST

START_TEST(an_error_grows_on_its_way_up)
{
	struct seep_error *err;

	err = seep_error_errno(2, "reading '%s'", "a");
	err = seep_error_wrap(err, "opening %d", 7);
	ck_assert_str_eq(seep_error_text(err),
	    "opening 7: reading 'a': No such file or directory");
	ck_assert_int_eq(seep_error_status(err), 3);
	seep_error_destroy(err);
	err = seep_error_new(SEEP_ERROR_NOT_MEASURED, "static");
	err = seep_error_wrap(err, "running");
	ck_assert_int_eq(seep_error_status(err), 125);
	seep_error_destroy(err);
	seep_error_destroy(NULL);
}
END_TEST

#define NR(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *s = suite_create("base");
	TCase *tc = tcase_create("base");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, options_and_operands_may_come_in_any_order);
	tcase_add_test(tc, what_follows_a_program_is_not_ours);
	tcase_add_loop_test(
	    tc, a_wrong_command_line_says_what_is_wrong, 0, NR(wrong));
	tcase_add_test(tc, help_lists_every_option);
	tcase_add_loop_test(tc, sizes_have_units, 0, NR(sizes));
	tcase_add_loop_test(tc, times_have_units, 0, NR(times));
	tcase_add_test(tc, an_error_grows_on_its_way_up);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
