/* SPDX-License-Identifier: MIT */
/*
 * engine.h - what sym.h promises, done in the calling process
 *
 * Threads:  an engine belongs to one thread; one engine per process.
 * Signals:  not for signal handlers; SIGBUS during a lookup: filemap.h.
 * Memory:   opened modules are kept while they fit into a budget, the one not
 *           used for longest is closed first.
 * Trust:    as dwarf.h: a hostile file may still bring the process down, so
 *           this runs in a process of its own (worker.h).
 * Units:    as sym.h.
 * Errors:   only out of memory; what is unknown is left NULL or 0.
 */
#ifndef SEEP_SYM_ENGINE_H
#define SEEP_SYM_ENGINE_H

#include "analyzer/base/error.h"
#include "analyzer/model/model.h"

/* What is still read of a module whose files have brought a worker down. */
enum seep_engine_level {
	SEEP_ENGINE_ALL,
	SEEP_ENGINE_SYMBOLS, /* no DWARF */
	SEEP_ENGINE_NOTHING,
};

struct seep_engine;
struct seep_engine_module;

struct seep_engine_options {
	const char *debug_path; /* as in sym.h */
	const char *sysroot;
	bool one_at_a_time;
	const char *jit_folder; /* NULL: /tmp */
};

struct seep_error *seep_engine_create(const struct seep_engine_options *opt,
    struct seep_engine **ret) SEEP_MUST_CHECK;
void seep_engine_destroy(struct seep_engine *e);

/* fd becomes the engine's, -1: none. */
struct seep_error *seep_engine_module(struct seep_engine *e, const char *path,
    const char *build_id, int fd, enum seep_engine_level level,
    struct seep_engine_module **ret) SEEP_MUST_CHECK;

/*
 * As seep_sym_lookup(). *debuginfod_ms: how long servers may be asked, 0: not
 * at all; it is reduced by the time that took.
 */
struct seep_error *seep_engine_lookup(struct seep_engine *e,
    struct seep_engine_module *m, uint64_t offset, bool exact,
    uint32_t *debuginfod_ms, struct seep_frame **ret,
    size_t *nr) SEEP_MUST_CHECK;

struct seep_error *seep_engine_lookup_jit(struct seep_engine *e, uint32_t pid,
    uint64_t pc, struct seep_frame **ret, size_t *nr) SEEP_MUST_CHECK;

#endif
