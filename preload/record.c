/* SPDX-License-Identifier: MIT */
/*
 * record.c - one operation of the malloc family -> live map and counters
 *
 * A thread marks with `guard` that it is inside. A signal handler that runs
 * then finds the mark and takes the nested way. A handler may also leave by
 * siglongjmp() and the mark stays: it holds the address of the frame that set
 * it, so an operation in a frame that can only exist once that frame is gone
 * clears it (D50).
 *
 * Where only a sample is recorded, most operations end in a few instructions of
 * sample.h and have neither a guard nor a thread's state. The others go the
 * same ways as here, but with places in the map and counters of their own kind.
 */
#include <signal.h>
#include <string.h>

#include "preload/frames.h"
#include "preload/history.h"
#include "preload/oracle.h"
#include "preload/record.h"
#include "preload/sample.h"
#include "preload/session.h"
#include "preload/sys.h"
#include "wire/ring.h"
#include "wire/sample.h"

struct thread {
	void *guard; /* frame of the operation under way, or NULL */
	void *last_alloc, *last_free; /* blocks of the last operations */
	struct seep_watch watch;
	struct seep_thread_slot *slot;
	_Atomic uint32_t *keys; /* the counter table, see layout.h */
	struct seep_counter *counters, *spreads; /* spreads: sampled */
	uint32_t table_shift, table_used;
	struct seep_map_cache cache;
	struct seep_frames frames;
	struct thread *next; /* of all threads ever */
};

static __thread struct thread *self;
static _Atomic(struct thread *) threads;
static _Atomic(struct thread *) cursor; /* where to look for a dead one */

/* ---- counters ---------------------------------------------------------- */

static inline void add(_Atomic uint64_t *c, uint64_t v)
{
	/* One writer: a plain addition that readers see whole. */
	atomic_store_explicit(c,
	    atomic_load_explicit(c, memory_order_relaxed) + v,
	    memory_order_relaxed);
}

static inline uint32_t key_slot(uint32_t key, uint32_t shift)
{
	return key * 0x9e3779b1u >> shift;
}

static void use_table(struct thread *t, uint64_t at, uint32_t log)
{
	t->keys = (_Atomic uint32_t *)(seep_session.pool.base + at);
	t->counters = (struct seep_counter *)(t->keys + (1u << log));
	t->spreads = t->counters + (1u << log);
	t->table_shift = 32 - log;
	t->table_used = 0;
}

/* A handler has jumped out of this thread's operation: the table that readers
 * see is the one that counts. */
static void recover_table(struct thread *t)
{
	uint64_t table = atomic_load(&t->slot->table);
	uint32_t log = table & 0xff;

	use_table(t, table >> 8, log);
	for (uint32_t i = 0; i < 1u << log; i++)
		t->table_used += t->keys[i] != 0;
}

/* Copies the table to one twice its size and publishes that. */
static bool grow_table(struct thread *t)
{
	uint32_t old = 32 - t->table_shift, log = old + 1,
		 mask = (1u << log) - 1;
	bool sampled = seep_session.sample_bytes;
	uint64_t bytes = (uint64_t)seep_counter_entry_bytes(sampled) << log, at;
	struct thread to = {0};
	enum seep_drop cause;
	uint32_t page;

	if (log > 28)
		return false;
	page = seep_pool_alloc(&seep_session.pool,
	    (uint32_t)((bytes + SEEP_PAGE - 1) / SEEP_PAGE), &cause);
	if (!page)
		return false;
	at = (uint64_t)page * SEEP_PAGE;
	use_table(&to, at, log);
	for (uint32_t i = 0; i < 1u << old; i++) {
		uint32_t key = t->keys[i], j;

		if (!key)
			continue;
		for (j = key_slot(key, 32 - log); to.keys[j];
		     j = (j + 1) & mask)
			;
		memcpy((void *)&to.counters[j], (const void *)&t->counters[i],
		    sizeof(*to.counters));
		if (sampled)
			memcpy((void *)&to.spreads[j],
			    (const void *)&t->spreads[i], sizeof(*to.spreads));
		atomic_store_explicit(&to.keys[j], key, memory_order_relaxed);
		to.table_used++;
	}
	/* release: the copy before its name. */
	atomic_store_explicit(
	    &t->slot->table, at << 8 | log, memory_order_release);
	use_table(t, at, log);
	t->table_used = to.table_used;
	return true;
}

