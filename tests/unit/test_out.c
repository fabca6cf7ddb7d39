/* SPDX-License-Identifier: MIT */
/* test_out.c - reports as text, JSON and folded stacks */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/out/format.h"
#include "analyzer/out/out.h"
#include "tests/unit/json_schema.h"

/* ---- a report with one of everything ------------------------------------ */

struct fixture {
	struct seep_stacks stacks;
	struct seep_report report;
	uint32_t numbers[3];
	char *text;
	size_t size;
	FILE *f;
};

static uint32_t add(struct seep_stacks *s, uint32_t parent,
    const struct seep_frame *frames, uint32_t nr)
{
	struct seep_frame copy[4];

	for (uint32_t i = 0; i < nr; i++) {
		copy[i] = frames[i];
		if (frames[i].function)
			copy[i].function =
			    (char *)seep_stacks_intern(s, frames[i].function);
		if (frames[i].file)
			copy[i].file =
			    (char *)seep_stacks_intern(s, frames[i].file);
		if (frames[i].module)
			copy[i].module =
			    (char *)seep_stacks_intern(s, frames[i].module);
	}
	return seep_stacks_add(s, parent, seep_stacks_add_address(s, copy, nr));
}

static void add_stacks(struct fixture *f)
{
	static char prog[] = "/usr/bin/prog", libc[] = "/lib/libc.so.6";
	struct seep_frame start = {.function = (char *)"__libc_start_main",
	    .module = libc,
	    .offset = 5};
	struct seep_frame inl[2] = {{.function = (char *)"inner",
					.file = (char *)"a.c",
					.line = 7,
					.module = prog,
					.offset = 16,
					.inlined = true},
	    {.function = (char *)"main",
		.file = (char *)"a.c",
		.line = 9,
		.module = prog,
		.offset = 16}};
	struct seep_frame alloc = {
	    .function = (char *)"xmalloc", .module = prog, .offset = 32};
	struct seep_frame evil = {.function = (char *)"a;b\x1b[31m\xff",
	    .file = (char *)"\xc2\x9b.c",
	    .line = 1,
	    .module = prog};
	struct seep_frame cut = {.truncated = true};
	struct seep_frame bare = {.module = prog, .offset = 0x1234};
	uint32_t n;

	n = add(&f->stacks, 0, &start, 1);
	n = add(&f->stacks, n, inl, 2);
	f->numbers[0] = add(&f->stacks, n, &alloc, 1);
	n = add(&f->stacks, 0, &cut, 1);
	f->numbers[1] = add(&f->stacks, n, &evil, 1);
	f->numbers[2] = add(&f->stacks, 0, &bare, 1);
}

static void add_process(struct fixture *f, uint32_t pid, uint64_t bytes)
{
	struct seep_report_process *p =
	    &f->report.processes[f->report.nr_processes++];

	p->process = (struct seep_process){
	    .pid = pid,
	    .exe = strdup("/usr/bin/prog"),
	    .command = calloc(3, sizeof(char *)),
	    .state = SEEP_PROCESS_EXITED,
	    .exit_code = 3,
	    .exit_signal = -1,
	    .end_ms = 1500,
	    .totals = {.live_blocks = 4,
		.live_bytes = bytes,
		.alloc_blocks = 10,
		.alloc_bytes = 5000},
	    .peak_live_bytes = 4321,
	    .rss_bytes = 1 << 20,
	};
	p->process.command[0] = strdup("prog");
	p->process.command[1] = strdup("\x1b]0;title\x07");
	p->nr_sites = 4;
	p->sites = calloc(4, sizeof(*p->sites));
	for (int i = 0; i < 3; i++)
		p->sites[i] = (struct seep_site){
		    .stack = f->numbers[i],
		    .counts = {.live_blocks = (uint64_t)i + 1,
			.live_bytes = 1234567890 >> (i * 8),
			.alloc_blocks = 7},
		    .oldest_age_ms = i ? 1000 : SEEP_AGE_UNKNOWN,
		    .newest_age_ms = i ? 10 : SEEP_AGE_UNKNOWN,
		};
	/* nothing alive */
	p->sites[3] = (struct seep_site){
	    .stack = f->numbers[2],
	    .class_ = SEEP_CLASS_REACHABLE,
	    .counts = {.alloc_blocks = 5, .free_blocks = 5},
	};
}

