/* SPDX-License-Identifier: MIT */
/* epochs.c - when each birth epoch began */
#include "analyzer/collect/epochs.h"

void seep_epochs_init(struct seep_epochs *e)
{
	e->nr = 0;
}

void seep_epochs_add(struct seep_epochs *e, uint32_t epoch, uint64_t ms)
{
	if (epoch <= seep_epochs_now(e))
		return;
	if (e->nr && ms < e->entries[e->nr - 1].ms)
		ms = e->entries[e->nr - 1].ms;
	if (e->nr == SEEP_EPOCHS_MAX) {
		/* The newest quarter stays exact: ages near now matter most. */
		size_t old = SEEP_EPOCHS_MAX * 3 / 4, to = 1;

		for (size_t i = 2; i < old; i += 2)
			e->entries[to++] = e->entries[i];
		for (size_t i = old; i < e->nr; i++)
			e->entries[to++] = e->entries[i];
		e->nr = to;
	}
	e->entries[e->nr].epoch = epoch;
	e->entries[e->nr++].ms = ms;
}

uint32_t seep_epochs_now(const struct seep_epochs *e)
{
	return e->nr ? e->entries[e->nr - 1].epoch : 0;
}

uint64_t seep_epochs_ms(
    const struct seep_epochs *e, uint32_t epoch, uint64_t first_ms)
{
	size_t lo = 0, hi = e->nr;
	uint64_t ms, span;

	if (!e->nr || epoch < e->entries[0].epoch)
		return first_ms;
	/* entries[lo].epoch <= epoch < entries[hi].epoch */
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->entries[mid].epoch <= epoch)
			lo = mid;
		else
			hi = mid;
	}
	ms = e->entries[lo].ms;
	if (lo + 1 < e->nr) {
		span = e->entries[lo + 1].ms - ms;
		ms += span * (epoch - e->entries[lo].epoch) /
		      (e->entries[lo + 1].epoch - e->entries[lo].epoch);
	}
	return ms < first_ms ? first_ms : ms;
}