static struct seep_counter *counter_slow(struct thread *t, uint32_t node)
{
	for (;;) {
		uint32_t mask = UINT32_MAX >> t->table_shift;
		uint32_t i = key_slot(node, t->table_shift), n;

		for (n = 0; n <= mask; n++, i = (i + 1) & mask) {
			uint32_t k = atomic_load_explicit(
			    &t->keys[i], memory_order_relaxed);

			if (k == node)
				return &t->counters[i];
			if (!k)
				break;
		}
		if (t->table_used < (mask + 1) / 4 * 3) {
			t->table_used++;
			atomic_store_explicit(
			    &t->keys[i], node, memory_order_release);
			return &t->counters[i];
		}
		if (!grow_table(t))
			return NULL;
	}
}

/* The counter of a site if it is where it is looked for first, or in the place
 * behind that, else NULL. */
static inline struct seep_counter *near_counter(
    const struct thread *t, uint32_t node)
{
	uint32_t i = key_slot(node, t->table_shift);

	if (atomic_load_explicit(&t->keys[i], memory_order_relaxed) != node) {
		i = (i + 1) & UINT32_MAX >> t->table_shift;
		if (atomic_load_explicit(&t->keys[i], memory_order_relaxed) !=
		    node)
			return NULL;
	}
	return &t->counters[i];
}

static inline struct seep_counter *counter(struct thread *t, uint32_t node)
{
	struct seep_counter *c = near_counter(t, node);

	return c ? c : counter_slow(t, node);
}

static inline void count_in(
    struct thread *t, struct seep_counter *c, uint64_t bytes)
{
	add(&c->alloc_blocks, 1);
	add(&c->alloc_bytes, bytes);
	add(&t->slot->alloc_blocks, 1);
	add(&t->slot->alloc_bytes, bytes);
}

static inline void count_out(
    struct thread *t, struct seep_counter *c, uint64_t bytes)
{
	add(&c->free_blocks, 1);
	add(&c->free_bytes, bytes);
	add(&t->slot->free_blocks, 1);
	add(&t->slot->free_bytes, bytes);
}

static inline void count_alloc(struct thread *t, uint32_t node, uint64_t bytes)
{
	struct seep_counter *c = counter(t, node);

	if (__builtin_expect(c != NULL, 1)) {
		add(&c->alloc_blocks, 1);
		add(&c->alloc_bytes, bytes);
	}
	add(&t->slot->alloc_blocks, 1);
	add(&t->slot->alloc_bytes, bytes);
}

static inline void count_free(struct thread *t, uint32_t node, uint64_t bytes)
{
	struct seep_counter *c = counter(t, node);

	if (__builtin_expect(c != NULL, 1)) {
		add(&c->free_blocks, 1);
		add(&c->free_bytes, bytes);
	}
	add(&t->slot->free_blocks, 1);
	add(&t->slot->free_bytes, bytes);
}

/* The sums of a sampled segment; `sign`: 1 counts, -1 takes back. */
static void count_sampled(
    struct thread *t, uint32_t node, uint64_t bytes, bool freed, int64_t sign)
{
	struct seep_weight w = seep_weight_of(seep_session.sample_bytes, bytes);
	struct seep_thread_slot *s = t->slot;
	struct seep_counter *c = counter(t, node);
	struct seep_counter *spread = c ? t->spreads + (c - t->counters) : NULL;

	if (sign < 0)
		w = (struct seep_weight){
		    -w.blocks, -w.bytes, -w.blocks_spread, -w.bytes_spread};
	if (c) {
		add(freed ? &c->free_blocks : &c->alloc_blocks, w.blocks);
		add(freed ? &c->free_bytes : &c->alloc_bytes, w.bytes);
		add(freed ? &spread->free_blocks : &spread->alloc_blocks,
		    w.blocks_spread);
		add(freed ? &spread->free_bytes : &spread->alloc_bytes,
		    w.bytes_spread);
	}
	add(freed ? &s->free_blocks : &s->alloc_blocks, w.blocks);
	add(freed ? &s->free_bytes : &s->alloc_bytes, w.bytes);
	add(freed ? &s->spread.free_blocks : &s->spread.alloc_blocks,
	    w.blocks_spread);
	add(freed ? &s->spread.free_bytes : &s->spread.alloc_bytes,
	    w.bytes_spread);
}