/* What was recorded is a sample; the process's third site is exact. */
static void add_variances(struct seep_report_process *p)
{
	p->process.sample_bytes = 65536;
	p->process.totals.var = (struct seep_variances){.live_blocks = 4,
	    .live_bytes = 10000,
	    .alloc_blocks = 9,
	    .alloc_bytes = 640000};
	for (int i = 0; i < 2; i++)
		p->sites[i].counts.var =
		    (struct seep_variances){.live_blocks = 0.25,
			.live_bytes = 1e6,
			.alloc_blocks = 16,
			.alloc_bytes = 1e8};
}

/* The first site of the process has histories: four that ended of five. */
static void add_histories(
    struct fixture *f, struct seep_report_process *p, uint64_t every)
{
	struct seep_report_histories *h = &p->histories;

	h->how.every = every;
	h->nr_sites = 1;
	h->sites = calloc(1, sizeof(*h->sites));
	h->counts = calloc(2, sizeof(*h->counts));
	h->freed = calloc(2, sizeof(*h->freed));
	h->counts[0] =
	    (struct seep_lifetime_count){seep_lifetime_class(100), 3};
	h->counts[1] =
	    (struct seep_lifetime_count){seep_lifetime_class(5000000), 1};
	h->freed[0] = (struct seep_freed_by){f->numbers[0], 3};
	h->freed[1] = (struct seep_freed_by){f->numbers[1], 1};
	h->sites[0] = (struct seep_site_history){
	    .lifetime = {.begun = 5,
		.ended = 4,
		.temporary = 3,
		.elsewhere = 1,
		.total_ns = 5000300,
		.min_ns = 100,
		.max_ns = 5000000},
	    .counts = h->counts,
	    .nr_counts = 2,
	    .freed = h->freed,
	    .nr_freed = 2,
	};
	p->sites[0].history = 1;
}

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	ck_assert(seep_stacks_init(&f->stacks));
	add_stacks(f);
	f->report.stacks = &f->stacks;
	f->report.processes = calloc(3, sizeof(*f->report.processes));
	f->report.causes[6].name = strdup("nested");
	f->report.causes[6].meaning = strdup("operations that were skipped");
	f->f = open_memstream(&f->text, &f->size);
}

static void fixture_deinit(struct fixture *f)
{
	seep_report_deinit(&f->report);
	seep_stacks_deinit(&f->stacks);
	free(f->text);
}

static void done(struct fixture *f, struct seep_error *err)
{
	ck_assert_msg(!err, "%s", seep_error_text(err));
	fclose(f->f);
}

static const struct seep_text_options usual = {
    .top = SEEP_TEXT_TOP, .depth = SEEP_TEXT_DEPTH};

static const char *find(const char *text, const char *what)
{
	const char *at = strstr(text, what);

	ck_assert_msg(at != NULL, "no '%s' in:\n%s", what, text);
	return at;
}

static void lacks(const char *text, const char *what)
{
	ck_assert_msg(!strstr(text, what), "'%s' in:\n%s", what, text);
}

/* ---- text --------------------------------------------------------------- */

START_TEST(drops_come_before_the_results)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	f.report.processes[0].process.drops[6] = 3;
	f.report.processes[0].process.drops[31] = 1;
	done(&f, seep_text_report(&f.report, &usual, f.f));
	ck_assert(find(f.text, "nested 3: operations that were skipped") <
		  find(f.text, "alive "));
	find(f.text, "cause-31 1");
	fixture_deinit(&f);
}
END_TEST

