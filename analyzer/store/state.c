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
	free(s->rows);
	free(s->index);
	free(s);
}

static uint32_t probe(const struct seep_state *s, int64_t site)
{
	uint32_t mask = s->index_size - 1;
	uint32_t at =
	    (uint32_t)((uint64_t)site * 0x9e3779b97f4a7c15ull >> 32) & mask;

	while (s->index[at] && s->rows[s->index[at] - 1].site != site)
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
		more = realloc(s->rows, room * sizeof(*s->rows));
		if (!more)
			return false;
		s->rows = more;
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
			s->index[probe(s, s->rows[i].site)] = i + 1;
	}
	return true;
}

int64_t seep_state_get(struct seep_state *s, int64_t site)
{
	uint32_t at;

	if (s->index_size) {
		at = probe(s, site);
		if (s->index[at])
			return s->index[at] - 1;
	}
	if (!grow(s))
		return -1;
	s->rows[s->nr++] = (struct seep_site_row){.site = site};
	s->index[probe(s, site)] = s->nr;
	return s->nr - 1;
}
