/* SPDX-License-Identifier: MIT */
/* histories.c - events of watched blocks, put together to histories of sites */
#include <stdlib.h>
#include <string.h>

#include "analyzer/collect/histories.h"

#define FIRST_LOG 10u
#define ALIVE_LOG 26u /* at most: 2 GiB */
#define DELTA_LOG 22u

/* Frees by realloc that may still be undone: one per thread inside of one. */
#define MAX_PENDING 64u

struct alive {
	uint64_t addr; /* 0: free place */
	uint64_t at_ns, size_bytes;
	uint32_t node, tid;
};

struct pending {
	struct alive block;
	struct seep_history_event end;
};

struct seep_histories {
	struct alive *alive; /* open addressing */
	uint32_t alive_log;
	size_t nr_alive;
	struct pending pending[MAX_PENDING]; /* oldest first */
	uint32_t nr_pending;
	uint64_t lost;
	struct seep_histories_delta delta;
};

static uint32_t hash(uint64_t key, uint32_t log)
{
	return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> (64 - log));
}

/* ---- deltas ------------------------------------------------------------ */

void seep_histories_delta_deinit(struct seep_histories_delta *d)
{
	free(d->sites);
	free(d->pairs);
	free(d->site_index);
	free(d->pair_index);
	*d = (struct seep_histories_delta){0};
}

static bool more(void *array, uint32_t nr, uint32_t *room, size_t bytes)
{
	uint32_t want = *room ? *room * 2 : 256;
	void *p;

	if (nr < *room)
		return true;
	p = realloc(*(void **)array, want * bytes);
	if (!p)
		return false;
	*(void **)array = p;
	*room = want;
	return true;
}

/* An index that is three quarters full is made anew, twice as large, and empty:
 * the caller fills it. */
static bool more_index(uint32_t **index, uint32_t *log, uint32_t nr, bool *anew)
{
	uint32_t want = *index ? *log + 1 : FIRST_LOG;
	uint32_t *p;

	*anew = false;
	if (*index && nr < (3u << *log) / 4)
		return true;
	if (want > DELTA_LOG || !(p = calloc((size_t)1 << want, sizeof(*p))))
		return false;
	free(*index);
	*index = p;
	*log = want;
	*anew = true;
	return true;
}

static uint32_t *site_place(const struct seep_histories_delta *d, uint32_t node)
{
	uint32_t mask = (1u << d->site_log) - 1, i = hash(node, d->site_log);

	while (d->site_index[i] && d->sites[d->site_index[i] - 1].node != node)
		i = (i + 1) & mask;
	return &d->site_index[i];
}

static struct seep_histories_site *add_site(
    struct seep_histories_delta *d, uint32_t node)
{
	bool anew;

	if (!more_index(&d->site_index, &d->site_log, d->nr_sites, &anew) ||
	    !more(&d->sites, d->nr_sites, &d->site_room, sizeof(*d->sites)))
		return NULL;
	for (uint32_t i = 0; anew && i < d->nr_sites; i++)
		*site_place(d, d->sites[i].node) = i + 1;
	*site_place(d, node) = ++d->nr_sites;
	d->sites[d->nr_sites - 1] = (struct seep_histories_site){.node = node};
	return &d->sites[d->nr_sites - 1];
}

static inline struct seep_histories_site *site_of(
    struct seep_histories_delta *d, uint32_t node)
{
	uint32_t at = d->nr_sites ? *site_place(d, node) : 0;

	return at ? &d->sites[at - 1] : add_site(d, node);
}

static uint32_t *pair_place(const struct seep_histories_delta *d, uint32_t node,
    bool is_freed_by, uint32_t other)
{
	uint64_t key = (uint64_t)node << 32 | other;
	uint32_t mask = (1u << d->pair_log) - 1;
	uint32_t i = hash(is_freed_by ? ~key : key, d->pair_log), at;

	for (; (at = d->pair_index[i]); i = (i + 1) & mask) {
		const struct seep_histories_pair *p = &d->pairs[at - 1];

		if (p->node == node && p->other == other &&
		    p->is_freed_by == is_freed_by)
			break;
	}
	return &d->pair_index[i];
}

