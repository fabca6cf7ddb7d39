/* SPDX-License-Identifier: MIT */
/* state.c - the counts of every site of a process as they were last stored */
#include <stdlib.h>

#include "analyzer/store/state.h"

struct seep_state *seep_state_create(int64_t process_id)
{
	struct seep_state *s = calloc(1, sizeof(*s));

	if (s)
		s->process_id = process_id;
	return s;
}

void seep_state_destroy(struct seep_state *s)
{
	if (!s)
		return;
	free(s->sites);
	free(s->sums);
	free(s->index);
	free(s);
}

static uint32_t probe(const struct seep_state *s, uint32_t site)
{
	uint32_t mask = s->index_size - 1;
	uint32_t at = (uint32_t)(site * 0x9e3779b97f4a7c15ull >> 32) & mask;

	while (s->index[at] && s->sites[s->index[at] - 1] != site)
		at = (at + 1) & mask;
	return at;
}

static bool grow(struct seep_state *s)
{
	if (s->nr == s->room) {
		uint32_t room = s->room ? s->room + s->room / 2 : 64;
		void *more;

		if (room < s->room)
			return false;
		more = realloc(s->sites, room * sizeof(*s->sites));
		if (!more)
			return false;
		s->sites = more;
		more = realloc(s->sums, room * sizeof(*s->sums));
		if (!more)
			return false;
		s->sums = more;
		s->room = room;
	}
	if ((uint64_t)(s->nr + 1) * 4 > (uint64_t)s->index_size * 3) {
		uint32_t size = s->index_size ? s->index_size * 2 : 128;
		uint32_t *index = calloc(size, sizeof(*index));

		if (!index)
			return false;
		free(s->index);
		s->index = index;
		s->index_size = size;
		for (uint32_t i = 0; i < s->nr; i++)
			s->index[probe(s, s->sites[i])] = i + 1;
	}
	return true;
}

int64_t seep_state_get(struct seep_state *s, uint32_t site)
{
	uint32_t at;

	if (s->index_size) {
		at = probe(s, site);
		if (s->index[at])
			return s->index[at] - 1;
	}
	if (!grow(s))
		return -1;
	s->sites[s->nr] = site;
	s->sums[s->nr++] = 0;
	s->index[probe(s, site)] = s->nr;
	return s->nr - 1;
}

uint64_t seep_counts_sum(const struct seep_counts *c)
{
	const uint64_t values[] = {c->live_blocks, c->live_bytes,
	    c->alloc_blocks, c->alloc_bytes, c->free_blocks, c->free_bytes};
	uint64_t h = 0, any = 0;

	for (int i = 0; i < 6; i++) {
		uint64_t v = values[i];

		any |= v;
		/* the finaliser of splitmix64, once per value */
		h = (h ^ v) + 0x9e3779b97f4a7c15ull;
		h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ull;
		h = (h ^ h >> 27) * 0x94d049bb133111ebull;
		h ^= h >> 31;
	}
	if (!any)
		return 0;
	return h ? h : 1;
}
