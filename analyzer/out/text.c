/* SPDX-License-Identifier: MIT */
/* text.c - reports for people: one screen, the worst first */
#include <inttypes.h>
#include <string.h>

#include "analyzer/model/sample.h"
#include "analyzer/out/format.h"
#include "analyzer/out/out.h"
#include "analyzer/out/text_history.h"

#define FULL_PROCESSES	5  /* at most, unless all are asked for */
#define SMALL_PROCESSES 12 /* lines of others */
#define NEXT_TOP	3  /* sites of each process but the first */
#define SMALL_SHARE	20 /* of all live bytes: a process with less is small */
#define MAX_VIA		3

static struct seep_error *no_memory(void)
{
	return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
}

static const char *plural(uint64_t nr)
{
	return nr == 1 ? "" : "s";
}

/* ---- stacks ------------------------------------------------------------- */

/* "through getline, realloc": what lies inside of the blame frame, from what
 * it called inwards. */
static void print_via(FILE *f, const struct seep_stack *s)
{
	char *last = NULL;
	int nr = 0;

	for (size_t i = s->blame; i; i--) {
		const char *name = s->frames[i - 1]->function;
		char *brief = name ? seep_function_normalise(name) : NULL;

		if (!brief || (last && !strcmp(last, brief))) {
			free(brief);
			continue;
		}
		if (nr < MAX_VIA) {
			fputs(nr ? ", " : "        through ", f);
			seep_print_safe(f, brief);
		} else if (nr == MAX_VIA) {
			fputs(", ...", f);
		}
		nr++;
		free(last);
		last = brief;
	}
	free(last);
	if (nr)
		fputc('\n', f);
}

/* What lies outside of the program's own code: the C library's way to main or
 * to the function of a thread. */
static bool is_start(const struct seep_frame *f)
{
	return f->function && (!strncmp(f->function, "__libc_start_", 13) ||
				  !strcmp(f->function, "start_thread"));
}

/* Frames up to main, or to the start of the thread. */
static size_t own_frames(const struct seep_stack *s)
{
	for (size_t i = s->blame; i < s->nr; i++) {
		const char *name = s->frames[i]->function;

		if (name && !strcmp(name, "main"))
			return i + 1;
		if (i > s->blame && is_start(s->frames[i]))
			return i;
	}
	return s->nr;
}

/* From the blame frame outwards, as many as depth allows; 0: all there is. */
static void print_stack(FILE *f, const struct seep_stack *s, size_t depth)
{
	size_t shown = 0, i = depth ? s->blame : 0;
	size_t end = depth ? own_frames(s) : s->nr;

	if (!s->nr)
		fputs("      (no stack was recorded)\n", f);
	while (i < end && (!depth || shown < depth)) {
		size_t same = 1;

		fputs(i == s->blame ? "      " : "        ", f);
		seep_print_frame(f, s->frames[i]);
		while (i + same < end && i + same != s->blame &&
		       s->frames[i + same] == s->frames[i])
			same++;
		if (same > 1)
			fprintf(f, " (%zu times)", same);
		fputc('\n', f);
		if (i == s->blame && depth)
			print_via(f, s);
		shown++;
		i += same;
	}
	if (i < end)
		fprintf(f, "        and %zu more frame%s\n", end - i,
		    plural(end - i));
}

static struct seep_error *print_site_stack(FILE *f, struct seep_stacks *stacks,
    uint32_t number, struct seep_stack *stack, size_t depth)
{
	if (!seep_stack_load(stack, stacks, number))
		return no_memory();
	print_stack(f, stack, depth);
	return NULL;
}

/* ---- processes ---------------------------------------------------------- */

static void print_command(FILE *f, const struct seep_process *p)
{
	size_t width = 0;

	if (!p->command || !p->command[0]) {
		seep_print_safe(f, p->exe ? seep_base_name(p->exe) : "?");
		return;
	}
	for (int i = 0; p->command[i]; i++) {
		width += strlen(p->command[i]) + 1;
		if (i && width > 60) {
			fputs(" ...", f);
			return;
		}
		if (i)
			fputc(' ', f);
		seep_print_safe(f, p->command[i]);
	}
}

