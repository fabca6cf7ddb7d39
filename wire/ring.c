/* SPDX-License-Identifier: MIT */
/* ring.c - events of one thread: a one-writer, one-reader ring */
#include <string.h>

#include "wire/ring.h"

static uint64_t record_bytes(uint32_t text_len)
{
	return sizeof(struct seep_event) + ((text_len + 7u) & ~7u);
}

/* Copies to or from a place that may wrap around. */
static void copy_in(
    struct seep_ring *r, uint64_t at, const void *from, size_t len)
{
	size_t place = at % SEEP_RING_DATA, first = SEEP_RING_DATA - place;

	first = first < len ? first : len;
	memcpy(r->data + place, from, first);
	memcpy(r->data, (const unsigned char *)from + first, len - first);
}

static void copy_out(
    const struct seep_ring *r, uint64_t at, void *to, size_t len)
{
	size_t place = at % SEEP_RING_DATA, first = SEEP_RING_DATA - place;

	first = first < len ? first : len;
	memcpy(to, r->data + place, first);
	memcpy((unsigned char *)to + first, r->data, len - first);
}

bool seep_ring_put(
    struct seep_ring *r, const struct seep_event *given, const char *text)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	/* acquire: the reader is done with what it gave back. */
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	struct seep_event e = *given;

	if (e.text_len > SEEP_RING_TEXT)
		e.text_len = SEEP_RING_TEXT;
	if (head - tail > SEEP_RING_DATA ||
	    SEEP_RING_DATA - (head - tail) < record_bytes(e.text_len))
		return false;
	copy_in(r, head, &e, sizeof(e));
	copy_in(r, head + sizeof(e), text, e.text_len);
	/* release: pairs with the acquire in seep_ring_get(). */
	atomic_store_explicit(
	    &r->head, head + record_bytes(e.text_len), memory_order_release);
	return true;
}

enum seep_read_status seep_ring_get(
    struct seep_ring *r, struct seep_event *ret, char *text)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	/* acquire: the records before the position. */
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	struct seep_event e;

	if (head == tail)
		return SEEP_READ_STOP;
	if (head - tail > SEEP_RING_DATA || head - tail < sizeof(e))
		return SEEP_READ_CORRUPT;
	copy_out(r, tail, &e, sizeof(e));
	if (e.text_len > SEEP_RING_TEXT ||
	    record_bytes(e.text_len) > head - tail)
		return SEEP_READ_CORRUPT;
	copy_out(r, tail + sizeof(e), text, e.text_len);
	text[e.text_len] = '\0';
	/* release: we are done with the record. */
	atomic_store_explicit(
	    &r->tail, tail + record_bytes(e.text_len), memory_order_release);
	*ret = e;
	return SEEP_READ_OK;
}
