/* SPDX-License-Identifier: MIT */
/*
 * sample.h - estimates from a sample, and how far off they may be
 *
 * With a mean interval of T bytes a block of s bytes is recorded with the
 * probability P = 1 - exp(-s / T), one of T and more always. A recorded block
 * stands for w = 1 / P blocks and s * w bytes; the variance of a sum of those
 * is estimated by the sum of w * (w - 1), for bytes s^2 times that. Means of
 * both are the truth. wire/sample.h is the same in whole numbers.
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   plain data.
 * Trust:    figures may be anything; sums are bounded when they become counts.
 * Units:    bytes and blocks; an interval of 0 means that all are recorded.
 * Errors:   none.
 */
#ifndef SEEP_MODEL_SAMPLE_H
#define SEEP_MODEL_SAMPLE_H

#include "analyzer/model/model.h"

/* Growth by less than that many standard errors may be chance: so is one of 44
 * sites that did not change. */
#define SEEP_NOISE_ERRORS 2

/* A sum of blocks that are alive, before it is rounded. */
struct seep_estimate {
	double blocks, bytes, blocks_var, bytes_var;
};

/* Blocks that each recorded one of this size stands for. */
double seep_sample_weight(uint64_t interval_bytes, uint64_t size_bytes);

void seep_estimate_add(struct seep_estimate *e, uint64_t interval_bytes,
    uint64_t size_bytes, uint64_t recorded_blocks);

/* Sets the live counts and their variances. */
void seep_estimate_set(
    const struct seep_estimate *e, struct seep_counts *counts);

/* The nearest count; 0 for what is none. */
uint64_t seep_estimate_round(double v);

/* The standard error, in whole numbers: 0 only where the variance is. */
uint64_t seep_standard_error(double variance);

/*
 * The variances of the change of the live counts between two moments. What
 * lives at both is in both and cancels out. What is in only one is among the
 * blocks alive at either, and among those allocated or freed in between: the
 * smaller of these two bounds.
 */
void seep_change_variances(const struct seep_variances *from,
    const struct seep_variances *to, double *blocks, double *bytes);

/* Of the difference of what two recordings have alive. */
double seep_diff_blocks_var(
    const struct seep_counts *a, const struct seep_counts *b);
double seep_diff_bytes_var(
    const struct seep_counts *a, const struct seep_counts *b);

/* May a change with this variance be chance? Never without one. */
bool seep_is_noise(int64_t delta, double variance);

#endif
