/* SPDX-License-Identifier: MIT */
/* query_growth.c - from a recording to what grew between two snapshots */
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "analyzer/cmd/query_impl.h"
#include "analyzer/cmd/query_series.h"
#include "analyzer/model/sample.h"

/* Windows of fewer snapshots are judged by what was before them, too. */
#define SHORT_WINDOW 12

struct growth {
	struct seep_query *q;
	const struct seep_query_window *window;
	struct seep_snapshot *snapshots;
	size_t nr_snapshots, from, to;
	struct seep_rows rows;
	struct seep_tracks tracks;
	struct seep_tracks before; /* the window; empty without a history */
	struct seep_site *sites;   /* for the ages */
	size_t nr_sites;
};

static void growth_deinit(struct growth *g)
{
	for (size_t i = 0; i < g->nr_snapshots; i++)
		seep_snapshot_deinit(&g->snapshots[i]);
	free(g->snapshots);
	seep_rows_deinit(&g->rows);
	seep_tracks_deinit(&g->tracks);
	seep_tracks_deinit(&g->before);
	free(g->sites);
}

/* ---- which process, which snapshots ------------------------------------- */

/* What an exec replaced took its blocks with it. */
static bool has_more(const struct seep_process *a, const struct seep_process *b)
{
	bool gone_a = a->state == SEEP_PROCESS_EXECED;
	bool gone_b = b->state == SEEP_PROCESS_EXECED;

	if (gone_a != gone_b)
		return gone_b;
	return a->totals.live_bytes > b->totals.live_bytes;
}

static struct seep_error *pick_process(
    struct growth *g, struct seep_process *ret)
{
	struct seep_process *list;
	struct seep_error *err;
	size_t nr, best;

	err = seep_query_processes(g->q, &list, &nr);
	if (err)
		return err;
	best = nr;
	for (size_t i = 0; i < nr; i++) {
		if (g->window->process_id
			? list[i].id == g->window->process_id
			: best == nr || has_more(&list[i], &list[best]))
			best = i;
	}
	if (best == nr)
		err = seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s' has no process yet", g->q->path);
	for (size_t i = 0; i < nr; i++) {
		if (!err && i == best)
			*ret = list[i];
		else
			seep_process_deinit(&list[i]);
	}
	free(list);
	return err;
}

/* The newest snapshot that is not later. */
static size_t at_time(const struct growth *g, uint64_t at_ms)
{
	size_t i = g->nr_snapshots - 1;

	while (i && g->snapshots[i].at_ms > at_ms)
		i--;
	return i;
}

static struct seep_error *find_snapshot(const struct growth *g,
    const char *option, uint64_t value, bool is_time, size_t *ret)
{
	if (is_time) {
		*ret = at_time(g, value);
		return NULL;
	}
	for (size_t i = 0; i < g->nr_snapshots; i++) {
		if ((uint64_t)g->snapshots[i].id == value) {
			*ret = i;
			return NULL;
		}
	}
	return seep_error_new(SEEP_ERROR_USAGE,
	    "%s: there is no snapshot %" PRIu64
	    " of this process, it has %" PRId64 " to %" PRId64
	    " (a time is written with its unit: %" PRIu64 "s)",
	    option, value, g->snapshots[0].id,
	    g->snapshots[g->nr_snapshots - 1].id, value);
}

/*
 * The last snapshot; but a program that frees all it has before it ends hides
 * there what grew until then: so the one before it, if most was freed since.
 */
static size_t last_of_its_life(const struct growth *g)
{
	size_t end = g->nr_snapshots - 1;

	if (end >= 2 && g->snapshots[end].kind == SEEP_SNAPSHOT_END &&
	    g->snapshots[end].totals.live_bytes <
		g->snapshots[end - 1].totals.live_bytes / 2)
		return end - 1;
	return end;
}

static struct seep_error *pick_window(
    struct growth *g, const struct seep_process *p, struct seep_growth *ret)
{
	const struct seep_query_window *w = g->window;
	struct seep_error *err;

