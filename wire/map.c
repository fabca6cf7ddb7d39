/* SPDX-License-Identifier: MIT */
/*
 * map.c - the live map, writer's side: which blocks live, as state
 *
 * The directory is a radix tree per tier (layout.h). An entry is set once, by
 * compare-and-swap, and never changes again; who loses the race leaves a page
 * unused. In the entries of SMALL leaves, besides, tier bits are added and
 * slots pushed in front of the list: never taken away, so there is no ABA.
 */
#include "wire/map.h"

#define ADDR_LIMIT (1ull << SEEP_ADDR_BITS)
#define LEAF_PAGES (SEEP_RADIX_SIZE * 8 / SEEP_PAGE + 1)

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

	if (seep_entry_page(e))
		return seep_entry_page(e);
	page = seep_pool_alloc(m->pool, 1, cause);
	if (!page)
		return 0;
	/* release: pairs with the acquire of whoever reads the entry. */
	while (!seep_entry_page(e) &&
	       !atomic_compare_exchange_weak_explicit(entry, &e, e | page,
		   memory_order_release, memory_order_acquire))
		;
	return seep_entry_page(e) ? seep_entry_page(e) : page;
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

static void found(struct seep_entry *old, _Atomic uint64_t *place,
    uint64_t word, uint64_t size)
{
	old->place = place;
	old->word = word;
	old->size_bytes = size;
}

/* ---- tiers ------------------------------------------------------------- */

static inline uint64_t huge_offset(uint64_t addr)
{
	return (addr & ((1ull << seep_tier_granule_log(SEEP_TIER_HUGE)) - 1)) >>
	       4;
}

static inline _Atomic uint64_t *info_of(_Atomic uint64_t *place)
{
	return place + 1; /* struct seep_large */
}

/* Does the word at `place` describe a block at addr? Fills *old if so. */
static bool holds(unsigned tier, _Atomic uint64_t *place, uint64_t addr,
    struct seep_entry *old)
{
	uint64_t word = atomic_load_explicit(place, memory_order_relaxed);
	uint64_t info;

	if (!(word & SEEP_WORD_PRESENT))
		return false;
	if (tier == SEEP_TIER_HUGE) {
		info =
		    atomic_load_explicit(info_of(place), memory_order_relaxed);
		if (((uint64_t)seep_word_low11(word) << 16 | info >> 48) !=
		    huge_offset(addr))
			return false;
		found(old, place, word, info & 0xffffffffffffull);
		return true;
	}
	if (tier == SEEP_TIER_SMALL && ((word ^ addr >> 4) & 1))
		return false;
	found(old, place, word, seep_word_low11(word) >> 1);
	return true;
}

