/* SPDX-License-Identifier: MIT */
/*
 * sym.h - an address in a module's image -> function, file, line, inlining
 *
 * The files are read in a worker process: the first lookup starts it,
 * seep_sym_destroy() ends it.
 *
 * Threads:  a resolver belongs to one thread, and its worker ends with that.
 * Signals:  not for signal handlers. The worker's end raises SIGCHLD; nobody
 *           else may wait for it.
 * Memory:   what files cost is the worker's: about 12 MiB with debug
 *           information of the size of the C library's, 2 MiB without.
 * Trust:    ELF and DWARF are input: damaged files give fewer names, never a
 *           crash, never more than 10 s at a time. Nothing is executed. The
 *           network is not used unless asked.
 * Units:    offsets are addresses less the load bias (ELF virtual addresses).
 * Errors:   an unknown name is no error: the frame then has module and offset.
 */
#ifndef SEEP_SYM_SYM_H
#define SEEP_SYM_SYM_H

#include "analyzer/base/error.h"
#include "analyzer/model/model.h"

struct seep_sym;
struct seep_sym_module;

struct seep_sym_options {
	bool debuginfod;	       /* ask the servers of DEBUGINFOD_URLS */
	unsigned debuginfod_timeout_s; /* in all, not per file; 0: 10 s */
	const char *debug_path; /* extra folders, colon separated, or NULL */
	const char *sysroot;	/* put in front of module paths, or NULL */
	bool one_at_a_time; /* a module is closed when the next one is asked */
};

struct seep_error *seep_sym_create(
    const struct seep_sym_options *opt, struct seep_sym **ret) SEEP_MUST_CHECK;
void seep_sym_destroy(struct seep_sym *s);
SEEP_DEFINE_CLEANUP(struct seep_sym *, seep_sym_destroy)

/* What is asked for of a module. */
enum seep_sym_detail {
	SEEP_SYM_LINES,	    /* functions, files, lines, inlining */
	SEEP_SYM_FUNCTIONS, /* symbol tables alone: a hundredth of the cost */
};

/*
 * A module by path and build-id (hex, or NULL). fd: an open descriptor of its
 * file, kept by the caller until seep_sym_destroy(), for files that may be
 * deleted meanwhile, or -1. A file whose build-id is another one is not used.
 * Never fails for a missing file: its frames then have no names.
 */
struct seep_error *seep_sym_module(struct seep_sym *s, const char *path,
    const char *build_id, int fd, enum seep_sym_detail detail,
    struct seep_sym_module **ret) SEEP_MUST_CHECK;

/* `exact`: offset is the pc itself; otherwise it is a return address and the
 * call before it is meant. */
struct seep_sym_address {
	uint64_t offset;
	bool exact;
};

/*
 * The frames of address i, the most inlined first, at least one. The callee
 * deinits each frame and frees the array. frame.offset is the address' and
 * frame.module the path in each. An error ends the lookup.
 */
typedef struct seep_error *seep_sym_fn(
    void *ctx, size_t i, struct seep_frame *frames, size_t nr);

/* Calls fn for each of the addresses, in their order. Sorted by offset they are
 * found several times faster than in any other order. */
struct seep_error *seep_sym_lookup_all(struct seep_sym *s,
    struct seep_sym_module *m, const struct seep_sym_address *addresses,
    size_t nr, seep_sym_fn *fn, void *ctx) SEEP_MUST_CHECK;

/* The frames of one address. */
struct seep_error *seep_sym_lookup(struct seep_sym *s,
    struct seep_sym_module *m, uint64_t offset, bool exact,
    struct seep_frame **ret, size_t *nr) SEEP_MUST_CHECK;

/* Code outside of modules, through /tmp/perf-PID.map; as above. */
struct seep_error *seep_sym_lookup_jit(struct seep_sym *s, uint32_t pid,
    uint64_t pc, struct seep_frame **ret, size_t *nr) SEEP_MUST_CHECK;

/* Demangled (C++, Rust), or NULL when the name is not mangled; caller frees. */
char *seep_sym_demangle(const char *name);

#endif