/* ---- threads ----------------------------------------------------------- */

static uint32_t first_table_log(void)
{
	return seep_session.sample_bytes ? SEEP_FIRST_TABLE_LOG_SAMPLED
					 : SEEP_FIRST_TABLE_LOG;
}

static uint64_t first_table(uint32_t page)
{
	return (uint64_t)page * SEEP_PAGE + SEEP_SLOT_BYTES;
}

/* A fresh slot, entered in the segment's directory; its page, or 0. */
static uint32_t new_slot(uint32_t tid)
{
	struct seep_pool *pool = &seep_session.pool;
	struct seep_header *h = pool->head;
	struct seep_thread_slot *s;
	uint32_t page, dir, none = 0, i;
	_Atomic uint32_t *at;
	enum seep_drop cause;

	page = seep_pool_alloc(pool, 1, &cause);
	if (!page)
		return 0;
	s = seep_pool_page(pool, page);
	atomic_store(&s->tid, tid);
	atomic_store(&s->table, first_table(page) << 8 | first_table_log());
	if (!tid) /* the slot of nested operations has a place of its own */
		return page;
	i = atomic_fetch_add(&h->nr_slots, 1);
	if (i >= SEEP_SLOTS_PER_DIR * SEEP_NR_SLOT_DIRS) {
		atomic_fetch_sub(&h->nr_slots, 1);
		return 0;
	}
	at = &h->slot_dir[i / SEEP_SLOTS_PER_DIR];
	dir = atomic_load_explicit(at, memory_order_acquire);
	if (!dir) {
		dir = seep_pool_alloc(pool, 1, &cause);
		if (!dir)
			return 0;
		if (!atomic_compare_exchange_strong(at, &none, dir))
			dir = none;
	}
	at = (_Atomic uint32_t *)seep_pool_page(pool, dir) +
	     i % SEEP_SLOTS_PER_DIR;
	/* release: the slot before its number. */
	atomic_store_explicit(at, page, memory_order_release);
	return page;
}

#define LOOKS 16

/* The state of a thread that has ended, counters and caches included. */
static struct thread *take_over(uint32_t tid)
{
	struct thread *t = atomic_load(&cursor);

	for (int i = 0; i < LOOKS; i++) {
		uint32_t owner;

		if (!t)
			t = atomic_load(&threads);
		if (!t)
			return NULL;
		owner = atomic_load(&t->slot->tid);
		/* Our own tid: its former bearer is gone. */
		if ((owner == tid || seep_sys(SYS_tgkill, seep_session.pid,
					 owner, 0) == -3 /* ESRCH */) &&
		    atomic_compare_exchange_strong(
			&t->slot->tid, &owner, tid)) {
			atomic_store(&cursor, t->next);
			return t;
		}
		t = t->next;
	}
	atomic_store(&cursor, t);
	return NULL;
}

static struct thread *new_thread(uint32_t tid)
{
	struct thread *t = seep_sys_grab(sizeof(*t));
	uint32_t page;

	if (!t)
		return NULL;
	/* A slot is for good: last. */
	page = seep_frames_init(&t->frames) ? new_slot(tid) : 0;
	if (!page) {
		seep_frames_end(&t->frames);
		seep_sys_release(t, sizeof(*t));
		return NULL;
	}
	t->slot = seep_pool_page(&seep_session.pool, page);
	use_table(t, first_table(page), first_table_log());
	t->next = atomic_load(&threads);
	while (!atomic_compare_exchange_weak(&threads, &t->next, t))
		;
	return t;
}

/* Under a filter even gettid() may kill: such threads get numbers of their own,
 * which no thread of the kernel's has, and keep their slots. */
static uint32_t thread_number(void)
{
	static _Atomic uint32_t made_up = 1u << 31;

	return seep_session.filtered ? atomic_fetch_add(&made_up, 1)
				     : (uint32_t)seep_sys(SYS_gettid);
}

static struct thread *start_thread(void)
{
	uint32_t tid = thread_number();
	struct thread *t = seep_session.filtered ? NULL : take_over(tid);

