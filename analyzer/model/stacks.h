/* SPDX-License-Identifier: MIT */
/*
 * stacks.h - the call stacks of a report: shared frames, shared outer parts
 *
 * A stack is a path in a tree from its innermost node to the root. Addresses
 * that read the same (function, file, line, inlining) are one, and so are
 * stacks of the same frames: two sites are the same for a person if their
 * stacks have the same number here. 100,000 stacks of 40 frames take 10 MB.
 *
 * Threads:  belongs to one thread.
 * Signals:  not for signal handlers.
 * Memory:   owns frames and texts until _deinit. A struct seep_stack points
 *           into it and has its own _deinit.
 * Trust:    numbers come from the add calls; a stack has at most as many frames
 *           as the tree has nodes.
 * Units:    none.
 * Errors:   0 or false when memory runs out; number 0 is the empty stack.
 */
#ifndef SEEP_MODEL_STACKS_H
#define SEEP_MODEL_STACKS_H

#include "analyzer/model/blame.h"
#include "analyzer/model/model.h"

struct seep_stacks_node {
	uint32_t parent, address;
};

struct seep_stacks_address {
	uint32_t first, nr; /* in frames */
	uint32_t hash;
};

struct seep_stacks_memo {
	char *key;	     /* see seep_frame_key(); NULL: not made yet */
	enum seep_role role; /* 0: not known yet */
};

struct seep_stacks {
	struct seep_stacks_node *nodes; /* [0] is the root */
	uint32_t nr_nodes, node_room;
	uint32_t *node_index; /* hash of nodes; 0 = free */
	uint32_t node_index_size;

	struct seep_stacks_address *addresses; /* [0] is nothing */
	uint32_t nr_addresses, address_room;
	uint32_t *address_index;
	uint32_t address_index_size;

	/* Texts in them are interned: equal texts are the same pointer. */
	struct seep_frame *frames;
	struct seep_stacks_memo *memos; /* of each frame, when asked */
	uint32_t nr_frames, frame_room;

	size_t max_depth; /* frames of a loaded stack; 0: no limit */
	uint32_t cut;	  /* the address that stands for the rest */

	char **texts; /* open addressing */
	uint32_t nr_texts, text_size;
};

bool seep_stacks_init(struct seep_stacks *s);
void seep_stacks_deinit(struct seep_stacks *s);

/* A copy of the text that lives as long as the stacks; NULL: no memory. */
const char *seep_stacks_intern(struct seep_stacks *s, const char *text);

/* The number of the address with these frames, innermost first. Their texts
 * must be interned. */
uint32_t seep_stacks_add_address(
    struct seep_stacks *s, const struct seep_frame *frames, uint32_t nr);

/* The number of the stack with this address called from stack `parent`. */
uint32_t seep_stacks_add(
    struct seep_stacks *s, uint32_t parent, uint32_t address);

/* From now on stacks are loaded with their innermost `max_depth` frames, and a
 * truncated frame in place of the others. */
bool seep_stacks_limit(struct seep_stacks *s, size_t max_depth);

/* One stack, flat. */
struct seep_stack {
	const struct seep_frame **frames; /* innermost first */
	enum seep_role *roles;
	size_t nr, room;
	size_t blame;	      /* see blame.h */
	char fingerprint[24]; /* "v1:" and 16 hex digits */
};

/* Can be called again and again with the same `stack`, zeroed at first. */
bool seep_stack_load(
    struct seep_stack *stack, struct seep_stacks *s, uint32_t number);
void seep_stack_deinit(struct seep_stack *stack);

#endif
