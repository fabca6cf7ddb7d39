/* SPDX-License-Identifier: MIT */
/*
 * epochs.h - when each birth epoch began
 *
 * Blocks carry the epoch they were born in; this table turns it into a time.
 * It has a bounded size: when it is full, every second entry of its older part
 * goes, and times between two entries are interpolated.
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   embedded by the caller, never allocates.
 * Trust:    an epoch that was never begun counts as the newest.
 * Units:    milliseconds since the start of the recording.
 * Errors:   none.
 */
#ifndef SEEP_COLLECT_EPOCHS_H
#define SEEP_COLLECT_EPOCHS_H

#include <stddef.h>
#include <stdint.h>

#define SEEP_EPOCHS_MAX 4096

/* Entries ascend in both, the first one is epoch 1 or later. */
struct seep_epochs {
	size_t nr;
	struct {
		uint32_t epoch;
		uint64_t ms;
	} entries[SEEP_EPOCHS_MAX];
};

void seep_epochs_init(struct seep_epochs *e);

/* Epoch `epoch` begins now; not above all that began before: ignored. */
void seep_epochs_add(struct seep_epochs *e, uint32_t epoch, uint64_t ms);

/* The newest epoch; 0 when none began. */
uint32_t seep_epochs_now(const struct seep_epochs *e);

/* When `epoch` began; `first_ms` for those older than the table. */
uint64_t seep_epochs_ms(
    const struct seep_epochs *e, uint32_t epoch, uint64_t first_ms);

#endif
