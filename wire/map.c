/* SPDX-License-Identifier: MIT */
/*
 * map.c - the live map, writer's side: which blocks live, as state
 *
 * The directory is a radix tree per tier (layout.h). An entry is set once, by
 * compare-and-swap, and never changes again but for the tier mask of SMALL
 * leaves, which only gains bits; who loses the race leaves a page unused.
 */
#include "wire/map.h"

#define ADDR_LIMIT (1ull << SEEP_ADDR_BITS)
#define LEAF_PAGES (SEEP_RADIX_SIZE * 8 / SEEP_PAGE)
#define NODE_PAGES (SEEP_RADIX_SIZE * 4 / SEEP_PAGE)

static uint32_t pages_for(uint64_t bytes)
{
	return (uint32_t)((bytes + SEEP_PAGE - 1) / SEEP_PAGE);
}

/* The page number in *at, allocating `nr` pages for it when there is none. */
static uint32_t entry32(struct seep_pool *p, _Atomic uint32_t *at, uint32_t nr,
    enum seep_drop *cause)
{
	/* acquire: pairs with the release below; the page is zeroed memory. */
	uint32_t page = atomic_load_explicit(at, memory_order_acquire);
	uint32_t none = 0;

	if (page || !nr)
		return page;
	page = seep_pool_alloc(p, nr, cause);
	if (!page)
		return 0;
	if (!atomic_compare_exchange_strong_explicit(
		at, &none, page, memory_order_release, memory_order_acquire))
		page = none;
	return page;
}

/*
 * The leaf that holds the entry of `index` (address >> cover) in a tier, as a
 * page number. `create`: make what is missing. `leaf_pages`: size of a leaf.
 */
static uint32_t leaf_page(struct seep_map *m, unsigned tier, uint64_t index,
    uint32_t leaf_pages, bool create, enum seep_drop *cause)
{
	_Atomic uint32_t *at = &m->pool->head->map_root[tier];
	unsigned bits = seep_tier_index_bits(tier);
	unsigned level = seep_tier_levels(tier);
	uint64_t slots = 1ull << (bits - level * SEEP_RADIX_BITS);
	uint32_t page;

	for (;; level--) {
		uint32_t nr = level ? pages_for(slots * 4) : leaf_pages;
		uint64_t i;

		page = entry32(m->pool, at, create ? nr : 0, cause);
		if (!page || !level)
			return page;
		i = index >> (level * SEEP_RADIX_BITS) & (slots - 1);
		at = (_Atomic uint32_t *)seep_pool_page(m->pool, page) + i;
		slots = SEEP_RADIX_SIZE;
	}
}

static _Atomic uint64_t *small_leaf_slow(struct seep_map *m,
    struct seep_map_cache *c, uint64_t addr, bool create, enum seep_drop *cause)
{
	uint64_t tag = addr >> SEEP_SMALL_LEAF_LOG;
	uint32_t page = leaf_page(m, SEEP_TIER_SMALL,
	    addr >> SEEP_SMALL_COVER_LOG, LEAF_PAGES, create, cause);

	if (!page)
		return NULL;
	c->tag[tag % SEEP_MAP_CACHE_WAYS] =
	    0; /* a handler may look in between */
	c->leaf[tag % SEEP_MAP_CACHE_WAYS] = seep_pool_page(m->pool, page);
	atomic_signal_fence(memory_order_seq_cst);
	c->tag[tag % SEEP_MAP_CACHE_WAYS] = tag + 1;
	return seep_pool_page(m->pool, page);
}

static inline _Atomic uint64_t *small_leaf(struct seep_map *m,
    struct seep_map_cache *c, uint64_t addr, bool create, enum seep_drop *cause)
{
	uint64_t tag = addr >> SEEP_SMALL_LEAF_LOG;
	unsigned way = tag % SEEP_MAP_CACHE_WAYS;

	if (__builtin_expect(c->tag[way] == tag + 1, 1))
		return c->leaf[way];
	return small_leaf_slow(m, c, addr, create, cause);
}

static inline _Atomic uint64_t *small_entry(
    _Atomic uint64_t *leaf, uint64_t addr)
{
	return leaf + (addr >> SEEP_SMALL_COVER_LOG & (SEEP_RADIX_SIZE - 1));
}

static inline _Atomic uint64_t *small_word(
    struct seep_map *m, uint32_t page, uint64_t addr)
{
	return (_Atomic uint64_t *)seep_pool_page(m->pool, page) +
	       (addr >> 5 & 511);
}

/* The page of words under a SMALL leaf entry, made when missing. */
static uint32_t small_page(
    struct seep_map *m, _Atomic uint64_t *entry, enum seep_drop *cause)
{
	uint64_t e = atomic_load_explicit(entry, memory_order_acquire);
	uint32_t page;

