/* SPDX-License-Identifier: MIT */
/*
 * tree.h - the call tree, writer's side: intern (parent, module, offset)
 *
 * Nodes live in the segment and are append-only. The index that finds them
 * again is the writer's own memory: the reader does not need it. It is a table
 * that only gains entries; when it gets full one thread copies it to one twice
 * the size while the others go on with the old one. What they add meanwhile may
 * be missing from the new table: then the same path gets a second id, which
 * readers merge. So nobody waits for anybody, and a kill leaves no lock.
 *
 * Threads:  any number at once.
 * Signals:  async-signal-safe; nests.
 * Memory:   nodes from the pool, index from `grab`; superseded tables are kept
 *           (together less than the current one): others may still read them.
 * Trust:    writer's side only.
 * Units:    none.
 * Errors:   SEEP_NODE_FULL, and SEEP_DROP_TREE_FULL is the caller's to count.
 */
#ifndef SEEP_WIRE_TREE_H
#define SEEP_WIRE_TREE_H

#include <stdbool.h>
#include "wire/pool.h"

struct seep_tree_index;

struct seep_tree {
	struct seep_pool *pool;
	void *(*grab)(size_t bytes); /* zeroed private memory, or NULL */
	_Atomic(struct seep_tree_index *) index;
	_Atomic uint32_t growing;
};

/* Writes node 1 and makes the first index; false without memory. */
bool seep_tree_init(
    struct seep_tree *t, struct seep_pool *pool, void *(*grab)(size_t bytes));

/* The node of that frame below `parent` (0: outermost), made when missing. */
uint32_t seep_tree_child(struct seep_tree *t, uint32_t parent,
    uint32_t kind_module, uint64_t offset);

#endif
