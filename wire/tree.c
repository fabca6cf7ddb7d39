/* SPDX-License-Identifier: MIT */
/* tree.c - the call tree, writer's side: intern (parent, module, offset) */
#include "wire/tree.h"

#define FIRST_LOG  12
#define MAX_PROBES 128u
#define BUSY	   1ull /* claimed by a writer; parent 0 and id 1 never meet */

/* meta: parent << 32 | id; 0 is free. key: see key_of(). */
struct entry {
	_Atomic uint64_t meta;
	_Atomic uint64_t key;
};

struct seep_tree_index {
	unsigned log;
	_Atomic uint32_t used;
	_Atomic uint32_t extra; /* nodes that found no room here */
	struct entry entries[];
};

/* kind, exact, module and offset in one word: offsets of modules are below
 * 2^32 (the caller sees to it), those of unknown code have no module. */
static uint64_t key_of(uint32_t kind_module, uint64_t offset)
{
	return (uint64_t)kind_module << 32 ^ offset;
}

static uint64_t slot_of(uint32_t parent, uint64_t key, unsigned log)
{
	uint64_t h = (key ^ (uint64_t)parent << 17) * 0x9e3779b97f4a7c15ull;

	h ^= h >> 29;
	return (h * 0xbf58476d1ce4e5b9ull) >> (64 - log);
}

static struct seep_tree_index *make_index(struct seep_tree *t, unsigned log)
{
	struct seep_tree_index *ix =
	    t->grab(sizeof(*ix) + (sizeof(struct entry) << log));

	if (ix)
		ix->log = log;
	return ix;
}

/* The last third of a segment is for the live map: where it gets tight, stacks
 * are lost rather than blocks. */
static bool has_room(const struct seep_pool *p)
{
	return atomic_load_explicit(&p->head->next_page, memory_order_relaxed) <
	       p->nr_pages / 3 * 2;
}

static struct seep_node *node_at(struct seep_tree *t, uint32_t id, bool create)
{
	struct seep_header *h = t->pool->head;
	uint32_t chunk = id / SEEP_NODES_PER_CHUNK;
	_Atomic uint32_t *at = &h->node_dir[chunk / SEEP_CHUNKS_PER_DIR];
	uint32_t nr[2] = {1, SEEP_NODES_PER_CHUNK * 16 / SEEP_PAGE};
	enum seep_drop cause;

	for (int level = 0; level < 2; level++) {
		/* acquire: pairs with the release of who made the page. */
		uint32_t page = atomic_load_explicit(at, memory_order_acquire);
		uint32_t none = 0;

		if (!page && create && has_room(t->pool)) {
			page = seep_pool_alloc(t->pool, nr[level], &cause);
			if (page && !atomic_compare_exchange_strong_explicit(at,
					&none, page, memory_order_release,
					memory_order_acquire))
				page = none;
		}
		if (!page)
			return NULL;
		at = seep_pool_page(t->pool, page);
		if (level)
			return (struct seep_node *)at +
			       id % SEEP_NODES_PER_CHUNK;
		at += chunk % SEEP_CHUNKS_PER_DIR;
	}
	return NULL;
}

static uint32_t add_node(
    struct seep_tree *t, uint32_t parent, uint32_t kind_module, uint64_t offset)
{
	struct seep_header *h = t->pool->head;
	uint32_t id = atomic_load_explicit(&h->nr_nodes, memory_order_relaxed);
	struct seep_node *n;

	do {
		if (id > SEEP_NODE_MAX)
			return SEEP_NODE_FULL;
	} while (!atomic_compare_exchange_weak_explicit(&h->nr_nodes, &id,
	    id + 1, memory_order_relaxed, memory_order_relaxed));
	n = node_at(t, id, true);
	if (!n)
		return SEEP_NODE_FULL;
	n->parent = parent;
	n->offset = offset;
	n->kind_module = kind_module;
	return id;
}

bool seep_tree_init(
    struct seep_tree *t, struct seep_pool *pool, void *(*grab)(size_t bytes))
{
	struct seep_tree_index *ix;
	struct seep_node *n;

	t->pool = pool;
	t->grab = grab;
	atomic_store(&t->growing, 0);
	atomic_store(&pool->head->nr_nodes, SEEP_NODE_FULL + 1);
	n = node_at(t, SEEP_NODE_FULL, true);
	ix = make_index(t, FIRST_LOG);
	atomic_store(&t->index, ix);
	if (!n || !ix)
		return false;
	n->kind_module = seep_node_pack(SEEP_NODE_TRUNCATED, 0, 0);
	return true;
}