	if (t) {
		if (t->guard) { /* it ended on top of an operation */
			seep_watch_jumped(&t->watch);
			recover_table(t);
		}
		t->guard = NULL;
		t->last_alloc = t->last_free = NULL;
		atomic_fetch_add(&t->slot->generation, 1);
	} else {
		t = new_thread(tid);
	}
	if (!t) {
		seep_session_drop(SEEP_DROP_NO_THREAD);
		return NULL;
	}
	seep_watch_start(&t->watch, tid);
	atomic_signal_fence(memory_order_seq_cst);
	self = t;
	return t;
}

void seep_record_reset(void)
{
	atomic_store(&threads, NULL);
	atomic_store(&cursor, NULL);
	self = NULL;
}

/* ---- the guard --------------------------------------------------------- */

#define STALE_DISTANCE (8l << 20)

/* Is the frame that set the guard gone? We are in `frame`, on some stack. */
static bool guard_is_stale(const struct thread *t, void **frame)
{
	char *now = (char *)frame, *then = t->guard;
	stack_t alt;

	if (seep_sys(SYS_sigaltstack, NULL, &alt) == 0 && alt.ss_size &&
	    !(alt.ss_flags & SS_DISABLE)) {
		char *lo = alt.ss_sp, *hi = lo + alt.ss_size;
		bool now_in = now >= lo && now < hi;
		bool then_in = then >= lo && then < hi;

		if (now_in != then_in)
			return then_in; /* left the handler's stack for good */
	}
	/* On the same stack, which grows down; or so far that it is not. */
	return now >= then || then - now > STALE_DISTANCE;
}

enum way { WAY_OFF, WAY_NESTED, WAY_THREAD };

static enum way enter(struct thread **ret, void **frame)
{
	uint32_t gate = seep_gate_now();
	struct thread *t;

	if ((gate != SEEP_GATE_ON && gate != SEEP_GATE_SAMPLE) ||
	    seep_session.compare_pids)
		if (!seep_session_start())
			return WAY_OFF;
	t = self;
	if (!t && !(t = start_thread()))
		return WAY_OFF;
	if (t->guard) {
		if (!guard_is_stale(t, frame))
			return WAY_NESTED;
		seep_session_drop(SEEP_DROP_GUARD_RESET);
		seep_watch_jumped(&t->watch);
		recover_table(t);
	}
	t->guard = frame;
	atomic_signal_fence(memory_order_seq_cst);
	*ret = t;
	return WAY_THREAD;
}

/* The gate was seen open: is nothing in the way? */
static inline bool may_enter(const struct thread *t)
{
	return t && !t->guard && !seep_session.compare_pids;
}

static inline void leave(struct thread *t)
{
	atomic_signal_fence(memory_order_seq_cst);
	t->guard = NULL;
}

/* ---- places of sampled blocks ------------------------------------------ */

/* The birth epoch of a block that is recorded now. */
static inline uint32_t epoch_now(void)
{
	return atomic_load_explicit(
		   &seep_session.head->epoch, memory_order_relaxed) &
	       SEEP_EPOCH_MAX;
}

/* Forgets the block at p, if it was recorded. */
static void clear_sampled(
    struct seep_map_cache *cache, const void *p, struct seep_entry *old)
{
	seep_map_clear(&seep_session.map, cache, (uint64_t)(uintptr_t)p, old);
	if (old->place)
		seep_sample_remove(p);
}

/* As seep_map_set() for a block that was sampled. */
static bool set_sampled(struct seep_map_cache *cache, const void *p,
    size_t bytes, uint32_t node, struct seep_entry *old, enum seep_drop *cause)
{
	old->place = NULL;
	if (seep_sample_may_have(p))
		clear_sampled(cache, p, old);
	if (!seep_map_set_sparse(&seep_session.map, cache,
		(uint64_t)(uintptr_t)p, bytes, node, epoch_now(), cause))
		return false;
	seep_sample_add(p);
	return true;
}

/* ---- nested operations ------------------------------------------------- */

/* The slot that all handlers share; its table has a fixed size. */
#define NESTED_LOG 11

