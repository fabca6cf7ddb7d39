/* SPDX-License-Identifier: MIT */
/* drain.c - empties the rings of block histories, in time */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/collect/drain.h"

#define BATCH	    4096u /* events under one hold of the lock */
#define RELEASE	    256u  /* events after which their slots are given back */
#define BUSY_MS	    1	  /* between looks while something comes */
#define IDLE_MS	    10
#define STAYS_BUSY  100	 /* looks without anything */
#define NEWEST	    256u /* numbers that are being filled, at most */
#define HURRY_NS    100000000ull
#define PATIENCE_NS 1000000000ull

struct seep_drain_ring {
	struct seep_drain_ring *next;
	struct seep_drain *drain;
	struct seep_segment *seg;
	struct seep_history_reader reader;
	struct seep_histories *histories;
	uint64_t at;
	size_t mapped;
	bool all;		/* no sample: the thread's */
	uint64_t lost_before;	/* by another collector */
	uint64_t skipped;	/* holes */
	uint64_t in_flight;	/* holes at the end */
	uint64_t hole, hole_ns; /* where the reader stands, since when */
	uint64_t hole_pending;	/* behind it at that time */
	uint64_t taken;		/* read up to here at the last take */
};

struct seep_drain {
	pthread_mutex_t lock;
	_Atomic int nr_wanting; /* the lock: the thread leaves it to them */
	struct seep_drain_ring *rings;
	pthread_t thread;
	bool has_thread;
	_Atomic bool stop;
	int wake; /* eventfd */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void lock(struct seep_drain *d)
{
	atomic_fetch_add(&d->nr_wanting, 1);
	pthread_mutex_lock(&d->lock);
	atomic_fetch_sub(&d->nr_wanting, 1);
}

/* ---- reading ----------------------------------------------------------- */

static void release(struct seep_drain_ring *r, bool done)
{
	if (seep_history_release(&r->reader, done))
		syscall(SYS_futex, &r->reader.ring->wakes, FUTEX_WAKE, INT_MAX,
		    NULL, NULL, 0);
}

/*
 * The next slot is taken and not filled. Its writer may be about to, may be
 * stopped together with all others, or may never come: dead, or out of the
 * handler it was in. The last is certain enough once the others have gone on
 * for a while, or have no room left.
 */
static bool is_given_up(struct seep_drain_ring *r, bool over)
{
	uint64_t pending = seep_history_pending(&r->reader), now = now_ns();
	uint64_t age;

	/* One that its writer has left, unless it is among the newest. */
	if (over || (r->skipped < atomic_load(&r->reader.ring->given_up) &&
			pending > NEWEST))
		return true;
	if (r->hole != r->reader.at || !r->hole_ns) {
		r->hole = r->reader.at;
		r->hole_ns = now;
		r->hole_pending = pending;
		return false;
	}
	age = now - r->hole_ns;
	return (age > PATIENCE_NS && pending > r->hole_pending) ||
	       (age > HURRY_NS && pending >> r->reader.log >= 1);
}

/* Up to BATCH events; how many. */
static uint32_t read_some(struct seep_drain_ring *r, bool over)
{
	/* All that the ring can hold, and then some: a peer that scribbles may
	 * say that there is more. */
	uint64_t most = 2ull << r->reader.log, from = r->reader.at;
	struct seep_history_event e;
	uint32_t nr = 0;

	while (nr < BATCH && r->reader.at - from < most) {
		enum seep_history_status st = seep_history_get(&r->reader, &e);

		if (st == SEEP_HISTORY_EMPTY)
			break;
		if (st == SEEP_HISTORY_OK) {
			seep_histories_add(r->histories, &e);
			if (++nr % RELEASE == 0)
				release(r, false);
			continue;
		}
		if (!is_given_up(r, over))
			break;
		if (over)
			r->in_flight += seep_history_skip(&r->reader);
		else
			r->skipped += seep_history_skip(&r->reader);
		r->hole_ns = 0;
	}
	release(r, nr < BATCH);
	return nr;
}

/* ---- the thread -------------------------------------------------------- */

static bool read_all_once(struct seep_drain *d)
{
	uint64_t now = now_ns();
	bool full = false;

	for (struct seep_drain_ring *r = d->rings; r; r = r->next) {
		if (!r->all)
			continue;
		seep_segment_beat(r->seg, now);
		full |= read_some(r, false) == BATCH;
	}
	return full;
}

static void *drain_rings(void *arg)
{
	struct seep_drain *d = arg;
	struct pollfd pfd = {.fd = d->wake, .events = POLLIN};
	unsigned idle = 0;

	while (!atomic_load(&d->stop)) {
		uint64_t before = 0, after = 0;
		bool full;

		pthread_mutex_lock(&d->lock);
		for (struct seep_drain_ring *r = d->rings; r; r = r->next)
			before += r->reader.at;
		full = read_all_once(d);
		for (struct seep_drain_ring *r = d->rings; r; r = r->next)
			after += r->reader.at;
		pthread_mutex_unlock(&d->lock);
		while (atomic_load(&d->nr_wanting))
			sched_yield();
		idle = after != before ? 0 : idle + 1;
		if (!full)
			poll(&pfd, 1, idle < STAYS_BUSY ? BUSY_MS : IDLE_MS);
	}
	return NULL;
}

static void start_thread(struct seep_drain *d)
{
	sigset_t all, old;

	if (d->has_thread)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	/* Without it the polls do what they can. */
	d->has_thread = !pthread_create(&d->thread, NULL, drain_rings, d);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct seep_drain *seep_drain_create(void)
{
	struct seep_drain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pthread_mutex_init(&d->lock, NULL)) {
		close(d->wake);
		free(d);
		return NULL;
	}
	return d;
}

void seep_drain_destroy(struct seep_drain *d)
{
	if (!d)
		return;
	if (d->has_thread) {
		atomic_store(&d->stop, true);
		(void)eventfd_write(d->wake, 1);
		pthread_join(d->thread, NULL);
	}
	if (d->wake >= 0)
		close(d->wake);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* ---- rings ------------------------------------------------------------- */

static struct seep_error *bad_ring(void)
{
	return seep_error_new(
	    SEEP_ERROR_CORRUPT, "segment: the ring of histories is damaged");
}

static struct seep_error *map_ring(
    struct seep_drain_ring *r, struct seep_segment *seg, uint64_t page)
{
	uint64_t at = page * SEEP_PAGE, file = seg->reader.file_bytes;
	struct seep_history_ring head;
	void *p;

	if (at > file - SEEP_PAGE ||
	    seg->reader.read(seg->reader.ctx, at, &head, sizeof(head)))
		return bad_ring();
	if (head.log < SEEP_HISTORY_LOG_MIN ||
	    head.log > SEEP_HISTORY_LOG_MAX ||
	    seep_history_bytes(head.log) > file - at)
		return bad_ring();
	r->at = at;
	r->mapped = (size_t)seep_history_bytes(head.log);
	p = seep_segment_view(seg, at, r->mapped);
	if (!p)
		return seep_error_errno(errno, "segment: mapping histories");
	seep_history_reader_init(&r->reader, p, head.log);
	r->lost_before = seep_history_not_kept(&r->reader);
	return NULL;
}

struct seep_error *seep_drain_attach(struct seep_drain *d,
    struct seep_segment *seg, struct seep_drain_ring **ret)
{
	uint32_t page = atomic_load_explicit(
	    &seg->page->history_page, memory_order_acquire);
	struct seep_drain_ring *r;
	struct seep_error *err;

	if (!page)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r)
		r->histories = seep_histories_create();
	if (!r || !r->histories) {
		free(r);
		return seep_error_errno(ENOMEM, "histories");
	}
	r->drain = d;
	r->seg = seg;
	r->all = seep_segment_has_all_histories(seg);
	err = map_ring(r, seg, page);
	if (err) {
		seep_histories_destroy(r->histories);
		free(r);
		return err;
	}
	lock(d);
	r->next = d->rings;
	d->rings = r;
	pthread_mutex_unlock(&d->lock);
	if (r->all)
		start_thread(d);
	*ret = r;
	return NULL;
}

void seep_drain_detach(struct seep_drain_ring *r)
{
	struct seep_drain_ring **at;

	if (!r)
		return;
	lock(r->drain);
	for (at = &r->drain->rings; *at != r; at = &(*at)->next)
		;
	*at = r->next;
	pthread_mutex_unlock(&r->drain->lock);
	seep_segment_unview(r->reader.ring, r->at, r->mapped);
	seep_histories_destroy(r->histories);
	free(r);
}

void seep_drain_read(struct seep_drain_ring *r, bool over)
{
	uint64_t before;

	/* No more than the ring can hold: it may run on, and be quicker. */
	lock(r->drain);
	before = r->reader.at;
	while (read_some(r, over) == BATCH &&
	       (r->reader.at - before) >> r->reader.log == 0)
		;
	if (over)
		seep_histories_settle(r->histories);
	pthread_mutex_unlock(&r->drain->lock);
}

void seep_drain_take(
    struct seep_drain_ring *r, struct seep_histories_delta *ret)
{
	lock(r->drain);
	seep_histories_take(r->histories, ret);
	r->taken = r->reader.at;
	pthread_mutex_unlock(&r->drain->lock);
}

uint64_t seep_drain_lost(struct seep_drain_ring *r)
{
	const struct seep_history_ring *ring = r->reader.ring;
	uint64_t given_up = atomic_load(&ring->given_up), lost;
	uint64_t threads = r->seg->reader.head.nr_slots;

	lock(r->drain);
	lost = seep_histories_lost(r->histories) + r->lost_before;
	/* Holes that their writers have counted themselves. */
	if (r->skipped > given_up)
		lost += r->skipped - given_up;
	/* More than one in each thread cannot have been in flight. */
	if (r->in_flight > threads)
		lost += r->in_flight - threads;
	pthread_mutex_unlock(&r->drain->lock);
	return r->all ? lost : lost + atomic_load(&ring->lost);
}

void seep_drain_kept(struct seep_drain_ring *r)
{
	seep_history_keep(&r->reader, r->taken);
}

void seep_drain_give_back(
    struct seep_drain_ring *r, const struct seep_histories_delta *d)
{
	lock(r->drain);
	seep_histories_give_back(r->histories, d);
	pthread_mutex_unlock(&r->drain->lock);
}
