/* SPDX-License-Identifier: MIT */
/*
 * sample.c - which blocks are recorded where not all are, and which were
 *
 * No floating point: malloc() must not touch the exception flags of its caller.
 */
#include <string.h>
#include <sys/mman.h>

#include "preload/sample.h"
#include "preload/sys.h"

#define FILTER_BYTES (1u << SEEP_SAMPLE_FILTER_LOG)
#define FILTER_FULL  255u /* stays: it is not known how many there were */

__thread struct seep_sample seep_sample;
_Alignas(4096) _Atomic uint8_t seep_sample_filter[FILTER_BYTES];

static uint64_t interval, seed;
static _Atomic uint64_t nr_seeds;

/* ---- numbers ----------------------------------------------------------- */

/* splitmix64's finaliser: a bijection without pattern. */
static uint64_t scramble(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

/* xorshift64*; the state is never 0. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

#define LOG_BITS 32

/*
 * -log2(u / 2^64) in 2^-LOG_BITS, for u > 0. The whole part is the number of
 * leading zeros; each further digit of the logarithm of m in [1, 2) is 1 if m^2
 * reaches 2. The cut in each square of 63 bits doubles with the next one: after
 * 32 of them it is as large as the last digit.
 */
static uint64_t minus_log2(uint64_t u)
{
	unsigned zeros = (unsigned)__builtin_clzll(u);
	uint64_t m = u << zeros, log = 0;

	for (int i = 0; i < LOG_BITS; i++) {
		unsigned __int128 square = (unsigned __int128)m * m;
		unsigned digit = (unsigned)(square >> 127);

		log = log << 1 | digit;
		m = (uint64_t)(square >> (63 + digit));
	}
	return ((uint64_t)(zeros + 1) << LOG_BITS) - log;
}

uint64_t seep_sample_draw(uint64_t *random, uint64_t mean)
{
	static const uint64_t ln2 = 0xb17217f7d1cf79abull; /* in 2^-64 */
	uint64_t u = next_random(random), far;

	/* mean * -ln(u): the logarithm is less than 65 * 2^32, mean 2^32. */
	far = (uint64_t)((unsigned __int128)minus_log2(u ? u : 1) * ln2 >> 64);
	return (uint64_t)((unsigned __int128)far * mean >> LOG_BITS) + 1;
}

/* ---- the count --------------------------------------------------------- */

void seep_sample_begin(uint64_t interval_bytes, uint64_t new_seed)
{
	interval = interval_bytes;
	seed = new_seed;
	atomic_store(&nr_seeds, 0);
	/* The thread that forked goes on with numbers of its own. */
	seep_sample = (struct seep_sample){0};
	/* Refused where it is locked, or the kernel's pages are larger. */
	if (seep_sys(SYS_madvise, seep_sample_filter, FILTER_BYTES,
		MADV_DONTNEED) < 0)
		memset((void *)seep_sample_filter, 0, FILTER_BYTES);
}

/* The next point lies `far` bytes ahead. */
static void set_point(struct seep_sample *s, int64_t far)
{
	s->left = far < (int64_t)interval ? far : (int64_t)interval;
	s->rest = far - s->left;
}

static void begin_thread(struct seep_sample *s)
{
	uint64_t nr = atomic_fetch_add(&nr_seeds, 1) + 1;
	uint64_t random = scramble(seed + nr * 0x9e3779b97f4a7c15ull);

	s->random = random ? random : 1;
	s->rest = (int64_t)seep_sample_draw(&s->random, interval);
}

bool seep_sample_hits(size_t bytes)
{
	struct seep_sample *s = &seep_sample;
	int64_t far;

	if (!s->random)
		begin_thread(s);
	far = s->left + s->rest;
	if (bytes >= interval) {
		set_point(s, far + (int64_t)bytes);
		return true;
	}
	if (far > 0) {
		set_point(s, far);
		return false;
	}
	set_point(s, (int64_t)seep_sample_draw(&s->random, interval));
	return true;
}

/* ---- the filter -------------------------------------------------------- */

void seep_sample_add(const void *p)
{
	_Atomic uint8_t *at = seep_sample_slot(p);
	uint8_t nr = atomic_load_explicit(at, memory_order_relaxed);

	while (
	    nr != FILTER_FULL &&
	    !atomic_compare_exchange_weak_explicit(at, &nr, (uint8_t)(nr + 1),
		memory_order_relaxed, memory_order_relaxed))
		;
}

void seep_sample_remove(const void *p)
{
	_Atomic uint8_t *at = seep_sample_slot(p);
	uint8_t nr = atomic_load_explicit(at, memory_order_relaxed);

	while (
	    nr && nr != FILTER_FULL &&
	    !atomic_compare_exchange_weak_explicit(at, &nr, (uint8_t)(nr - 1),
		memory_order_relaxed, memory_order_relaxed))
		;
}