static struct seep_thread_slot *nested_slot(void)
{
	struct seep_pool *pool = &seep_session.pool;
	_Atomic uint32_t *at = &pool->head->nested_slot;
	uint32_t page = atomic_load_explicit(at, memory_order_acquire);
	uint32_t table, none = 0;
	enum seep_drop cause;
	struct seep_thread_slot *s;

	if (page)
		return seep_pool_page(pool, page);
	page = new_slot(0);
	table = page ? seep_pool_alloc(pool,
			   (seep_counter_entry_bytes(seep_session.sample_bytes)
			       << NESTED_LOG) /
				   SEEP_PAGE +
			       1,
			   &cause)
		     : 0;
	if (!table)
		return NULL;
	s = seep_pool_page(pool, page);
	atomic_store(&s->table, (uint64_t)table * SEEP_PAGE << 8 | NESTED_LOG);
	if (!atomic_compare_exchange_strong(at, &none, page))
		page = none;
	return seep_pool_page(pool, page);
}

static struct seep_counter *nested_counter(
    struct seep_thread_slot *s, uint32_t node)
{
	_Atomic uint32_t *keys =
	    (_Atomic uint32_t *)(seep_session.pool.base +
				 (atomic_load(&s->table) >> 8));
	struct seep_counter *c =
	    (struct seep_counter *)(keys + (1u << NESTED_LOG));
	uint32_t i = key_slot(node, 32 - NESTED_LOG), n = 0;

	for (; n < 1u << NESTED_LOG; n++, i = (i + 1) % (1u << NESTED_LOG)) {
		uint32_t k = 0;

		if (atomic_compare_exchange_strong(&keys[i], &k, node) ||
		    k == node)
			return &c[i];
	}
	return NULL;
}

static void nested_add(
    struct seep_counter *c, uint64_t blocks, uint64_t bytes, bool freed)
{
	atomic_fetch_add(freed ? &c->free_blocks : &c->alloc_blocks, blocks);
	atomic_fetch_add(freed ? &c->free_bytes : &c->alloc_bytes, bytes);
}

static void nested_count(uint32_t node, uint64_t bytes, bool freed)
{
	struct seep_thread_slot *s = nested_slot();
	struct seep_counter *c = s ? nested_counter(s, node) : NULL;
	struct seep_weight w = {1, bytes, 0, 0};

	if (!s) {
		seep_session_drop(SEEP_DROP_NESTED);
		return;
	}
	if (seep_session.sample_bytes)
		w = seep_weight_of(seep_session.sample_bytes, bytes);
	if (!c)
		seep_session_drop(SEEP_DROP_NESTED);
	else
		nested_add(c, w.blocks, w.bytes, freed);
	if (c && seep_session.sample_bytes)
		nested_add(c + (1u << NESTED_LOG), w.blocks_spread,
		    w.bytes_spread, freed);
	atomic_fetch_add(freed ? &s->free_blocks : &s->alloc_blocks, w.blocks);
	atomic_fetch_add(freed ? &s->free_bytes : &s->alloc_bytes, w.bytes);
	nested_add(&s->spread, w.blocks_spread, w.bytes_spread, freed);
}

static void nested_forget(const struct seep_entry *old)
{
	nested_count(seep_word_node(old->word), old->size_bytes, true);
}

static __attribute__((noinline)) void nested_alloc(
    void *p, size_t bytes, void **frame)
{
	struct seep_map_cache cache = {0};
	uint32_t node = seep_frames_capture_nested(frame);
	uint32_t watched = seep_watch_alloc_nested(p, bytes, node);
	struct seep_entry old;
	enum seep_drop cause;

	if (seep_session.sample_bytes
		? !set_sampled(&cache, p, bytes, node, &old, &cause)
		: !seep_map_set(&seep_session.map, &cache,
		      (uint64_t)(uintptr_t)p, bytes, node,
		      epoch_now() | watched, &old, &cause)) {
		seep_session_drop(cause);
		return;
	}
	if (old.place)
		nested_forget(&old);
	nested_count(node, bytes, false);
}

static __attribute__((noinline)) void nested_free(
    void *p, struct seep_entry *old, void **frame)
{
	struct seep_map_cache cache = {0};

	if (seep_session.sample_bytes)
		clear_sampled(&cache, p, old);
	else
		seep_map_clear(
		    &seep_session.map, &cache, (uint64_t)(uintptr_t)p, old);
	if (!old->place)
		return;
	if (old->word & SEEP_WORD_WATCHED)
		seep_watch_free_nested(p, seep_frames_capture_nested(frame));
	nested_forget(old);
}