static void print_end(FILE *f, const struct seep_process *p)
{
	uint64_t ms = p->end_ms > p->start_ms ? p->end_ms - p->start_ms : 0;
	char buf[SEEP_FORMAT_MAX];

	fprintf(f, "pid %" PRIu32 ", ", p->pid);
	switch (p->state) {
	case SEEP_PROCESS_RUNNING:
		fprintf(f, "running for %s", seep_format_ms(ms, buf));
		return;
	case SEEP_PROCESS_EXECED:
		fprintf(
		    f, "replaced by exec after %s", seep_format_ms(ms, buf));
		return;
	case SEEP_PROCESS_LOST:
		fprintf(f, "last seen after %s: seep ended before it did",
		    seep_format_ms(ms, buf));
		return;
	case SEEP_PROCESS_EXITED:
		break;
	}
	if (p->exit_signal > 0)
		fprintf(f, "killed by signal %d (%s)", p->exit_signal,
		    strsignal(p->exit_signal));
	else if (p->exit_code >= 0)
		fprintf(f, "exited with %d", p->exit_code);
	else
		fputs("ended", f);
	fprintf(f, " after %s", seep_format_ms(ms, buf));
}

static bool has_drops(const uint64_t *drops)
{
	for (int i = 0; i < SEEP_NR_DROP_CAUSES; i++) {
		if (drops[i])
			return true;
	}
	return false;
}

static void print_drops(FILE *f, const uint64_t *drops,
    const struct seep_drop_cause *causes, const char *whose)
{
	char buf[SEEP_FORMAT_MAX];

	if (!has_drops(drops))
		return;
	fprintf(f, "  not recorded%s, what follows is not the whole truth:\n",
	    whose);
	for (unsigned i = 0; i < SEEP_NR_DROP_CAUSES; i++) {
		if (!drops[i])
			continue;
		fprintf(f, "    ");
		seep_print_safe(
		    f, seep_drop_cause_name(causes, i, buf, sizeof(buf)));
		fprintf(f, " %" PRIu64, drops[i]);
		if (causes[i].meaning) {
			fputs(": ", f);
			seep_print_safe(f, causes[i].meaning);
		}
		fputc('\n', f);
	}
}

/* First of all: that what follows are no exact figures. */
static void print_sample(FILE *f, uint64_t sample_bytes)
{
	char a[SEEP_FORMAT_MAX];

	if (sample_bytes)
		fprintf(f,
		    "sampled at a mean interval of %s: figures are estimates "
		    "+/- their\nstandard error, those of blocks of that size "
		    "and more are exact\n\n",
		    seep_format_bytes(sample_bytes, a));
}

static void print_live(FILE *f, const struct seep_counts *c)
{
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	fprintf(f, "%s in %s",
	    seep_format_about_bytes(c->live_bytes, c->var.live_bytes, a),
	    seep_format_about_blocks(c->live_blocks, c->var.live_blocks, b));
}

static void print_totals(FILE *f, const struct seep_process *p)
{
	const struct seep_counts *c = &p->totals;
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	fprintf(f, "  alive      %s in %s\n",
	    seep_format_about_bytes(c->live_bytes, c->var.live_bytes, a),
	    seep_format_about_blocks(c->live_blocks, c->var.live_blocks, b));
	fprintf(f, "  allocated  %s in %s",
	    seep_format_about_bytes(c->alloc_bytes, c->var.alloc_bytes, a),
	    seep_format_about_blocks(c->alloc_blocks, c->var.alloc_blocks, b));
	fprintf(f, ", %" PRIu64 " freed\n", c->free_blocks);
	if (p->peak_live_bytes)
		fprintf(f, "  peak       %s, sampled\n",
		    seep_format_bytes(p->peak_live_bytes, a));
	if (p->rss_bytes) {
		fprintf(
		    f, "  RSS        %s", seep_format_bytes(p->rss_bytes, a));
		if (p->seep_bytes)
			fprintf(f, ", of which seep itself takes %s",
			    seep_format_bytes(p->seep_bytes, b));
		fputc('\n', f);
	}
	if (p->inherited_blocks)
		fprintf(f,
		    "  inherited  about %s in %s from the parent at the fork, "
		    "not in these figures\n",
		    seep_format_bytes(p->inherited_bytes, a),
		    seep_format_blocks(p->inherited_blocks, b));
}

/* ---- report: sites ------------------------------------------------------ */

