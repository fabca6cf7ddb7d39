/* SPDX-License-Identifier: MIT */
/* model.c - names and destructors of the plain data */
#include <stdlib.h>

#include "analyzer/model/model.h"

const char *seep_class_name(enum seep_class c)
{
	static const char *const names[] = {
	    [SEEP_CLASS_UNKNOWN] = "unknown",
	    [SEEP_CLASS_DEFINITE] = "definite",
	    [SEEP_CLASS_INDIRECT] = "indirect",
	    [SEEP_CLASS_POSSIBLE] = "possible",
	    [SEEP_CLASS_REACHABLE] = "reachable",
	    [SEEP_CLASS_INHERITED] = "inherited",
	};

	return c < SEEP_NR_CLASSES ? names[c] : names[SEEP_CLASS_UNKNOWN];
}

void seep_counts_add(struct seep_counts *to, const struct seep_counts *c)
{
	to->live_blocks += c->live_blocks;
	to->live_bytes += c->live_bytes;
	to->alloc_blocks += c->alloc_blocks;
	to->alloc_bytes += c->alloc_bytes;
	to->free_blocks += c->free_blocks;
	to->free_bytes += c->free_bytes;
	to->var.live_blocks += c->var.live_blocks;
	to->var.live_bytes += c->var.live_bytes;
	to->var.alloc_blocks += c->var.alloc_blocks;
	to->var.alloc_bytes += c->var.alloc_bytes;
	to->var.free_blocks += c->var.free_blocks;
	to->var.free_bytes += c->var.free_bytes;
}

void seep_counts_sub(struct seep_counts *to, const struct seep_counts *c)
{
	to->live_blocks -= c->live_blocks;
	to->live_bytes -= c->live_bytes;
	to->alloc_blocks -= c->alloc_blocks;
	to->alloc_bytes -= c->alloc_bytes;
	to->free_blocks -= c->free_blocks;
	to->free_bytes -= c->free_bytes;
	to->var.live_blocks -= c->var.live_blocks;
	to->var.live_bytes -= c->var.live_bytes;
	to->var.alloc_blocks -= c->var.alloc_blocks;
	to->var.alloc_bytes -= c->var.alloc_bytes;
	to->var.free_blocks -= c->var.free_blocks;
	to->var.free_bytes -= c->var.free_bytes;
}

void seep_frame_deinit(struct seep_frame *f)
{
	free(f->function);
	free(f->file);
	free(f->module);
	*f = (struct seep_frame){0};
}

void seep_process_deinit(struct seep_process *p)
{
	for (char **arg = p->command; arg && *arg; arg++)
		free(*arg);
	free(p->command);
	free(p->exe);
	*p = (struct seep_process){0};
}

void seep_snapshot_deinit(struct seep_snapshot *s)
{
	free(s->label);
	*s = (struct seep_snapshot){0};
}

void seep_module_deinit(struct seep_module *m)
{
	free(m->path);
	free(m->build_id);
	*m = (struct seep_module){0};
}

void seep_drop_causes_deinit(struct seep_drop_cause *causes)
{
	for (int i = 0; i < SEEP_NR_DROP_CAUSES; i++) {
		free(causes[i].name);
		free(causes[i].meaning);
		causes[i] = (struct seep_drop_cause){0};
	}
}

void seep_history_rows_deinit(struct seep_history_rows *r)
{
	free(r->sites);
	free(r->lifetimes);
	free(r->freed);
	*r = (struct seep_history_rows){0};
}