/* ---- operations -------------------------------------------------------- */

/* The block's place was taken: by the inner of two entry points of one
 * allocation, or by a block whose free we did not see. */
static __attribute__((noinline)) void replaced(
    struct thread *t, void *p, const struct seep_entry *old, bool watched)
{
	uint32_t node = seep_word_node(old->word);
	struct seep_counter *c = counter(t, node);

	/* Telling of another block there has ended that history already. */
	if (old->word & SEEP_WORD_WATCHED && !watched)
		seep_watch_forget(&t->watch, p);
	if (t->last_alloc != p) {
		seep_session_drop(SEEP_DROP_STALE);
		count_free(t, node, old->size_bytes);
		return;
	}
	if (c) {
		add(&c->alloc_blocks, (uint64_t)-1);
		add(&c->alloc_bytes, -old->size_bytes);
	}
	add(&t->slot->alloc_blocks, (uint64_t)-1);
	add(&t->slot->alloc_bytes, -old->size_bytes);
}

static void recorded_alloc(
    struct thread *t, void *p, size_t bytes, uint32_t node)
{
	uint32_t epoch = epoch_now();
	struct seep_entry old;
	enum seep_drop cause;

	if (__builtin_expect(node == SEEP_NODE_FULL, 0))
		seep_session_drop(SEEP_DROP_TREE_FULL);
	/* Never 0: a handler may jump out between counting and watching. */
	if (__builtin_expect(t->watch.until > 1, 1))
		t->watch.until--;
	else
		epoch |= seep_watch_alloc(&t->watch, p, bytes, node);
	if (__builtin_expect(
		!seep_map_set(&seep_session.map, &t->cache,
		    (uint64_t)(uintptr_t)p, bytes, node, epoch, &old, &cause),
		0)) {
		seep_session_drop(cause);
		return;
	}
	if (__builtin_expect(old.place != NULL, 0))
		replaced(t, p, &old, epoch & SEEP_EPOCH_WATCHED);
	t->last_alloc = p;
	count_alloc(t, node, bytes);
}

static void recorded_sample(
    struct thread *t, void *p, size_t bytes, uint32_t node)
{
	struct seep_entry old;
	enum seep_drop cause;

	if (node == SEEP_NODE_FULL)
		seep_session_drop(SEEP_DROP_TREE_FULL);
	if (!set_sampled(&t->cache, p, bytes, node, &old, &cause)) {
		seep_session_drop(cause);
		return;
	}
	if (old.place && t->last_alloc == p) { /* see replaced() */
		count_sampled(
		    t, seep_word_node(old.word), old.size_bytes, false, -1);
	} else if (old.place) {
		seep_session_drop(SEEP_DROP_STALE);
		count_sampled(
		    t, seep_word_node(old.word), old.size_bytes, true, 1);
	}
	t->last_alloc = p;
	count_sampled(t, node, bytes, false, 1);
}

void seep_record_alloc_sampled(void *p, size_t bytes, void **frame)
{
	struct thread *t;

	if (!seep_sample_hits(bytes))
		return;
	switch (enter(&t, frame)) {
	case WAY_NESTED:
		nested_alloc(p, bytes, frame);
		return;
	case WAY_THREAD:
		recorded_sample(
		    t, p, bytes, seep_frames_capture(&t->frames, frame));
		leave(t);
		return;
	default:
		return;
	}
}

static void sampled_free(void *p, void **frame, struct seep_entry *old)
{
	struct thread *t;

	old->place = NULL;
	switch (enter(&t, frame)) {
	case WAY_NESTED:
		nested_free(p, old, frame);
		return;
	case WAY_THREAD:
		clear_sampled(&t->cache, p, old);
		if (old->place)
			count_sampled(t, seep_word_node(old->word),
			    old->size_bytes, true, 1);
		leave(t);
		return;
	default:
		return;
	}
}

void seep_record_free_sampled(void *p, void **frame)
{
	struct seep_entry old;

	sampled_free(p, frame, &old);
}