static void print_age(FILE *f, const struct seep_site *s)
{
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	if (s->oldest_age_ms == SEEP_AGE_UNKNOWN)
		return;
	seep_format_ms(s->oldest_age_ms, a);
	if (s->counts.live_blocks > 1 && s->newest_age_ms != SEEP_AGE_UNKNOWN &&
	    strcmp(a, seep_format_ms(s->newest_age_ms, b)))
		fprintf(f, ", %s to %s old", b, a);
	else
		fprintf(f, ", %s old", a);
}

static void print_trend(FILE *f, const struct seep_site_trend *t)
{
	switch (t->trend) {
	case SEEP_TREND_GROWING:
		fprintf(f,
		    "never stops growing: in %" PRIu32 " of %" PRIu32
		    " snapshot%s",
		    t->grew_in, t->of, plural(t->of));
		break;
	case SEEP_TREND_GREW:
		fprintf(f, "grew in %" PRIu32 " of %" PRIu32 " snapshot%s",
		    t->grew_in, t->of, plural(t->of));
		break;
	case SEEP_TREND_STOPPED:
		fprintf(f,
		    "grew, then stopped: in %" PRIu32 " of %" PRIu32
		    " snapshots",
		    t->grew_in, t->of);
		break;
	case SEEP_TREND_CHURNING:
		fputs("goes up and down", f);
		break;
	case SEEP_TREND_NONE:
		fputs("steady", f);
		break;
	}
}

static void print_site(FILE *f, size_t rank, const struct seep_site *s,
    const struct seep_site_trend *trend, const struct seep_text_options *opt)
{
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	fprintf(f, "  #%-2zu ", rank);
	print_live(f, &s->counts);
	print_age(f, s);
	if (s->class_ != SEEP_CLASS_UNKNOWN)
		fprintf(f, ", %s", seep_class_name(s->class_));
	if (opt->idle_sites)
		fprintf(f, ", allocated %s in %s",
		    seep_format_about_bytes(
			s->counts.alloc_bytes, s->counts.var.alloc_bytes, a),
		    seep_format_about_blocks(
			s->counts.alloc_blocks, s->counts.var.alloc_blocks, b));
	if (trend && trend->of) {
		fputs(", ", f);
		print_trend(f, trend);
	}
	fputc('\n', f);
}

/* Sites come with those that have nothing alive behind the others, unless the
 * order is another one; then they count, too. */
static size_t count_shown(const struct seep_report_process *rp, bool idle)
{
	size_t nr = 0;

	if (idle)
		return rp->nr_sites;
	for (size_t i = 0; i < rp->nr_sites; i++)
		nr += rp->sites[i].counts.live_blocks != 0;
	return nr;
}

static struct seep_error *print_sites(FILE *f, const struct seep_report *r,
    const struct seep_report_process *rp, const struct seep_text_options *opt)
{
	size_t nr = count_shown(rp, opt->idle_sites), rank = 0;
	struct seep_counts rest = {0};
	struct seep_stack stack = {0};
	struct seep_error *err = NULL;

	for (size_t i = 0; i < rp->nr_sites && !err; i++) {
		const struct seep_site *s = &rp->sites[i];

		if (!opt->idle_sites && !s->counts.live_blocks)
			continue;
		if (opt->top && rank == opt->top) {
			seep_counts_add(&rest, &s->counts);
			continue;
		}
		fputc('\n', f);
		print_site(
		    f, ++rank, s, rp->trends ? &rp->trends[i] : NULL, opt);
		err = print_site_stack(
		    f, r->stacks, s->stack, &stack, opt->depth);
		if (!err &&
		    !seep_text_site_history(f, rp, s, r->stacks, &stack))
			err = no_memory();
	}
	seep_stack_deinit(&stack);
	if (err)
		return err;
	if (rank < nr) {
		fprintf(f, "\n  and %zu more site%s with ", nr - rank,
		    plural(nr - rank));
		print_live(f, &rest);
		fputs(" (--all lists them)\n", f);
	}
	if (!nr && rp->filtered)
		fputs("\n  no site passes the filters\n", f);
	else if (!nr && rp->process.sample_bytes)
		fputs("\n  nothing that was sampled is alive\n", f);
	else if (!nr && rp->process.totals.alloc_blocks)
		fputs("\n  everything was freed\n", f);
	else if (!nr)
		fputs("\n  no allocation was seen\n", f);
	return NULL;
}

