/* SPDX-License-Identifier: MIT */
/*
 * model.h - what a recording is about: processes, modules, sites, snapshots
 *
 * Threads:  plain data.
 * Signals:  not for signal handlers.
 * Memory:   a struct owns its strings and arrays; _deinit frees what it holds.
 * Trust:    values read from a recording have been checked by the store.
 * Units:    bytes are requested bytes; times are milliseconds since the start
 *           of the recording (at_ms) unless named otherwise.
 * Errors:   none.
 */
#ifndef SEEP_MODEL_MODEL_H
#define SEEP_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/model/lifetime.h"

#define SEEP_NR_DROP_CAUSES 32

/* One frame of a stack as people read it; several per address if inlined. */
struct seep_frame {
	char *function;	 /* demangled; NULL: unknown */
	char *file;	 /* NULL: unknown */
	char *module;	 /* path; NULL: code outside of every module */
	uint64_t offset; /* return address less load bias, or an absolute pc */
	uint32_t line;	 /* 0: unknown */
	bool inlined;	 /* inlined into the next outer frame */
	bool truncated;	 /* not a frame: the stack ends here visibly */
};

enum seep_class {
	SEEP_CLASS_UNKNOWN, /* no memory scan was made */
	SEEP_CLASS_DEFINITE,
	SEEP_CLASS_INDIRECT,
	SEEP_CLASS_POSSIBLE,
	SEEP_CLASS_REACHABLE,
	SEEP_CLASS_INHERITED,
	SEEP_NR_CLASSES
};

const char *seep_class_name(enum seep_class c);

/* How sure estimates from a sample are, see sample.h: their variances. */
struct seep_variances {
	double live_blocks, live_bytes;
	double alloc_blocks, alloc_bytes;
	double free_blocks, free_bytes;
};

/* Counts of one site (or of a whole process) at one moment. */
struct seep_counts {
	uint64_t live_blocks, live_bytes;
	uint64_t alloc_blocks, alloc_bytes;
	uint64_t free_blocks, free_bytes;
	struct seep_variances var; /* all 0: the counts are exact */
};

void seep_counts_add(struct seep_counts *to, const struct seep_counts *c);
void seep_counts_sub(struct seep_counts *to, const struct seep_counts *c);

#define SEEP_AGE_UNKNOWN UINT64_MAX

/* Sites with the same frames and class are one site here, see stacks.h. */
struct seep_site {
	uint32_t stack; /* of the report's struct seep_stacks */
	enum seep_class class_;
	struct seep_counts counts;
	uint64_t oldest_age_ms, newest_age_ms; /* or SEEP_AGE_UNKNOWN */
	uint32_t history; /* of the report's process, from 1; 0: none */
};

enum seep_process_state {
	SEEP_PROCESS_RUNNING,
	SEEP_PROCESS_EXITED, /* ended; status may be unknown */
	SEEP_PROCESS_EXECED, /* replaced by another program */
	SEEP_PROCESS_LOST,   /* the collector ended before it did */
};

struct seep_process {
	int64_t id;	   /* in the recording; 0 before it is stored */
	int64_t parent_id; /* 0: none in this recording */
	uint32_t pid, ppid;
	enum seep_process_state state;
	bool forked; /* began by fork: may hold inherited blocks */
	char *exe;
	char **command; /* NULL-terminated */
	int64_t start_unix_ms;
	uint64_t start_ms, end_ms;  /* end: of the last look, when running */
	int exit_code, exit_signal; /* -1: unknown or none */
	uint64_t sample_bytes; /* mean interval; 0: all blocks are recorded */
	struct seep_counts totals;
	uint64_t unknown_frees;
	uint64_t inherited_blocks,
	    inherited_bytes;	  /* at the fork, approximate */
	uint64_t peak_live_bytes; /* sampled */
	uint64_t peak_ms;
	uint64_t rss_bytes, uss_bytes, pss_bytes; /* 0: unknown; last look */
	uint64_t seep_bytes; /* our segment, part of rss_bytes */
	uint64_t drops[SEEP_NR_DROP_CAUSES]; /* by enum seep_drop */
};

struct seep_module {
	int64_t id;
	char *path;
	char *build_id; /* hex; NULL: none */
};

enum seep_snapshot_kind {
	SEEP_SNAPSHOT_PERIODIC,	  /* --every, and history: thinned */
	SEEP_SNAPSHOT_CHECKPOINT, /* the one that overwrites itself */
	SEEP_SNAPSHOT_REQUEST,	  /* seep snapshot, seep growth PID */
	SEEP_SNAPSHOT_PEAK,
	SEEP_SNAPSHOT_MARK,
	SEEP_SNAPSHOT_END,
};

struct seep_snapshot {
	int64_t id;
	int64_t process_id;
	enum seep_snapshot_kind kind;
	char *label; /* NULL: none */
	uint64_t at_ms;
	uint32_t epoch; /* blocks born later carry a larger epoch */
	struct seep_counts totals;
	uint64_t rss_bytes;
};

/* What the collector knows of a site at a snapshot. */
struct seep_site_row {
	int64_t site;
	struct seep_counts counts;
};

/* Recorded blocks alive at the last full look, grouped by site and size. */
struct seep_survivor_row {
	int64_t site;
	enum seep_class class_;
	uint64_t size_bytes;
	uint64_t blocks;
	uint64_t oldest_ms, newest_ms; /* birth, at_ms; SEEP_AGE_UNKNOWN */
};

/* How the histories of a process's blocks were recorded. */
struct seep_history {
	uint64_t every; /* of so many blocks one, on average; 1: of all */
	uint64_t lost;	/* events, or pieces of histories: see drops, too */
};

/* Histories of the blocks of one site. */
struct seep_history_row {
	int64_t site;
	int64_t begun; /* may take back what an earlier row counted */
	struct seep_lifetime lifetime; /* but for begun */
};

/* Of the blocks of a site that were freed: so many lived that long, */
struct seep_lifetime_row {
	int64_t site;
	struct seep_lifetime_count count;
};

/* and so many were freed by this stack. */
struct seep_freed_row {
	int64_t site, free_site;
	uint64_t blocks;
};

struct seep_history_rows {
	struct seep_history_row *sites;
	struct seep_lifetime_row *lifetimes;
	struct seep_freed_row *freed;
	size_t nr_sites, nr_lifetimes, nr_freed;
};

void seep_history_rows_deinit(struct seep_history_rows *r);

/* A cause of drops, as the recording explains it. */
struct seep_drop_cause {
	char *name, *meaning; /* NULL: unknown */
};

void seep_frame_deinit(struct seep_frame *f);
void seep_process_deinit(struct seep_process *p);
void seep_snapshot_deinit(struct seep_snapshot *s);
void seep_module_deinit(struct seep_module *m);
/* All SEEP_NR_DROP_CAUSES of them. */
void seep_drop_causes_deinit(struct seep_drop_cause *causes);

#endif