START_TEST(histories_say_how_long_and_who_freed)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	add_histories(&f, &f.report.processes[0], 1);
	done(&f, seep_text_report(&f.report, &usual, f.f));
	find(f.text, "histories  of all 5 blocks, 4 ended, 3 of them temp");
	find(f.text, "lifetime: median 1");
	find(f.text, "95 % under 5.0 ms, 75 % temporary, 25 % freed by anot");
	find(f.text, "\n      freed by: inner a.c:7 [inlined], 75 %\n"
		     "                a;b");
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_sample_of_histories_is_called_one)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	add_histories(&f, &f.report.processes[0], 1024);
	done(&f, seep_text_report(&f.report, &usual, f.f));
	find(f.text, "histories  of a sample: 5 blocks, 4 ended");
	find(f.text, "lifetime (of 4 sampled): median 1");
	/* 7 were allocated: 3 of 5 are 4 of 7. */
	ck_assert_uint_eq(seep_site_temporary(&f.report.processes[0].histories,
			      &f.report.processes[0].sites[0]),
	    4);
	fixture_deinit(&f);
}
END_TEST

START_TEST(bytes_have_all_their_digits)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1234567890123);
	done(&f, seep_text_report(&f.report, &usual, f.f));
	find(f.text, "1234567890123 bytes (1.1 TiB) in 4 blocks");
	find(f.text, "#1  1234567890 bytes (1.1 GiB) in 1 block");
	find(f.text, "exited with 3 after 1.5 s");
	fixture_deinit(&f);
}
END_TEST

START_TEST(the_blame_frame_comes_first_and_main_last)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	done(&f, seep_text_report(&f.report, &usual, f.f));
	find(f.text, "\n      inner a.c:7 [inlined]\n        through xmalloc\n"
		     "        main a.c:9\n\n");
	lacks(f.text, "__libc_start_main");
	find(f.text, "(the stack was cut here)");
	find(f.text, "prog+0x1234");
	lacks(f.text, "#4");
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_long_path_keeps_its_end)
{
	struct seep_frame frame = {.function = (char *)"f",
	    .line = 9,
	    .file = (char *)"/build/reproducible-path/python3.11-3.11.2/"
			    "Objects/dictobject.c"};
	struct fixture f;

	fixture_init(&f);
	seep_print_frame(f.f, &frame);
	frame.file = (char *)"/home/me/src/project/a.c";
	seep_print_frame(f.f, &frame);
	frame.file = (char *)"very_long_names_of_files_have_to_be_shown_as_"
			     "they_are.c";
	seep_print_frame(f.f, &frame);
	done(&f, NULL);
	ck_assert_str_eq(f.text,
	    "f .../Objects/dictobject.c:9f /home/me/src/project/a.c:9f very_"
	    "long_names_of_files_have_to_be_shown_as_they_are.c:9");
	fixture_deinit(&f);
}
END_TEST

START_TEST(what_is_cut_is_summed)
{
	struct seep_text_options opt = {.top = 1, .depth = 1};
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	done(&f, seep_text_report(&f.report, &opt, f.f));
	find(f.text, "and 2 more sites with 4841368 bytes (4.6 MiB) in 5 "
		     "blocks (--all lists them)");
	find(f.text, "and 1 more frame");
	fixture_deinit(&f);
}
END_TEST

START_TEST(small_processes_have_a_line_each)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000000);
	add_process(&f, 8, 10);
	add_process(&f, 9, 900000);
	f.report.processes[2].process.state = SEEP_PROCESS_EXECED;
	f.report.processes[1].process.drops[6] = 5;
	done(&f, seep_text_report(&f.report, &usual, f.f));
	/* without what an exec replaced */
	find(f.text, "3 processes, 1000010 bytes (976.6 KiB) in 8 blocks");
	find(f.text, "pid 8, exited with 3 after 1.5 s): 10 bytes in 4");
	find(f.text, "not recorded: nested 5");
	find(f.text, "pid 9, replaced by exec");
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_terminal_gets_nothing_to_obey)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	done(&f, seep_text_report(&f.report, &usual, f.f));
	lacks(f.text, "\x1b");
	lacks(f.text, "\x07");
	lacks(f.text, "\xc2\x9b");
	find(f.text, "a;b\\x1b[31m\\xff \\xc2\\x9b.c:1");
	fixture_deinit(&f);
}
END_TEST