static struct seep_error *print_process(FILE *f, const struct seep_report *r,
    const struct seep_report_process *rp, const struct seep_text_options *opt)
{
	print_command(f, &rp->process);
	fputs("  (", f);
	print_end(f, &rp->process);
	fputs(")\n", f);
	print_drops(f, rp->process.drops, r->causes, "");
	print_totals(f, &rp->process);
	seep_text_histories(f, rp);
	return print_sites(f, r, rp, opt);
}

/* ---- report: the tree --------------------------------------------------- */

static void print_small(
    FILE *f, const struct seep_report *r, const struct seep_report_process *rp)
{
	const struct seep_process *p = &rp->process;
	char a[SEEP_FORMAT_MAX];

	fputs("  ", f);
	print_command(f, p);
	fputs(" (", f);
	print_end(f, p);
	fputs("): ", f);
	print_live(f, &p->totals);
	fputc('\n', f);
	for (unsigned i = 0; i < SEEP_NR_DROP_CAUSES; i++) {
		if (!p->drops[i])
			continue;
		fputs("    not recorded: ", f);
		seep_print_safe(
		    f, seep_drop_cause_name(r->causes, i, a, sizeof(a)));
		fprintf(f, " %" PRIu64 "\n", p->drops[i]);
	}
}

static bool is_small(const struct seep_report *r, size_t i, uint64_t all)
{
	const struct seep_process *p = &r->processes[i].process;

	if (i == 0)
		return false;
	return i >= FULL_PROCESSES || p->state == SEEP_PROCESS_EXECED ||
	       p->totals.live_bytes < all / SMALL_SHARE;
}

static bool is_full(const struct seep_report *r,
    const struct seep_text_options *opt, size_t i, uint64_t all)
{
	return opt->all_processes || !is_small(r, i, all);
}

/* The tree as a whole: what was lost comes first, wherever it was lost. */
static uint64_t print_tree(FILE *f, const struct seep_report *r)
{
	uint64_t drops[SEEP_NR_DROP_CAUSES] = {0};
	struct seep_counts all = {0};
	uint64_t sample_bytes = 0;

	for (size_t i = 0; i < r->nr_processes; i++) {
		const struct seep_process *p = &r->processes[i].process;

		for (int k = 0; k < SEEP_NR_DROP_CAUSES; k++)
			drops[k] += p->drops[k];
		if (sample_bytes < p->sample_bytes)
			sample_bytes = p->sample_bytes;
		if (p->state != SEEP_PROCESS_EXECED)
			seep_counts_add(&all, &p->totals);
	}
	print_sample(f, sample_bytes);
	if (r->nr_processes > 1) {
		fprintf(f, "%zu processes, ", r->nr_processes);
		print_live(f, &all);
		fputs(" alive in all\n", f);
		print_drops(f, drops, r->causes, " in some of them");
		fputc('\n', f);
	}
	return all.live_bytes;
}

static void print_others(FILE *f, const struct seep_report *r,
    const struct seep_text_options *opt, uint64_t all)
{
	size_t shown = 0, cut = 0;
	uint64_t bytes = 0;
	char a[SEEP_FORMAT_MAX];

	for (size_t i = 0; i < r->nr_processes; i++) {
		const struct seep_process *p = &r->processes[i].process;

		if (is_full(r, opt, i, all))
			continue;
		if (shown >= SMALL_PROCESSES && !has_drops(p->drops)) {
			cut++;
			bytes += p->totals.live_bytes;
			continue;
		}
		if (!shown++)
			fputs("\nother processes (--process PID shows "
			      "one):\n",
			    f);
		print_small(f, r, &r->processes[i]);
	}
	if (cut)
		fprintf(f, "  and %zu more with %s (--all shows them)\n", cut,
		    seep_format_bytes(bytes, a));
}

struct seep_error *seep_text_report(
    const struct seep_report *r, const struct seep_text_options *opt, FILE *f)
{
	struct seep_text_options next = *opt;
	struct seep_error *err = NULL;
	uint64_t all;

	if (!r->nr_processes) {
		fputs("no process was recorded\n", f);
		return NULL;
	}
	all = print_tree(f, r);
	/* the first one is what the reader is after */
	if (next.top > NEXT_TOP)
		next.top = NEXT_TOP;
	for (size_t i = 0; i < r->nr_processes && !err; i++) {
		if (!is_full(r, opt, i, all))
			continue;
		if (i)
			fputc('\n', f);
		err = print_process(f, r, &r->processes[i], i ? &next : opt);
	}
	if (!err)
		print_others(f, r, opt, all);
	return err;
}

