/* SPDX-License-Identifier: MIT */
/*
 * debuginfod.h - asks the servers of DEBUGINFOD_URLS for a debug file
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   the caller frees the path; the client library is loaded by the
 *           first call, and stays.
 * Trust:    the answer is a file like any other; the caller checks its id.
 * Units:    milliseconds; the client looks at its deadline about every second.
 * Errors:   NULL: no server, none has it, too late, or built without.
 */
#ifndef SEEP_SYM_DEBUGINFOD_H
#define SEEP_SYM_DEBUGINFOD_H

#include <stddef.h>
#include <stdint.h>

/* *left_ms: how long it may take; what it took is taken off. */
char *seep_debuginfod_find(
    const unsigned char *build_id, size_t bytes, uint32_t *left_ms);

#endif
