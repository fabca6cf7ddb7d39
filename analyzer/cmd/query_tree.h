/* SPDX-License-Identifier: MIT */
/*
 * query_tree.h - a recording's call tree, as numbers of a struct seep_stacks
 *
 * Threads:  as in query.h.
 * Signals:  not for signal handlers.
 * Memory:   owned; _deinit frees it. The stacks are the caller's.
 * Trust:    sites that are no node of the tree are refused.
 * Units:    none.
 * Errors:   struct seep_error.
 */
#ifndef SEEP_CMD_QUERY_TREE_H
#define SEEP_CMD_QUERY_TREE_H

#include "analyzer/cmd/query.h"

struct seep_tree_address {
	uint64_t offset;
	uint32_t module; /* 0: none */
	uint8_t kind;	 /* enum seep_node_kind */
	bool exact, wanted;
	uint32_t first, nr; /* frames; 0: no names yet */
};

struct seep_tree {
	struct seep_stacks *stacks;
	struct seep_module *modules;
	const char **module_paths; /* interned, by id - 1 */
	size_t nr_modules;

	uint32_t *parents;   /* of node id, [0] unused */
	uint32_t *addresses; /* of node id: index into `table` */
	uint32_t *numbers;   /* of node id: stack; after seep_tree_number() */
	bool *wanted;	     /* of node id: it and its parents are */
	uint32_t nr_nodes;   /* ids are 1 to nr_nodes */

	struct seep_tree_address *table;
	uint32_t *index;
	uint32_t nr_table, table_room, index_size;

	struct seep_frame *frames; /* texts interned */
	uint32_t nr_frames, frame_room;
};

/* Loads tree, modules and the names that are stored. */
struct seep_error *seep_tree_load(struct seep_tree *t, struct seep_store *st,
    struct seep_stacks *stacks) SEEP_MUST_CHECK;
void seep_tree_deinit(struct seep_tree *t);

/* The site's frames need names. */
void seep_tree_want(struct seep_tree *t, uint32_t site, bool debuginfod);

/* Finds names for what was wanted. */
struct seep_error *seep_tree_resolve(
    struct seep_tree *t, const struct seep_query_options *opt) SEEP_MUST_CHECK;

/* Gives every node the number of its stack. */
struct seep_error *seep_tree_number(struct seep_tree *t) SEEP_MUST_CHECK;

#endif