/* ---- growth ------------------------------------------------------------- */

void seep_text_growth_begins(
    const struct seep_process *p, const struct seep_snapshot *to, FILE *f)
{
	print_sample(f, p->sample_bytes);
	print_command(f, p);
	fprintf(f,
	    "  (pid %" PRIu32 ")\n"
	    "  snapshot %" PRId64 " is the baseline: ",
	    p->pid, to->id);
	print_live(f, &to->totals);
	fputs(" alive\n  ask again later for what grew since\n", f);
}

static void print_window(FILE *f, const struct seep_growth *g)
{
	const struct seep_counts *from = &g->from.totals, *to = &g->to.totals;
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	fprintf(f, "  from snapshot %" PRId64 " (at %s%s)", g->from.id,
	    seep_format_ms(g->from.at_ms, a),
	    g->warm_up ? ", after the warm-up" : "");
	fprintf(f, " to %" PRId64 " (at %s%s), %" PRIu32 " snapshot%s\n",
	    g->to.id, seep_format_ms(g->to.at_ms, a),
	    g->before_end ? ", before most was freed at the end" : "",
	    g->nr_snapshots, plural(g->nr_snapshots));
	fputs("  alive      ", f);
	print_live(f, to);
	fprintf(f, ", %s and %s\n",
	    seep_format_about_delta(
		(int64_t)(to->live_bytes - from->live_bytes),
		g->delta_bytes_var, a),
	    seep_format_about_delta_blocks(
		(int64_t)(to->live_blocks - from->live_blocks),
		g->delta_blocks_var, b));
	if (g->to.rss_bytes && g->from.rss_bytes)
		fprintf(f, "  RSS        %s, %s\n",
		    seep_format_bytes(g->to.rss_bytes, a),
		    seep_format_delta(
			(int64_t)(g->to.rss_bytes - g->from.rss_bytes), b));
}

static void print_growth_site(
    FILE *f, size_t rank, const struct seep_growth_site *s)
{
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	fprintf(f, "\n  #%-2zu %s and %s, ", rank,
	    seep_format_about_delta(s->delta_bytes, s->delta_bytes_var, a),
	    seep_format_about_delta_blocks(
		s->delta_blocks, s->delta_blocks_var, b));
	if (s->is_noise)
		fputs("which may be chance: ", f);
	print_trend(f, &s->trend);
	fputs("\n      now ", f);
	print_live(f, &s->now);
	if (s->oldest_age_ms != SEEP_AGE_UNKNOWN)
		fprintf(f, ", the oldest %s old",
		    seep_format_ms(s->oldest_age_ms, a));
	fputc('\n', f);
}

static void print_rest(
    FILE *f, const struct seep_growth_rest *rest, const char *what)
{
	char a[SEEP_FORMAT_MAX];

	if (rest->nr_sites)
		fprintf(f, "  %zu site%s %s: %s (--all lists them)\n",
		    rest->nr_sites, plural(rest->nr_sites), what,
		    seep_format_delta(rest->delta_bytes, a));
}

struct seep_error *seep_text_growth(
    const struct seep_growth *g, const struct seep_text_options *opt, FILE *f)
{
	struct seep_growth_rest rest = {0};
	struct seep_stack stack = {0};
	struct seep_error *err = NULL;

	print_sample(f, g->process.sample_bytes);
	print_command(f, &g->process);
	fputs("  (", f);
	print_end(f, &g->process);
	fputs(")\n", f);
	print_drops(f, g->process.drops, g->causes, "");
	print_window(f, g);
	for (size_t i = 0; i < g->nr_sites && !err; i++) {
		const struct seep_growth_site *s = &g->sites[i];

		if (opt->top && i >= opt->top) {
			rest.nr_sites++;
			rest.delta_bytes += s->delta_bytes;
			continue;
		}
		print_growth_site(f, i + 1, s);
		err = print_site_stack(
		    f, g->stacks, s->stack, &stack, opt->depth);
	}
	seep_stack_deinit(&stack);
	if (err)
		return err;
	if (!g->nr_sites)
		fputs("\n  nothing grew\n", f);
	if (rest.nr_sites || g->stopped.nr_sites || g->churning.nr_sites ||
	    g->noise.nr_sites)
		fputc('\n', f);
	print_rest(f, &rest, "more grew");
	print_rest(f, &g->stopped, "grew, then stopped");
	print_rest(f, &g->churning, "went up and down");
	print_rest(f, &g->noise, "grew by less than twice the standard error");
	return NULL;
}

