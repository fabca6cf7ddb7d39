/* SPDX-License-Identifier: MIT */
/*
 * collector.h - the loop that turns a tree of traced processes into a recording
 *
 * While anything changes it polls the counters' sums every 10 ms (for the
 * peak), after a second of rest every 100 ms; a checkpoint at most every
 * second, and only if something changed. Both are stretched when they cost more
 * than a twentieth, or a fifth, of the time. It ends when every process has
 * ended, nobody is left in the queue of the socket, and `seep run`, if there is
 * one, said that the program is over.
 *
 * Threads:  one.
 * Signals:  the caller has TERM and INT blocked: they are read here, and mean:
 *           one last checkpoint, then the end.
 * Memory:   follows the number of processes alive and their sites.
 * Trust:    a peer is known by SO_PEERCRED alone; what it sends is checked.
 * Units:    milliseconds.
 * Errors:   a full disk or a damaged segment does not end it: it is tried again
 *           at each checkpoint. What is missing at the end is the error.
 */
#ifndef SEEP_COLLECT_COLLECTOR_H
#define SEEP_COLLECT_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/base/error.h"
#include "analyzer/collect/sink.h"

struct seep_collector_options {
	const struct seep_sink *sink;
	int listener;	      /* listening SOCK_SEQPACKET, becomes ours */
	int session;	      /* to `seep run`, becomes ours; -1: none */
	const char *socket;   /* NAME:TOKEN of the listener */
	const char *cwd;      /* of the first program; NULL: not known */
	uint32_t main_pid;    /* the program of `seep run`; 0: none */
	uint64_t every_ms;    /* snapshots with a scan; 0: none */
	bool append;	      /* the recording is continued */
	uint64_t patience_ms; /* without any process; 0: 10 s */
};

/* What has come of it, for `seep run` to say. */
struct seep_collector_result {
	bool has_main;	   /* the program reported */
	bool has_exe;	   /* code of the program's own module allocated */
	bool is_cut_short; /* ended by a signal */
	uint32_t nr_processes;
	char *missing; /* NULL: nothing; the caller frees */
};

struct seep_error *seep_collector_run(const struct seep_collector_options *opt,
    struct seep_collector_result *ret) SEEP_MUST_CHECK;

#endif
