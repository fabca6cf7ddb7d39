/* SPDX-License-Identifier: MIT */
/*
 * worker.h - an engine in a process of its own, that may crash or hang
 *
 * libdw reads what compilers write; from a hostile file it may crash, exit or
 * never come back. So it never runs in the process that has the recording.
 *
 * Threads:  a worker belongs to one thread, and dies with it.
 * Signals:  not for signal handlers. The child is ours alone: SIGCHLD comes
 *           when it ends, as for any other child.
 * Memory:   what files cost is the child's, and is gone with it.
 * Trust:    answers are checked like input: the child may have been taken over
 *           by a file. It has no other descriptor of ours.
 * Units:    milliseconds.
 * Errors:   SEEP_WORKER_GONE: it crashed, or took too long and was killed.
 */
#ifndef SEEP_SYM_WORKER_H
#define SEEP_SYM_WORKER_H

#include "analyzer/sym/engine.h"
#include "analyzer/sym/sym.h"

enum seep_worker_status {
	SEEP_WORKER_OK,
	SEEP_WORKER_GONE,
	SEEP_WORKER_NO_MEMORY, /* ours */
};

struct seep_worker;

/* NULL: no process to be had. */
struct seep_worker *seep_worker_create(const struct seep_engine_options *opt);
void seep_worker_destroy(struct seep_worker *w);

/* Modules are numbered from 0 in the order of these calls. fd stays ours. */
enum seep_worker_status seep_worker_module(struct seep_worker *w,
    const char *path, const char *build_id, int fd,
    enum seep_engine_level level);

/* What one question may ask at most. */
#define SEEP_WORKER_BATCH 256u

/*
 * Asks for nr addresses of a module at once; the answers are then fetched one
 * by one, in the same order, all of them before anything else is asked.
 */
enum seep_worker_status seep_worker_ask(struct seep_worker *w, uint32_t module,
    const struct seep_sym_address *addresses, uint32_t nr,
    uint32_t debuginfod_ms);

/* One that takes longer than limit_ms is given up. */
enum seep_worker_status seep_worker_answer(struct seep_worker *w,
    uint32_t limit_ms, uint32_t *debuginfod_ms, struct seep_frame **ret,
    size_t *nr);

/* Question and answer. */
enum seep_worker_status seep_worker_lookup_jit(struct seep_worker *w,
    uint32_t pid, uint64_t pc, uint32_t limit_ms, struct seep_frame **ret,
    size_t *nr);

#endif
