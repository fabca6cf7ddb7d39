/* SPDX-License-Identifier: MIT */
/*
 * threads.c - many threads that each allocate a little, all alive at once
 *
 *	threads THREADS BLOCKS
 *
 * Each thread allocates BLOCKS blocks of 16 to 512 bytes and frees every other
 * one. When all have, and none has ended, the resident memory is taken.
 */
#include <pthread.h>

#include "bench/targets/bench.h"

#define MAX_THREADS 4096

static pthread_barrier_t allocated, measured;
static uint64_t nr_blocks;

static void *run(void *arg)
{
	uint64_t random = bench_seed((unsigned)(uintptr_t)arg);

	for (uint64_t i = 0; i < nr_blocks; i++) {
		char *p = malloc(16 + (bench_random(&random) >> 20) % 497);

		if (!p)
			abort();
		*(volatile char *)p = 1;
		if (i & 1)
			free(p);
	}
	pthread_barrier_wait(&allocated);
	pthread_barrier_wait(&measured);
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t nr = bench_number(argc > 1 ? argv[1] : NULL, 1);
	static pthread_t threads[MAX_THREADS];
	uint64_t rss;

	nr_blocks = bench_number(argc > 2 ? argv[2] : NULL, 1);
	if (nr > MAX_THREADS) {
		fprintf(stderr, "at most %d threads\n", MAX_THREADS);
		return 2;
	}
	pthread_barrier_init(&allocated, NULL, nr + 1);
	pthread_barrier_init(&measured, NULL, nr + 1);
	for (uint64_t i = 0; i < nr; i++)
		if (pthread_create(
			&threads[i], NULL, run, (void *)(uintptr_t)i))
			abort();
	pthread_barrier_wait(&allocated);
	rss = bench_rss_bytes();
	pthread_barrier_wait(&measured);
	for (uint64_t i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	printf("threads: %llu\n", (unsigned long long)nr);
	printf("@operations %llu\n", (unsigned long long)nr);
	printf("@rss_bytes %llu\n", (unsigned long long)rss);
	return 0;
}