/* The guard is set; node: of the stack, 0 if that is not known yet. */
static __attribute__((noinline)) void alloc_rest(
    struct thread *t, void *p, size_t bytes, void **frame, uint32_t node)
{
	if (!node)
		node = seep_frames_capture(&t->frames, frame);
	recorded_alloc(t, p, bytes, node);
	leave(t);
}

static __attribute__((noinline)) void alloc_slow(
    void *p, size_t bytes, void **frame)
{
	struct thread *t;

	switch (enter(&t, frame)) {
	case WAY_OFF:
		return;
	case WAY_NESTED:
		nested_alloc(p, bytes, frame);
		return;
	case WAY_THREAD:
		alloc_rest(t, p, bytes, frame, 0);
	}
}

/*
 * What is common is done here, and without a call, so that it takes no stack
 * and no register that would have to be saved: a stack that is known again, a
 * small block, a place and a counter that are where they are looked for first.
 */
void seep_record_alloc_each(void *p, size_t bytes, void **frame)
{
	struct thread *t = self;
	struct seep_counter *c;
	_Atomic uint64_t *place;
	uint32_t node;

	if (__builtin_expect(!may_enter(t), 0)) {
		alloc_slow(p, bytes, frame);
		return;
	}
	t->guard = frame;
	atomic_signal_fence(memory_order_seq_cst);
	node = seep_frames_recall(&t->frames, frame);
	if (__builtin_expect(
		node <= SEEP_NODE_FULL || t->watch.until <= 1 ||
		    !(place = seep_map_vacant(&seep_session.map, &t->cache,
			  (uint64_t)(uintptr_t)p, bytes)) ||
		    !(c = near_counter(t, node)),
		0)) {
		alloc_rest(t, p, bytes, frame, node);
		return;
	}
	t->watch.until--;
	seep_map_put(place, (uint64_t)(uintptr_t)p, bytes, node, epoch_now());
	t->last_alloc = p;
	count_in(t, c, bytes);
	leave(t);
}

static __attribute__((noinline)) void watched_free(
    struct thread *t, void *p, unsigned flags, void **frame)
{
	if (t->last_alloc == p)
		flags |= SEEP_HISTORY_LAST;
	seep_watch_free(
	    &t->watch, p, flags, seep_frames_capture(&t->frames, frame));
}

static void recorded_free(struct thread *t, void *p, struct seep_entry *old,
    unsigned flags, void **frame)
{
	seep_map_clear(
	    &seep_session.map, &t->cache, (uint64_t)(uintptr_t)p, old);
	if (__builtin_expect(old->place != NULL, 1)) {
		if (__builtin_expect(!!(old->word & SEEP_WORD_WATCHED), 0))
			watched_free(t, p, flags, frame);
		count_free(t, seep_word_node(old->word), old->size_bytes);
		t->last_free = p;
	} else if (t->last_free == p) {
		t->last_free = NULL; /* the inner of two entry points */
	} else {
		add(&t->slot->unknown_frees, 1);
	}
}

static void free_slow(
    void *p, struct seep_entry *old, unsigned flags, void **frame)
{
	struct thread *t;

	switch (enter(&t, frame)) {
	case WAY_OFF:
		old->place = NULL;
		return;
	case WAY_NESTED:
		nested_free(p, old, frame);
		return;
	case WAY_THREAD:
		recorded_free(t, p, old, flags, frame);
		leave(t);
	}
}

static __attribute__((noinline)) void free_rest(
    struct thread *t, void *p, void **frame)
{
	struct seep_entry old;

	if (t) {
		recorded_free(t, p, &old, 0, frame);
		leave(t);
	} else {
		free_slow(p, &old, 0, frame);
	}
}

/* See seep_record_alloc_each(). */
void seep_record_free_each(void *p, void **frame)
{
	struct thread *t = self;
	struct seep_counter *c;
	_Atomic uint64_t *place;
	uint64_t word;

	if (__builtin_expect(!may_enter(t), 0)) {
		free_rest(NULL, p, frame);
		return;
	}
	t->guard = frame;
	atomic_signal_fence(memory_order_seq_cst);
	place = seep_map_occupied(
	    &seep_session.map, &t->cache, (uint64_t)(uintptr_t)p, &word);
	if (__builtin_expect(!place || word & SEEP_WORD_WATCHED ||
				 !(c = near_counter(t, seep_word_node(word))),
		0)) {
		free_rest(t, p, frame);
		return;
	}
	atomic_store_explicit(place, 0, memory_order_release);
	t->last_free = p;
	count_out(t, c, seep_word_low11(word) >> 1);
	leave(t);
}

