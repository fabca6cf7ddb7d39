/* SPDX-License-Identifier: MIT */
/*
 * rangeset.h - address ranges that may lie in each other, found by address
 *
 * Threads:  plain data.
 * Signals:  not for signal handlers.
 * Memory:   16 bytes per range, on the heap.
 * Trust:    ranges come from files: any are allowed, a search looks at no more
 *           than SEEP_RANGE_DEPTH of those that enclose an address.
 * Units:    addresses from a base that the caller keeps; less than 4 GiB.
 * Errors:   false: no memory.
 */
#ifndef SEEP_SYM_RANGESET_H
#define SEEP_SYM_RANGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEP_RANGE_DEPTH 64
#define SEEP_RANGE_NONE	 UINT32_MAX

struct seep_range {
	uint32_t start, end; /* [start, end) */
	uint32_t ref;	     /* the caller's */
	uint32_t outer;	     /* a range before it that reaches past its start */
};

struct seep_rangeset {
	struct seep_range *ranges;
	size_t nr, room;
};

bool seep_rangeset_add(
    struct seep_rangeset *s, uint32_t start, uint32_t end, uint32_t ref);
/* After the last add, before the first find. */
void seep_rangeset_finish(struct seep_rangeset *s);
/* The innermost ranges with `at` in them, at most `max`: how many, into refs.
 */
size_t seep_rangeset_find(
    const struct seep_rangeset *s, uint32_t at, uint32_t *refs, size_t max);
void seep_rangeset_deinit(struct seep_rangeset *s);

#endif
