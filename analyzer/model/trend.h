/* SPDX-License-Identifier: MIT */
/*
 * trend.h - does a site still grow: judged over a series of snapshots
 *
 * The window is the snapshots after the first one; it is cut into quarters.
 * A site never stops when the least it held rises from each quarter to the
 * next: a leak of one block an hour does, a cache that is full does not, and
 * neither does a site whose level goes up and down. Three snapshots say less:
 * growth in the first alone has stopped, growth in each goes on. One or two
 * cannot tell.
 *
 * Threads:  plain data.
 * Signals:  not for signal handlers.
 * Memory:   none but the struct.
 * Trust:    none.
 * Units:    bytes; indices of snapshots, 0 is the one the window begins at.
 * Errors:   none.
 */
#ifndef SEEP_MODEL_TREND_H
#define SEEP_MODEL_TREND_H

#include <stdbool.h>
#include <stdint.h>

enum seep_trend {
	SEEP_TREND_NONE,     /* it did not grow */
	SEEP_TREND_GREW,     /* too few snapshots to say more */
	SEEP_TREND_GROWING,  /* never stops */
	SEEP_TREND_STOPPED,  /* grew, then stopped */
	SEEP_TREND_CHURNING, /* goes up and down */
};

/* "growing", ...: as in the JSON. */
const char *seep_trend_name(enum seep_trend t);

struct seep_series {
	uint64_t first, last; /* value at index 0, and now */
	uint64_t variation;   /* sum of all ups and downs */
	uint64_t least[4];    /* in each quarter */
	uint64_t most;	      /* in the window */
	uint32_t grew_in;     /* snapshots with more than the one before */
	uint32_t grew_at;     /* the last of them */
	uint32_t at;	      /* index of the last change that was added */
	uint32_t nr;	      /* snapshots in the window after index 0 */
};

/* The series of a site that held `value` when the window of `nr` began. */
void seep_series_init(struct seep_series *s, uint32_t nr, uint64_t value);
/* From snapshot `index` (1 to nr, rising) on it holds `value`. */
void seep_series_add(struct seep_series *s, uint32_t index, uint64_t value);
/* Nothing changes any more; after it: */
void seep_series_end(struct seep_series *s);
enum seep_trend seep_series_trend(const struct seep_series *s);

/*
 * A short window cannot tell growth from ups and downs, but what came before
 * it may: true when the value is nothing new after `before`, or little beside
 * the ups and downs of both.
 */
bool seep_series_is_usual(
    const struct seep_series *before, const struct seep_series *s);

#endif
