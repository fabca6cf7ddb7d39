/* SPDX-License-Identifier: MIT */
/* json.c - reports for programs: seep-report/1, seep-growth/1, seep-diff/1 */
#include <jansson.h>
#include <string.h>

#include "analyzer/model/sample.h"
#include "analyzer/out/format.h"
#include "analyzer/out/out.h"

/*
 * Sites are built, written and forgotten one by one, so that 100,000 of them
 * take no more memory than one. Most of the output are frames, which many
 * stacks share: the text of each is made once. jansson passes NULL through: a
 * lack of memory anywhere shows at the end as an object that is not there.
 */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)
#define MAX_FREERS 8

static struct seep_error *no_memory(void)
{
	return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
}

static json_t *text(const char *s)
{
	char *valid;
	json_t *j;

	if (!s)
		return json_null();
	valid = seep_valid_utf8(s);
	j = valid ? json_string_nocheck(valid) : NULL;
	free(valid);
	return j;
}

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *age(uint64_t ms)
{
	return ms == SEEP_AGE_UNKNOWN ? json_null() : number(ms);
}

/* ---- stacks ------------------------------------------------------------- */

static json_t *frame(const struct seep_frame *f)
{
	json_t *j = json_object();

	json_object_set_new(j, "function", text(f->function));
	json_object_set_new(j, "file", text(f->file));
	json_object_set_new(j, "line", f->line ? number(f->line) : json_null());
	json_object_set_new(j, "module", text(f->module));
	json_object_set_new(
	    j, "offset", f->truncated ? json_null() : number(f->offset));
	json_object_set_new(j, "inlined", json_boolean(f->inlined));
	if (f->truncated)
		json_object_set_new(j, "truncated", json_true());
	return j;
}

struct stacks {
	struct seep_stacks *stacks;
	struct seep_stack stack;
	char **frames; /* of each frame, once it was needed */
};

static bool stacks_init(struct stacks *s, struct seep_stacks *stacks)
{
	s->stacks = stacks;
	s->stack = (struct seep_stack){0};
	s->frames = calloc((size_t)stacks->nr_frames + 1, sizeof(char *));
	return s->frames != NULL;
}

static void stacks_deinit(struct stacks *s)
{
	for (uint32_t i = 0; s->frames && i < s->stacks->nr_frames; i++)
		free(s->frames[i]);
	free(s->frames);
	seep_stack_deinit(&s->stack);
}

static const char *frame_text(struct stacks *s, const struct seep_frame *f)
{
	char **at = &s->frames[f - s->stacks->frames];

	if (!*at) {
		json_t *j = frame(f);

		*at = j ? json_dumps(j, DUMP_FLAGS) : NULL;
		json_decref(j);
	}
	return *at;
}

/* ---- writing ------------------------------------------------------------ */

/* The object without its last brace, so that a list can follow. */
static struct seep_error *write_open(json_t *j, const char *list, FILE *f)
{
	char *s = j ? json_dumps(j, DUMP_FLAGS) : NULL;
	size_t len;

	json_decref(j);
	if (!s)
		return no_memory();
	len = strlen(s) - 1;
	fprintf(f, "%.*s%s\"%s\":[", (int)len, s, len > 1 ? "," : "", list);
	free(s);
	return NULL;
}

/* The site, and blame and frames of the stack that is loaded. */
static struct seep_error *write_site(
    json_t *site, struct stacks *s, bool first, FILE *f)
{
	struct seep_error *err;

	fputs(first ? "\n" : ",\n", f);
	if (site)
		json_object_set_new(site, "blame", number(s->stack.blame));
	err = write_open(site, "frames", f);
	for (size_t i = 0; !err && i < s->stack.nr; i++) {
		const char *text = frame_text(s, s->stack.frames[i]);

		if (i)
			fputc(',', f);
		if (text)
			fputs(text, f);
		else
			err = no_memory();
	}
	fputs("]}", f);
	return err;
}

/* ---- report ------------------------------------------------------------- */

static json_t *command(const struct seep_process *p)
{
	json_t *j = json_array();

	for (char **arg = p->command; arg && *arg; arg++)
		json_array_append_new(j, text(*arg));
	return j;
}

static json_t *drops(
    const uint64_t *counts, const struct seep_drop_cause *causes)
{
	json_t *j = json_object();
	char buf[32];

	for (unsigned i = 0; i < SEEP_NR_DROP_CAUSES; i++) {
		char *name;

		if (!counts[i])
			continue;
		name = seep_valid_utf8(
		    seep_drop_cause_name(causes, i, buf, sizeof(buf)));
		if (name)
			json_object_set_new_nocheck(j, name, number(counts[i]));
		free(name);
	}
	return j;
}

