/* SPDX-License-Identifier: MIT */
/* sample.c - estimates from a sample, and how far off they may be */
#include <math.h>

#include "analyzer/model/sample.h"

double seep_sample_weight(uint64_t interval_bytes, uint64_t size_bytes)
{
	double s = size_bytes ? (double)size_bytes : 1;

	if (!interval_bytes || size_bytes >= interval_bytes)
		return 1;
	return -1 / expm1(-s / (double)interval_bytes);
}

void seep_estimate_add(struct seep_estimate *e, uint64_t interval_bytes,
    uint64_t size_bytes, uint64_t recorded_blocks)
{
	double w = seep_sample_weight(interval_bytes, size_bytes);
	double n = (double)recorded_blocks, s = (double)size_bytes;

	e->blocks += n * w;
	e->bytes += n * w * s;
	e->blocks_var += n * w * (w - 1);
	e->bytes_var += n * w * (w - 1) * s * s;
}

uint64_t seep_estimate_round(double v)
{
	if (!(v > 0))
		return 0;
	return v < (double)INT64_MAX ? (uint64_t)llround(v) : INT64_MAX;
}

void seep_estimate_set(
    const struct seep_estimate *e, struct seep_counts *counts)
{
	counts->live_blocks = seep_estimate_round(e->blocks);
	counts->live_bytes = seep_estimate_round(e->bytes);
	counts->var.live_blocks = e->blocks_var;
	counts->var.live_bytes = e->bytes_var;
}

uint64_t seep_standard_error(double variance)
{
	return seep_estimate_round(ceil(sqrt(variance)));
}

void seep_change_variances(const struct seep_variances *from,
    const struct seep_variances *to, double *blocks, double *bytes)
{
	*blocks = fmax(0, fmin(from->live_blocks + to->live_blocks,
			      to->alloc_blocks - from->alloc_blocks +
				  to->free_blocks - from->free_blocks));
	*bytes = fmax(0, fmin(from->live_bytes + to->live_bytes,
			     to->alloc_bytes - from->alloc_bytes +
				 to->free_bytes - from->free_bytes));
}

double seep_diff_blocks_var(
    const struct seep_counts *a, const struct seep_counts *b)
{
	return a->var.live_blocks + b->var.live_blocks;
}

double seep_diff_bytes_var(
    const struct seep_counts *a, const struct seep_counts *b)
{
	return a->var.live_bytes + b->var.live_bytes;
}

bool seep_is_noise(int64_t delta, double variance)
{
	return variance > 0 &&
	       fabs((double)delta) < SEEP_NOISE_ERRORS * sqrt(variance);
}