/* The gate is not open yet, or will not be. */

void seep_record_alloc_first(void *p, size_t bytes, void **frame)
{
	if (seep_session_start())
		seep_record_alloc(p, bytes, frame);
}

void seep_record_free_first(void *p, void **frame)
{
	if (seep_session_start())
		seep_record_free(p, frame);
}

void seep_record_realloc_begin(struct seep_realloc *r, void *p, void **frame)
{
	uint32_t gate = seep_gate_now();

	r->p = p;
	r->old.place = NULL;
	if (gate != SEEP_GATE_ON && gate != SEEP_GATE_SAMPLE &&
	    seep_session_start())
		gate = seep_gate_now();
	if (gate == SEEP_GATE_ON)
		free_slow(p, &r->old, SEEP_HISTORY_REALLOC, frame);
	else if (gate == SEEP_GATE_SAMPLE && seep_sample_may_have(p))
		sampled_free(p, frame, &r->old);
}

static void undone_free(struct thread *t, const struct seep_realloc *r)
{
	struct seep_counter *c = counter(t, seep_word_node(r->old.word));

	if (c) {
		add(&c->free_blocks, (uint64_t)-1);
		add(&c->free_bytes, -r->old.size_bytes);
	}
	add(&t->slot->free_blocks, (uint64_t)-1);
	add(&t->slot->free_bytes, -r->old.size_bytes);
	t->last_free = NULL;
	if (r->old.word & SEEP_WORD_WATCHED)
		seep_watch_undo(&t->watch, r->p);
}

void seep_record_realloc_undo(const struct seep_realloc *r, void **frame)
{
	bool sampled = seep_session.sample_bytes;
	enum seep_drop cause;
	struct thread *t;

	/* Nothing was forgotten: p was not known, or tracing is off. */
	if (!r->old.place || enter(&t, frame) != WAY_THREAD)
		return;
	if (!seep_map_restore(&seep_session.map, &t->cache,
		(uint64_t)(uintptr_t)r->p, &r->old, sampled, &cause)) {
		seep_session_drop(cause);
	} else if (sampled) {
		seep_sample_add(r->p);
		count_sampled(t, seep_word_node(r->old.word), r->old.size_bytes,
		    true, -1);
	} else {
		undone_free(t, r);
	}
	leave(t);
}

/* ---- events ------------------------------------------------------------ */

static struct seep_ring *ring_of(struct thread *t)
{
	uint64_t page =
	    atomic_load_explicit(&t->slot->ring_page, memory_order_relaxed);
	enum seep_drop cause;

	if (!page) {
		page = seep_pool_alloc(&seep_session.pool, 1, &cause);
		if (!page)
			return NULL;
		/* release: a zeroed page is an empty ring. */
		atomic_store_explicit(
		    &t->slot->ring_page, page, memory_order_release);
	}
	return seep_pool_page(&seep_session.pool, (uint32_t)page);
}

void seep_record_event(
    enum seep_event_kind kind, uint64_t value, const char *text, void **frame)
{
	struct seep_event e = {.kind = kind, .value = value};
	struct seep_ring *ring;
	struct thread *t;

	/* Nothing is set up for the sake of an event; but in a sample a thread
	 * may have allocated a lot and have nothing. */
	if (!self && !seep_session.sample_bytes)
		return;
	switch (enter(&t, frame)) {
	case WAY_NESTED:
		seep_session_drop(SEEP_DROP_RING_FULL);
		return;
	default:
		return;
	case WAY_THREAD:
		ring = ring_of(t);
		e.at_ns = seep_session.filtered ? 0 : seep_sys_now_ns();
		e.text_len = text ? (uint32_t)strlen(text) : 0;
		if (!ring || !seep_ring_put(ring, &e, text ? text : ""))
			seep_session_drop(SEEP_DROP_RING_FULL);
		leave(t);
	}
}