	err = seep_store_snapshots(
	    g->q->st, p->id, &g->snapshots, &g->nr_snapshots);
	if (err)
		return err;
	if (g->nr_snapshots < 2)
		return seep_error_new(SEEP_ERROR_OTHER,
		    "process %u has %zu snapshot%s and growth takes two: "
		    "'seep run --every 1s' takes more",
		    p->pid, g->nr_snapshots, g->nr_snapshots == 1 ? "" : "s");
	g->to = last_of_its_life(g);
	ret->before_end = !w->has_to && g->to + 1 < g->nr_snapshots;
	if (w->has_to)
		err = find_snapshot(
		    g, "option --to", w->to, w->to_is_time, &g->to);
	if (!err && w->has_from)
		err = find_snapshot(
		    g, "option --from", w->from, w->from_is_time, &g->from);
	else
		g->from = seep_warm_up(g->to + 1);
	if (!err && g->from >= g->to)
		err = seep_error_new(SEEP_ERROR_USAGE,
		    "there is no snapshot between %" PRId64 " and %" PRId64,
		    g->snapshots[g->from].id, g->snapshots[g->to].id);
	if (err)
		return err;
	ret->warm_up = !w->has_from;
	ret->nr_snapshots = (uint32_t)(g->to - g->from);
	ret->from = g->snapshots[g->from];
	ret->to = g->snapshots[g->to];
	seep_change_variances(&ret->from.totals.var, &ret->to.totals.var,
	    &ret->delta_blocks_var, &ret->delta_bytes_var);
	/* they are the growth's now */
	g->snapshots[g->from].label = NULL;
	g->snapshots[g->to].label = NULL;
	return NULL;
}

/* ---- which sites -------------------------------------------------------- */

static struct seep_error *module_passes(
    struct seep_query *q, uint32_t number, struct seep_stack *stack, bool *ret)
{
	const char *path, *slash;

	*ret = true;
	if (!q->opt.module)
		return NULL;
	if (!seep_stack_load(stack, q->stacks, number))
		return seep_query_no_memory();
	path = stack->nr ? stack->frames[stack->blame]->module : NULL;
	slash = path ? strrchr(path, '/') : NULL;
	*ret = path && (!fnmatch(q->opt.module, path, 0) ||
			   (slash && !fnmatch(q->opt.module, slash + 1, 0)));
	return NULL;
}

static uint64_t oldest_age(
    const struct growth *g, const uint32_t *of_stack, uint32_t stack)
{
	/* ages are known for the last look only */
	if (g->to + 1 < g->nr_snapshots || !of_stack[stack])
		return SEEP_AGE_UNKNOWN;
	return g->sites[of_stack[stack] - 1].oldest_age_ms;
}

static enum seep_trend judge(const struct growth *g, const struct seep_track *t)
{
	const struct seep_track *before = NULL;
	enum seep_trend trend = seep_series_trend(&t->series);

	if (g->before.of_stack)
		before = seep_tracks_find(&g->before, t->stack);
	if (before && t->series.nr < SHORT_WINDOW &&
	    seep_series_is_usual(&before->series, &t->series))
		return SEEP_TREND_CHURNING;
	return trend;
}

static void add_rest(
    struct seep_growth_rest *r, const struct seep_growth_site *s)
{
	r->nr_sites++;
	r->delta_bytes += s->delta_bytes;
}

static struct seep_error *list_sites(
    struct growth *g, const uint32_t *of_stack, struct seep_growth *ret)
{
	struct seep_stack stack = {0};
	struct seep_error *err = NULL;

	ret->sites = calloc(g->tracks.nr + 1, sizeof(*ret->sites));
	if (!ret->sites)
		return seep_query_no_memory();
	for (uint32_t i = 0; i < g->tracks.nr && !err; i++) {
		const struct seep_track *t = &g->tracks.tracks[i];
		struct seep_growth_site s = {
		    .stack = t->stack,
		    .delta_blocks =
			(int64_t)(t->now.live_blocks - t->from.live_blocks),
		    .delta_bytes =
			(int64_t)(t->now.live_bytes - t->from.live_bytes),
		    .now = t->now,
		    .trend = {judge(g, t), t->series.grew_in, t->series.nr},
		};
		bool pass;

		/* blocks of 0 bytes can grow, too */
		if (s.delta_bytes < 0 ||
		    (!s.delta_bytes && s.delta_blocks <= 0))
			continue;
		if ((uint64_t)s.delta_bytes < g->q->opt.min_bytes)
			continue;
		err = module_passes(g->q, s.stack, &stack, &pass);
		if (err || !pass)
			continue;
		seep_change_variances(&t->from.var, &t->now.var,
		    &s.delta_blocks_var, &s.delta_bytes_var);
		s.is_noise = seep_is_noise(s.delta_bytes, s.delta_bytes_var);
		s.oldest_age_ms = oldest_age(g, of_stack, s.stack);
		ret->sites[ret->nr_sites++] = s;
	}
	seep_stack_deinit(&stack);
	return err;
}

