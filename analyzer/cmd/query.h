/* SPDX-License-Identifier: MIT */
/*
 * query.h - from a recording to what the exporters print
 *
 * Loads the call tree with its names once; names that the recording lacks
 * (its collector was killed) are resolved on the fly, without writing to it.
 *
 * Threads:  a query belongs to one thread.
 * Signals:  not for signal handlers.
 * Memory:   a query owns its store; reports and growths belong to the caller
 *           and point into the stacks that the query was opened with.
 * Trust:    the store checks what it reads, the query that sites are nodes.
 * Units:    as in model.h.
 * Errors:   struct seep_error; nothing is printed.
 */
#ifndef SEEP_CMD_QUERY_H
#define SEEP_CMD_QUERY_H

#include "analyzer/model/report.h"
#include "analyzer/store/store.h"

enum seep_sort {
	SEEP_SORT_BYTES,
	SEEP_SORT_BLOCKS,
	SEEP_SORT_AGE, /* oldest first */
	SEEP_SORT_ALLOCS,
	SEEP_SORT_TEMPORARY,
};

struct seep_query_options {
	uint64_t pid;	    /* only this process; 0: all */
	const char *module; /* glob of the blame frame's module, or NULL */
	uint64_t min_bytes; /* of a site, alive */
	enum seep_sort sort;
	size_t
	    resolve_top; /* names for that many sites of a process at least */
	bool idle_sites; /* names also for sites with nothing alive */
	bool trends;	 /* judge each site's history */
	bool debuginfod;
	unsigned debuginfod_timeout_s;
};

struct seep_query;

struct seep_error *seep_query_open(const char *path, struct seep_stacks *stacks,
    const struct seep_query_options *opt,
    struct seep_query **ret) SEEP_MUST_CHECK;
void seep_query_destroy(struct seep_query *q);
SEEP_DEFINE_CLEANUP(struct seep_query *, seep_query_destroy)

struct seep_store *seep_query_store(struct seep_query *q);

struct seep_error *seep_query_report(
    struct seep_query *q, struct seep_report *ret) SEEP_MUST_CHECK;

/* The window of a growth. Ids, or times when the flag is set; 0: default. */
struct seep_query_window {
	int64_t process_id; /* 0: options.pid, or the one with most alive */
	bool has_from, has_to, from_is_time, to_is_time;
	uint64_t from, to;
	bool all; /* list all that grew */
};

struct seep_error *seep_query_growth(struct seep_query *q,
    const struct seep_query_window *w, struct seep_growth *ret) SEEP_MUST_CHECK;

/* Everything alive at the end of both recordings, by fingerprint. */
struct seep_error *seep_query_diff(struct seep_query *a, struct seep_query *b,
    struct seep_diff *ret) SEEP_MUST_CHECK;

#endif
