/* SPDX-License-Identifier: MIT */
/*
 * strings.h - the writer's memory of its strings: hash of a text -> id
 *
 * The texts themselves are in the file only; a find is a candidate, which the
 * caller compares with the stored text.
 *
 * Threads:  none of its own.
 * Signals:  not for signal handlers.
 * Memory:   owned, 16 bytes per place; _deinit frees it.
 * Trust:    equal hashes are not taken for equal texts.
 * Units:    none.
 * Errors:   false when memory runs out; unchanged then.
 */
#ifndef SEEP_STORE_STRINGS_H
#define SEEP_STORE_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seep_strings_entry {
	uint64_t hash;
	int64_t id; /* 0: free */
};

struct seep_strings {
	struct seep_strings_entry *entries;
	size_t nr, size; /* a power of two */
};

void seep_strings_deinit(struct seep_strings *s);
uint64_t seep_strings_hash(const char *text, size_t len);
/* The next candidate after *at (SIZE_MAX to begin), or 0. */
int64_t seep_strings_find(
    const struct seep_strings *s, uint64_t hash, size_t *at);
bool seep_strings_add(struct seep_strings *s, uint64_t hash, int64_t id);

#endif