/* The position of the pair, from 1; 0: no memory. */
static uint32_t pair_of(struct seep_histories_delta *d, uint32_t node,
    bool is_freed_by, uint32_t other)
{
	uint32_t *place;
	bool anew;

	if (!more_index(&d->pair_index, &d->pair_log, d->nr_pairs, &anew))
		return 0;
	for (uint32_t i = 0; anew && i < d->nr_pairs; i++) {
		const struct seep_histories_pair *p = &d->pairs[i];

		*pair_place(d, p->node, p->is_freed_by, p->other) = i + 1;
	}
	place = pair_place(d, node, is_freed_by, other);
	if (!*place) {
		if (!more(&d->pairs, d->nr_pairs, &d->pair_room,
			sizeof(*d->pairs)))
			return 0;
		d->pairs[d->nr_pairs++] = (struct seep_histories_pair){
		    .node = node, .other = other, .is_freed_by = is_freed_by};
		*place = d->nr_pairs;
	}
	return *place;
}

/* Most often it is the pair of the site's last block. */
static inline bool add_pair(struct seep_histories_delta *d,
    struct seep_histories_site *s, bool is_freed_by, uint32_t other,
    uint64_t blocks)
{
	uint32_t *last = &s->last_pair[is_freed_by];

	if (!*last || d->pairs[*last - 1].other != other)
		*last = pair_of(d, s->node, is_freed_by, other);
	if (!*last)
		return false;
	d->pairs[*last - 1].blocks += blocks;
	return true;
}

/* ---- blocks alive ------------------------------------------------------ */

static struct alive *alive_place(const struct seep_histories *h, uint64_t addr)
{
	uint32_t mask = (1u << h->alive_log) - 1, i = hash(addr, h->alive_log);

	while (h->alive[i].addr && h->alive[i].addr != addr)
		i = (i + 1) & mask;
	return &h->alive[i];
}

static bool grow_alive(struct seep_histories *h)
{
	struct alive *old = h->alive;
	size_t nr = (size_t)1 << h->alive_log;

	if (h->alive_log == ALIVE_LOG)
		return false;
	h->alive = calloc(nr * 2, sizeof(*h->alive));
	if (!h->alive) {
		h->alive = old;
		return false;
	}
	h->alive_log++;
	for (size_t i = 0; i < nr; i++)
		if (old[i].addr)
			*alive_place(h, old[i].addr) = old[i];
	free(old);
	return true;
}

static bool put_alive(struct seep_histories *h, const struct alive *block)
{
	if (h->nr_alive >= ((size_t)3 << h->alive_log) / 4 && !grow_alive(h))
		return false;
	*alive_place(h, block->addr) = *block;
	h->nr_alive++;
	return true;
}