static void copy_entry(struct seep_tree_index *to, uint64_t meta, uint64_t key)
{
	uint64_t mask = (1ull << to->log) - 1;
	uint64_t i = slot_of((uint32_t)(meta >> 32), key, to->log);

	/* Nobody else sees this table yet, and it is at most half full. */
	while (atomic_load_explicit(&to->entries[i].meta, memory_order_relaxed))
		i = (i + 1) & mask;
	atomic_store_explicit(&to->entries[i].key, key, memory_order_relaxed);
	atomic_store_explicit(&to->entries[i].meta, meta, memory_order_relaxed);
	atomic_fetch_add_explicit(&to->used, 1, memory_order_relaxed);
}

/* A copy of the table, twice the size, takes its place, unless another one has.
 */
static void replace(struct seep_tree *t, struct seep_tree_index *ix)
{
	struct seep_tree_index *bigger = make_index(t, ix->log + 1);

	if (!bigger)
		return;
	for (uint64_t i = 0; i < 1ull << ix->log; i++) {
		/* acquire: the key is there once the meta is. */
		uint64_t meta = atomic_load_explicit(
		    &ix->entries[i].meta, memory_order_acquire);

		if (meta && meta != BUSY)
			copy_entry(bigger, meta,
			    atomic_load_explicit(
				&ix->entries[i].key, memory_order_relaxed));
	}
	/* release: pairs with the acquire in seep_tree_child(). */
	atomic_compare_exchange_strong_explicit(
	    &t->index, &ix, bigger, memory_order_release, memory_order_relaxed);
}

/* As a rule one thread copies and all others go on with what there is. */
static void grow(struct seep_tree *t, struct seep_tree_index *ix)
{
	uint32_t free_ = 0;

	if (atomic_load_explicit(&t->index, memory_order_relaxed) != ix ||
	    !atomic_compare_exchange_strong(&t->growing, &free_, 1))
		return;
	if (atomic_load(&t->index) == ix)
		replace(t, ix);
	atomic_store_explicit(&t->growing, 0, memory_order_release);
}

/*
 * No place for a node: whoever copies may have been held up, or have been
 * jumped out of for good. After some more such nodes another thread copies,
 * too; a table too much costs memory, a lost stack costs the truth. False:
 * there have been so many that it must be for want of memory.
 */
static bool crowded(struct seep_tree *t, struct seep_tree_index *ix)
{
	uint32_t size = 1u << ix->log;
	uint32_t extra =
	    atomic_fetch_add_explicit(&ix->extra, 1, memory_order_relaxed);

	if (!extra)
		grow(t, ix);
	else if (extra % (size / 4) == 0 &&
		 atomic_load_explicit(&t->index, memory_order_relaxed) == ix)
		replace(t, ix);
	return extra < size ||
	       atomic_load_explicit(&t->index, memory_order_relaxed) != ix;
}

uint32_t seep_tree_child(
    struct seep_tree *t, uint32_t parent, uint32_t kind_module, uint64_t offset)
{
	/* acquire: pairs with the release in grow(). */
	struct seep_tree_index *ix =
	    atomic_load_explicit(&t->index, memory_order_acquire);
	uint64_t key = key_of(kind_module, offset);
	uint64_t mask = (1ull << ix->log) - 1;
	uint64_t i = slot_of(parent, key, ix->log);
	uint32_t id = 0;

	for (unsigned n = 0; n < MAX_PROBES; n++, i = (i + 1) & mask) {
		struct entry *e = &ix->entries[i];
		/* acquire: the key is there once the meta is. */
		uint64_t meta =
		    atomic_load_explicit(&e->meta, memory_order_acquire);

		if (!meta) {
			if (!id)
				id = add_node(t, parent, kind_module, offset);
			if (id == SEEP_NODE_FULL)
				return id;
			if (atomic_compare_exchange_strong_explicit(&e->meta,
				&meta, BUSY, memory_order_acquire,
				memory_order_acquire)) {
				atomic_store_explicit(
				    &e->key, key, memory_order_relaxed);
				/* release: key before meta. */
				atomic_store_explicit(&e->meta,
				    (uint64_t)parent << 32 | id,
				    memory_order_release);
				if (atomic_fetch_add_explicit(
					&ix->used, 1, memory_order_relaxed) >
				    (1u << ix->log) / 2)
					grow(t, ix);
				return id;
			}
		}
		if (meta != BUSY && meta >> 32 == parent &&
		    atomic_load_explicit(&e->key, memory_order_relaxed) == key)
			return (uint32_t)meta;
	}
	/* A crowded stretch: this frame gets an id of its own. */
	if (!crowded(t, ix))
		return SEEP_NODE_FULL;
	return id ? id : add_node(t, parent, kind_module, offset);
}
