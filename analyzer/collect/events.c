/* SPDX-License-Identifier: MIT */
/* events.c - what the threads of a process told through their rings */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/collect/events.h"

#define MAX_EVER 1000

struct seep_events_entry {
	uint64_t at_ms;
	uint32_t kind;
	char *text;
};

struct taking {
	struct seep_events *ev;
	uint64_t start_ns;
	bool any;
};

void seep_events_deinit(struct seep_events *ev)
{
	for (size_t i = 0; i < ev->nr; i++)
		free(ev->entries[i].text);
	free(ev->entries);
}

/* "4711 /bin/sh", "4711", "/bin/sh" or nothing. */
static char *describe(const struct seep_event *e, const char *text)
{
	char buf[SEEP_RING_TEXT + 32];

	if (!e->value)
		return strdup(text);
	snprintf(buf, sizeof(buf), "%" PRIu64 "%s%s", e->value,
	    *text ? " " : "", text);
	return strdup(buf);
}

static uint64_t at_ms(const struct seep_event *e, uint64_t start_ns)
{
	struct timespec ts;
	uint64_t ns = e->at_ns;

	if (!ns) {
		/* It could not ask for the time any more: about now. */
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
	return ns > start_ns ? (ns - start_ns) / 1000000 : 0;
}

static void take(void *ctx, const struct seep_event *e, const char *text)
{
	struct taking *k = ctx;
	struct seep_events *ev = k->ev;
	struct seep_events_entry *to;

	if (ev->nr_ever >= MAX_EVER || !seep_event_name(e->kind))
		return;
	if (ev->nr == ev->room) {
		size_t room = ev->room ? 2 * ev->room : 16;
		void *p = realloc(ev->entries, room * sizeof(*ev->entries));

		if (!p)
			return;
		ev->entries = p;
		ev->room = room;
	}
	to = &ev->entries[ev->nr];
	to->kind = e->kind;
	to->at_ms = at_ms(e, k->start_ns);
	to->text = describe(e, text);
	if (!to->text)
		return;
	ev->nr++;
	ev->nr_ever++;
	k->any = true;
}

bool seep_events_take(
    struct seep_events *ev, struct seep_segment *seg, uint64_t start_ns)
{
	struct taking k = {.ev = ev, .start_ns = start_ns};

	seep_segment_events(seg, take, &k);
	return k.any;
}

struct seep_error *seep_events_put(
    struct seep_events *ev, const struct seep_sink *sink, int64_t process_id)
{
	struct seep_error *err = NULL;

	while (!err && ev->nr_put < ev->nr) {
		const struct seep_events_entry *e = &ev->entries[ev->nr_put++];

		err = sink->put_event(sink->ctx, process_id, e->at_ms,
		    seep_event_name(e->kind), *e->text ? e->text : NULL);
	}
	return err;
}

void seep_events_committed(struct seep_events *ev)
{
	for (size_t i = 0; i < ev->nr_put; i++)
		free(ev->entries[i].text);
	ev->nr -= ev->nr_put;
	if (ev->nr && ev->nr_put)
		memmove(ev->entries, ev->entries + ev->nr_put,
		    ev->nr * sizeof(*ev->entries));
	ev->nr_put = 0;
}

void seep_events_rolled_back(struct seep_events *ev)
{
	ev->nr_put = 0;
}
