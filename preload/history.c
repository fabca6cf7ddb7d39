/* SPDX-License-Identifier: MIT */
/* history.c - which blocks are watched, and telling what happens to them */
#include <linux/futex.h>
#include <time.h>

#include "preload/history.h"
#include "preload/session.h"
#include "preload/sys.h"

#define SAMPLE_LOG 10u /* slots: 64 KiB */
#define ALL_LOG	   16u /* 4 MiB: some ms of a program that does nothing else */

/* GROUND 17 */
#define ALIVE_NS      200000000ull
#define FIRST_LOOK_NS 2000000000ull /* until the collector has seen us */
#define WAIT_NS	      1000000000ull
#define NAP_NS	      1000000

static struct {
	bool all;
	_Atomic(struct seep_history_ring *) ring;
	_Atomic bool in_vain; /* the last wait was */
} history;

void seep_history_start(bool all)
{
	history.all = all;
	atomic_store(&history.in_vain, false);
	/* All: at once, so that the collector has it from the first event. */
	atomic_store(&history.ring,
	    all ? seep_history_make(&seep_session.pool, ALL_LOG) : NULL);
}

static struct seep_history_ring *ring_of_all_threads(void)
{
	struct seep_history_ring *r =
	    atomic_load_explicit(&history.ring, memory_order_acquire);

	if (!r && !history.all) {
		r = seep_history_make(&seep_session.pool, SAMPLE_LOG);
		atomic_store_explicit(&history.ring, r, memory_order_release);
	}
	return r;
}

/* ---- waiting ----------------------------------------------------------- */

static bool collector_is_alive(uint64_t now)
{
	const struct seep_header *h = seep_session.head;
	uint64_t beat =
	    atomic_load_explicit(&h->heartbeat_ns, memory_order_relaxed);

	if (!beat)
		return now - h->start_ns < FIRST_LOOK_NS;
	return beat > now || now - beat < ALIVE_NS;
}

static void nap(struct seep_history_ring *r, uint64_t number)
{
	struct timespec ts = {0, NAP_NS};
	uint32_t wakes = atomic_load(&r->wakes);

	/* seq_cst: counted before the last look, see seep_history_release(). */
	atomic_fetch_add(&r->nr_waiting, 1);
	if (number - atomic_load(&r->tail) >= 1ull << r->log)
		seep_sys(SYS_futex, &r->wakes, FUTEX_WAIT, wakes, &ts);
	atomic_fetch_sub(&r->nr_waiting, 1);
}

/* True: the number has room now. */
static bool wait_for_room(struct seep_history_ring *r, uint64_t number)
{
	uint64_t begin = seep_sys_now_ns(), now = begin;

	while (now - begin < WAIT_NS && collector_is_alive(now)) {
		nap(r, number);
		if (seep_history_has_room(r, number))
			return true;
		now = seep_sys_now_ns();
	}
	atomic_store_explicit(&history.in_vain, true, memory_order_relaxed);
	return false;
}

/* A handler runs in a thread, but on nobody's behalf that is known here: a
 * system call would tell, a filter may forbid it. */
#define NO_TID 0u

/* ---- telling ----------------------------------------------------------- */

static bool lose(struct seep_history_ring *r)
{
	if (history.all)
		seep_session_drop(SEEP_DROP_HISTORY);
	else if (r)
		atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
	return false;
}

static bool is_full(const struct seep_history_ring *r, uint64_t spare)
{
	uint64_t next = atomic_load_explicit(&r->next, memory_order_relaxed);

	return !seep_history_has_room(r, next + spare);
}

/* May a number be taken? One that finds no room afterwards is a hole, so this
 * is asked before. */
static bool may_tell(struct seep_history_ring *r, bool may_wait)
{
	bool in_vain =
	    atomic_load_explicit(&history.in_vain, memory_order_relaxed);

	/* Under a filter of system calls there is no clock and no waiting. */
	if (!r || seep_session.filtered)
		return false;
	if (history.all && !in_vain && may_wait)
		return true;
	if (is_full(r, 0))
		return false;
	if (in_vain)
		atomic_store_explicit(
		    &history.in_vain, false, memory_order_relaxed);
	return true;
}

/* w: the thread's; NULL in a handler on top of the shim, which has none. That
 * one does not wait: if it is jumped out of meanwhile, nobody gives up its
 * number, and each such hole takes the reader's patience. */
