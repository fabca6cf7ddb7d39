/* SPDX-License-Identifier: MIT */
/* query_diff.c - what two recordings have alive at their ends, side by side */
#include <string.h>

#include "analyzer/cmd/query_impl.h"

struct sided {
	struct seep_diff_site *sites;
	size_t nr, room;
};

static struct seep_diff_site *add(struct sided *d)
{
	if (d->nr == d->room) {
		size_t room = d->room ? d->room * 2 : 256;
		void *more = realloc(d->sites, room * sizeof(*d->sites));

		if (!more)
			return NULL;
		d->sites = more;
		d->room = room;
	}
	d->sites[d->nr] = (struct seep_diff_site){0};
	return &d->sites[d->nr++];
}

static struct seep_error *add_process(struct seep_query *q,
    const struct seep_report_process *rp, bool is_b, struct sided *d,
    struct seep_stack *stack)
{
	for (size_t i = 0; i < rp->nr_sites; i++) {
		const struct seep_site *s = &rp->sites[i];
		struct seep_diff_site *ds;

		if (s->class_ == SEEP_CLASS_INHERITED)
			continue;
		ds = add(d);
		if (!ds || !seep_stack_load(stack, q->stacks, s->stack))
			return seep_query_no_memory();
		memcpy(ds->fingerprint, stack->fingerprint,
		    sizeof(ds->fingerprint));
		ds->stack = s->stack;
		if (is_b)
			ds->b = s->counts;
		else
			ds->a = s->counts;
		ds->in_a = !is_b;
		ds->in_b = is_b;
	}
	return NULL;
}

/* An image that an exec replaced took its blocks with it. */
static struct seep_error *add_recording(struct seep_query *q, bool is_b,
    struct seep_diff_side *side, struct sided *d)
{
	struct seep_stack stack = {0};
	struct seep_report r = {0};
	struct seep_error *err = seep_query_report(q, &r);

	if (err)
		return err;
	side->path = strdup(q->path);
	if (!side->path)
		err = seep_query_no_memory();
	for (size_t i = 0; i < r.nr_processes && !err; i++) {
		struct seep_process *p = &r.processes[i].process;

		for (int k = 0; k < SEEP_NR_DROP_CAUSES; k++)
			side->drops[k] += p->drops[k];
		if (p->state == SEEP_PROCESS_EXECED)
			continue;
		side->nr_processes++;
		if (p->sample_bytes > side->sample_bytes)
			side->sample_bytes = p->sample_bytes;
		seep_counts_add(&side->totals, &p->totals);
		err = add_process(q, &r.processes[i], is_b, d, &stack);
	}
	memcpy(side->causes, r.causes, sizeof(side->causes));
	memset(r.causes, 0, sizeof(r.causes));
	seep_stack_deinit(&stack);
	seep_report_deinit(&r);
	return err;
}

static int by_fingerprint(const void *pa, const void *pb)
{
	const struct seep_diff_site *a = pa, *b = pb;

	return strcmp(a->fingerprint, b->fingerprint);
}

static size_t merge(struct seep_diff_site *sites, size_t nr)
{
	size_t out = 0;

	for (size_t i = 0; i < nr; i++) {
		struct seep_diff_site *last = out ? &sites[out - 1] : NULL;

		if (!last || by_fingerprint(last, &sites[i])) {
			sites[out++] = sites[i];
			continue;
		}
		seep_counts_add(&last->a, &sites[i].a);
		seep_counts_add(&last->b, &sites[i].b);
		if (sites[i].in_b)
			last->stack = sites[i].stack;
		last->in_a |= sites[i].in_a;
		last->in_b |= sites[i].in_b;
	}
	return out;
}

static int by_growth(const void *pa, const void *pb)
{
	const struct seep_diff_site *a = pa, *b = pb;
	int64_t da = (int64_t)(a->b.live_bytes - a->a.live_bytes);
	int64_t db = (int64_t)(b->b.live_bytes - b->a.live_bytes);

	if (da != db)
		return da > db ? -1 : 1;
	da = (int64_t)(a->b.live_blocks - a->a.live_blocks);
	db = (int64_t)(b->b.live_blocks - b->a.live_blocks);
	if (da != db)
		return da > db ? -1 : 1;
	return by_fingerprint(a, b);
}

static bool differs(const struct seep_diff_site *s)
{
	return s->a.live_bytes != s->b.live_bytes ||
	       s->a.live_blocks != s->b.live_blocks;
}

struct seep_error *seep_query_diff(
    struct seep_query *a, struct seep_query *b, struct seep_diff *ret)
{
	struct seep_diff r = {.stacks = a->stacks};
	struct sided d = {0};
	struct seep_error *err;
	size_t nr, kept = 0;

	err = add_recording(a, false, &r.a, &d);
	if (!err)
		err = add_recording(b, true, &r.b, &d);
	if (err) {
		free(d.sites);
		seep_diff_deinit(&r);
		return err;
	}
	if (d.nr)
		qsort(d.sites, d.nr, sizeof(*d.sites), by_fingerprint);
	nr = merge(d.sites, d.nr);
	for (size_t i = 0; i < nr; i++) {
		if (differs(&d.sites[i]))
			d.sites[kept++] = d.sites[i];
	}
	if (kept)
		qsort(d.sites, kept, sizeof(*d.sites), by_growth);
	r.sites = d.sites;
	r.nr_sites = kept;
	*ret = r;
	return NULL;
}