/* Members that only figures of a sample have. */
static void set_error(json_t *j, const char *name, double variance)
{
	json_object_set_new(j, name, number(seep_standard_error(variance)));
}

static void set_live_errors(
    json_t *j, const struct seep_counts *c, uint64_t sample_bytes)
{
	if (!sample_bytes)
		return;
	set_error(j, "live_blocks_stderr", c->var.live_blocks);
	set_error(j, "live_bytes_stderr", c->var.live_bytes);
}

static void set_errors(
    json_t *j, const struct seep_counts *c, uint64_t sample_bytes)
{
	if (!sample_bytes)
		return;
	set_live_errors(j, c, sample_bytes);
	set_error(j, "alloc_blocks_stderr", c->var.alloc_blocks);
	set_error(j, "alloc_bytes_stderr", c->var.alloc_bytes);
}

static json_t *totals(const struct seep_process *p)
{
	const struct seep_counts *c = &p->totals;
	json_t *j = json_object();

	json_object_set_new(j, "alloc_blocks", number(c->alloc_blocks));
	json_object_set_new(j, "alloc_bytes", number(c->alloc_bytes));
	json_object_set_new(j, "free_blocks", number(c->free_blocks));
	json_object_set_new(j, "live_blocks", number(c->live_blocks));
	json_object_set_new(j, "live_bytes", number(c->live_bytes));
	json_object_set_new(j, "peak_live_bytes", number(p->peak_live_bytes));
	set_errors(j, c, p->sample_bytes);
	return j;
}

static json_t *memory(const struct seep_process *p)
{
	json_t *j = json_object();

	json_object_set_new(j, "rss_bytes", number(p->rss_bytes));
	json_object_set_new(j, "uss_bytes", number(p->uss_bytes));
	json_object_set_new(j, "pss_bytes", number(p->pss_bytes));
	json_object_set_new(j, "seep_bytes", number(p->seep_bytes));
	return j;
}

static json_t *exit_of(const struct seep_process *p)
{
	json_t *j = json_object();

	json_object_set_new(j, "code",
	    p->exit_code < 0 ? json_null() : json_integer(p->exit_code));
	json_object_set_new(j, "signal",
	    p->exit_signal <= 0 ? json_null() : json_integer(p->exit_signal));
	return j;
}

static const char *state_of(const struct seep_process *p)
{
	switch (p->state) {
	case SEEP_PROCESS_RUNNING:
		return "running";
	case SEEP_PROCESS_EXECED:
		return "execed";
	case SEEP_PROCESS_LOST:
		return "lost";
	case SEEP_PROCESS_EXITED:
		break;
	}
	return "exited";
}

static json_t *histories(const struct seep_report_histories *h)
{
	struct seep_lifetime all = {0};
	json_t *j;

	if (!h->how.every)
		return json_null();
	for (size_t i = 0; i < h->nr_sites; i++)
		seep_lifetime_add(&all, &h->sites[i].lifetime);
	j = json_object();
	json_object_set_new(j, "every", number(h->how.every));
	json_object_set_new(
	    j, "lossless", json_boolean(h->how.every == 1 && !h->how.lost));
	json_object_set_new(j, "lost", number(h->how.lost));
	json_object_set_new(j, "begun", number(all.begun));
	json_object_set_new(j, "ended", number(all.ended));
	json_object_set_new(j, "temporary", number(all.temporary));
	json_object_set_new(j, "elsewhere", number(all.elsewhere));
	return j;
}

static json_t *process(
    const struct seep_report *r, const struct seep_report_process *rp)
{
	const struct seep_process *p = &rp->process;
	json_t *j = json_object(), *inherited = json_object();

	json_object_set_new(j, "pid", number(p->pid));
	json_object_set_new(j, "ppid", number(p->ppid));
	json_object_set_new(j, "exe", text(p->exe));
	json_object_set_new(j, "command", command(p));
	json_object_set_new(j, "state", json_string(state_of(p)));
	json_object_set_new(j, "start_ms", number(p->start_ms));
	json_object_set_new(j, "end_ms", number(p->end_ms));
	json_object_set_new(j, "exit", exit_of(p));
	json_object_set_new(j, "sample_bytes", number(p->sample_bytes));
	json_object_set_new(j, "drops", drops(p->drops, r->causes));
	json_object_set_new(j, "totals", totals(p));
	json_object_set_new(j, "unknown_frees", number(p->unknown_frees));
	json_object_set_new(inherited, "blocks", number(p->inherited_blocks));
	json_object_set_new(inherited, "bytes", number(p->inherited_bytes));
	json_object_set_new(j, "inherited", inherited);
	json_object_set_new(j, "memory", memory(p));
	json_object_set_new(j, "histories", histories(&rp->histories));
	return j;
}

