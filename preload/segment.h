/* SPDX-License-Identifier: MIT */
/*
 * segment.h - making the segment: a sealed memfd, mapped, backed as it grows
 *
 * Threads:  seep_segment_map() by one thread; the pool it fills in is for all.
 * Signals:  async-signal-safe.
 * Memory:   the mapping; unmapped by seep_segment_unmap().
 * Trust:    none.
 * Units:    bytes and pages of SEEP_PAGE.
 * Errors:   the kernel's negative numbers.
 */
#ifndef SEEP_PRELOAD_SEGMENT_H
#define SEEP_PRELOAD_SEGMENT_H

#include <stdbool.h>
#include "wire/pool.h"

/* Makes and maps a new segment and its first page. Returns the memfd, which
 * the caller closes once the collector has it: the mapping needs it no more. */
long seep_segment_map(struct seep_pool *pool);

/* pool->base is NULL afterwards. */
void seep_segment_unmap(struct seep_pool *pool);

/* From now on no system call is made to back pages: a seccomp filter comes. */
void seep_segment_make_quiet(struct seep_pool *pool);

#endif
