/* SPDX-License-Identifier: MIT */
/*
 * sample.h - which blocks are recorded where not all are, and which were
 *
 * Each thread counts the bytes that it allocates down to a point that was drawn
 * from an exponential distribution with the mean interval, i.e. the points are
 * a Poisson process along its allocated bytes. A block with a point in it is
 * recorded. An exponential distribution has no memory, so it is all the same
 * where the count stands: a block of s bytes is recorded with the probability
 * 1 - exp(-s / interval), once, and independently of all others. Blocks of the
 * interval and above are always recorded. They leave the count as it was; if
 * they used it up it would be all the same, too.
 *
 * A free has to know whether its block was recorded. `seep_sample_filter`
 * counts for each KiB of addresses, modulo its size, the recorded blocks that
 * begin there: where it has 0, none was. Neighbours share its cache lines, and
 * it forgets a block with its free, so that it is as good after a week.
 *
 * Threads:  any number at once; the count is the thread's own.
 * Signals:  async-signal-safe. A handler that allocates in the middle of a
 * count can make one decision of its thread's a little more or less likely.
 * Memory:   static; begin() gives back the pages of the filter.
 * Trust:    none.
 * Units:    bytes.
 * Errors:   none.
 */
#ifndef SEEP_PRELOAD_SAMPLE_H
#define SEEP_PRELOAD_SAMPLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `left` is at most the interval, so that a block of that size or more never
 * passes; what the drawn point lies further out is in `rest`. */
struct seep_sample {
	int64_t left;
	int64_t rest;
	uint64_t random; /* state of the generator; 0: not seeded yet */
};

extern __thread struct seep_sample seep_sample
    __attribute__((visibility("hidden")));

#define SEEP_SAMPLE_FILTER_LOG	 18
#define SEEP_SAMPLE_FILTER_GRAIN 10
extern _Atomic uint8_t seep_sample_filter[1u << SEEP_SAMPLE_FILTER_LOG]
    __attribute__((visibility("hidden")));

/* A new segment, with that mean interval. */
void seep_sample_begin(uint64_t interval_bytes, uint64_t seed);

/* Counts a block that was allocated. False: see seep_sample_hits(). */
static inline bool seep_sample_passes(size_t bytes)
{
	seep_sample.left -= (int64_t)(bytes + !bytes);
	return __builtin_expect(seep_sample.left > 0, 1);
}

/* After a block that did not pass: is it to be recorded? */
bool seep_sample_hits(size_t bytes);

static inline _Atomic uint8_t *seep_sample_slot(const void *p)
{
	return &seep_sample_filter[(uintptr_t)p >> SEEP_SAMPLE_FILTER_GRAIN &
				   ((1u << SEEP_SAMPLE_FILTER_LOG) - 1)];
}

/* False: this block was not recorded. */
static inline bool seep_sample_may_have(const void *p)
{
	/* relaxed: whoever frees a block got it from its allocator, in order */
	return __builtin_expect(atomic_load_explicit(seep_sample_slot(p),
				    memory_order_relaxed) != 0,
	    0);
}

/* Before a block is entered in the live map, and after it was taken out. */
void seep_sample_add(const void *p);
void seep_sample_remove(const void *p);

/*
 * A whole number of at least 1, geometrically distributed: P(X > s) is
 * exp(-s / mean). *random is not 0 and goes on. Exact but for the rounding of
 * the logarithm, an error of at most 2^-30 of the mean.
 */
uint64_t seep_sample_draw(uint64_t *random, uint64_t mean);

#endif
