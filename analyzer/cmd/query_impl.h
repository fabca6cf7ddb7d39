/* SPDX-License-Identifier: MIT */
/*
 * query_impl.h - what the files of the query share; nobody else includes it
 *
 * Threads:  as in query.h.
 * Signals:  not for signal handlers.
 * Memory:   results belong to the caller.
 * Trust:    as in query.h.
 * Units:    as in model.h.
 * Errors:   struct seep_error.
 */
#ifndef SEEP_CMD_QUERY_IMPL_H
#define SEEP_CMD_QUERY_IMPL_H

#include "analyzer/cmd/query.h"
#include "analyzer/cmd/query_tree.h"

struct seep_query {
	char *path;
	struct seep_store *st;
	struct seep_query_options opt;
	struct seep_stacks *stacks; /* the caller's */
	struct seep_tree tree;
	bool numbered;
};

/* What the recording has about a process at its last look. */
struct seep_rows {
	struct seep_survivor_row *survivors;
	struct seep_site_row *counts;
	size_t nr_survivors, nr_counts;
	const struct seep_history_rows *histories; /* NULL: not shown */
	bool by_counts; /* no survivors were stored: the counts have to do */
};

struct seep_error *seep_rows_load(struct seep_query *q,
    const struct seep_process *p, struct seep_rows *r) SEEP_MUST_CHECK;
void seep_rows_want(struct seep_query *q, struct seep_rows *r);
void seep_rows_deinit(struct seep_rows *r);

/* After all that is wanted is known: resolves and numbers the stacks. */
struct seep_error *seep_query_names(struct seep_query *q) SEEP_MUST_CHECK;

/* Cuts the stacks if all of these sites together have too many frames. */
struct seep_error *seep_query_limit(struct seep_query *q,
    const struct seep_rows *rows, size_t nr) SEEP_MUST_CHECK;

/* Sites merged by stack and class, in no order. */
struct seep_error *seep_sites_build(struct seep_query *q,
    const struct seep_process *p, const struct seep_rows *r,
    struct seep_site **ret, size_t *nr) SEEP_MUST_CHECK;

/* The processes that the options ask for. */
struct seep_error *seep_query_processes(struct seep_query *q,
    struct seep_process **ret, size_t *nr) SEEP_MUST_CHECK;

struct seep_error *seep_query_no_memory(void) SEEP_MUST_CHECK;

#endif