	if ((uint32_t)e)
		return (uint32_t)e;
	page = seep_pool_alloc(m->pool, 1, cause);
	if (!page)
		return 0;
	/* release: pairs with the acquire of whoever reads the entry. */
	while (!(uint32_t)e &&
	       !atomic_compare_exchange_weak_explicit(entry, &e, e | page,
		   memory_order_release, memory_order_acquire))
		;
	return (uint32_t)e ? (uint32_t)e : page;
}

/* The place of addr in a tier other than SMALL. */
static _Atomic uint64_t *tier_place(struct seep_map *m, unsigned tier,
    uint64_t addr, bool create, enum seep_drop *cause)
{
	uint64_t index = addr >> seep_tier_cover_log(tier);
	unsigned bits = seep_tier_index_bits(tier);
	uint64_t slots =
	    bits > SEEP_RADIX_BITS ? SEEP_RADIX_SIZE : 1ull << bits;
	uint32_t leaf =
	    leaf_page(m, tier, index, pages_for(slots * 4), create, cause);
	uint32_t page;

	if (!leaf)
		return NULL;
	page = entry32(m->pool,
	    (_Atomic uint32_t *)seep_pool_page(m->pool, leaf) +
		(index & (slots - 1)),
	    create, cause);
	if (!page)
		return NULL;
	if (tier == SEEP_TIER_TINY)
		return (_Atomic uint64_t *)seep_pool_page(m->pool, page) +
		       (addr >> 3 & 511);
	return &((struct seep_large *)seep_pool_page(
	    m->pool, page))[addr >> seep_tier_granule_log(tier) & 255]
		    .word;
}

static unsigned tier_of(const struct seep_map *m, uint64_t addr, uint64_t size)
{
	unsigned log;

	if (size < SEEP_LARGE_MIN)
		return !(addr & 15) && (m->glibc || size >= 17)
			   ? SEEP_TIER_SMALL
			   : SEEP_TIER_TINY;
	log = 63 - (unsigned)__builtin_clzll(size);
	if (log > SEEP_LARGE_MAX_LOG)
		log = SEEP_LARGE_MAX_LOG;
	return SEEP_TIER_LARGE + log - SEEP_LARGE_MIN_LOG;
}

static inline uint64_t large_offset(unsigned tier, uint64_t addr)
{
	return (addr & ((1ull << seep_tier_granule_log(tier)) - 1)) >> 4;
}

static inline _Atomic uint64_t *info_of(_Atomic uint64_t *place)
{
	return place + 1; /* struct seep_large */
}

/* Does the word at `place` describe a block at addr? Fills *old if so. */
static bool holds(unsigned tier, _Atomic uint64_t *place, uint64_t addr,
    struct seep_entry *old)
{
	/* acquire: pairs with the release in take(), by who had the place
	 * before us; a place of one owner needs no order. */
	uint64_t word = atomic_load_explicit(place, memory_order_acquire);
	uint64_t info, off;

	if (!(word & SEEP_WORD_PRESENT))
		return false;
	if (tier < SEEP_TIER_LARGE) {
		if (tier == SEEP_TIER_SMALL &&
		    (seep_word_low11(word) & 1) != (addr >> 4 & 1))
			return false;
		old->size_bytes = seep_word_low11(word) >> 1;
	} else {
		info =
		    atomic_load_explicit(info_of(place), memory_order_relaxed);
		off = (uint64_t)seep_word_low11(word) << 16 | info >> 48;
		if (off != large_offset(tier, addr))
			return false;
		old->size_bytes = info & 0xffffffffffffull;
	}
	old->word = word;
	old->place = place;
	return true;
}

/* All tiers but SMALL. */
static bool set_elsewhere(struct seep_map *m, struct seep_map_cache *c,
    unsigned tier, uint64_t addr, uint64_t size, uint32_t node, uint32_t epoch,
    struct seep_entry *old, enum seep_drop *cause)
{
	uint64_t bit = 1ull << (32 + tier), off;
	_Atomic uint64_t *leaf, *entry, *place;

