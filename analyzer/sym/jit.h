/* SPDX-License-Identifier: MIT */
/*
 * jit.h - names of code made at run time, from /tmp/perf-PID.map
 *
 * Threads:  belongs to one thread, inside seep_filemap_enter().
 * Signals:  not for signal handlers.
 * Memory:   20 bytes per entry; names stay in the mapped file.
 * Trust:    a regular file of our own user or of the process's, not a link,
 *           at most 256 MiB of it; every line is checked.
 * Units:    absolute addresses of the process.
 * Errors:   NULL: no such file, or no entry.
 */
#ifndef SEEP_SYM_JIT_H
#define SEEP_SYM_JIT_H

#include "analyzer/sym/filemap.h"

struct seep_jit;

/* `folder` is /tmp but in tests. */
struct seep_jit *seep_jit_create(const char *folder, uint32_t pid);
void seep_jit_destroy(struct seep_jit *j);

/* Reads again if the file has changed; at most once a second. */
void seep_jit_refresh(struct seep_jit *j);

/* Not NUL-terminated, valid until the next refresh. */
const char *seep_jit_find(
    const struct seep_jit *j, uint64_t pc, size_t *length);

#endif
