/* SPDX-License-Identifier: MIT */
/* growth.c - `seep growth`: what grew between two snapshots */
#include <string.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/cmd/target.h"
#include "analyzer/cmd/view.h"

static const struct seep_option options[] = {
    SEEP_VIEW_OPTION_FORMAT,
    {"from", 0, SEEP_OPTION_STRING, SEEP_VIEW_AT(from), "SNAPSHOT",
	"begin there: its number, or a time with a unit (30s)", NULL},
    {"to", 0, SEEP_OPTION_STRING, SEEP_VIEW_AT(to), "SNAPSHOT",
	"end there (default: the last one)", NULL},
    SEEP_VIEW_OPTION_PROCESS,
    SEEP_VIEW_OPTIONS_FILTER,
    SEEP_VIEW_OPTION_SORT,
    {"all", 'a', SEEP_OPTION_FLAG, SEEP_VIEW_AT(all), NULL,
	"also sites that stopped, go up and down, or are in doubt", NULL},
    SEEP_VIEW_OPTIONS_NAMES,
    {0},
};

static const struct seep_usage usage = {
    .usage = "growth [OPTION]... FILE|PID",
    .summary = "Prints the sites that grew, the worst first.",
    .details =
	"A PID: since the last time you asked; the first call takes the "
	"baseline.\nA FILE: from the end of the warm-up (the first fifth "
	"of the snapshots) to the\nend. Sites that never stop growing hide "
	"those that did, see --all.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
};

/* "12" is a snapshot, "12s" a time. */
static struct seep_error *parse_place(
    const char *text, const char *what, bool *has, bool *is_time, uint64_t *ret)
{
	if (!text)
		return NULL;
	*has = true;
	*is_time = text[strspn(text, "0123456789")] != '\0';
	if (*is_time)
		return seep_parse_time(text, what, ret);
	return seep_parse_uint(text, what, INT64_MAX, ret);
}

/* The baseline that was just taken. */
static struct seep_error *print_begin(struct seep_query *q,
    const struct seep_target *t, const struct seep_view *v)
{
	struct seep_store *st = seep_query_store(q);
	struct seep_process *processes = NULL;
	struct seep_snapshot *snapshots = NULL;
	size_t nr = 0, nr_snapshots = 0, p = 0, s = 0;
	struct seep_error *err;

	err = seep_store_processes(st, &processes, &nr);
	if (!err)
		err = seep_store_snapshots(
		    st, t->process_id, &snapshots, &nr_snapshots);
	while (!err && p < nr && processes[p].id != t->process_id)
		p++;
	while (!err && s < nr_snapshots && snapshots[s].id != t->to)
		s++;
	if (!err && (p == nr || s == nr_snapshots))
		err = seep_error_new(SEEP_ERROR_OTHER,
		    "the snapshot that was taken is not in '%s'", t->path);
	if (!err && v->format == SEEP_VIEW_JSON)
		err = seep_json_growth_begins(
		    &processes[p], &snapshots[s], stdout);
	else if (!err)
		seep_text_growth_begins(&processes[p], &snapshots[s], stdout);
	for (size_t i = 0; i < nr; i++)
		seep_process_deinit(&processes[i]);
	for (size_t i = 0; i < nr_snapshots; i++)
		seep_snapshot_deinit(&snapshots[i]);
	free(processes);
	free(snapshots);
	return err;
}

static struct seep_error *print_growth(struct seep_query **q,
    const struct seep_query_window *w, const struct seep_view *v)
{
	_cleanup_(seep_growth_deinit) struct seep_growth growth = {0};
	struct seep_text_options to;
	struct seep_error *err;

	err = seep_query_growth(*q, w, &growth);
	if (err)
		return err;
	/* Who prints to a pager must not keep the recording open. */
	seep_query_destroy(no_cleanup_ptr(*q));
	if (v->format == SEEP_VIEW_JSON)
		return seep_json_growth(&growth, seep_view_json_top(v), stdout);
	seep_view_text(v, &to);
	return seep_text_growth(&growth, &to, stdout);
}

static struct seep_error *print(const struct seep_target *t,
    struct seep_query_window *w, const struct seep_view *v)
{
	_cleanup_(seep_stacks_deinit) struct seep_stacks stacks = {0};
	_cleanup_(seep_query_destroyp) struct seep_query *q = NULL;
	struct seep_query_options qo;
	struct seep_error *err;

	if (!seep_stacks_init(&stacks))
		return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
	seep_view_query(v, &qo);
	err = seep_query_open(t->path, &stacks, &qo, &q);
	if (err)
		return err;
	if (t->pid && !w->has_from && !t->from)
		return print_begin(q, t, v);
	if (t->pid) {
		w->process_id = t->process_id;
		if (!w->has_from)
			w->from = (uint64_t)t->from;
		if (!w->has_to)
			w->to = (uint64_t)t->to;
		w->has_from = w->has_to = true;
	}
	return print_growth(&q, w, v);
}

int seep_cmd_growth(int argc, char **argv)
{
	_cleanup_(seep_target_deinit) struct seep_target target = {0};
	struct seep_view v = SEEP_VIEW_INIT;
	struct seep_query_window w = {0};
	struct seep_error *err;
	int first, status;

	status = seep_cmd_options(&usage, &v, argc, argv, &first);
	if (status >= 0)
		return status;
	w.all = v.all;
	err = parse_place(
	    v.from, "option --from", &w.has_from, &w.from_is_time, &w.from);
	if (!err)
		err = parse_place(
		    v.to, "option --to", &w.has_to, &w.to_is_time, &w.to);
	/* A window of one's own does not move the baseline. */
	if (!err)
		err = w.has_from
			  ? seep_target_open(argv[first], &target)
			  : seep_target_open_growth(argv[first], &target);
	if (!err && w.has_from && target.pid) {
		/* from here on it is a recording as any other */
		w.process_id = target.process_id;
		if (!w.process_id)
			v.process = target.pid;
		target.pid = 0;
	}
	if (!err)
		err = print(&target, &w, &v);
	return err ? seep_cmd_fail(err) : seep_cmd_close_stdout(0);
}