static struct seep_growth make_growth(
    struct fixture *f, struct seep_growth_site *sites)
{
	return (struct seep_growth){
	    .stacks = &f->stacks,
	    .process = f->report.processes[0].process,
	    .from = {.id = 3, .at_ms = 100, .totals = {.live_bytes = 10}},
	    .to = {.id = 9, .at_ms = 700, .totals = {.live_bytes = 1010}},
	    .nr_snapshots = 6,
	    .warm_up = true,
	    .sites = sites,
	    .nr_sites = 2,
	    .stopped = {.nr_sites = 1, .delta_bytes = 77},
	};
}

static struct seep_growth_site growth_sites[2] = {
    {.delta_blocks = 5,
	.delta_bytes = 5000,
	.now = {.live_blocks = 6, .live_bytes = 6000},
	.oldest_age_ms = 600,
	.trend = {SEEP_TREND_GROWING, 6, 6}},
    {.delta_blocks = -1,
	.delta_bytes = 20,
	.now = {.live_blocks = 1, .live_bytes = 40},
	.oldest_age_ms = SEEP_AGE_UNKNOWN,
	.trend = {SEEP_TREND_STOPPED, 2, 6}}};

START_TEST(growth_names_change_and_trend)
{
	struct seep_growth g;
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	growth_sites[0].stack = f.numbers[0];
	growth_sites[1].stack = f.numbers[1];
	g = make_growth(&f, growth_sites);
	done(&f, seep_text_growth(&g, &usual, f.f));
	find(f.text, "from snapshot 3 (at 100 ms, after the warm-up) to 9 (at "
		     "700 ms), 6 snapshots");
	find(f.text, "#1  +5000 bytes (+4.9 KiB) and +5 blocks, never stops "
		     "growing: in 6 of 6 snapshots");
	find(f.text, "now 6000 bytes (5.9 KiB) in 6 blocks, the oldest 600 ms "
		     "old\n      inner a.c:7");
	find(f.text, "+20 bytes and -1 blocks, grew, then stopped");
	find(f.text, "1 site grew, then stopped: +77 bytes");
	fixture_deinit(&f);
}
END_TEST

/* ---- JSON --------------------------------------------------------------- */

START_TEST(a_report_is_as_its_schema_says)
{
	struct fixture f;
	json_t *j, *p, *site;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	add_process(&f, 8, 10);
	f.report.processes[0].process.drops[6] = 3;
	f.report.processes[1].process.exit_signal = 9;
	f.report.processes[1].process.exit_code = -1;
	add_histories(&f, &f.report.processes[0], 1);
	done(&f, seep_json_report(&f.report, 0, f.f));
	j = schema_parse("seep-report-1", f.text);
	p = json_array_get(json_object_get(j, "processes"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(
			     json_object_get(p, "drops"), "nested")),
	    3);
	ck_assert_uint_eq(json_array_size(json_object_get(p, "sites")), 4);
	site = json_array_get(json_object_get(p, "sites"), 0);
	ck_assert_int_eq(
	    json_integer_value(json_object_get(site, "live_bytes")),
	    1234567890);
	ck_assert_int_eq(json_integer_value(json_object_get(site, "blame")), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(site, "frames")), 4);
	json_decref(j);
	fixture_deinit(&f);
}
END_TEST

static json_int_t member(const json_t *j, const char *name)
{
	const json_t *value = json_object_get(j, name);

	ck_assert_msg(json_is_integer(value), "no number '%s'", name);
	return json_integer_value(value);
}