/* ---- report: histories -------------------------------------------------- */

static json_t *quantile(const struct seep_site_history *h, unsigned percent)
{
	return number(seep_lifetime_quantile(
	    &h->lifetime, h->counts, h->nr_counts, percent));
}

static json_t *lifetimes(const struct seep_site_history *h)
{
	const struct seep_lifetime *l = &h->lifetime;
	json_t *j = json_object(), *list = json_array();

	json_object_set_new(j, "begun", number(l->begun));
	json_object_set_new(j, "ended", number(l->ended));
	json_object_set_new(j, "temporary", number(l->temporary));
	json_object_set_new(j, "temporary_bytes", number(l->temporary_bytes));
	json_object_set_new(j, "elsewhere", number(l->elsewhere));
	if (l->ended) {
		json_object_set_new(j, "min_ns", number(l->min_ns));
		json_object_set_new(j, "median_ns", quantile(h, 50));
		json_object_set_new(j, "p95_ns", quantile(h, 95));
		json_object_set_new(j, "max_ns", number(l->max_ns));
		json_object_set_new(
		    j, "mean_ns", number(l->total_ns / l->ended));
	}
	for (size_t i = 0; i < h->nr_counts; i++) {
		json_t *c = json_object();

		json_object_set_new(c, "from_ns",
		    number(seep_lifetime_from(h->counts[i].class_)));
		json_object_set_new(c, "blocks", number(h->counts[i].blocks));
		json_array_append_new(list, c);
	}
	json_object_set_new(j, "histogram", list);
	return j;
}

