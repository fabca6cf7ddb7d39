/* SPDX-License-Identifier: MIT */
/*
 * query_histories.h - a recording's histories of blocks, for a report
 *
 * Threads:  as in query.h.
 * Signals:  not for signal handlers.
 * Memory:   rows belong to the caller until they are built.
 * Trust:    sites that are no node of the tree are refused.
 * Units:    as in model.h.
 * Errors:   struct seep_error.
 */
#ifndef SEEP_CMD_QUERY_HISTORIES_H
#define SEEP_CMD_QUERY_HISTORIES_H

#include "analyzer/cmd/query_impl.h"

struct seep_query_histories {
	struct seep_history how;
	struct seep_history_rows rows;
};

/* Reads them, and wants names for what of them will be seen: of sites that are
 * shown anyway, and, where idle sites are shown, of all. */
struct seep_error *seep_query_histories_load(struct seep_query *q,
    const struct seep_process *p,
    struct seep_query_histories *ret) SEEP_MUST_CHECK;

/* After seep_query_names(): sums them up by stack, and has each site know its
 * own. */
struct seep_error *seep_query_histories_build(struct seep_query *q,
    struct seep_query_histories *h, struct seep_report_histories *ret,
    struct seep_site *sites, size_t nr_sites) SEEP_MUST_CHECK;

#endif