START_TEST(a_report_of_a_sample_is_as_its_schema_says)
{
	struct fixture f;
	json_t *j, *p, *site;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	add_variances(&f.report.processes[0]);
	done(&f, seep_json_report(&f.report, 0, f.f));
	j = schema_parse("seep-report-1", f.text);
	p = json_array_get(json_object_get(j, "processes"), 0);
	ck_assert_int_eq(member(p, "sample_bytes"), 65536);
	ck_assert_int_eq(
	    member(json_object_get(p, "totals"), "live_bytes_stderr"), 100);
	ck_assert_int_eq(
	    member(json_object_get(p, "totals"), "alloc_blocks_stderr"), 3);
	site = json_array_get(json_object_get(p, "sites"), 0);
	ck_assert_int_eq(member(site, "live_blocks_stderr"), 1);
	ck_assert_int_eq(member(site, "live_bytes_stderr"), 1000);
	ck_assert_int_eq(member(site, "alloc_bytes_stderr"), 10000);
	site = json_array_get(json_object_get(p, "sites"), 2);
	ck_assert_int_eq(member(site, "live_bytes_stderr"), 0);
	json_decref(j);
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_report_of_a_sample_says_so_first)
{
	static const char says[] =
	    "sampled at a mean interval of 65536 bytes (64.0 KiB): figures are "
	    "estimates +/- their\nstandard error,";
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	add_variances(&f.report.processes[0]);
	done(&f, seep_text_report(&f.report, &usual, f.f));
	ck_assert_msg(!strncmp(f.text, says, strlen(says)), "%s", f.text);
	find(f.text, "alive      1000 +/- 100 bytes in 4 +/- 2 blocks\n");
	find(f.text, "allocated  5000 +/- 800 bytes (4.9 KiB) in 10 +/- 3 "
		     "blocks");
	find(f.text, "#1  1234567890 +/- 1000 bytes (1.1 GiB) in 1 +/- 1 "
		     "block\n");
	/* what is exact has no error */
	find(f.text, "#3  18838 bytes (18.4 KiB) in 3 blocks");
	fixture_deinit(&f);
}
END_TEST

START_TEST(exact_figures_have_no_errors)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	done(&f, seep_text_report(&f.report, &usual, f.f));
	ck_assert_ptr_null(strstr(f.text, "+/-"));
	ck_assert_ptr_null(strstr(f.text, "estimates"));
	free(f.text);
	f.f = open_memstream(&f.text, &f.size);
	done(&f, seep_json_report(&f.report, 0, f.f));
	find(f.text, "\"sample_bytes\":0,");
	ck_assert_ptr_null(strstr(f.text, "stderr"));
	fixture_deinit(&f);
}
END_TEST

START_TEST(an_empty_report_is_as_its_schema_says)
{
	struct fixture f;

	fixture_init(&f);
	done(&f, seep_json_report(&f.report, 0, f.f));
	json_decref(schema_parse("seep-report-1", f.text));
	fixture_deinit(&f);
}
END_TEST

START_TEST(growth_is_as_its_schema_says)
{
	struct seep_growth g;
	struct fixture f;
	json_t *j;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	growth_sites[0].stack = f.numbers[0];
	growth_sites[1].stack = f.numbers[1];
	g = make_growth(&f, growth_sites);
	done(&f, seep_json_growth(&g, 1, f.f));
	j = schema_parse("seep-growth-1", f.text);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "sites")), 1);
	json_decref(j);
	fixture_deinit(&f);
}
END_TEST

START_TEST(growth_of_a_sample_is_as_its_schema_says)
{
	struct seep_growth_site sites[2];
	struct seep_growth g;
	struct fixture f;
	json_t *j, *site;

	memcpy(sites, growth_sites, sizeof(sites));
	fixture_init(&f);
	add_process(&f, 7, 1000);
	add_variances(&f.report.processes[0]);
	sites[0].stack = f.numbers[0];
	sites[1].stack = f.numbers[1];
	sites[0].delta_bytes_var = 2500;
	sites[1].delta_bytes_var = 10000;
	sites[1].is_noise = true;
	g = make_growth(&f, sites);
	g.noise.nr_sites = 3;
	g.delta_bytes_var = 12500;
	done(&f, seep_json_growth(&g, 0, f.f));
	j = schema_parse("seep-growth-1", f.text);
	ck_assert_int_eq(member(j, "sample_bytes"), 65536);
	ck_assert_int_eq(member(json_object_get(j, "noise"), "sites"), 3);
	ck_assert_int_eq(member(j, "delta_bytes_stderr"), 112);
	site = json_array_get(json_object_get(j, "sites"), 0);
	ck_assert_int_eq(member(site, "delta_bytes_stderr"), 50);
	ck_assert(json_is_false(json_object_get(site, "noise")));
	site = json_array_get(json_object_get(j, "sites"), 1);
	ck_assert(json_is_true(json_object_get(site, "noise")));
	json_decref(j);
	free(f.text);
	f.f = open_memstream(&f.text, &f.size);
	done(&f, seep_text_growth(&g, &usual, f.f));
	find(f.text, "#1  +5000 +/- 50 bytes (+4.9 KiB) and +5 blocks, never");
	find(f.text, "+20 +/- 100 bytes and -1 blocks, which may be chance: ");
	find(f.text, "3 sites grew by less than twice the standard error");
	fixture_deinit(&f);
}
END_TEST

