/* SPDX-License-Identifier: MIT */
/* query_histories.c - a recording's histories of blocks, for a report */
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/query_histories.h"

/* ---- reading ------------------------------------------------------------ */

static bool is_node(const struct seep_query *q, int64_t site)
{
	return site >= 1 && site <= q->tree.nr_nodes;
}

static struct seep_error *check_rows(
    const struct seep_query *q, const struct seep_history_rows *r)
{
	bool good = true;

	for (size_t i = 0; i < r->nr_sites; i++)
		good &= is_node(q, r->sites[i].site);
	for (size_t i = 0; i < r->nr_lifetimes; i++)
		good &= is_node(q, r->lifetimes[i].site);
	for (size_t i = 0; i < r->nr_freed; i++)
		good &= is_node(q, r->freed[i].site) &&
			is_node(q, r->freed[i].free_site);
	if (good)
		return NULL;
	return seep_error_new(SEEP_ERROR_CORRUPT,
	    "recording '%s' is damaged: a history is of no frame", q->path);
}

struct seep_error *seep_query_histories_load(struct seep_query *q,
    const struct seep_process *p, struct seep_query_histories *ret)
{
	struct seep_query_histories h = {0};
	struct seep_error *err;

	err = seep_store_histories(q->st, p->id, &h.how, &h.rows);
	if (!err)
		err = check_rows(q, &h.rows);
	if (err) {
		seep_history_rows_deinit(&h.rows);
		return err;
	}
	for (size_t i = 0; i < h.rows.nr_freed; i++)
		if (q->opt.idle_sites || q->tree.wanted[h.rows.freed[i].site])
			seep_tree_want(&q->tree,
			    (uint32_t)h.rows.freed[i].free_site,
			    q->opt.debuginfod);
	*ret = h;
	return NULL;
}

/* ---- adding up ---------------------------------------------------------- */

struct builder {
	const struct seep_query *q;
	struct seep_report_histories *h;
	uint32_t *of_stack; /* position in h->sites + 1 */
};

/* One row with the number of its site's history. */
struct keyed {
	uint32_t history, key;
	uint64_t blocks;
};

static uint32_t history_of(const struct builder *b, int64_t site)
{
	return b->of_stack[b->q->tree.numbers[site]];
}

static void add_sites(struct builder *b, const struct seep_history_rows *r)
{
	for (size_t i = 0; i < r->nr_sites; i++) {
		uint32_t *at =
		    &b->of_stack[b->q->tree.numbers[r->sites[i].site]];

		if (!*at)
			*at = (uint32_t)++b->h->nr_sites;
		seep_lifetime_add(
		    &b->h->sites[*at - 1].lifetime, &r->sites[i].lifetime);
	}
}

static int by_key(const void *pa, const void *pb)
{
	const struct keyed *a = pa, *b = pb;

	if (a->history != b->history)
		return a->history < b->history ? -1 : 1;
	return a->key < b->key ? -1 : a->key > b->key;
}

/* Rows of one history and key become one, in the order of both. */
static size_t merge(struct keyed *rows, size_t nr)
{
	size_t to = 0;

	if (nr)
		qsort(rows, nr, sizeof(*rows), by_key);
	for (size_t i = 0; i < nr; i++) {
		/* Of a site without a row of its own: a damaged file. */
		if (!rows[i].history)
			continue;
		if (to && !by_key(&rows[to - 1], &rows[i]))
			rows[to - 1].blocks += rows[i].blocks;
		else
			rows[to++] = rows[i];
	}
	return to;
}

static struct seep_error *add_counts(
    struct builder *b, const struct seep_history_rows *r)
{
	_cleanup_(seep_freep) struct keyed *rows =
	    malloc((r->nr_lifetimes + 1) * sizeof(*rows));
	struct seep_lifetime_count *counts =
	    malloc((r->nr_lifetimes + 1) * sizeof(*counts));
	size_t nr = r->nr_lifetimes;

	b->h->counts = counts;
	if (!rows || !counts)
		return seep_query_no_memory();
	for (size_t i = 0; i < nr; i++)
		rows[i] = (struct keyed){history_of(b, r->lifetimes[i].site),
		    r->lifetimes[i].count.class_, r->lifetimes[i].count.blocks};
	nr = merge(rows, nr);
	for (size_t i = 0; i < nr; i++) {
		struct seep_site_history *h = &b->h->sites[rows[i].history - 1];

		counts[i].class_ = rows[i].key;
		counts[i].blocks = rows[i].blocks;
		if (!h->nr_counts++)
			h->counts = &counts[i];
	}
	return NULL;
}

static int most_first(const void *pa, const void *pb)
{
	const struct seep_freed_by *a = pa, *b = pb;

	if (a->blocks != b->blocks)
		return a->blocks > b->blocks ? -1 : 1;
	return a->stack < b->stack ? -1 : a->stack > b->stack;
}

static struct seep_error *add_freed(
    struct builder *b, const struct seep_history_rows *r)
{
	_cleanup_(seep_freep) struct keyed *rows =
	    malloc((r->nr_freed + 1) * sizeof(*rows));
	struct seep_freed_by *freed =
	    malloc((r->nr_freed + 1) * sizeof(*freed));
	size_t nr = r->nr_freed;

	b->h->freed = freed;
	if (!rows || !freed)
		return seep_query_no_memory();
	for (size_t i = 0; i < nr; i++)
		rows[i] = (struct keyed){history_of(b, r->freed[i].site),
		    b->q->tree.numbers[r->freed[i].free_site],
		    r->freed[i].blocks};
	nr = merge(rows, nr);
	for (size_t i = 0; i < nr; i++) {
		struct seep_site_history *h = &b->h->sites[rows[i].history - 1];

		freed[i].stack = rows[i].key;
		freed[i].blocks = rows[i].blocks;
		if (!h->nr_freed++)
			h->freed = &freed[i];
	}
	for (size_t i = 0; i < b->h->nr_sites; i++) {
		const struct seep_site_history *h = &b->h->sites[i];

		if (h->nr_freed)
			qsort(freed + (h->freed - freed), h->nr_freed,
			    sizeof(*freed), most_first);
	}
	return NULL;
}

struct seep_error *seep_query_histories_build(struct seep_query *q,
    struct seep_query_histories *h, struct seep_report_histories *ret,
    struct seep_site *sites, size_t nr_sites)
{
	_cleanup_(seep_freep) uint32_t *of_stack = NULL;
	struct builder b = {.q = q, .h = ret};
	struct seep_error *err;

	ret->how = h->how;
	if (!h->how.every)
		return NULL;
	of_stack = calloc((size_t)q->stacks->nr_nodes + 1, sizeof(*of_stack));
	ret->sites = calloc(h->rows.nr_sites + 1, sizeof(*ret->sites));
	if (!of_stack || !ret->sites)
		return seep_query_no_memory();
	b.of_stack = of_stack;
	add_sites(&b, &h->rows);
	err = add_counts(&b, &h->rows);
	if (!err)
		err = add_freed(&b, &h->rows);
	for (size_t i = 0; !err && i < nr_sites; i++)
		if (sites[i].class_ != SEEP_CLASS_INHERITED)
			sites[i].history = of_stack[sites[i].stack];
	return err;
}
