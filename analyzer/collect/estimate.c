/* SPDX-License-Identifier: MIT */
/* estimate.c - counters of a segment as counts, whatever they are made of */
#include "analyzer/collect/estimate.h"
#include "analyzer/model/sample.h"
#include "wire/sample.h"

#define WEIGHT ((double)(1u << SEEP_WEIGHT_BITS))
#define SPREAD ((double)(1u << SEEP_SPREAD_BITS))

/* Threads are read one after the other: a free may be ahead. And sums of
 * variances may have wrapped around. */
static uint64_t less(uint64_t a, uint64_t b)
{
	uint64_t d = a - b;

	return d >> 63 ? 0 : d;
}

static struct seep_counts exact(const struct seep_sums *s)
{
	return (struct seep_counts){
	    .live_blocks = less(s->alloc_blocks, s->free_blocks),
	    .live_bytes = less(s->alloc_bytes, s->free_bytes),
	    .alloc_blocks = s->alloc_blocks,
	    .alloc_bytes = s->alloc_bytes,
	    .free_blocks = s->free_blocks,
	    .free_bytes = s->free_bytes,
	};
}

struct seep_counts seep_counts_of(const struct seep_sums *sums,
    const struct seep_sums *spread, uint64_t sample_bytes)
{
	struct seep_counts c = exact(sums);
	double unit = (double)sample_bytes / 16;

	if (!sample_bytes)
		return c;
	c.live_blocks = seep_estimate_round((double)c.live_blocks / WEIGHT);
	c.alloc_blocks = seep_estimate_round((double)c.alloc_blocks / WEIGHT);
	c.free_blocks = seep_estimate_round((double)c.free_blocks / WEIGHT);
	c.var = (struct seep_variances){
	    .live_blocks =
		(double)less(spread->alloc_blocks, spread->free_blocks) /
		SPREAD,
	    .live_bytes =
		(double)less(spread->alloc_bytes, spread->free_bytes) * unit *
		unit,
	    .alloc_blocks = (double)spread->alloc_blocks / SPREAD,
	    .alloc_bytes = (double)spread->alloc_bytes * unit * unit,
	    .free_blocks = (double)spread->free_blocks / SPREAD,
	    .free_bytes = (double)spread->free_bytes * unit * unit,
	};
	return c;
}