/* ---- diff --------------------------------------------------------------- */

static void print_side(FILE *f, char name, const struct seep_diff_side *s)
{
	fprintf(f, "%c: ", name);
	seep_print_safe(f, s->path);
	fputs("\n  alive      ", f);
	print_live(f, &s->totals);
	if (s->nr_processes > 1)
		fprintf(f, ", in %zu processes", s->nr_processes);
	fputc('\n', f);
	print_drops(f, s->drops, s->causes, "");
}

static int64_t diff_bytes(const struct seep_diff_site *s)
{
	return (int64_t)(s->b.live_bytes - s->a.live_bytes);
}

static int64_t diff_blocks(const struct seep_diff_site *s)
{
	return (int64_t)(s->b.live_blocks - s->a.live_blocks);
}

static struct seep_error *print_diff_site(FILE *f, const struct seep_diff *d,
    const struct seep_diff_site *s, size_t rank, struct seep_stack *stack,
    size_t depth)
{
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	fprintf(f, "\n  #%-2zu %s and %s", rank,
	    seep_format_about_delta(
		diff_bytes(s), seep_diff_bytes_var(&s->a, &s->b), a),
	    seep_format_about_delta_blocks(
		diff_blocks(s), seep_diff_blocks_var(&s->a, &s->b), b));
	if (seep_is_noise(diff_bytes(s), seep_diff_bytes_var(&s->a, &s->b)))
		fputs(", which may be chance", f);
	if (!s->a.live_blocks)
		fputs(", new", f);
	else if (!s->b.live_blocks)
		fputs(", gone", f);
	fprintf(f,
	    "\n      a: %s in %" PRIu64 ", b: %s in %" PRIu64 " blocks\n",
	    seep_format_about_bytes(s->a.live_bytes, s->a.var.live_bytes, a),
	    s->a.live_blocks,
	    seep_format_about_bytes(s->b.live_bytes, s->b.var.live_bytes, b),
	    s->b.live_blocks);
	return print_site_stack(f, d->stacks, s->stack, stack, depth);
}

struct seep_error *seep_text_diff(
    const struct seep_diff *d, const struct seep_text_options *opt, FILE *f)
{
	size_t first_less = 0, cut = 0, rank = 0;
	struct seep_stack stack = {0};
	struct seep_error *err = NULL;
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	print_sample(f, d->a.sample_bytes > d->b.sample_bytes
			    ? d->a.sample_bytes
			    : d->b.sample_bytes);
	print_side(f, 'a', &d->a);
	print_side(f, 'b', &d->b);
	fprintf(f, "b less a: %s and %s\n",
	    seep_format_about_delta(
		(int64_t)(d->b.totals.live_bytes - d->a.totals.live_bytes),
		seep_diff_bytes_var(&d->a.totals, &d->b.totals), a),
	    seep_format_about_delta_blocks(
		(int64_t)(d->b.totals.live_blocks - d->a.totals.live_blocks),
		seep_diff_blocks_var(&d->a.totals, &d->b.totals), b));
	while (
	    first_less < d->nr_sites && diff_bytes(&d->sites[first_less]) >= 0)
		first_less++;
	for (size_t i = 0; i < first_less && !err; i++) {
		if (opt->top && i >= opt->top)
			cut++;
		else
			err = print_diff_site(
			    f, d, &d->sites[i], ++rank, &stack, opt->depth);
	}
	/* those that shrank most come first among those that shrank */
	for (size_t i = d->nr_sites; i > first_less && !err; i--) {
		if (opt->top && d->nr_sites - i >= opt->top)
			cut++;
		else
			err = print_diff_site(
			    f, d, &d->sites[i - 1], ++rank, &stack, opt->depth);
	}
	seep_stack_deinit(&stack);
	if (err)
		return err;
	if (cut)
		fprintf(f, "\n  and %zu more site%s (--all lists them)\n", cut,
		    plural(cut));
	if (!d->nr_sites)
		fputs("\n  no site differs\n", f);
	return NULL;
}
