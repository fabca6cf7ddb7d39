/* SPDX-License-Identifier: MIT */
/* events.c - what the threads of a process told through their rings */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "analyzer/collect/events.h"
#include "wire/ring.h"

/* More than a ring holds at once: a writer that goes on is read next time. */
#define MAX_AT_ONCE (SEEP_RING_DATA / sizeof(struct seep_event))

struct drain {
	struct seep_tracked *t;
	const struct seep_trace *tr;
	struct seep_error *err;
};

/* "4711 /bin/sh", "4711", "/bin/sh" or nothing. */
static void describe(
    char *buf, size_t size, const struct seep_event *e, const char *text)
{
	buf[0] = '\0';
	if (e->value && text[0])
		snprintf(buf, size, "%" PRIu64 " %s", e->value, text);
	else if (e->value)
		snprintf(buf, size, "%" PRIu64, e->value);
	else
		snprintf(buf, size, "%s", text);
}

static struct seep_error *drain_ring(struct drain *d, struct seep_ring *ring)
{
	const struct seep_sink *sink = d->tr->sink;
	char text[SEEP_RING_TEXT + 1], line[SEEP_RING_TEXT + 32];
	struct seep_error *err = NULL;
	struct seep_event e;

	for (size_t i = 0; !err && i < MAX_AT_ONCE; i++) {
		const char *name;

		if (seep_ring_get(ring, &e, text) != SEEP_READ_OK)
			break;
		name = seep_event_name(e.kind);
		if (!name)
			continue;
		describe(line, sizeof(line), &e, text);
		err = sink->put_event(sink->ctx, d->t->p.id,
		    e.at_ns ? seep_trace_at_ms(d->tr, e.at_ns) : d->t->p.end_ms,
		    name, line);
	}
	return err;
}

static int on_ring(void *ctx, uint32_t tid, uint64_t page)
{
	struct drain *d = ctx;
	struct seep_ring *ring;

	(void)tid;
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED,
	    d->t->seg->fds[SEEP_SEGMENT_FD], (off_t)(page * SEEP_PAGE));
	if (ring == MAP_FAILED)
		return 0;
	d->err = drain_ring(d, ring);
	munmap(ring, sizeof(*ring));
	return d->err != NULL;
}

struct seep_error *seep_events_drain(
    struct seep_tracked *t, const struct seep_trace *tr)
{
	struct drain d = {.t = t, .tr = tr, .err = NULL};

	if (t->seg && !t->damaged)
		seep_read_rings(&t->seg->reader, on_ring, &d);
	return d.err;
}
