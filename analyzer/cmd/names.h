/* SPDX-License-Identifier: MIT */
/*
 * names.h - resolves the frames of a recording's sites and stores their names
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   follows the number of frames of the wanted sites; one module with
 *           its debug information at a time.
 * Trust:    modules are input, see sym.h.
 * Units:    none.
 * Errors:   struct seep_error of the store; a frame without a name is none.
 */
#ifndef SEEP_CMD_NAMES_H
#define SEEP_CMD_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/error.h"
#include "analyzer/store/store.h"
#include "analyzer/sym/sym.h"

struct seep_names_site {
	int64_t site;
	uint32_t pid; /* for code that a JIT compiler named for perf */
};

/* Open file of a module by its id in the recording, or -1. */
typedef int seep_names_fd_fn(void *ctx, int64_t module);

/* What of a module is looked for. The C library is in every stack, and a line
 * in it tells nobody anything, but its debug information takes the most time.
 */
enum seep_sym_detail seep_names_detail(const char *module);

/* Stops after deadline_s seconds with what it has. */
struct seep_error *seep_names_resolve(struct seep_store *st,
    const struct seep_names_site *sites, size_t nr_sites, seep_names_fd_fn *fd,
    void *ctx, unsigned deadline_s) SEEP_MUST_CHECK;

#endif
