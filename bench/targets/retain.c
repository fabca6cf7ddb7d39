/* SPDX-License-Identifier: MIT */
/*
 * retain.c - allocates and keeps
 *
 *	retain BLOCKS MIN MAX
 *
 * Allocates BLOCKS blocks of MIN to MAX bytes from 1000 stacks and frees none.
 * Sizes are spread evenly over the logarithm of the size, as those of real
 * programs roughly are: as many blocks from 32 to 64 as from 512 to 1024.
 */
#include <math.h>

#include "bench/targets/bench.h"

#define NR_SIZES 16 /* a stack has one of them, as most have */

static uint32_t sizes[NR_SIZES];
static uint64_t allocated_bytes;
static void *volatile last; /* what nobody looks at need not be allocated */

static inline __attribute__((always_inline)) void keep(uint64_t size)
{
	char *p = malloc(size);

	if (!p)
		abort();
	*(volatile char *)p = 1;
	last = p;
	allocated_bytes += size;
}

/* Ten functions on each of three levels: 1000 stacks. */
#define TEN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define INNER(i)                                                               \
	BENCH_CALL static void inner##i(unsigned stack, uint64_t size)         \
	{                                                                      \
		(void)stack;                                                   \
		keep(size);                                                    \
		BENCH_NO_TAIL_CALL();                                          \
	}
#define MIDDLE(i)                                                              \
	BENCH_CALL static void middle##i(unsigned stack, uint64_t size)        \
	{                                                                      \
		inner[stack % 10](stack / 10, size);                           \
		BENCH_NO_TAIL_CALL();                                          \
	}
#define OUTER(i)                                                               \
	BENCH_CALL static void outer##i(unsigned stack, uint64_t size)         \
	{                                                                      \
		middle[stack % 10](stack / 10, size);                          \
		BENCH_NO_TAIL_CALL();                                          \
	}
#define IN_TABLE(name, i) name##i,
#define INNER_NAME(i)	  IN_TABLE(inner, i)
#define MIDDLE_NAME(i)	  IN_TABLE(middle, i)
#define OUTER_NAME(i)	  IN_TABLE(outer, i)

TEN(INNER)
static void (*const inner[])(unsigned, uint64_t) = {TEN(INNER_NAME)};
TEN(MIDDLE)
static void (*const middle[])(unsigned, uint64_t) = {TEN(MIDDLE_NAME)};
TEN(OUTER)
static void (*const outer[])(unsigned, uint64_t) = {TEN(OUTER_NAME)};

int main(int argc, char **argv)
{
	uint64_t blocks = bench_number(argc > 1 ? argv[1] : NULL, 1);
	uint64_t min = bench_number(argc > 2 ? argv[2] : NULL, 1);
	uint64_t max = bench_number(argc > 3 ? argv[3] : NULL, min);
	uint64_t random = bench_seed(0);
	int64_t wall, cpu;

	for (unsigned i = 0; i < NR_SIZES; i++)
		sizes[i] =
		    lround(min * pow((double)max / min, i / (NR_SIZES - 1.0)));
	wall = bench_now(CLOCK_MONOTONIC);
	cpu = bench_now(CLOCK_THREAD_CPUTIME_ID);
	for (uint64_t n = blocks; n; n--) {
		unsigned stack = (bench_random(&random) >> 8) % 1000;

		outer[stack % 10](stack / 10, sizes[stack % NR_SIZES]);
	}
	cpu = bench_now(CLOCK_THREAD_CPUTIME_ID) - cpu;
	wall = bench_now(CLOCK_MONOTONIC) - wall;
	printf("retain: %llu blocks, %llu bytes\n", (unsigned long long)blocks,
	    (unsigned long long)allocated_bytes);
	printf("@wall_ns %.3f\n", (double)wall / (double)blocks);
	printf("@cpu_ns %.3f\n", (double)cpu / (double)blocks);
	printf("@operations %llu\n", (unsigned long long)blocks);
	printf("@rss_bytes %llu\n", (unsigned long long)bench_rss_bytes());
	return 0;
}
