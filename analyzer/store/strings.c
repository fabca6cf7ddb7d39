/* SPDX-License-Identifier: MIT */
/* strings.c - the writer's memory of its strings */
#include <stdlib.h>

#include "analyzer/store/strings.h"

void seep_strings_deinit(struct seep_strings *s)
{
	free(s->entries);
	*s = (struct seep_strings){0};
}

uint64_t seep_strings_hash(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

int64_t seep_strings_find(
    const struct seep_strings *s, uint64_t hash, size_t *at)
{
	size_t i;

	if (!s->size)
		return 0;
	i = *at == SIZE_MAX ? hash & (s->size - 1) : (*at + 1) & (s->size - 1);
	for (; s->entries[i].id; i = (i + 1) & (s->size - 1)) {
		if (s->entries[i].hash == hash) {
			*at = i;
			return s->entries[i].id;
		}
	}
	return 0;
}

static void insert(struct seep_strings *s, uint64_t hash, int64_t id)
{
	size_t i = hash & (s->size - 1);

	while (s->entries[i].id)
		i = (i + 1) & (s->size - 1);
	s->entries[i] = (struct seep_strings_entry){hash, id};
}

bool seep_strings_add(struct seep_strings *s, uint64_t hash, int64_t id)
{
	if ((s->nr + 1) * 4 > s->size * 3) {
		struct seep_strings bigger = {
		    .size = s->size ? s->size * 2 : 256};

		bigger.entries = calloc(bigger.size, sizeof(*bigger.entries));
		if (!bigger.entries)
			return false;
		for (size_t i = 0; i < s->size; i++) {
			if (s->entries[i].id)
				insert(&bigger, s->entries[i].hash,
				    s->entries[i].id);
		}
		bigger.nr = s->nr;
		free(s->entries);
		*s = bigger;
	}
	insert(s, hash, id);
	s->nr++;
	return true;
}