static bool tell(struct seep_watch *w, enum seep_history_kind kind,
    unsigned flags, void *p, size_t bytes, uint32_t node)
{
	struct seep_history_ring *r = ring_of_all_threads();
	struct seep_history_event e = {
	    .kind = (uint8_t)kind,
	    .flags = (uint8_t)flags,
	    .node = node,
	    .tid = w ? w->tid : NO_TID,
	    .addr = (uint64_t)(uintptr_t)p,
	    .size_bytes = bytes,
	};
	uint64_t number;
	bool told = true;

	if (!may_tell(r, w))
		return lose(r);
	e.at_ns = seep_sys_now_ns();
	if (w)
		w->telling = true;
	atomic_signal_fence(memory_order_seq_cst);
	number = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
	if (__builtin_expect(!seep_history_has_room(r, number), 0) &&
	    !(history.all && w && wait_for_room(r, number))) {
		/* The reader finds a hole here, and knows of it. */
		atomic_fetch_add_explicit(
		    &r->given_up, 1, memory_order_relaxed);
		told = lose(r);
	} else {
		seep_history_publish(r, number, &e);
	}
	atomic_signal_fence(memory_order_seq_cst);
	if (w)
		w->telling = false;
	return told;
}

void seep_watch_jumped(struct seep_watch *w)
{
	struct seep_history_ring *r = atomic_load(&history.ring);

	if (!w->telling || !r)
		return;
	w->telling = false;
	atomic_fetch_add_explicit(&r->given_up, 1, memory_order_relaxed);
	lose(r);
}

/* ---- watching ---------------------------------------------------------- */

static uint64_t draw(struct seep_watch *w)
{
	/* xorshift64: never 0 */
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

/*
 * Geometric, by the logarithm of a uniform number: log2 of 2^b (1 + f) is
 * b + f + 0.34 f (1 - f) to 0.01, which makes a distance wrong by less than a
 * hundredth of the mean. All in 1/65536.
 */
static uint32_t next_distance(struct seep_watch *w)
{
	uint64_t x = draw(w);
	unsigned b = 63 - (unsigned)__builtin_clzll(x);
	uint64_t f = (x << (63 - b) << 1) >> 48;
	uint64_t log2 =
	    ((uint64_t)b << 16) + f + ((f * (65536 - f) >> 16) * 22545 >> 16);
	uint64_t bits = log2 < 64ull << 16 ? (64ull << 16) - log2 : 0;

	/* -log2(u) * ln 2 * mean */
	return 1 +
	       (uint32_t)((bits * 45426 >> 16) * SEEP_HISTORY_INTERVAL >> 16);
}

void seep_watch_start(struct seep_watch *w, uint32_t tid)
{
	w->tid = tid;
	w->telling = false;
	if (history.all) {
		w->until = 1;
		return;
	}
	/* A filter may forbid to ask for the time. */
	w->random = ((seep_session.filtered ? 0 : seep_sys_now_ns()) ^
			(uint64_t)tid << 32 ^ (uint64_t)(uintptr_t)w) *
			0x9e3779b97f4a7c15ull |
		    1;
	w->until = next_distance(w);
}

uint32_t seep_watch_alloc(
    struct seep_watch *w, void *p, size_t bytes, uint32_t node)
{
	struct seep_history_ring *r;

	if (history.all) {
		w->until = 1;
	} else {
		w->until = next_distance(w);
		r = ring_of_all_threads();
		/* No history is begun that might not find room for its end:
		 * the sample gets thinner while much is watched. */
		if (r && is_full(r, (1u << r->log) / 2))
			return 0;
	}
	return tell(w, SEEP_HISTORY_ALLOC, 0, p, bytes, node)
		   ? SEEP_EPOCH_WATCHED
		   : 0;
}

void seep_watch_free(
    struct seep_watch *w, void *p, unsigned flags, uint32_t node)
{
	tell(w, SEEP_HISTORY_FREE, flags, p, 0, node);
}

void seep_watch_undo(struct seep_watch *w, void *p)
{
	tell(w, SEEP_HISTORY_UNDO, 0, p, 0, 0);
}

void seep_watch_forget(struct seep_watch *w, void *p)
{
	tell(w, SEEP_HISTORY_FORGET, 0, p, 0, 0);
}

uint32_t seep_watch_alloc_nested(void *p, size_t bytes, uint32_t node)
{
	return history.all && tell(NULL, SEEP_HISTORY_ALLOC, 0, p, bytes, node)
		   ? SEEP_EPOCH_WATCHED
		   : 0;
}

void seep_watch_free_nested(void *p, uint32_t node)
{
	tell(NULL, SEEP_HISTORY_FREE, 0, p, 0, node);
}
