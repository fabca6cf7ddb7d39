/* SPDX-License-Identifier: MIT */
/* report.c - `seep report`: what is alive, and who allocated it */
#include <inttypes.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/cmd/target.h"
#include "analyzer/cmd/view.h"

static const struct seep_option options[] = {
    {"format", 'f', SEEP_OPTION_CHOICE, SEEP_VIEW_AT(format),
	"text|json|folded", "for people, programs or flame graphs",
	seep_report_formats},
    SEEP_VIEW_OPTION_PROCESS,
    SEEP_VIEW_OPTIONS_FILTER,
    SEEP_VIEW_OPTION_SORT,
    {"all", 'a', SEEP_OPTION_FLAG, SEEP_VIEW_AT(all), NULL,
	"all sites of all processes", NULL},
    SEEP_VIEW_OPTIONS_NAMES,
    {0},
};

static const struct seep_usage usage = {
    .usage = "report [OPTION]... FILE|PID",
    .summary = "Prints what is alive in a recording or in a traced process, "
	       "and who\nallocated it: the most bytes first.",
    .details = "A PID is asked for a snapshot first. Sizes are those that "
	       "were asked for.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
};

static void warn_of_sample(const struct seep_report *r)
{
	for (size_t i = 0; i < r->nr_processes; i++) {
		uint64_t bytes = r->processes[i].process.sample_bytes;

		if (!bytes)
			continue;
		seep_cmd_warn("figures are estimates, sampled at a mean "
			      "interval of %" PRIu64 " bytes",
		    bytes);
		return;
	}
}

static struct seep_error *print(
    const char *path, const struct seep_view *v, FILE *f)
{
	_cleanup_(seep_stacks_deinit) struct seep_stacks stacks = {0};
	_cleanup_(seep_query_destroyp) struct seep_query *q = NULL;
	_cleanup_(seep_report_deinit) struct seep_report report = {0};
	struct seep_query_options qo;
	struct seep_text_options to;
	struct seep_error *err;

	if (!seep_stacks_init(&stacks))
		return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
	seep_view_query(v, &qo);
	seep_view_text(v, &to);
	err = seep_query_open(path, &stacks, &qo, &q);
	if (!err)
		err = seep_query_report(q, &report);
	if (err)
		return err;
	/* Who prints to a pager must not keep the recording open. */
	seep_query_destroy(no_cleanup_ptr(q));
	switch (v->format) {
	case SEEP_VIEW_JSON:
		return seep_json_report(&report, seep_view_json_top(v), f);
	case SEEP_VIEW_FOLDED:
		warn_of_sample(&report); /* the format has no place for it */
		return seep_folded_report(&report, f);
	default:
		return seep_text_report(&report, &to, f);
	}
}

struct seep_error *seep_cmd_print_report(const char *path, FILE *f)
{
	struct seep_view v = SEEP_VIEW_INIT;

	return print(path, &v, f);
}

int seep_cmd_report(int argc, char **argv)
{
	_cleanup_(seep_target_deinit) struct seep_target target = {0};
	struct seep_view v = SEEP_VIEW_INIT;
	struct seep_error *err;
	int first, status;

	status = seep_cmd_options(&usage, &v, argc, argv, &first);
	if (status >= 0)
		return status;
	err = seep_target_open(argv[first], &target);
	if (!err) {
		if (target.pid && !v.process)
			v.process = target.pid;
		err = print(target.path, &v, stdout);
	}
	return err ? seep_cmd_fail(err) : seep_cmd_close_stdout(0);
}
