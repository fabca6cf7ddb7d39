/* SPDX-License-Identifier: MIT */
/* nodes.c - the writer's memory of the call tree */
#include <stdlib.h>
#include <string.h>

#include "analyzer/store/nodes.h"

#define FIRST_ROOM 256u

void seep_nodes_deinit(struct seep_nodes *n)
{
	free(n->entries);
	free(n->index);
	*n = (struct seep_nodes){0};
}

static uint32_t hash(const struct seep_nodes_entry *e)
{
	uint64_t h = e->offset;

	h ^= (uint64_t)e->parent << 32 | e->frame;
	h *= 0x9e3779b97f4a7c15ull;
	h ^= h >> 32;
	h = (h + e->parent) * 0xd6e8feb86659fd93ull;
	return (uint32_t)(h >> 32);
}

static bool equal(
    const struct seep_nodes_entry *a, const struct seep_nodes_entry *b)
{
	return a->parent == b->parent && a->frame == b->frame &&
	       a->offset == b->offset;
}

/* The place of the entry, or the free place where it belongs. */
static uint32_t probe(
    const struct seep_nodes *n, const struct seep_nodes_entry *e)
{
	uint32_t mask = n->index_size - 1, at = hash(e) & mask;

	while (n->index[at] && !equal(&n->entries[n->index[at] - 1], e))
		at = (at + 1) & mask;
	return at;
}

uint32_t seep_nodes_find(
    const struct seep_nodes *n, const struct seep_nodes_entry *e)
{
	return n->index_size ? n->index[probe(n, e)] : 0;
}

static bool grow_index(struct seep_nodes *n)
{
	uint32_t size = n->index_size ? n->index_size * 2 : 2 * FIRST_ROOM;
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return false;
	free(n->index);
	n->index = index;
	n->index_size = size;
	for (uint32_t i = 0; i < n->nr; i++)
		n->index[probe(n, &n->entries[i])] = i + 1;
	return true;
}

bool seep_nodes_reserve(struct seep_nodes *n)
{
	if (n->nr >= SEEP_STORE_MAX_NODES - 1)
		return false;
	if (n->nr == n->room) {
		/* by half: twice would waste more than it saves */
		uint32_t room = n->room ? n->room + n->room / 2 : FIRST_ROOM;
		void *more = realloc(n->entries, room * sizeof(*n->entries));

		if (!more)
			return false;
		n->entries = more;
		n->room = room;
	}
	if ((uint64_t)(n->nr + 1) * 4 > (uint64_t)n->index_size * 3)
		return grow_index(n);
	return true;
}

void seep_nodes_add(struct seep_nodes *n, const struct seep_nodes_entry *e)
{
	uint32_t at = probe(n, e);

	n->entries[n->nr++] = *e;
	n->index[at] = n->nr;
}
