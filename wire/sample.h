/* SPDX-License-Identifier: MIT */
/*
 * sample.h - what a sampled block stands for
 *
 * With a mean interval of T bytes a block of s bytes is recorded with the
 * probability P = 1 - exp(-s / T), and always when s >= T (preload/sample.h). A
 * recorded block then stands for w = 1 / P blocks and s * w bytes: the
 * estimator of Horvitz and Thompson, whose mean is the truth. Its variance is
 * estimated without bias by the sum over the recorded blocks of w * (w - 1),
 * for bytes s^2 times that. A block of 0 bytes is sampled, and weighed, as one
 * of 1.
 *
 * The counters of a sampled segment are sums of these, in whole numbers:
 *   blocks    w              in 2^-SEEP_WEIGHT_BITS
 *   bytes     s * w          in bytes
 *   and their variances:
 *   blocks    w * (w - 1)    in 2^-SEEP_SPREAD_BITS; sums may wrap around,
 * their differences do not bytes     s^2 w (w - 1)  in (T / 16)^2: 236 to 256
 * for each block
 *
 * A free subtracts exactly what its allocation added: it is a function of T
 * and s. There is no floating point here: the shim must not touch the
 * exception flags of its host.
 *
 * Threads:  no state.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    the shim's side; interval_bytes is within SEEP_SAMPLE_MIN
 *           and _MAX (layout.h), for which no product here overflows.
 * Units:    as above; the error of w is below 2^-14.
 * Errors:   none.
 */
#ifndef SEEP_WIRE_SAMPLE_H
#define SEEP_WIRE_SAMPLE_H

#include <stdint.h>

#define SEEP_WEIGHT_BITS 16
#define SEEP_SPREAD_BITS 6

struct seep_weight {
	uint64_t blocks, bytes;
	uint64_t blocks_spread, bytes_spread;
};

static inline uint64_t seep_shift_round(unsigned __int128 v, unsigned bits)
{
	return (uint64_t)((v + ((unsigned __int128)1 << (bits - 1))) >> bits);
}

static inline struct seep_weight seep_weight_of(
    uint64_t interval_bytes, uint64_t size_bytes)
{
	const uint64_t one = 1ull << SEEP_WEIGHT_BITS;
	struct seep_weight w = {.blocks = one, .bytes = size_bytes};
	uint64_t s = size_bytes ? size_bytes : 1, x, x3, more;
	unsigned __int128 square;

	if (s >= interval_bytes)
		return w;
	/* 1 / (1 - exp(-x)) = 1/x + 1/2 + x/12 - x^3/720 + x^5/30240 - ...,
	 * x = s / T < 1; what is left out is less than 10^-6. */
	x = (s << SEEP_WEIGHT_BITS) / interval_bytes;
	x3 = x * x / one * x / one;
	w.blocks = ((interval_bytes << SEEP_WEIGHT_BITS) + s / 2) / s +
		   one / 2 + x / 12 - x3 / 720 + x3 * x / one * x / one / 30240;
	w.bytes = seep_shift_round(
	    (unsigned __int128)size_bytes * w.blocks, SEEP_WEIGHT_BITS);
	more = w.blocks - one;
	square = (unsigned __int128)w.blocks * more;
	w.blocks_spread =
	    seep_shift_round(square, 2 * SEEP_WEIGHT_BITS - SEEP_SPREAD_BITS);
	/* x^2 w (w - 1) * 256; (x w) and (x (w - 1)) are below 2. */
	if (size_bytes)
		w.bytes_spread = seep_shift_round(
		    square * s / interval_bytes * s / interval_bytes,
		    2 * SEEP_WEIGHT_BITS - 8);
	return w;
}

#endif
