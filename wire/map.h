/* SPDX-License-Identifier: MIT */
/*
 * map.h - the live map, writer's side: which blocks live, as state
 *
 * A block's word is set after the allocator handed the block out and cleared
 * before it gets it back. In between nobody else owns that address, and no two
 * live blocks share a place (layout.h), so each place has one writer at a time:
 * no locks, no read-modify-write, no order between threads to get wrong. Only
 * slots of lists (blocks of 1 KiB and more, and sampled ones) are shared, by
 * the few blocks of a region, and taken by compare-and-swap while they are
 * free.
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

/* As their namesakes below; these do all that is not common. */
bool seep_map_set_slow(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size_bytes, uint32_t node, uint32_t epoch,
    struct seep_entry *old, enum seep_drop *cause);
void seep_map_clear_slow(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, struct seep_entry *old);

/* The SMALL place of addr if the leaf is a recent one and has the page. */
static inline _Atomic uint64_t *seep_map_near(
    const struct seep_map *m, const struct seep_map_cache *c, uint64_t addr)
{
	uint64_t tag = addr >> SEEP_SMALL_LEAF_LOG, e;
	unsigned way = tag % SEEP_MAP_CACHE_WAYS;

	if (c->tag[way] != tag + 1)
		return NULL;
	/* acquire: pairs with the release of who made the page. */
	e = atomic_load_explicit(c->leaf[way] + (addr >> SEEP_SMALL_COVER_LOG &
						    (SEEP_RADIX_SIZE - 1)),
	    memory_order_acquire);
	if (!seep_entry_page(e))
		return NULL;
	return (_Atomic uint64_t *)seep_pool_page(m->pool, seep_entry_page(e)) +
	       (addr >> 5 & 511);
}

static inline bool seep_map_is_small(
    const struct seep_map *m, uint64_t addr, uint64_t size_bytes)
{
	return size_bytes < SEEP_LARGE_MIN && !(addr & 15) &&
	       (size_bytes >= 17 || m->glibc);
}

/* The place for a block, if it is a SMALL one that seep_map_near() has and that
 * is empty, as nearly all are; else NULL. */
static inline _Atomic uint64_t *seep_map_vacant(const struct seep_map *m,
    const struct seep_map_cache *c, uint64_t addr, uint64_t size_bytes)
{
	_Atomic uint64_t *place;

	if (!seep_map_is_small(m, addr, size_bytes))
		return NULL;
	place = seep_map_near(m, c, addr);
	if (place && atomic_load_explicit(place, memory_order_relaxed))
		return NULL;
	return place;
}

static inline void seep_map_put(_Atomic uint64_t *place, uint64_t addr,
    uint64_t size_bytes, uint32_t node, uint32_t epoch)
{
	/* release: a reader that sees the word sees its node. */
	atomic_store_explicit(place,
	    seep_word_make(
		(uint32_t)size_bytes << 1 | (uint32_t)(addr >> 4 & 1), node,
		epoch),
	    memory_order_release);
}

/* The place of the block at addr, if it is there and a SMALL one that
 * seep_map_near() has; *word is what it holds. Else NULL. */
static inline _Atomic uint64_t *seep_map_occupied(const struct seep_map *m,
    const struct seep_map_cache *c, uint64_t addr, uint64_t *word)
{
	_Atomic uint64_t *place = seep_map_near(m, c, addr);
	uint64_t w;

	if (!place)
		return NULL;
	w = atomic_load_explicit(place, memory_order_relaxed);
	*word = w;
	return w & SEEP_WORD_PRESENT && !((w ^ addr >> 4) & 1) ? place : NULL;
}

/*
 * Records a live block. *old is what stood there for the same address (a free
 * that was missed); old->place is NULL in the normal case.
 */
static inline bool seep_map_set(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size_bytes, uint32_t node, uint32_t epoch,
    struct seep_entry *old, enum seep_drop *cause)
{
	_Atomic uint64_t *place = seep_map_vacant(m, c, addr, size_bytes);

	if (!place)
		return seep_map_set_slow(
		    m, c, addr, size_bytes, node, epoch, old, cause);
	old->place = NULL;
	seep_map_put(place, addr, size_bytes, node, epoch);
	return true;
}

/* Forgets the block at addr; *old says what it was. */
static inline void seep_map_clear(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, struct seep_entry *old)
{
	old->place = seep_map_occupied(m, c, addr, &old->word);
	if (!old->place) {
		seep_map_clear_slow(m, c, addr, old);
		return;
	}
	old->size_bytes = seep_word_low11(old->word) >> 1;
	atomic_store_explicit(old->place, 0, memory_order_release);
}

/*
 * As seep_map_set() where most blocks are not recorded: the map then takes
 * memory by the number of recorded blocks and not by where they lie. Nothing
 * may stand there for this address; seep_map_clear() sees to that.
 */
bool seep_map_set_sparse(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size_bytes, uint32_t node, uint32_t epoch,
    enum seep_drop *cause);

/*
 * Undoes seep_map_clear(), which gave *old: the block at addr never left its
 * owner. It is entered anew, `sparse` as before: what it was in may be another
 * block's by now.
 */
bool seep_map_restore(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, const struct seep_entry *old, bool sparse,
    enum seep_drop *cause);

#endif
