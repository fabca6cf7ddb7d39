/* SPDX-License-Identifier: MIT */
/*
 * estimate.h - counters of a segment as counts, whatever they are made of
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   plain data.
 * Trust:    sums may be anything: what cannot be is 0.
 * Units:    those of wire/sample.h in, blocks and bytes out.
 * Errors:   none.
 */
#ifndef SEEP_COLLECT_ESTIMATE_H
#define SEEP_COLLECT_ESTIMATE_H

#include "analyzer/model/model.h"
#include "wire/read.h"

/* Live is what was allocated and not freed. sample_bytes 0: exact. */
struct seep_counts seep_counts_of(const struct seep_sums *sums,
    const struct seep_sums *spread, uint64_t sample_bytes);

#endif
