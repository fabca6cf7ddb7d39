/* SPDX-License-Identifier: MIT */
/* query.c - from a recording to a report and to differences */
#include <fnmatch.h>
#include <string.h>

#include "analyzer/cmd/query_histories.h"
#include "analyzer/cmd/query_impl.h"
#include "analyzer/cmd/query_series.h"
#include "analyzer/model/sample.h"

#define MIN_TREND_SNAPSHOTS 6
#define MAX_FRAMES_IN_ALL   (200u << 20)
#define CUT_DEPTH	    256

struct seep_error *seep_query_no_memory(void)
{
	return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
}

/* ---- opening ------------------------------------------------------------ */

struct seep_error *seep_query_open(const char *path, struct seep_stacks *stacks,
    const struct seep_query_options *opt, struct seep_query **ret)
{
	_cleanup_(seep_query_destroyp) struct seep_query *q = NULL;
	struct seep_error *err;

	q = calloc(1, sizeof(*q));
	if (!q)
		return seep_query_no_memory();
	q->opt = *opt;
	q->stacks = stacks;
	q->path = strdup(path);
	if (!q->path)
		return seep_query_no_memory();
	err = seep_store_open(path, &q->st);
	if (!err)
		err = seep_store_freeze(q->st);
	if (!err)
		err = seep_tree_load(&q->tree, q->st, stacks);
	if (err)
		return err;
	*ret = no_cleanup_ptr(q);
	return NULL;
}

void seep_query_destroy(struct seep_query *q)
{
	if (!q)
		return;
	seep_tree_deinit(&q->tree);
	seep_store_destroy(q->st);
	free(q->path);
	free(q);
}

struct seep_store *seep_query_store(struct seep_query *q)
{
	return q->st;
}

struct seep_error *seep_query_names(struct seep_query *q)
{
	struct seep_error *err;

	if (q->numbered)
		return NULL;
	err = seep_tree_resolve(&q->tree, &q->opt);
	if (!err)
		err = seep_tree_number(&q->tree);
	q->numbered = !err;
	return err;
}

/* ---- the rows of a process ---------------------------------------------- */

void seep_rows_deinit(struct seep_rows *r)
{
	free(r->survivors);
	free(r->counts);
	*r = (struct seep_rows){0};
}

static struct seep_error *check_site(const struct seep_query *q, int64_t site)
{
	if (site >= 1 && site <= q->tree.nr_nodes)
		return NULL;
	return seep_error_new(SEEP_ERROR_CORRUPT,
	    "recording '%s' is damaged: a site is no frame", q->path);
}

struct seep_error *seep_rows_load(
    struct seep_query *q, const struct seep_process *p, struct seep_rows *r)
{
	struct seep_error *err;

	*r = (struct seep_rows){0};
	err =
	    seep_store_survivors(q->st, p->id, &r->survivors, &r->nr_survivors);
	if (!err)
		err = seep_store_site_rows(
		    q->st, p->id, INT64_MAX, &r->counts, &r->nr_counts);
	for (size_t i = 0; i < r->nr_survivors && !err; i++)
		err = check_site(q, r->survivors[i].site);
	for (size_t i = 0; i < r->nr_counts && !err; i++)
		err = check_site(q, r->counts[i].site);
	if (err)
		seep_rows_deinit(r);
	/* A collector that was killed early may have counted only. */
	r->by_counts = !err && !r->nr_survivors && p->totals.live_blocks;
	return err;
}

static int by_live_bytes(const void *pa, const void *pb)
{
	const struct seep_site_row *a = pa, *b = pb;

	if (a->counts.live_bytes != b->counts.live_bytes)
		return a->counts.live_bytes > b->counts.live_bytes ? -1 : 1;
	if (a->counts.live_blocks != b->counts.live_blocks)
		return a->counts.live_blocks > b->counts.live_blocks ? -1 : 1;
	return a->site < b->site ? -1 : a->site > b->site;
}

