/* SPDX-License-Identifier: MIT */
/* report.c - destructors of what the exporters print */
#include <stdio.h>
#include <stdlib.h>

#include "analyzer/model/report.h"

uint64_t seep_site_temporary(
    const struct seep_report_histories *h, const struct seep_site *s)
{
	const struct seep_lifetime *l;

	if (!s->history)
		return 0;
	l = &h->sites[s->history - 1].lifetime;
	if (h->how.every == 1 || !l->begun)
		return l->temporary;
	return (uint64_t)((double)s->counts.alloc_blocks *
			  (double)l->temporary / (double)l->begun);
}

void seep_report_histories_deinit(struct seep_report_histories *h)
{
	free(h->sites);
	free(h->counts);
	free(h->freed);
	*h = (struct seep_report_histories){0};
}

void seep_report_process_deinit(struct seep_report_process *p)
{
	seep_report_histories_deinit(&p->histories);
	seep_process_deinit(&p->process);
	free(p->sites);
	free(p->trends);
	*p = (struct seep_report_process){0};
}

void seep_report_deinit(struct seep_report *r)
{
	for (size_t i = 0; i < r->nr_processes; i++)
		seep_report_process_deinit(&r->processes[i]);
	free(r->processes);
	seep_drop_causes_deinit(r->causes);
	*r = (struct seep_report){0};
}

const char *seep_drop_cause_name(
    const struct seep_drop_cause *causes, unsigned i, char *buf, size_t size)
{
	if (causes[i].name)
		return causes[i].name;
	snprintf(buf, size, "cause-%u", i);
	return buf;
}

void seep_growth_deinit(struct seep_growth *g)
{
	seep_process_deinit(&g->process);
	seep_snapshot_deinit(&g->from);
	seep_snapshot_deinit(&g->to);
	free(g->sites);
	seep_drop_causes_deinit(g->causes);
	*g = (struct seep_growth){0};
}

static void side_deinit(struct seep_diff_side *s)
{
	free(s->path);
	seep_drop_causes_deinit(s->causes);
}

void seep_diff_deinit(struct seep_diff *d)
{
	side_deinit(&d->a);
	side_deinit(&d->b);
	free(d->sites);
	*d = (struct seep_diff){0};
}
