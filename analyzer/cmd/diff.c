/* SPDX-License-Identifier: MIT */
/* diff.c - `seep diff`: two recordings side by side */
#include "analyzer/cmd/cmd.h"
#include "analyzer/cmd/view.h"

static const struct seep_option options[] = {
    SEEP_VIEW_OPTION_FORMAT,
    SEEP_VIEW_OPTIONS_FILTER,
    {"all", 'a', SEEP_OPTION_FLAG, SEEP_VIEW_AT(all), NULL,
	"all sites that differ", NULL},
    SEEP_VIEW_OPTIONS_NAMES,
    {0},
};

static const struct seep_usage usage = {
    .usage = "diff [OPTION]... FILE FILE",
    .summary = "Compares what is alive at the end of two recordings: what "
	       "the second has more\ncomes first.",
    .details = "Sites are the same when their functions are, whatever the "
	       "lines: see\n\"fingerprint\" in seep-diff(1).",
    .options = options,
    .min_operands = 2,
    .max_operands = 2,
};

static struct seep_error *print(
    const char *path_a, const char *path_b, const struct seep_view *v)
{
	_cleanup_(seep_stacks_deinit) struct seep_stacks stacks = {0};
	_cleanup_(seep_query_destroyp) struct seep_query *a = NULL, *b = NULL;
	_cleanup_(seep_diff_deinit) struct seep_diff diff = {0};
	struct seep_query_options qo;
	struct seep_text_options to;
	struct seep_error *err;

	if (!seep_stacks_init(&stacks))
		return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
	seep_view_query(v, &qo);
	/* Names decide what is the same. */
	qo.resolve_top = SIZE_MAX;
	qo.idle_sites = true;
	qo.trends = false;
	err = seep_query_open(path_a, &stacks, &qo, &a);
	if (!err)
		err = seep_query_open(path_b, &stacks, &qo, &b);
	if (!err)
		err = seep_query_diff(a, b, &diff);
	if (err)
		return err;
	if (v->format == SEEP_VIEW_JSON)
		return seep_json_diff(&diff, seep_view_json_top(v), stdout);
	seep_view_text(v, &to);
	return seep_text_diff(&diff, &to, stdout);
}

int seep_cmd_diff(int argc, char **argv)
{
	struct seep_view v = SEEP_VIEW_INIT;
	struct seep_error *err;
	int first, status;

	status = seep_cmd_options(&usage, &v, argc, argv, &first);
	if (status >= 0)
		return status;
	err = print(argv[first], argv[first + 1], &v);
	return err ? seep_cmd_fail(err) : seep_cmd_close_stdout(0);
}
