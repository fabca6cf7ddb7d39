/* SPDX-License-Identifier: MIT */
/*
 * pool.h - pages of the segment, handed out from the front, never given back
 *
 * Threads:  seep_pool_alloc() may run in any number of threads at once.
 * Signals:  async-signal-safe and re-entrant; no locks.
 * Memory:   pages come zeroed, and backed by memory before they are handed out,
 *           so that a store to them cannot raise SIGBUS.
 * Trust:    writer's side only.
 * Units:    pages of SEEP_PAGE bytes.
 * Errors:   0 for no page, with the cause in *cause.
 */
#ifndef SEEP_WIRE_POOL_H
#define SEEP_WIRE_POOL_H

#include "wire/layout.h"

struct seep_pool {
	unsigned char *base; /* the mapped segment; page 0 is the header */
	struct seep_header *head;
	uint64_t nr_pages; /* size of the segment */
	/* Pages [0, backed) are writable memory; grows only. */
	_Atomic uint64_t backed;
	/*
	 * Makes pages [first, first + nr) writable and backs them with memory;
	 * 0 on success. Called by several threads for overlapping ranges.
	 */
	int (*back)(struct seep_pool *p, uint64_t first, uint64_t nr);
};

/* The first of `nr` fresh pages in a row. */
uint32_t seep_pool_alloc(
    struct seep_pool *p, uint32_t nr, enum seep_drop *cause);

static inline void *seep_pool_page(const struct seep_pool *p, uint32_t page)
{
	return p->base + (uint64_t)page * SEEP_PAGE;
}

#endif
