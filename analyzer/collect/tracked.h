/* SPDX-License-Identifier: MIT */
/*
 * tracked.h - one traced process of a recording, from its hello to its end
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   what the process held is given back at its end; the few words that
 *           its children still need stay.
 * Trust:    a segment that contradicts itself is never read again; the process
 *           keeps the figures it had, and an event says so.
 * Units:    at_ms as in model.h.
 * Errors:   struct seep_error, from the sink. Calls that write need an open
 *           transaction of the sink.
 */
#ifndef SEEP_COLLECT_TRACKED_H
#define SEEP_COLLECT_TRACKED_H

#include "analyzer/base/error.h"
#include "analyzer/collect/epochs.h"
#include "analyzer/collect/events.h"
#include "analyzer/collect/segment.h"
#include "analyzer/collect/sink.h"
#include "analyzer/collect/sites.h"
#include "analyzer/collect/watched.h"
#include "analyzer/model/model.h"

/* What all processes of a recording share. */
struct seep_trace {
	const struct seep_sink *sink;
	struct seep_epochs epochs;
	uint64_t start_ns; /* at_ms 0, CLOCK_MONOTONIC; 0: not begun */
	int64_t start_unix_ms;
	const char *cwd; /* where the first program was started; may be NULL */
	struct seep_drain *drain;
};

uint64_t seep_trace_at_ms(const struct seep_trace *tr, uint64_t ns);

struct seep_tracked {
	struct seep_tracked *next;
	uint64_t serial;
	uint64_t start_ns;
	const char *cwd;	  /* of the trace */
	uint64_t identity;	  /* of the process, see proc.h */
	struct seep_segment *seg; /* NULL: its end is in the recording */
	struct seep_sites *sites;
	struct seep_process p;
	int64_t committed_id; /* p.id as of the last commit */
	bool damaged;	      /* the segment is not to be read again */
	bool changed;	      /* since the last checkpoint */
	bool is_over;	      /* p.state says how; to be stored */
	bool has_ended;	      /* noticed just now */
	bool watched;	      /* its pidfd is in the collector's set */
	bool exec_untraced;   /* counted as such */
	uint32_t nr_children; /* begun, by the header */
	uint32_t nr_children_seen;
	uint32_t nr_forked_seen; /* of them, those begun by fork */
	uint64_t replaced_ms; /* when its memory was first seen gone; 0: no */
	uint64_t next_rss_ms, next_rollup_ms;
	struct seep_totals polled;
	struct seep_events events;
	struct seep_watched histories;
	bool has_exe;
};

/* Takes the segment in any case. */
struct seep_error *seep_tracked_create(struct seep_trace *tr,
    struct seep_segment *seg, struct seep_tracked **ret) SEEP_MUST_CHECK;
void seep_tracked_destroy(struct seep_tracked *t);

/* Looks at totals and memory; true when anything moved since the last look. */
bool seep_tracked_poll(struct seep_tracked *t, struct seep_trace *tr);

/* The snapshot of a checkpoint, from the counters. */
struct seep_error *seep_tracked_checkpoint(
    struct seep_tracked *t, struct seep_trace *tr) SEEP_MUST_CHECK;

/* A snapshot with a scan of the live map; s->kind and s->label are given. */
struct seep_error *seep_tracked_snapshot(struct seep_tracked *t,
    struct seep_trace *tr, struct seep_snapshot *s) SEEP_MUST_CHECK;

/* The process is over (t->p.state says how): its final figures. */
struct seep_error *seep_tracked_finish(
    struct seep_tracked *t, struct seep_trace *tr) SEEP_MUST_CHECK;

/* After the commit that stored its end: gives the segment back. */
void seep_tracked_release(struct seep_tracked *t);

/* Transactions as seen from here. */
void seep_tracked_committed(struct seep_tracked *t);
void seep_tracked_rolled_back(struct seep_tracked *t);

#endif
