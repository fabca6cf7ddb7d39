/* SPDX-License-Identifier: MIT */
/*
 * report.h - what the exporters print: sites of processes, growth, differences
 *
 * Threads:  belongs to one thread.
 * Signals:  not for signal handlers.
 * Memory:   each owns what it points to but for `stacks`; _deinit frees it.
 * Trust:    texts come from a recording and may hold anything.
 * Units:    as in model.h.
 * Errors:   none.
 */
#ifndef SEEP_MODEL_REPORT_H
#define SEEP_MODEL_REPORT_H

#include "analyzer/model/stacks.h"
#include "analyzer/model/trend.h"

/* A site over time, where the recording has enough snapshots. */
struct seep_site_trend {
	enum seep_trend trend;
	uint32_t grew_in, of;
};

/* So many blocks were freed by this stack. */
struct seep_freed_by {
	uint32_t stack;
	uint64_t blocks;
};

/* Histories of the blocks of one site. */
struct seep_site_history {
	struct seep_lifetime lifetime;
	const struct seep_lifetime_count *counts; /* by class */
	size_t nr_counts;
	const struct seep_freed_by *freed; /* most blocks first */
	size_t nr_freed;
};

struct seep_report_histories {
	struct seep_history how;	 /* every is 0: there are none */
	struct seep_site_history *sites; /* seep_site.history - 1 */
	size_t nr_sites;
	struct seep_lifetime_count *counts; /* what the sites point into */
	struct seep_freed_by *freed;
};

struct seep_report_process {
	struct seep_process process;
	struct seep_report_histories histories;
	struct seep_site *sites; /* those that pass the filters, sorted */
	struct seep_site_trend *trends; /* of each site; NULL: no history */
	size_t nr_sites;
	bool filtered; /* sites were left out by a filter */
};

struct seep_report {
	struct seep_stacks *stacks;
	struct seep_report_process *processes; /* most live bytes first */
	size_t nr_processes;
	struct seep_drop_cause causes[SEEP_NR_DROP_CAUSES];
};

/* Blocks of the site that were temporary, all of them and not of a sample: by
 * the sample's share of what the site allocated. */
uint64_t seep_site_temporary(
    const struct seep_report_histories *h, const struct seep_site *s);

void seep_report_histories_deinit(struct seep_report_histories *h);
void seep_report_process_deinit(struct seep_report_process *p);
void seep_report_deinit(struct seep_report *r);

/* The cause's name, "cause-N" for one that the recording does not explain. */
const char *seep_drop_cause_name(
    const struct seep_drop_cause *causes, unsigned i, char *buf, size_t size);

struct seep_growth_site {
	uint32_t stack;
	int64_t delta_blocks, delta_bytes;
	double delta_blocks_var, delta_bytes_var; /* as in seep_counts */
	bool is_noise;		/* of the sample, as far as we know: sample.h */
	struct seep_counts now; /* at the end of the window */
	uint64_t oldest_age_ms;
	struct seep_site_trend trend;
};

/* Sites that grew but are not listed, and why. */
struct seep_growth_rest {
	size_t nr_sites;
	int64_t delta_bytes;
};

struct seep_growth {
	struct seep_stacks *stacks;
	struct seep_process process;
	struct seep_snapshot from, to;
	uint32_t nr_snapshots; /* after `from`, up to `to` */
	bool warm_up;	       /* `from` is the end of the warm-up */
	bool before_end;       /* `to` is not the end, where most was freed */
	struct seep_growth_site *sites; /* most growth first */
	size_t nr_sites;
	struct seep_growth_rest stopped, churning, noise;
	double delta_blocks_var, delta_bytes_var; /* of the process */
	struct seep_drop_cause causes[SEEP_NR_DROP_CAUSES];
};

void seep_growth_deinit(struct seep_growth *g);

/* One side of a comparison. */
struct seep_diff_side {
	char *path;
	uint64_t sample_bytes; /* the largest of its processes; 0: exact */
	struct seep_counts totals;
	size_t nr_processes;
	uint64_t drops[SEEP_NR_DROP_CAUSES];
	struct seep_drop_cause causes[SEEP_NR_DROP_CAUSES];
};

/* Sites of both with one fingerprint. */
struct seep_diff_site {
	char fingerprint[24];
	uint32_t stack; /* of b, or of a when b has none */
	struct seep_counts a, b;
	bool in_a, in_b;
};

struct seep_diff {
	struct seep_stacks *stacks;
	struct seep_diff_side a, b;
	struct seep_diff_site *sites; /* most growth first */
	size_t nr_sites;
};

void seep_diff_deinit(struct seep_diff *d);

#endif