static int by_bytes(const void *pa, const void *pb)
{
	const struct seep_survivor_row *a = pa, *b = pb;
	uint64_t x = a->blocks * a->size_bytes, y = b->blocks * b->size_bytes;

	if (x != y)
		return x > y ? -1 : 1;
	return a->site < b->site ? -1 : a->site > b->site;
}

/* The sites whose frames will be seen get names; the order of rows changes. */
void seep_rows_want(struct seep_query *q, struct seep_rows *r)
{
	size_t top = q->opt.resolve_top;

	if (r->nr_counts)
		qsort(
		    r->counts, r->nr_counts, sizeof(*r->counts), by_live_bytes);
	for (size_t i = 0; i < r->nr_counts && i < top; i++) {
		if (!q->opt.idle_sites && !r->counts[i].counts.live_blocks)
			break;
		seep_tree_want(
		    &q->tree, (uint32_t)r->counts[i].site, q->opt.debuginfod);
	}
	/* The same sites, unless the counts are of a later moment. */
	if (r->nr_survivors)
		qsort(r->survivors, r->nr_survivors, sizeof(*r->survivors),
		    by_bytes);
	for (size_t i = 0; i < r->nr_survivors && i < top; i++)
		seep_tree_want(&q->tree, (uint32_t)r->survivors[i].site,
		    q->opt.debuginfod);
}

/*
 * A small file can describe a chain of a million frames with a site at each of
 * them: printed in full that would have no end.
 */
struct seep_error *seep_query_limit(
    struct seep_query *q, const struct seep_rows *rows, size_t nr)
{
	const struct seep_stacks *s = q->stacks;
	_cleanup_(seep_freep) uint32_t *depth = NULL;
	uint64_t total = 0;

	depth = calloc(s->nr_nodes, sizeof(*depth));
	if (!depth)
		return seep_query_no_memory();
	/* a parent comes before its child */
	for (uint32_t i = 1; i < s->nr_nodes; i++) {
		uint64_t d = (uint64_t)depth[s->nodes[i].parent] +
			     s->addresses[s->nodes[i].address].nr;

		depth[i] = d > UINT32_MAX ? UINT32_MAX : (uint32_t)d;
	}
	for (size_t i = 0; i < nr; i++) {
		for (size_t k = 0; k < rows[i].nr_counts; k++)
			total += depth[q->tree.numbers[rows[i].counts[k].site]];
		for (size_t k = 0; k < rows[i].nr_survivors; k++)
			total +=
			    depth[q->tree.numbers[rows[i].survivors[k].site]];
		for (size_t k = 0;
		     rows[i].histories && k < rows[i].histories->nr_freed; k++)
			total +=
			    depth[q->tree.numbers
				      [rows[i].histories->freed[k].free_site]];
	}
	if (total > MAX_FRAMES_IN_ALL &&
	    !seep_stacks_limit(q->stacks, CUT_DEPTH))
		return seep_query_no_memory();
	return NULL;
}

/* ---- sites -------------------------------------------------------------- */

struct builder {
	uint64_t sample_bytes;
	struct seep_site *sites;
	struct seep_estimate *alive; /* of each site, if sampled */
	uint32_t *next;		     /* of the same stack, position + 1 */
	uint32_t nr, room;
	uint32_t *of_stack; /* position + 1 */
};

static void builder_deinit(struct builder *b)
{
	free(b->sites);
	free(b->alive);
	free(b->next);
	free(b->of_stack);
}

static struct seep_site *get_site(
    struct builder *b, uint32_t stack, enum seep_class class_)
{
	struct seep_site *s;