/* In TINY or HUGE. */
static bool set_in_tier(struct seep_map *m, unsigned tier,
    _Atomic uint64_t *entry, uint64_t addr, uint64_t size, uint32_t node,
    uint32_t epoch, struct seep_entry *old, enum seep_drop *cause)
{
	_Atomic uint64_t *place = tier_place(m, tier, addr, true, cause);
	uint64_t bit = seep_entry_tier(tier), off = huge_offset(addr);
	uint32_t low11 = (uint32_t)size << 1;

	if (!place)
		return false;
	if (!(atomic_load_explicit(entry, memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(entry, bit, memory_order_relaxed);
	holds(tier, place, addr, old);
	if (tier == SEEP_TIER_HUGE) {
		atomic_store_explicit(
		    info_of(place), size | off << 48, memory_order_relaxed);
		low11 = (uint32_t)(off >> 16);
	}
	/* release: a reader that sees the word sees `info` and the node. */
	atomic_store_explicit(
	    place, seep_word_make(low11, node, epoch), memory_order_release);
	return true;
}

/* ---- lists ------------------------------------------------------------- */

static inline struct seep_large *slot_at(
    const struct seep_map *m, uint32_t index)
{
	return (
	    struct seep_large *)(m->pool->base +
				 (uint64_t)index * sizeof(struct seep_large));
}

static inline uint32_t offset_of(uint64_t addr)
{
	return (uint32_t)(addr >> 4 & ((1u << (SEEP_SMALL_COVER_LOG - 4)) - 1));
}

struct walked {
	struct seep_large *vacant; /* the first free slot, if any */
	unsigned nr;		   /* slots that were passed */
};

/*
 * The slot of the block at addr, or NULL. That one cannot change meanwhile, all
 * others can: they are of other addresses, or free. Inlined, so that *w is kept
 * in registers: a call took as long as a short walk.
 */
static inline __attribute__((always_inline)) struct seep_large *find(
    const struct seep_map *m, uint64_t entry, uint64_t addr, struct walked *w)
{
	const uint64_t mask = SEEP_WORD_PRESENT | seep_word_low11(UINT64_MAX);
	uint64_t want = SEEP_WORD_PRESENT | offset_of(addr), word;
	uint32_t i = seep_entry_list(entry);
	struct seep_large *s;

	w->vacant = NULL;
	for (w->nr = 0; i > SEEP_LIST_END && w->nr < SEEP_LIST_MAX; w->nr++) {
		s = slot_at(m, i);
		word = atomic_load_explicit(&s->word, memory_order_relaxed);
		if ((word & mask) == want)
			return s;
		if (!word && !w->vacant)
			w->vacant = s;
		i = (uint32_t)(atomic_load_explicit(
				   &s->info, memory_order_relaxed) >>
			       32);
	}
	return NULL;
}

static void found_in(struct seep_large *s, struct seep_entry *old)
{
	found(old, &s->word,
	    atomic_load_explicit(&s->word, memory_order_relaxed),
	    (uint32_t)atomic_load_explicit(&s->info, memory_order_relaxed));
}

/* The index of a slot that nobody had; 0: no memory. */
static uint32_t fresh_slot(
    struct seep_map *m, _Atomic uint64_t *leaf, enum seep_drop *cause)
{
	_Atomic uint32_t *next = (_Atomic uint32_t *)(leaf + SEEP_RADIX_SIZE);
	/* acquire: pairs with the release below; the page is zeroed memory. */
	uint32_t is = atomic_load_explicit(next, memory_order_acquire);
	uint32_t i, page;

	do {
		i = is;
		if (!i) /* the leaf's own page, of which *next is slot 0 */
			i = (uint32_t)(((unsigned char *)next - m->pool->base) /
				       sizeof(struct seep_large)) +
			    1;
		if (i % SEEP_SLOTS_PER_PAGE == 0)
			goto next_page;
	} while (!atomic_compare_exchange_weak_explicit(
	    next, &is, i + 1, memory_order_acquire, memory_order_acquire));
	return i;
next_page:
	page = seep_pool_alloc(m->pool, 1, cause);
	if (!page)
		return 0;
	i = page * SEEP_SLOTS_PER_PAGE;
	/* Who loses this race leaves the rest of the page unused. */
	atomic_compare_exchange_strong_explicit(
	    next, &is, i + 1, memory_order_release, memory_order_relaxed);
	return i;
}

/* Links a fresh slot that has the block in it. */
static bool push(struct seep_map *m, _Atomic uint64_t *leaf,
    _Atomic uint64_t *entry, uint64_t size, uint64_t word,
    enum seep_drop *cause)
{
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);
	uint32_t i = fresh_slot(m, leaf, cause), next;
	struct seep_large *s;

	if (!i)
		return false;
	s = slot_at(m, i);
	atomic_store_explicit(&s->word, word, memory_order_relaxed);
	do {
		next = seep_entry_list(e) ? seep_entry_list(e) : SEEP_LIST_END;
		atomic_store_explicit(&s->info, size | (uint64_t)next << 32,
		    memory_order_relaxed);
		/* release: pairs with the acquire of who reads the entry and
		 * walks the list: also for the slots behind this one, since the
		 * entry changes by read-modify-write only. */
	} while (!atomic_compare_exchange_weak_explicit(entry, &e,
	    (e & UINT32_MAX) | (uint64_t)i << 32, memory_order_release,
	    memory_order_relaxed));
	return true;
}

static bool take(struct seep_large *s)
{
	uint64_t none = 0;

	/* acquire: we write `info` after the last owner has read it. */
	return atomic_compare_exchange_strong_explicit(&s->word, &none,
	    SEEP_WORD_TAKEN, memory_order_acquire, memory_order_relaxed);
}

static bool set_in_list(struct seep_map *m, _Atomic uint64_t *leaf,
    _Atomic uint64_t *entry, uint64_t addr, uint64_t size, uint32_t node,
    uint32_t epoch, struct seep_entry *old, enum seep_drop *cause)
{
	uint64_t word = seep_word_make(offset_of(addr), node, epoch), info;
	struct seep_large *s;
	struct walked w;

	for (;;) {
		s = find(m, atomic_load_explicit(entry, memory_order_acquire),
		    addr, &w);
		if (s) {
			found_in(s, old);
			break;
		}
		s = w.vacant;
		if (!s) {
			*cause = SEEP_DROP_SEGMENT_FULL;
			return w.nr < SEEP_LIST_FULL &&
			       push(m, leaf, entry, size, word, cause);
		}
		if (take(s)) /* else another one was faster: look again */
			break;
	}
	info = atomic_load_explicit(&s->info, memory_order_relaxed);
	atomic_store_explicit(&s->info, (info & ~(uint64_t)UINT32_MAX) | size,
	    memory_order_relaxed);
	/* release: pairs with the acquire in take(), and for the reader. */
	atomic_store_explicit(&s->word, word, memory_order_release);
	return true;
}

/* ---- all of it --------------------------------------------------------- */

/* All but SMALL. */
static bool set_elsewhere(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size, bool sparse, uint32_t node, uint32_t epoch,
    struct seep_entry *old, enum seep_drop *cause)
{
	bool tiny = size < SEEP_LARGE_MIN && !sparse;
	_Atomic uint64_t *leaf, *entry;

	old->place = NULL;
	if (addr >= ADDR_LIMIT || size >> 48 || addr & (tiny ? 7 : 15)) {
		*cause = SEEP_DROP_ADDRESS;
		return false;
	}
	leaf = small_leaf(m, c, addr, true, cause);
	if (!leaf)
		return false;
	entry = small_entry(leaf, addr);
	if (tiny || size >= SEEP_HUGE_MIN)
		return set_in_tier(m, tiny ? SEEP_TIER_TINY : SEEP_TIER_HUGE,
		    entry, addr, size, node, epoch, old, cause);
	return set_in_list(m, leaf, entry, addr, size, node, epoch, old, cause);
}

bool seep_map_set_slow(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size_bytes, uint32_t node, uint32_t epoch,
    struct seep_entry *old, enum seep_drop *cause)
{
	_Atomic uint64_t *leaf, *place;
	uint32_t page;

	if (!seep_map_is_small(m, addr, size_bytes) || addr >= ADDR_LIMIT)
		return set_elsewhere(
		    m, c, addr, size_bytes, false, node, epoch, old, cause);
	old->place = NULL;
	leaf = small_leaf(m, c, addr, true, cause);
	page = leaf ? small_page(m, small_entry(leaf, addr), cause) : 0;
	if (!page)
		return false;
	place = small_word(m, page, addr);
	holds(SEEP_TIER_SMALL, place, addr, old);
	seep_map_put(place, addr, size_bytes, node, epoch);
	return true;
}

bool seep_map_set_sparse(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, uint64_t size_bytes, uint32_t node, uint32_t epoch,
    enum seep_drop *cause)
{
	struct seep_entry old;

	return set_elsewhere(
	    m, c, addr, size_bytes, !(addr & 15), node, epoch, &old, cause);
}

/* Where the block at addr is; fills *old. */
static bool look_up(struct seep_map *m, struct seep_map_cache *c, uint64_t addr,
    struct seep_entry *old)
{
	_Atomic uint64_t *leaf, *place;
	struct seep_large *s;
	enum seep_drop none;
	struct walked w;
	uint64_t e;

	leaf = small_leaf(m, c, addr, false, &none);
	if (!leaf)
		return false;
	e = atomic_load_explicit(small_entry(leaf, addr), memory_order_acquire);
	if (seep_entry_page(e) &&
	    holds(SEEP_TIER_SMALL, small_word(m, seep_entry_page(e), addr),
		addr, old))
		return true;
	/* A sampled block may lie 8 bytes behind one that is in the list. */
	s = addr & 15 ? NULL : find(m, e, addr, &w);
	if (s) {
		found_in(s, old);
		return true;
	}
	for (unsigned tier = SEEP_TIER_TINY; tier < SEEP_NR_TIERS; tier++) {
		if (!(e & seep_entry_tier(tier)))
			continue;
		place = tier_place(m, tier, addr, false, &none);
		if (place && holds(tier, place, addr, old))
			return true;
	}
	return false;
}

void seep_map_clear_slow(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, struct seep_entry *old)
{
	old->place = NULL;
	/* release: pairs with the acquire in take(). */
	if (addr < ADDR_LIMIT && look_up(m, c, addr, old))
		atomic_store_explicit(old->place, 0, memory_order_release);
}

bool seep_map_restore(struct seep_map *m, struct seep_map_cache *c,
    uint64_t addr, const struct seep_entry *old, bool sparse,
    enum seep_drop *cause)
{
	uint32_t node = seep_word_node(old->word);
	uint32_t epoch = seep_word_epoch(old->word);
	struct seep_entry none;

	if (old->word & SEEP_WORD_WATCHED)
		epoch |= SEEP_EPOCH_WATCHED;
	return sparse ? seep_map_set_sparse(
			    m, c, addr, old->size_bytes, node, epoch, cause)
		      : seep_map_set(m, c, addr, old->size_bytes, node, epoch,
			    &none, cause);
}
