/* SPDX-License-Identifier: MIT */
/* history.c - what happened to watched blocks: one ring for a whole process */
#include "wire/history.h"

/* In words[4]: kind 8, flags 8, 16 spare, node 32. */
enum { ADDR, AT_NS, SIZE, TID, REST, NR_WORDS };

static inline struct seep_history_slot *slot_of(
    struct seep_history_ring *r, uint32_t log, uint64_t number)
{
	return (struct seep_history_slot *)((unsigned char *)r + SEEP_PAGE) +
	       (number & ((1ull << log) - 1));
}

/* Of the number, too: an earlier lap's words do not fit. Never 0, which is what
 * a slot that was never used holds. */
static inline uint64_t check_of(uint64_t number, const uint64_t *w)
{
	/* Odd factors and no chain: any one word that differs shows. */
	uint64_t h =
	    (number + 1) * 0x9e3779b97f4a7c15ull +
	    w[ADDR] * 0xbf58476d1ce4e5b9ull + w[AT_NS] * 0x94d049bb133111ebull +
	    w[SIZE] * 0xd6e8feb86659fd93ull + w[TID] * 0xa0761d6478bd642full +
	    w[REST] * 0xe7037ed1a0b428dbull;

	return (h ^ h >> 32) | 1;
}

/* ---- writers ----------------------------------------------------------- */

struct seep_history_ring *seep_history_make(struct seep_pool *p, uint32_t log)
{
	_Atomic uint32_t *at = &p->head->history_page;
	uint32_t page = 0, none = 0;
	struct seep_history_ring *r;
	enum seep_drop cause;

	for (; !page && log >= SEEP_HISTORY_LOG_MIN; log -= !page)
		page = seep_pool_alloc(
		    p, (uint32_t)(seep_history_bytes(log) / SEEP_PAGE), &cause);
	if (!page)
		return NULL;
	r = seep_pool_page(p, page);
	r->log = log;
	/* release: the log before the ring is known; pairs with the reader's
	 * look at the header and with the acquire here. */
	if (!atomic_compare_exchange_strong_explicit(
		at, &none, page, memory_order_release, memory_order_acquire))
		r = seep_pool_page(p, none);
	return r;
}

void seep_history_publish(struct seep_history_ring *r, uint64_t number,
    const struct seep_history_event *e)
{
	struct seep_history_slot *s = slot_of(r, r->log, number);
	uint64_t w[NR_WORDS] = {
	    [ADDR] = e->addr,
	    [AT_NS] = e->at_ns,
	    [SIZE] = e->size_bytes,
	    [TID] = e->tid,
	    [REST] =
		e->kind | (uint64_t)e->flags << 8 | (uint64_t)e->node << 32,
	};

	for (unsigned i = 0; i < NR_WORDS; i++)
		atomic_store_explicit(&s->words[i], w[i], memory_order_relaxed);
	/* release: the words, and the node's frames, before the check; pairs
	 * with the acquire in seep_history_get(). */
	atomic_store_explicit(
	    &s->check, check_of(number, w), memory_order_release);
}

/* ---- reader ------------------------------------------------------------ */

static uint64_t taken(const struct seep_history_reader *rd)
{
	return atomic_load_explicit(&rd->ring->next, memory_order_acquire);
}

void seep_history_reader_init(struct seep_history_reader *rd,
    struct seep_history_ring *ring, uint32_t log)
{
	uint64_t next;

	rd->ring = ring;
	rd->log = log;
	rd->at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	rd->woken = rd->at;
	next = taken(rd);
	/* Writers that wait have numbers past the end of the ring; so many of
	 * them there cannot be. */
	if (next - rd->at > (2ull << log))
		rd->at = next;
}

uint64_t seep_history_not_kept(const struct seep_history_reader *rd)
{
	uint64_t nr = rd->at - atomic_load_explicit(
				   &rd->ring->kept, memory_order_relaxed);

	return (int64_t)nr < 0 ? 0 : nr;
}

void seep_history_keep(struct seep_history_reader *rd, uint64_t number)
{
	atomic_store_explicit(&rd->ring->kept, number, memory_order_relaxed);
}

static bool read_slot(
    const struct seep_history_reader *rd, uint64_t number, uint64_t *w)
{
	struct seep_history_slot *s = slot_of(rd->ring, rd->log, number);
	/* acquire: pairs with the release in seep_history_publish(). */
	uint64_t check = atomic_load_explicit(&s->check, memory_order_acquire);

	for (unsigned i = 0; i < NR_WORDS; i++)
		w[i] = atomic_load_explicit(&s->words[i], memory_order_relaxed);
	return check == check_of(number, w);
}

uint64_t seep_history_pending(const struct seep_history_reader *rd)
{
	uint64_t nr = taken(rd) - rd->at;

	/* Less than nothing is a peer that scribbles. */
	if ((int64_t)nr < 0)
		return 0;
	return nr < 1ull << rd->log ? nr : 1ull << rd->log;
}

enum seep_history_status seep_history_get(
    struct seep_history_reader *rd, struct seep_history_event *ret)
{
	uint64_t w[NR_WORDS];

	if (!read_slot(rd, rd->at, w))
		return seep_history_pending(rd) ? SEEP_HISTORY_HOLE
						: SEEP_HISTORY_EMPTY;
	rd->at++;
	ret->addr = w[ADDR];
	ret->at_ns = w[AT_NS];
	ret->size_bytes = w[SIZE];
	ret->tid = (uint32_t)w[TID];
	ret->kind = (uint8_t)w[REST];
	ret->flags = (uint8_t)(w[REST] >> 8);
	ret->node = (uint32_t)(w[REST] >> 32);
	return SEEP_HISTORY_OK;
}

uint64_t seep_history_skip(struct seep_history_reader *rd)
{
	uint64_t most = seep_history_pending(rd), nr = 0;
	uint64_t w[NR_WORDS];

	/* Counted: a position that was scribbled may be about to wrap. */
	while (nr < most && !read_slot(rd, rd->at, w)) {
		rd->at++;
		nr++;
	}
	return nr;
}

bool seep_history_release(struct seep_history_reader *rd, bool done)
{
	/* seq_cst: a writer counts itself before it looks at the tail a last
	 * time, we move the tail before we look at the count. */
	atomic_store(&rd->ring->tail, rd->at);
	if ((!done && rd->at - rd->woken < 1ull << (rd->log - 2)) ||
	    !atomic_load(&rd->ring->nr_waiting))
		return false;
	rd->woken = rd->at;
	/* Who is about to sleep has seen the old value, and does not. */
	atomic_fetch_add(&rd->ring->wakes, 1);
	return true;
}