	for (uint32_t i = b->of_stack[stack]; i; i = b->next[i - 1]) {
		if (b->sites[i - 1].class_ == class_)
			return &b->sites[i - 1];
	}
	if (b->nr == b->room) {
		uint32_t room = b->room ? b->room * 2 : 256;
		void *more = realloc(b->sites, room * sizeof(*b->sites));

		if (!more)
			return NULL;
		b->sites = more;
		more = realloc(b->next, room * sizeof(*b->next));
		if (!more)
			return NULL;
		b->next = more;
		more = realloc(b->alive, room * sizeof(*b->alive));
		if (!more)
			return NULL;
		b->alive = more;
		b->room = room;
	}
	b->alive[b->nr] = (struct seep_estimate){0};
	s = &b->sites[b->nr];
	*s = (struct seep_site){
	    .stack = stack,
	    .class_ = class_,
	    .oldest_age_ms = SEEP_AGE_UNKNOWN,
	    .newest_age_ms = SEEP_AGE_UNKNOWN,
	};
	b->next[b->nr] = b->of_stack[stack];
	b->of_stack[stack] = ++b->nr;
	return s;
}

static uint64_t age(uint64_t now_ms, uint64_t birth_ms)
{
	if (birth_ms == SEEP_AGE_UNKNOWN)
		return SEEP_AGE_UNKNOWN;
	return now_ms > birth_ms ? now_ms - birth_ms : 0;
}

static void add_survivor(struct builder *b, struct seep_site *s,
    const struct seep_survivor_row *row, uint64_t now_ms)
{
	uint64_t oldest = age(now_ms, row->oldest_ms);
	uint64_t newest = age(now_ms, row->newest_ms);

	if (b->sample_bytes) {
		struct seep_estimate *e = &b->alive[s - b->sites];

		seep_estimate_add(
		    e, b->sample_bytes, row->size_bytes, row->blocks);
		seep_estimate_set(e, &s->counts);
	} else {
		s->counts.live_blocks += row->blocks;
		s->counts.live_bytes += row->blocks * row->size_bytes;
	}
	if (oldest != SEEP_AGE_UNKNOWN &&
	    (s->oldest_age_ms == SEEP_AGE_UNKNOWN || oldest > s->oldest_age_ms))
		s->oldest_age_ms = oldest;
	if (newest != SEEP_AGE_UNKNOWN && newest < s->newest_age_ms)
		s->newest_age_ms = newest;
}

/* Counts know no classes: they go to the site's own class, if it has one. */
static struct seep_site *site_of_counts(struct builder *b, uint32_t stack)
{
	for (uint32_t i = b->of_stack[stack]; i; i = b->next[i - 1]) {
		if (b->sites[i - 1].class_ != SEEP_CLASS_INHERITED)
			return &b->sites[i - 1];
	}
	return get_site(b, stack, SEEP_CLASS_UNKNOWN);
}

struct seep_error *seep_sites_build(struct seep_query *q,
    const struct seep_process *p, const struct seep_rows *r,
    struct seep_site **ret, size_t *nr)
{
	_cleanup_(builder_deinit) struct builder b = {
	    .sample_bytes = p->sample_bytes};
	struct seep_site *s;

	b.of_stack = calloc((size_t)q->stacks->nr_nodes + 1, sizeof(uint32_t));
	if (!b.of_stack)
		return seep_query_no_memory();
	for (size_t i = 0; i < r->nr_survivors; i++) {
		const struct seep_survivor_row *row = &r->survivors[i];

		s = get_site(&b, q->tree.numbers[row->site], row->class_);
		if (!s)
			return seep_query_no_memory();
		add_survivor(&b, s, row, p->end_ms);
	}
	for (size_t i = 0; i < r->nr_counts; i++) {
		struct seep_counts c = r->counts[i].counts;

		if (!c.alloc_blocks && !(r->by_counts && c.live_blocks))
			continue;
		s = site_of_counts(&b, q->tree.numbers[r->counts[i].site]);
		if (!s)
			return seep_query_no_memory();
		if (!r->by_counts) { /* it is in the survivors */
			c.live_blocks = c.live_bytes = 0;
			c.var.live_blocks = c.var.live_bytes = 0;
		}
		seep_counts_add(&s->counts, &c);
	}
	*ret = no_cleanup_ptr(b.sites);
	*nr = b.nr;
	return NULL;
}

/* ---- the report --------------------------------------------------------- */

static int compare_u64(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b; /* the most first */
}