/* Takes it out; those behind it move up, so that no mark has to stay. */
static void remove_alive(struct seep_histories *h, struct alive *at)
{
	uint32_t mask = (1u << h->alive_log) - 1;
	uint32_t hole = (uint32_t)(at - h->alive), i = hole;

	for (;;) {
		uint32_t home;

		i = (i + 1) & mask;
		if (!h->alive[i].addr)
			break;
		home = hash(h->alive[i].addr, h->alive_log);
		/* It may move if its home is not between hole and here. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			h->alive[hole] = h->alive[i];
			hole = i;
		}
	}
	h->alive[hole].addr = 0;
	h->nr_alive--;
}

/* ---- events ------------------------------------------------------------ */

static void begun(struct seep_histories *h, uint32_t node, int64_t nr)
{
	struct seep_histories_site *s = site_of(&h->delta, node);

	if (s)
		s->begun += nr;
	else
		h->lost++;
}

static void ended(struct seep_histories *h, const struct alive *block,
    const struct seep_history_event *e)
{
	uint64_t ns = e->at_ns > block->at_ns ? e->at_ns - block->at_ns : 0;
	bool same = e->tid == block->tid;
	bool temporary = same && e->flags & SEEP_HISTORY_LAST;
	struct seep_histories_site *s;
	struct seep_lifetime l = {
	    .ended = 1,
	    .temporary = temporary,
	    .temporary_bytes = temporary ? block->size_bytes : 0,
	    .elsewhere = !same,
	    .total_ns = ns,
	    .min_ns = ns,
	    .max_ns = ns,
	};

	s = site_of(&h->delta, block->node);
	if (!s || !add_pair(&h->delta, s, false, seep_lifetime_class(ns), 1) ||
	    !add_pair(&h->delta, s, true, e->node, 1)) {
		h->lost++;
		return;
	}
	seep_lifetime_add(&s->l, &l);
}

static void settle_one(struct seep_histories *h, uint32_t i)
{
	ended(h, &h->pending[i].block, &h->pending[i].end);
	h->nr_pending--;
	memmove(&h->pending[i], &h->pending[i + 1],
	    (h->nr_pending - i) * sizeof(*h->pending));
}

void seep_histories_settle(struct seep_histories *h)
{
	while (h->nr_pending)
		settle_one(h, 0);
}

/* The thread goes on: its realloc, if there was one, went well or did not. */
static void settle_thread(
    struct seep_histories *h, const struct seep_history_event *e)
{
	for (uint32_t i = 0; i < h->nr_pending; i++) {
		struct pending *p = &h->pending[i];

		if (p->end.tid != e->tid)
			continue;
		if (e->kind != SEEP_HISTORY_UNDO || p->block.addr != e->addr ||
		    alive_place(h, e->addr)->addr || !put_alive(h, &p->block)) {
			settle_one(h, i);
			return;
		}
		/* It never left. */
		h->nr_pending--;
		memmove(p, p + 1, (h->nr_pending - i) * sizeof(*p));
		return;
	}
}

static void on_alloc(
    struct seep_histories *h, const struct seep_history_event *e)
{
	struct alive *at = alive_place(h, e->addr);
	struct alive block = {
	    .addr = e->addr,
	    .at_ns = e->at_ns,
	    .size_bytes = e->size_bytes,
	    .node = e->node,
	    .tid = e->tid,
	};

	if (at->addr) {
		/* The inner of two entry points, or its end is missing. */
		begun(h, at->node, -1);
		*at = block;
	} else if (!e->addr || !put_alive(h, &block)) {
		h->lost++;
		return;
	}
	begun(h, e->node, 1);
}

static void on_free(
    struct seep_histories *h, const struct seep_history_event *e)
{
	struct alive *at = alive_place(h, e->addr), block = *at;

	if (!at->addr) {
		h->lost++;
		return;
	}
	remove_alive(h, at);
	if (!(e->flags & SEEP_HISTORY_REALLOC)) {
		ended(h, &block, e);
		return;
	}
	if (h->nr_pending == MAX_PENDING)
		settle_one(h, 0);
	h->pending[h->nr_pending++] = (struct pending){block, *e};
}

static void on_forget(
    struct seep_histories *h, const struct seep_history_event *e)
{
	struct alive *at = alive_place(h, e->addr);

	if (!at->addr)
		return;
	begun(h, at->node, -1);
	remove_alive(h, at);
}

void seep_histories_add(
    struct seep_histories *h, const struct seep_history_event *e)
{
	if (h->nr_pending)
		settle_thread(h, e);
	switch (e->kind) {
	case SEEP_HISTORY_ALLOC:
		on_alloc(h, e);
		break;
	case SEEP_HISTORY_FREE:
		on_free(h, e);
		break;
	case SEEP_HISTORY_UNDO:
		break;
	case SEEP_HISTORY_FORGET:
		on_forget(h, e);
		break;
	default:
		h->lost++;
	}
}

/* ---- the whole --------------------------------------------------------- */

struct seep_histories *seep_histories_create(void)
{
	struct seep_histories *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->alive_log = FIRST_LOG;
	h->alive = calloc((size_t)1 << FIRST_LOG, sizeof(*h->alive));
	if (!h->alive) {
		free(h);
		return NULL;
	}
	return h;
}

void seep_histories_destroy(struct seep_histories *h)
{
	if (!h)
		return;
	seep_histories_delta_deinit(&h->delta);
	free(h->alive);
	free(h);
}

uint64_t seep_histories_lost(const struct seep_histories *h)
{
	return h->lost;
}

size_t seep_histories_nr_alive(const struct seep_histories *h)
{
	return h->nr_alive;
}

void seep_histories_take(
    struct seep_histories *h, struct seep_histories_delta *ret)
{
	*ret = h->delta;
	h->delta = (struct seep_histories_delta){0};
}

void seep_histories_give_back(
    struct seep_histories *h, const struct seep_histories_delta *d)
{
	for (uint32_t i = 0; i < d->nr_sites; i++) {
		const struct seep_histories_site *from = &d->sites[i];
		struct seep_histories_site *s = site_of(&h->delta, from->node);

		if (!s) {
			h->lost++;
			continue;
		}
		s->begun += from->begun;
		seep_lifetime_add(&s->l, &from->l);
	}
	for (uint32_t i = 0; i < d->nr_pairs; i++) {
		const struct seep_histories_pair *p = &d->pairs[i];
		struct seep_histories_site *s = site_of(&h->delta, p->node);

		if (!s || !add_pair(&h->delta, s, p->is_freed_by, p->other,
			      p->blocks))
			h->lost++;
	}
}
