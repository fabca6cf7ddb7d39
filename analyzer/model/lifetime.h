/* SPDX-License-Identifier: MIT */
/*
 * lifetime.h - how long blocks lived, in classes of a quarter of an octave
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   plain data.
 * Trust:    a class that cannot be is the last one.
 * Units:    nanoseconds.
 * Errors:   none.
 */
#ifndef SEEP_MODEL_LIFETIME_H
#define SEEP_MODEL_LIFETIME_H

#include <stddef.h>
#include <stdint.h>

/* 0 to 3 ns are a class each; then four to a doubling. */
#define SEEP_LIFETIME_CLASSES 252u

uint32_t seep_lifetime_class(uint64_t ns);

/* The shortest time of a class. The next class's is its end. */
uint64_t seep_lifetime_from(uint32_t class_);

/* What is known of the blocks of a site whose histories were recorded. */
struct seep_lifetime {
	uint64_t begun; /* blocks watched */
	uint64_t ended; /* of them, freed */
	/* Freed by the thread that allocated them, before it allocated again.
	 */
	uint64_t temporary, temporary_bytes;
	uint64_t elsewhere; /* freed by another thread */
	uint64_t total_ns, min_ns, max_ns;
};

/* Adds what is known of another site; min and max of both. */
void seep_lifetime_add(
    struct seep_lifetime *to, const struct seep_lifetime *from);

/* Blocks of one class, in the order of the classes. */
struct seep_lifetime_count {
	uint32_t class_;
	uint64_t blocks;
};

/* The time that `percent` of the blocks did not outlive, within a class by even
 * distribution and never outside of what was seen. */
uint64_t seep_lifetime_quantile(const struct seep_lifetime *l,
    const struct seep_lifetime_count *counts, size_t nr, unsigned percent);

#endif