	if (addr >= ADDR_LIMIT || size >> 48 ||
	    addr & (tier == SEEP_TIER_TINY ? 7 : 15)) {
		*cause = SEEP_DROP_ADDRESS;
		return false;
	}
	leaf = small_leaf(m, c, addr, true, cause);
	place = leaf ? tier_place(m, tier, addr, true, cause) : NULL;
	if (!place)
		return false;
	entry = small_entry(leaf, addr);
	if (!(atomic_load_explicit(entry, memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(entry, bit, memory_order_relaxed);
	holds(tier, place, addr, old);
	if (tier == SEEP_TIER_TINY) {
		atomic_store_explicit(place,
		    seep_word_make((uint32_t)size << 1, node, epoch),
		    memory_order_release);
		return true;
	}
	off = large_offset(tier, addr);
	atomic_store_explicit(
	    info_of(place), size | off << 48, memory_order_relaxed);
	/* release: pairs with the acquire in the reader: info before word. */
	atomic_store_explicit(place,
	    seep_word_make((uint32_t)(off >> 16), node, epoch),
	    memory_order_release);
	return true;
}

bool seep_map_set_slow(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size_bytes, uint32_t node, uint32_t epoch,
    struct seep_entry *old, enum seep_drop *cause)
{
	unsigned tier = tier_of(m, addr, size_bytes);
	_Atomic uint64_t *leaf, *place;
	uint32_t page;

	old->place = NULL;
	if (__builtin_expect(tier != SEEP_TIER_SMALL || addr >= ADDR_LIMIT, 0))
		return set_elsewhere(
		    m, c, tier, addr, size_bytes, node, epoch, old, cause);
	leaf = small_leaf(m, c, addr, true, cause);
	page = leaf ? small_page(m, small_entry(leaf, addr), cause) : 0;
	if (!page)
		return false;
	place = small_word(m, page, addr);
	if (__builtin_expect(
		atomic_load_explicit(place, memory_order_relaxed) != 0, 0))
		holds(SEEP_TIER_SMALL, place, addr, old);
	atomic_store_explicit(place,
	    seep_word_make(
		(uint32_t)size_bytes << 1 | (addr >> 4 & 1), node, epoch),
	    memory_order_release);
	return true;
}

/*
 * Fills a slot that is free; false if it is not. `info` may be read by who
 * looks for another block meanwhile, and who finds its own address there has
 * not been here: the slot of a block changes only with that block's owner.
 */
static bool take(_Atomic uint64_t *place, uint64_t info, uint64_t word)
{
	uint64_t none = 0;

	/* acquire: our info after what the last owner read of his. */
	if (!atomic_compare_exchange_strong_explicit(place, &none,
		SEEP_WORD_TAKEN, memory_order_acquire, memory_order_relaxed))
		return false;
	atomic_store_explicit(info_of(place), info, memory_order_relaxed);
	/* release: pairs with the acquire in holds() and in the reader. */
	atomic_store_explicit(place, word, memory_order_release);
	return true;
}

bool seep_map_set_sparse(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size_bytes, uint32_t node, uint32_t epoch,
    enum seep_drop *cause)
{
	_Atomic uint64_t *leaf, *entry;
	struct seep_entry old;

	if (size_bytes >> SEEP_GUEST_MAX_LOG || addr >= ADDR_LIMIT || addr & 15)
		return seep_map_set(
		    m, c, addr, size_bytes, node, epoch, &old, cause);
	leaf = small_leaf(m, c, addr, true, cause);
	if (!leaf)
		return false;
	entry = small_entry(leaf, addr);
	for (unsigned tier = SEEP_TIER_GUEST; tier < SEEP_NR_TIERS; tier++) {
		_Atomic uint64_t *place =
		    tier_place(m, tier, addr, true, cause);
		uint64_t off = large_offset(tier, addr);

		if (!place)
			return false;
		if (!take(place, size_bytes | off << 48,
			seep_word_make((uint32_t)(off >> 16), node, epoch)))
			continue;
		atomic_fetch_or_explicit(
		    entry, 1ull << (32 + tier), memory_order_relaxed);
		return true;
	}
	return seep_map_set(m, c, addr, size_bytes, node, epoch, &old, cause);
}

void seep_map_clear_slow(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, struct seep_entry *old)
{
	_Atomic uint64_t *leaf, *place;
	enum seep_drop none;
	uint64_t e;
	unsigned tier;

	old->place = NULL;
	if (addr >= ADDR_LIMIT)
		return;
	leaf = small_leaf(m, c, addr, false, &none);
	if (!leaf)
		return;
	e = atomic_load_explicit(small_entry(leaf, addr), memory_order_acquire);
	if ((uint32_t)e &&
	    holds(SEEP_TIER_SMALL, small_word(m, (uint32_t)e, addr), addr, old))
		goto found;
	for (e >>= 32; e; e &= e - 1) {
		tier = (unsigned)__builtin_ctzll(e);
		place = tier_place(m, tier, addr, false, &none);
		if (place && holds(tier, place, addr, old))
			goto found;
	}
	return;
found:
	atomic_store_explicit(old->place, 0, memory_order_release);
}
