/* SPDX-License-Identifier: MIT */
/*
 * map.h - the live map, writer's side: which blocks live, as state
 *
 * A block's word is set after the allocator handed the block out and cleared
 * before it gets it back. In between nobody else owns that address, and no two
 * live blocks share a place (layout.h), so each place has one writer at a time:
 * no locks, no read-modify-write, no order between threads to get wrong.
 *
 * Threads:  any number at once; for one address only the block's owner.
 * Signals:  async-signal-safe; nests.
 * Memory:   directory and pages come from the pool and stay.
 * Trust:    writer's side; the reader is read.h.
 * Units:    bytes; addresses of the traced program.
 * Errors:   seep_map_set() returns false and the cause.
 */
#ifndef SEEP_WIRE_MAP_H
#define SEEP_WIRE_MAP_H

#include <stdbool.h>
#include "wire/pool.h"

struct seep_map {
	struct seep_pool *pool;
	bool
	    glibc; /* blocks lie at least 32 bytes apart, whatever their size */
};

/* Per thread: the last leaves of the SMALL directory; zeroed at first. */
#define SEEP_MAP_CACHE_WAYS 4u
struct seep_map_cache {
	uint64_t tag[SEEP_MAP_CACHE_WAYS]; /* (address >> 25) + 1 */
	_Atomic uint64_t *leaf[SEEP_MAP_CACHE_WAYS];
};

/* What stood in a block's place. */
struct seep_entry {
	_Atomic uint64_t *place; /* NULL: there was nothing */
	uint64_t word;
	uint64_t size_bytes;
};

/*
 * Records a live block. *old is what stood there for the same address (a free
 * that was missed); old->place is NULL in the normal case.
 */
bool seep_map_set(struct seep_map *m, struct seep_map_cache *c, uint64_t addr,
    uint64_t size_bytes, uint32_t node, uint32_t epoch, struct seep_entry *old,
    enum seep_drop *cause);

/* Forgets the block at addr; *old says what it was. */
void seep_map_clear(struct seep_map *m, struct seep_map_cache *c, uint64_t addr,
    struct seep_entry *old);

/* Undoes seep_map_clear(): the block never left its owner. */
static inline void seep_map_restore(const struct seep_entry *old)
{
	/* release: the reader sees the rest of the slot before the word. */
	atomic_store_explicit(old->place, old->word, memory_order_release);
}

#endif