START_TEST(the_first_growth_is_as_its_schema_says)
{
	struct seep_snapshot to = {.id = 1};
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	done(&f,
	    seep_json_growth_begins(&f.report.processes[0].process, &to, f.f));
	json_decref(schema_parse("seep-growth-1", f.text));
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_difference_of_samples_is_as_its_schema_says)
{
	struct seep_diff_site sites[2] = {
	    {.fingerprint = "v1:0123456789abcdef",
		.in_b = true,
		.b = {.live_bytes = 900,
		    .live_blocks = 1,
		    .var = {.live_bytes = 10000}}},
	    {.fingerprint = "v1:1123456789abcdef",
		.in_a = true,
		.in_b = true,
		.a = {.live_bytes = 9,
		    .live_blocks = 1,
		    .var = {.live_bytes = 9}},
		.b = {.var = {.live_bytes = 16}}}};
	struct seep_diff d = {
	    .a = {.path = (char *)"a.seep", .sample_bytes = 1024},
	    .b = {.path = (char *)"b.seep", .sample_bytes = 1024},
	    .sites = sites,
	    .nr_sites = 2};
	struct fixture f;
	json_t *j, *site;

	fixture_init(&f);
	d.stacks = &f.stacks;
	sites[0].stack = f.numbers[0];
	sites[1].stack = f.numbers[1];
	done(&f, seep_json_diff(&d, 0, f.f));
	j = schema_parse("seep-diff-1", f.text);
	site = json_array_get(json_object_get(j, "sites"), 0);
	ck_assert_int_eq(member(site, "delta_bytes_stderr"), 100);
	ck_assert(json_is_false(json_object_get(site, "noise")));
	site = json_array_get(json_object_get(j, "sites"), 1);
	ck_assert_int_eq(member(site, "delta_bytes_stderr"), 5);
	ck_assert(json_is_true(json_object_get(site, "noise")));
	json_decref(j);
	free(f.text);
	f.f = open_memstream(&f.text, &f.size);
	done(&f, seep_text_diff(&d, &usual, f.f));
	ck_assert_msg(!strncmp(f.text, "sampled at a mean", 17), "%s", f.text);
	find(f.text, "#1  +900 +/- 100 bytes and +1 blocks, new");
	find(f.text, "#2  -9 +/- 5 bytes and -1 blocks, which may be chance");
	fixture_deinit(&f);
}
END_TEST

START_TEST(a_difference_is_as_its_schema_says)
{
	struct seep_diff_site sites[2] = {
	    {.fingerprint = "v1:0123456789abcdef",
		.in_b = true,
		.b = {.live_bytes = 9, .live_blocks = 1}},
	    {.fingerprint = "v1:1123456789abcdef",
		.in_a = true,
		.in_b = true,
		.a = {.live_bytes = 9, .live_blocks = 1}}};
	struct seep_diff d = {.a = {.path = (char *)"a.seep"},
	    .b = {.path = (char *)"b\xff.seep"},
	    .sites = sites,
	    .nr_sites = 2};
	struct fixture f;

	fixture_init(&f);
	d.stacks = &f.stacks;
	sites[0].stack = f.numbers[0];
	sites[1].stack = f.numbers[1];
	done(&f, seep_json_diff(&d, 0, f.f));
	json_decref(schema_parse("seep-diff-1", f.text));
	free(f.text);
	f.f = open_memstream(&f.text, &f.size);
	done(&f, seep_text_diff(&d, &usual, f.f));
	find(f.text, "#1  +9 bytes and +1 blocks, new");
	find(f.text, "#2  -9 bytes and -1 blocks, gone");
	fixture_deinit(&f);
}
END_TEST

