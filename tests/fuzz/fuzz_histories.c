/* SPDX-License-Identifier: MIT */
/*
 * fuzz_histories.c - any bytes as a ring of histories, and as events
 *
 * The first half of the input lies over the ring's header and slots, the second
 * is taken for events whose checks are right: a peer that scribbles, and one
 * that lies. What comes out must add up and come to an end.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/collect/histories.h"

#define LOG SEEP_HISTORY_LOG_MIN

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void over_ring(struct seep_histories *h, const uint8_t *data, size_t len)
{
	size_t bytes = seep_history_bytes(LOG);
	struct seep_history_ring *r = calloc(1, bytes);
	struct seep_history_reader rd;
	struct seep_history_event e;
	uint64_t read = 0, passed = 0, nr;

	if (!r)
		exit(99);
	/* The header is a page, of which little is used. */
	memcpy(r, data, len < sizeof(*r) ? len : sizeof(*r));
	if (len > sizeof(*r))
		memcpy((uint8_t *)r + SEEP_PAGE, data + sizeof(*r),
		    len - sizeof(*r) < bytes - SEEP_PAGE ? len - sizeof(*r)
							 : bytes - SEEP_PAGE);
	seep_history_reader_init(&rd, r, LOG);
	for (;;) {
		enum seep_history_status st = seep_history_get(&rd, &e);

		if (st == SEEP_HISTORY_EMPTY)
			break;
		if (st == SEEP_HISTORY_OK) {
			seep_histories_add(h, &e);
			/* A slot fits one number only. */
			if (++read > 1u << LOG)
				abort();
		} else {
			nr = seep_history_skip(&rd);
			if (!nr)
				abort();
			passed += nr;
			if (passed > 1u << LOG)
				break; /* it says that there is no end */
		}
		seep_history_release(&rd, false);
	}
	free(r);
}

static void as_events(struct seep_histories *h, const uint8_t *data, size_t len)
{
	for (; len >= 8; data += 8, len -= 8) {
		struct seep_history_event e = {.kind = data[0] % 6,
		    .flags = data[1],
		    .node = data[2],
		    .tid = data[3] % 4,
		    .addr = data[4] % 32,
		    .size_bytes = data[5],
		    .at_ns = (uint64_t)data[6] << (data[7] % 64)};

		seep_histories_add(h, &e);
	}
}

static uint64_t ended(const struct seep_histories_delta *d)
{
	uint64_t sites = 0, lived = 0, freed = 0;

	for (uint32_t i = 0; i < d->nr_sites; i++)
		sites += d->sites[i].l.ended;
	for (uint32_t i = 0; i < d->nr_pairs; i++)
		*(d->pairs[i].is_freed_by ? &freed : &lived) +=
		    d->pairs[i].blocks;
	if (sites != lived || sites != freed)
		abort();
	return sites;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seep_histories *h = seep_histories_create();
	struct seep_histories_delta first, again;

	if (!h)
		exit(99);
	over_ring(h, data, size / 2);
	as_events(h, data + size / 2, size - size / 2);
	seep_histories_settle(h);
	seep_histories_take(h, &first);
	seep_histories_give_back(h, &first);
	seep_histories_take(h, &again);
	if (ended(&first) != ended(&again) ||
	    first.nr_sites != again.nr_sites ||
	    first.nr_pairs != again.nr_pairs)
		abort();
	seep_histories_delta_deinit(&first);
	seep_histories_delta_deinit(&again);
	seep_histories_destroy(h);
	return 0;
}
