/* SPDX-License-Identifier: MIT */
/*
 * rangeset.c - address ranges that may lie in each other, found by address
 *
 * Sorted by start, the longer first. A sweep with a stack gives each range the
 * nearest one before it that reaches past its start: every range that contains
 * an address is then on the chain from the last one that starts at or before
 * it. Compilers nest ranges; where a file does not, chains get long, and are
 * followed for SEEP_RANGE_DEPTH steps.
 */
#include <stdlib.h>

#include "analyzer/sym/rangeset.h"

bool seep_rangeset_add(
    struct seep_rangeset *s, uint32_t start, uint32_t end, uint32_t ref)
{
	if (s->nr == s->room) {
		size_t room = s->room ? s->room + s->room / 2 : 16;
		void *p = realloc(s->ranges, room * sizeof(*s->ranges));

		if (!p)
			return false;
		s->ranges = p;
		s->room = room;
	}
	s->ranges[s->nr++] = (struct seep_range){start, end, ref, 0};
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct seep_range *r = a, *q = b;

	if (r->start != q->start)
		return r->start < q->start ? -1 : 1;
	if (r->end != q->end)
		return r->end > q->end ? -1 : 1;
	return r->ref < q->ref ? -1 : r->ref > q->ref;
}

void seep_rangeset_finish(struct seep_rangeset *s)
{
	uint32_t top = SEEP_RANGE_NONE;
	void *p;

	if (!s->nr)
		return;
	qsort(s->ranges, s->nr, sizeof(*s->ranges), by_start);
	for (size_t i = 0; i < s->nr; i++) {
		/* The chain itself is the stack. */
		while (top != SEEP_RANGE_NONE &&
		       s->ranges[top].end <= s->ranges[i].start)
			top = s->ranges[top].outer;
		s->ranges[i].outer = top;
		top = (uint32_t)i;
	}
	p = realloc(s->ranges, s->nr * sizeof(*s->ranges));
	if (p) {
		s->ranges = p;
		s->room = s->nr;
	}
}

size_t seep_rangeset_find(
    const struct seep_rangeset *s, uint32_t at, uint32_t *refs, size_t max)
{
	size_t lo = 0, hi = s->nr, nr = 0;
	uint32_t i;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->ranges[mid].start <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	i = lo ? (uint32_t)(lo - 1) : SEEP_RANGE_NONE;
	for (int depth = 0;
	     i != SEEP_RANGE_NONE && depth < SEEP_RANGE_DEPTH && nr < max;
	     depth++) {
		if (at < s->ranges[i].end)
			refs[nr++] = s->ranges[i].ref;
		i = s->ranges[i].outer;
	}
	return nr;
}

void seep_rangeset_deinit(struct seep_rangeset *s)
{
	free(s->ranges);
	*s = (struct seep_rangeset){0};
}