/*
 * What never stops is what the reader is after: while there is any, what
 * stopped and what goes up and down is only counted. Without any, what stopped
 * is listed. What may be chance is only counted.
 */
static void keep_the_worst(struct growth *g, struct seep_growth *ret)
{
	bool growing = false;
	size_t kept = 0;

	if (g->window->all)
		return;
	for (size_t i = 0; i < ret->nr_sites; i++) {
		if (ret->sites[i].trend.trend == SEEP_TREND_GROWING &&
		    !ret->sites[i].is_noise && ret->nr_snapshots >= 3)
			growing = true;
	}
	for (size_t i = 0; i < ret->nr_sites; i++) {
		struct seep_growth_site *s = &ret->sites[i];

		if (s->is_noise)
			add_rest(&ret->noise, s);
		else if (s->trend.trend == SEEP_TREND_CHURNING)
			add_rest(&ret->churning, s);
		else if (growing && s->trend.trend != SEEP_TREND_GROWING)
			add_rest(&ret->stopped, s);
		else
			ret->sites[kept++] = *s;
	}
	ret->nr_sites = kept;
}

static int compare_sites(const void *pa, const void *pb, void *ctx)
{
	const struct seep_growth_site *a = pa, *b = pb;
	enum seep_sort sort = *(enum seep_sort *)ctx;

	if (sort == SEEP_SORT_BLOCKS && a->delta_blocks != b->delta_blocks)
		return a->delta_blocks > b->delta_blocks ? -1 : 1;
	if (sort == SEEP_SORT_AGE && a->oldest_age_ms != b->oldest_age_ms)
		return a->oldest_age_ms + 1 > b->oldest_age_ms + 1 ? -1 : 1;
	if (a->delta_bytes != b->delta_bytes)
		return a->delta_bytes > b->delta_bytes ? -1 : 1;
	if (a->delta_blocks != b->delta_blocks)
		return a->delta_blocks > b->delta_blocks ? -1 : 1;
	return a->stack < b->stack ? -1 : a->stack > b->stack;
}

/* For a short window also what was before it, without the warm-up. */
static struct seep_error *load_history(struct growth *g)
{
	size_t warm = seep_warm_up(g->to + 1);

	if (g->from <= warm)
		return NULL;
	return seep_tracks_load(
	    &g->before, g->q->st, &g->q->tree, g->snapshots, warm, g->from);
}

static struct seep_error *find_sites(struct growth *g, struct seep_growth *ret)
{
	_cleanup_(seep_freep) uint32_t *of_stack = NULL;
	struct seep_error *err;

	err = seep_rows_load(g->q, &ret->process, &g->rows);
	if (err)
		return err;
	seep_rows_want(g->q, &g->rows);
	err = seep_query_names(g->q);
	if (!err)
		err = seep_query_limit(g->q, &g->rows, 1);
	if (!err)
		err = seep_sites_build(
		    g->q, &ret->process, &g->rows, &g->sites, &g->nr_sites);
	if (!err)
		err = seep_tracks_load(&g->tracks, g->q->st, &g->q->tree,
		    g->snapshots, g->from, g->to);
	if (!err)
		err = load_history(g);
	if (err)
		return err;
	of_stack =
	    calloc((size_t)g->q->stacks->nr_nodes + 1, sizeof(*of_stack));
	if (!of_stack)
		return seep_query_no_memory();
	for (size_t i = 0; i < g->nr_sites; i++)
		of_stack[g->sites[i].stack] = (uint32_t)i + 1;
	err = list_sites(g, of_stack, ret);
	if (err)
		return err;
	keep_the_worst(g, ret);
	if (ret->nr_sites)
		qsort_r(ret->sites, ret->nr_sites, sizeof(*ret->sites),
		    compare_sites, &g->q->opt.sort);
	return NULL;
}

struct seep_error *seep_query_growth(struct seep_query *q,
    const struct seep_query_window *w, struct seep_growth *ret)
{
	_cleanup_(growth_deinit) struct growth g = {.q = q, .window = w};
	struct seep_growth r = {.stacks = q->stacks};
	struct seep_error *err;

	err = pick_process(&g, &r.process);
	if (!err)
		err = pick_window(&g, &r.process, &r);
	if (!err)
		err = seep_store_drop_causes(q->st, r.causes);
	if (!err)
		err = find_sites(&g, &r);
	if (err)
		seep_growth_deinit(&r);
	else
		*ret = r;
	return err;
}
