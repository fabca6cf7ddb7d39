/* SPDX-License-Identifier: MIT */
/* lifetime.c - how long blocks lived, in classes of a quarter of an octave */
#include "analyzer/model/lifetime.h"

uint32_t seep_lifetime_class(uint64_t ns)
{
	unsigned log;

	if (ns < 4)
		return (uint32_t)ns;
	log = 63 - (unsigned)__builtin_clzll(ns);
	return (log - 1) * 4 + (uint32_t)(ns >> (log - 2) & 3);
}

uint64_t seep_lifetime_from(uint32_t class_)
{
	if (class_ < 4)
		return class_;
	if (class_ >= SEEP_LIFETIME_CLASSES)
		return UINT64_MAX;
	return (uint64_t)(4 + class_ % 4) << (class_ / 4 - 1);
}

void seep_lifetime_add(
    struct seep_lifetime *to, const struct seep_lifetime *from)
{
	if (from->ended) {
		if (!to->ended || from->min_ns < to->min_ns)
			to->min_ns = from->min_ns;
		if (!to->ended || from->max_ns > to->max_ns)
			to->max_ns = from->max_ns;
	}
	to->begun += from->begun;
	to->ended += from->ended;
	to->temporary += from->temporary;
	to->temporary_bytes += from->temporary_bytes;
	to->elsewhere += from->elsewhere;
	to->total_ns += from->total_ns;
}

static uint64_t within(const struct seep_lifetime *l, uint64_t ns)
{
	return ns < l->min_ns ? l->min_ns : ns > l->max_ns ? l->max_ns : ns;
}

uint64_t seep_lifetime_quantile(const struct seep_lifetime *l,
    const struct seep_lifetime_count *counts, size_t nr, unsigned percent)
{
	uint64_t all = 0, want, below = 0;

	for (size_t i = 0; i < nr; i++)
		all += counts[i].blocks;
	/* The block of this rank, counted from 1. */
	want = (uint64_t)((double)all * percent / 100.0 + 0.999999);
	for (size_t i = 0; i < nr; i++) {
		uint64_t from = seep_lifetime_from(counts[i].class_);
		uint64_t end = seep_lifetime_from(counts[i].class_ + 1);

		if (below + counts[i].blocks < want) {
			below += counts[i].blocks;
			continue;
		}
		if (from < l->min_ns)
			from = l->min_ns;
		if (end > l->max_ns)
			end = l->max_ns;
		if (end <= from)
			return within(l, from);
		return from + (uint64_t)((double)(end - from) *
					 (double)(want - below) /
					 (double)counts[i].blocks);
	}
	return l->max_ns;
}