/* ---- folded ------------------------------------------------------------- */

START_TEST(folded_stacks_begin_outside)
{
	struct fixture f;

	fixture_init(&f);
	add_process(&f, 7, 1000);
	done(&f, seep_folded_report(&f.report, f.f));
	find(f.text, "prog;__libc_start_main;main;inner;xmalloc 1234567890\n");
	find(f.text, "prog;[cut];a:b?[31m");
	find(f.text, "prog;prog+0x1234 18838\n");
	fixture_deinit(&f);
}
END_TEST

/* ---- figures ------------------------------------------------------------ */

START_TEST(figures_are_short_and_right)
{
	char buf[SEEP_FORMAT_MAX];

	ck_assert_str_eq(seep_format_bytes(0, buf), "0 bytes");
	ck_assert_str_eq(seep_format_bytes(1, buf), "1 byte");
	ck_assert_str_eq(seep_format_bytes(1023, buf), "1023 bytes");
	ck_assert_str_eq(seep_format_bytes(1024, buf), "1024 bytes (1.0 KiB)");
	ck_assert_str_eq(
	    seep_format_bytes(1048575, buf), "1048575 bytes (1.0 MiB)");
	ck_assert_str_eq(seep_format_bytes(UINT64_MAX, buf),
	    "18446744073709551615 bytes (16.0 EiB)");
	ck_assert_str_eq(
	    seep_format_delta(-2048, buf), "-2048 bytes (-2.0 KiB)");
	ck_assert_str_eq(seep_format_delta(INT64_MIN, buf),
	    "-9223372036854775808 bytes (-8.0 EiB)");
	ck_assert_str_eq(seep_format_ms(999, buf), "999 ms");
	ck_assert_str_eq(seep_format_ms(61500, buf), "61.5 s");
	ck_assert_str_eq(seep_format_ms(130000, buf), "2 min 10 s");
	ck_assert_str_eq(seep_format_ms(7500000, buf), "2 h 5 min");
	ck_assert_str_eq(seep_format_ms(90061000000, buf), "1042 d 8 h");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("out");
	TCase *tc = tcase_create("out");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, drops_come_before_the_results);
	tcase_add_test(tc, histories_say_how_long_and_who_freed);
	tcase_add_test(tc, a_sample_of_histories_is_called_one);
	tcase_add_test(tc, bytes_have_all_their_digits);
	tcase_add_test(tc, the_blame_frame_comes_first_and_main_last);
	tcase_add_test(tc, a_long_path_keeps_its_end);
	tcase_add_test(tc, what_is_cut_is_summed);
	tcase_add_test(tc, small_processes_have_a_line_each);
	tcase_add_test(tc, a_terminal_gets_nothing_to_obey);
	tcase_add_test(tc, growth_names_change_and_trend);
	tcase_add_test(tc, a_report_is_as_its_schema_says);
	tcase_add_test(tc, a_report_of_a_sample_is_as_its_schema_says);
	tcase_add_test(tc, a_report_of_a_sample_says_so_first);
	tcase_add_test(tc, exact_figures_have_no_errors);
	tcase_add_test(tc, growth_of_a_sample_is_as_its_schema_says);
	tcase_add_test(tc, a_difference_of_samples_is_as_its_schema_says);
	tcase_add_test(tc, an_empty_report_is_as_its_schema_says);
	tcase_add_test(tc, growth_is_as_its_schema_says);
	tcase_add_test(tc, the_first_growth_is_as_its_schema_says);
	tcase_add_test(tc, a_difference_is_as_its_schema_says);
	tcase_add_test(tc, folded_stacks_begin_outside);
	tcase_add_test(tc, figures_are_short_and_right);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