struct order {
	enum seep_sort sort;
	const struct seep_report_histories *histories;
};

static int compare_sites(const void *pa, const void *pb, void *ctx)
{
	const struct seep_site *a = pa, *b = pb;
	const struct order *order = ctx;
	int c = 0;

	switch (order->sort) {
	case SEEP_SORT_BLOCKS:
		c = compare_u64(a->counts.live_blocks, b->counts.live_blocks);
		break;
	case SEEP_SORT_AGE: /* unknown is the youngest */
		c = compare_u64(a->oldest_age_ms + 1, b->oldest_age_ms + 1);
		break;
	case SEEP_SORT_ALLOCS:
		c = compare_u64(a->counts.alloc_blocks, b->counts.alloc_blocks);
		break;
	case SEEP_SORT_TEMPORARY:
		c = compare_u64(seep_site_temporary(order->histories, a),
		    seep_site_temporary(order->histories, b));
		break;
	case SEEP_SORT_BYTES:
		break;
	}
	if (!c)
		c = compare_u64(a->counts.live_bytes, b->counts.live_bytes);
	if (!c)
		c = compare_u64(a->counts.live_blocks, b->counts.live_blocks);
	if (!c)
		c = compare_u64(a->counts.alloc_bytes, b->counts.alloc_bytes);
	if (!c)
		c = a->stack < b->stack ? -1 : a->stack > b->stack;
	return c;
}

static bool module_matches(const char *pattern, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (!path)
		return false;
	return !fnmatch(pattern, path, 0) ||
	       (slash && !fnmatch(pattern, slash + 1, 0));
}

static struct seep_error *filter_sites(
    struct seep_query *q, struct seep_report_process *rp)
{
	struct seep_stack stack = {0};
	size_t kept = 0;

	for (size_t i = 0; i < rp->nr_sites; i++) {
		const struct seep_site *s = &rp->sites[i];
		bool keep = s->counts.live_bytes >= q->opt.min_bytes;

		if (keep && q->opt.module) {
			if (!seep_stack_load(&stack, q->stacks, s->stack)) {
				seep_stack_deinit(&stack);
				return seep_query_no_memory();
			}
			keep =
			    stack.nr && module_matches(q->opt.module,
					    stack.frames[stack.blame]->module);
		}
		if (keep)
			rp->sites[kept++] = *s;
	}
	seep_stack_deinit(&stack);
	rp->filtered = kept < rp->nr_sites;
	rp->nr_sites = kept;
	return NULL;
}

static void free_snapshots(struct seep_snapshot *s, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		seep_snapshot_deinit(&s[i]);
	free(s);
}

static struct seep_error *find_trends(
    struct seep_query *q, struct seep_report_process *rp)
{
	struct seep_snapshot *snapshots = NULL;
	struct seep_tracks tracks = {0};
	struct seep_error *err;
	size_t nr = 0;

	err = seep_store_snapshots(q->st, rp->process.id, &snapshots, &nr);
	if (err || nr < MIN_TREND_SNAPSHOTS)
		goto out;
	err = seep_tracks_load(
	    &tracks, q->st, &q->tree, snapshots, seep_warm_up(nr), nr - 1);
	if (err)
		goto out;
	rp->trends = calloc(rp->nr_sites + 1, sizeof(*rp->trends));
	for (size_t i = 0; rp->trends && i < rp->nr_sites; i++) {
		const struct seep_track *t =
		    seep_tracks_find(&tracks, rp->sites[i].stack);

		if (!t)
			continue;
		rp->trends[i].trend = seep_series_trend(&t->series);
		rp->trends[i].grew_in = t->series.grew_in;
		rp->trends[i].of = t->series.nr;
	}
	seep_tracks_deinit(&tracks);
out:
	free_snapshots(snapshots, nr);
	return err;
}

static struct seep_error *build_process(struct seep_query *q,
    const struct seep_rows *rows, struct seep_query_histories *histories,
    struct seep_report_process *rp)
{
	struct order order = {q->opt.sort, &rp->histories};
	struct seep_error *err;

