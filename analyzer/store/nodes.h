/* SPDX-License-Identifier: MIT */
/*
 * nodes.h - the writer's memory of the call tree: (parent, frame) -> id
 *
 * 16 bytes per node and 4 to 8 bytes of index, so that a tree of 200,000 nodes
 * takes about 5 MB. Ids are dense and begin with 1.
 *
 * Threads:  none of its own.
 * Signals:  not for signal handlers.
 * Memory:   owned; _deinit frees it and makes it empty again.
 * Trust:    the caller checked what it adds.
 * Units:    none.
 * Errors:   false when memory runs out or the tree is full; unchanged then.
 */
#ifndef SEEP_STORE_NODES_H
#define SEEP_STORE_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEP_STORE_MAX_NODES   (1u << 28)
#define SEEP_STORE_MAX_MODULES (1u << 26)

struct seep_nodes_entry {
	uint32_t parent;
	uint32_t frame; /* module: 26 bits; exact: 1; kind: 4 */
	uint64_t offset;
};

struct seep_nodes {
	struct seep_nodes_entry *entries; /* entries[id - 1] */
	uint32_t nr, room;
	uint32_t *index;     /* ids, 0 = free; open addressing */
	uint32_t index_size; /* a power of two, at least 4/3 of nr */
};

void seep_nodes_deinit(struct seep_nodes *n);

static inline uint32_t seep_nodes_frame(int kind, int64_t module, bool exact)
{
	return (uint32_t)module | (exact ? SEEP_STORE_MAX_MODULES : 0) |
	       (uint32_t)kind << 27;
}

static inline int seep_nodes_kind(const struct seep_nodes_entry *e)
{
	return (int)(e->frame >> 27);
}

static inline int64_t seep_nodes_module(const struct seep_nodes_entry *e)
{
	return e->frame & (SEEP_STORE_MAX_MODULES - 1);
}

static inline bool seep_nodes_is_exact(const struct seep_nodes_entry *e)
{
	return e->frame & SEEP_STORE_MAX_MODULES;
}

/* The id, or 0. */
uint32_t seep_nodes_find(
    const struct seep_nodes *n, const struct seep_nodes_entry *e);

/* Makes room for one more, so that the next add cannot fail. */
bool seep_nodes_reserve(struct seep_nodes *n);

/* Adds an entry that is not there yet; its id is n->nr afterwards. */
void seep_nodes_add(struct seep_nodes *n, const struct seep_nodes_entry *e);

#endif