/* The stacks that freed the most; uses the scratch stack. */
static json_t *freed_by(
    const struct seep_site_history *h, struct stacks *stacks)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->nr_freed && i < MAX_FREERS; i++) {
		json_t *j = json_object(), *frames = json_array();

		if (!seep_stack_load(
			&stacks->stack, stacks->stacks, h->freed[i].stack)) {
			json_decref(j);
			json_decref(frames);
			json_decref(list);
			return NULL;
		}
		for (size_t k = 0; k < stacks->stack.nr; k++)
			json_array_append_new(
			    frames, frame(stacks->stack.frames[k]));
		json_object_set_new(j, "blocks", number(h->freed[i].blocks));
		json_object_set_new(
		    j, "fingerprint", json_string(stacks->stack.fingerprint));
		json_object_set_new(j, "blame", number(stacks->stack.blame));
		json_object_set_new(j, "frames", frames);
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *report_site(const struct seep_site *s,
    const struct seep_report_process *rp, struct stacks *stacks)
{
	const struct seep_site_history *own =
	    s->history ? &rp->histories.sites[s->history - 1] : NULL;
	uint64_t sample_bytes = rp->process.sample_bytes;
	json_t *j, *freed = own ? freed_by(own, stacks) : json_null();

	if (!freed ||
	    !seep_stack_load(&stacks->stack, stacks->stacks, s->stack)) {
		json_decref(freed);
		return NULL;
	}
	j = json_object();
	json_object_set_new(j, "lifetimes", own ? lifetimes(own) : json_null());
	json_object_set_new(j, "freed_by", freed);
	json_object_set_new(
	    j, "fingerprint", json_string(stacks->stack.fingerprint));
	json_object_set_new(
	    j, "class", json_string(seep_class_name(s->class_)));
	json_object_set_new(j, "live_blocks", number(s->counts.live_blocks));
	json_object_set_new(j, "live_bytes", number(s->counts.live_bytes));
	json_object_set_new(j, "alloc_blocks", number(s->counts.alloc_blocks));
	json_object_set_new(j, "alloc_bytes", number(s->counts.alloc_bytes));
	json_object_set_new(j, "free_blocks", number(s->counts.free_blocks));
	json_object_set_new(j, "oldest_age_ms", age(s->oldest_age_ms));
	json_object_set_new(j, "newest_age_ms", age(s->newest_age_ms));
	set_errors(j, &s->counts, sample_bytes);
	return j;
}

struct seep_error *seep_json_report(
    const struct seep_report *r, size_t top, FILE *f)
{
	struct stacks stacks;
	struct seep_error *err = NULL;

	if (!stacks_init(&stacks, r->stacks))
		return no_memory();
	fputs("{\"schema\":\"seep-report/1\",\"processes\":[", f);
	for (size_t i = 0; i < r->nr_processes && !err; i++) {
		const struct seep_report_process *rp = &r->processes[i];

		fputs(i ? ",\n" : "\n", f);
		err = write_open(process(r, rp), "sites", f);
		for (size_t k = 0; k < rp->nr_sites && !err; k++) {
			if (top && k == top)
				break;
			err =
			    write_site(report_site(&rp->sites[k], rp, &stacks),
				&stacks, !k, f);
		}
		fputs("]}", f);
	}
	fputs("]}\n", f);
	stacks_deinit(&stacks);
	return err;
}

/* ---- growth ------------------------------------------------------------- */

static json_t *snapshot(const struct seep_snapshot *s, uint64_t sample_bytes)
{
	json_t *j = json_object();

	json_object_set_new(j, "id", json_integer(s->id));
	json_object_set_new(j, "at_ms", number(s->at_ms));
	json_object_set_new(j, "live_blocks", number(s->totals.live_blocks));
	json_object_set_new(j, "live_bytes", number(s->totals.live_bytes));
	json_object_set_new(
	    j, "rss_bytes", s->rss_bytes ? number(s->rss_bytes) : json_null());
	json_object_set_new(j, "label", text(s->label));
	set_live_errors(j, &s->totals, sample_bytes);
	return j;
}

static json_t *rest(const struct seep_growth_rest *r)
{
	json_t *j = json_object();

	json_object_set_new(j, "sites", number(r->nr_sites));
	json_object_set_new(j, "delta_bytes", json_integer(r->delta_bytes));
	return j;
}

static json_t *growth_head(
    const struct seep_process *p, json_t *from, const struct seep_snapshot *to)
{
	json_t *j = json_object();

	json_object_set_new(j, "schema", json_string("seep-growth/1"));
	json_object_set_new(j, "pid", number(p->pid));
	json_object_set_new(j, "exe", text(p->exe));
	json_object_set_new(j, "command", command(p));
	json_object_set_new(j, "sample_bytes", number(p->sample_bytes));
	json_object_set_new(j, "from", from);
	json_object_set_new(j, "to", snapshot(to, p->sample_bytes));
	return j;
}

static json_t *growth_site(const struct seep_growth_site *s,
    uint64_t sample_bytes, struct stacks *stacks)
{
	json_t *j;

	if (!seep_stack_load(&stacks->stack, stacks->stacks, s->stack))
		return NULL;
	j = json_object();
	json_object_set_new(
	    j, "fingerprint", json_string(stacks->stack.fingerprint));
	json_object_set_new(j, "delta_blocks", json_integer(s->delta_blocks));
	json_object_set_new(j, "delta_bytes", json_integer(s->delta_bytes));
	json_object_set_new(j, "live_blocks", number(s->now.live_blocks));
	json_object_set_new(j, "live_bytes", number(s->now.live_bytes));
	json_object_set_new(j, "grew_in", number(s->trend.grew_in));
	json_object_set_new(j, "of", number(s->trend.of));
	json_object_set_new(
	    j, "trend", json_string(seep_trend_name(s->trend.trend)));
	json_object_set_new(j, "oldest_age_ms", age(s->oldest_age_ms));
	set_live_errors(j, &s->now, sample_bytes);
	if (sample_bytes) {
		set_error(j, "delta_blocks_stderr", s->delta_blocks_var);
		set_error(j, "delta_bytes_stderr", s->delta_bytes_var);
		json_object_set_new(j, "noise", json_boolean(s->is_noise));
	}
	return j;
}

struct seep_error *seep_json_growth(
    const struct seep_growth *g, size_t top, FILE *f)
{
	struct seep_error *err;
	struct stacks stacks;
	json_t *head;

	if (!stacks_init(&stacks, g->stacks))
		return no_memory();
	head = growth_head(
	    &g->process, snapshot(&g->from, g->process.sample_bytes), &g->to);
	json_object_set_new(head, "drops", drops(g->process.drops, g->causes));
	json_object_set_new(head, "snapshots", number(g->nr_snapshots));
	json_object_set_new(head, "stopped", rest(&g->stopped));
	json_object_set_new(head, "churning", rest(&g->churning));
	if (g->process.sample_bytes) {
		json_object_set_new(head, "noise", rest(&g->noise));
		set_error(head, "delta_blocks_stderr", g->delta_blocks_var);
		set_error(head, "delta_bytes_stderr", g->delta_bytes_var);
	}
	err = write_open(head, "sites", f);
	for (size_t i = 0; i < g->nr_sites && !err; i++) {
		if (top && i == top)
			break;
		err = write_site(
		    growth_site(&g->sites[i], g->process.sample_bytes, &stacks),
		    &stacks, !i, f);
	}
	fputs("]}\n", f);
	stacks_deinit(&stacks);
	return err;
}

struct seep_error *seep_json_growth_begins(
    const struct seep_process *p, const struct seep_snapshot *to, FILE *f)
{
	struct seep_error *err;

	err = write_open(growth_head(p, json_null(), to), "sites", f);
	fputs("]}\n", f);
	return err;
}

/* ---- diff --------------------------------------------------------------- */

static json_t *side(const struct seep_diff_side *s)
{
	json_t *j = json_object();

	json_object_set_new(j, "file", text(s->path));
	json_object_set_new(j, "processes", number(s->nr_processes));
	json_object_set_new(j, "live_blocks", number(s->totals.live_blocks));
	json_object_set_new(j, "live_bytes", number(s->totals.live_bytes));
	json_object_set_new(j, "sample_bytes", number(s->sample_bytes));
	set_live_errors(j, &s->totals, s->sample_bytes);
	json_object_set_new(j, "drops", drops(s->drops, s->causes));
	return j;
}

static json_t *side_counts(const struct seep_counts *c, uint64_t sample_bytes)
{
	json_t *j = json_object();

	json_object_set_new(j, "live_blocks", number(c->live_blocks));
	json_object_set_new(j, "live_bytes", number(c->live_bytes));
	json_object_set_new(j, "alloc_blocks", number(c->alloc_blocks));
	json_object_set_new(j, "alloc_bytes", number(c->alloc_bytes));
	set_errors(j, c, sample_bytes);
	return j;
}

static json_t *diff_site(const struct seep_diff *d,
    const struct seep_diff_site *s, struct stacks *stacks)
{
	json_t *j;

	if (!seep_stack_load(&stacks->stack, stacks->stacks, s->stack))
		return NULL;
	j = json_object();
	json_object_set_new(j, "fingerprint", json_string(s->fingerprint));
	json_object_set_new(j, "delta_blocks",
	    json_integer((json_int_t)(s->b.live_blocks - s->a.live_blocks)));
	json_object_set_new(j, "delta_bytes",
	    json_integer((json_int_t)(s->b.live_bytes - s->a.live_bytes)));
	json_object_set_new(j, "a",
	    s->in_a ? side_counts(&s->a, d->a.sample_bytes) : json_null());
	json_object_set_new(j, "b",
	    s->in_b ? side_counts(&s->b, d->b.sample_bytes) : json_null());
	if (d->a.sample_bytes || d->b.sample_bytes) {
		double bytes_var = seep_diff_bytes_var(&s->a, &s->b);

		set_error(j, "delta_blocks_stderr",
		    seep_diff_blocks_var(&s->a, &s->b));
		set_error(j, "delta_bytes_stderr", bytes_var);
		json_object_set_new(j, "noise",
		    json_boolean(seep_is_noise(
			(int64_t)(s->b.live_bytes - s->a.live_bytes),
			bytes_var)));
	}
	return j;
}

struct seep_error *seep_json_diff(
    const struct seep_diff *d, size_t top, FILE *f)
{
	struct seep_error *err;
	struct stacks stacks;
	json_t *head;

	if (!stacks_init(&stacks, d->stacks))
		return no_memory();
	head = json_object();
	json_object_set_new(head, "schema", json_string("seep-diff/1"));
	json_object_set_new(head, "a", side(&d->a));
	json_object_set_new(head, "b", side(&d->b));
	err = write_open(head, "sites", f);
	for (size_t i = 0; i < d->nr_sites && !err; i++) {
		if (top && i == top)
			break;
		err = write_site(
		    diff_site(d, &d->sites[i], &stacks), &stacks, !i, f);
	}
	fputs("]}\n", f);
	stacks_deinit(&stacks);
	return err;
}