	err =
	    seep_sites_build(q, &rp->process, rows, &rp->sites, &rp->nr_sites);
	if (!err)
		err = seep_query_histories_build(
		    q, histories, &rp->histories, rp->sites, rp->nr_sites);
	if (!err)
		err = filter_sites(q, rp);
	if (err)
		return err;
	if (rp->nr_sites)
		qsort_r(rp->sites, rp->nr_sites, sizeof(*rp->sites),
		    compare_sites, &order);
	return q->opt.trends ? find_trends(q, rp) : NULL;
}

/* Processes that the options ask for; the others are freed. */
struct seep_error *seep_query_processes(
    struct seep_query *q, struct seep_process **ret, size_t *nr)
{
	struct seep_process *list;
	struct seep_error *err;
	size_t n, kept = 0;

	err = seep_store_processes(q->st, &list, &n);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (!q->opt.pid || list[i].pid == q->opt.pid)
			list[kept++] = list[i];
		else
			seep_process_deinit(&list[i]);
	}
	if (q->opt.pid && !kept) {
		free(list);
		return seep_error_new(SEEP_ERROR_USAGE,
		    "recording '%s' has no process %llu", q->path,
		    (unsigned long long)q->opt.pid);
	}
	*ret = list;
	*nr = kept;
	return NULL;
}

static int compare_processes(const void *pa, const void *pb)
{
	const struct seep_report_process *a = pa, *b = pb;
	bool gone_a = a->process.state == SEEP_PROCESS_EXECED;
	bool gone_b = b->process.state == SEEP_PROCESS_EXECED;
	int c = gone_a - gone_b;

	/* what an exec replaced took its blocks with it */
	if (c)
		return c;
	c = compare_u64(
	    a->process.totals.live_bytes, b->process.totals.live_bytes);

	return c ? c : a->process.id < b->process.id ? -1 : 1;
}

struct seep_error *seep_query_report(
    struct seep_query *q, struct seep_report *ret)
{
	struct seep_report r = {.stacks = q->stacks};
	struct seep_process *list = NULL;
	struct seep_query_histories *histories = NULL;
	struct seep_rows *rows = NULL;
	struct seep_error *err;
	size_t nr = 0;

	err = seep_query_processes(q, &list, &nr);
	if (!err)
		err = seep_store_drop_causes(q->st, r.causes);
	if (!err) {
		rows = calloc(nr + 1, sizeof(*rows));
		histories = calloc(nr + 1, sizeof(*histories));
		r.processes = calloc(nr + 1, sizeof(*r.processes));
		if (!rows || !histories || !r.processes)
			err = seep_query_no_memory();
	}
	for (size_t i = 0; !err && i < nr; i++) {
		err = seep_rows_load(q, &list[i], &rows[i]);
		if (!err)
			seep_rows_want(q, &rows[i]);
		if (!err)
			err = seep_query_histories_load(
			    q, &list[i], &histories[i]);
		rows[i].histories = &histories[i].rows;
	}
	if (!err)
		err = seep_query_names(q);
	if (!err)
		err = seep_query_limit(q, rows, nr);
	for (size_t i = 0; !err && i < nr; i++) {
		r.processes[i].process = list[i];
		list[i] = (struct seep_process){0};
		r.nr_processes++;
		err =
		    build_process(q, &rows[i], &histories[i], &r.processes[i]);
		seep_rows_deinit(&rows[i]);
	}
	for (size_t i = 0; i < nr; i++) {
		seep_process_deinit(&list[i]);
		if (rows)
			seep_rows_deinit(&rows[i]);
		if (histories)
			seep_history_rows_deinit(&histories[i].rows);
	}
	free(list);
	free(rows);
	free(histories);
	if (err) {
		seep_report_deinit(&r);
		return err;
	}
	if (r.nr_processes)
		qsort(r.processes, r.nr_processes, sizeof(*r.processes),
		    compare_processes);
	*ret = r;
	return NULL;
}
