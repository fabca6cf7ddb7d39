/* SPDX-License-Identifier: MIT */
/*
 * Sites with blocks of one size each, in four threads, enough of them that a
 * sample at 64 KiB says something of each, and some of that size and more. Some
 * are made by realloc, some freed by another thread than theirs.
 */
#include "truth.h"
#include <pthread.h>

#define THREADS 4
#define KIB	1024

static void *volatile taken[THREADS][1000];

static void *work(void *arg)
{
	long me = (long)arg;
	void *volatile p;

	for (int i = 0; i < 250000; i++)
		KEEP(malloc(24), 24);
	for (int i = 0; i < 30000; i++)
		KEEP(calloc(1, 200), 200);
	for (int i = 0; i < 2000; i++) {
		p = CHURN(malloc(10), 10);
		KEEP(realloc(p, 3000), 3000);
	}
	for (int i = 0; i < 200; i++)
		KEEP(malloc(40000), 40000);
	for (int i = 0; i < 20; i++) {
		KEEP(malloc(64 * KIB), 64 * KIB);
		KEEP(aligned_alloc(64, 100 * KIB), 100 * KIB);
		p = CHURN(malloc(70 * KIB), 70 * KIB);
		p = CHURN(realloc(p, 80 * KIB), 80 * KIB);
		free(p);
	}
	for (int i = 0; i < 100000; i++)
		free(CHURN(malloc(500), 500));
	for (int i = 0; i < 1000; i++)
		taken[me][i] = CHURN(malloc(30000), 30000);
	return NULL;
}

/* Frees what its neighbour has allocated. */
static void *clear(void *arg)
{
	long other = ((long)arg + 1) % THREADS;

	for (int i = 0; i < 1000; i++)
		free(taken[other][i]);
	return NULL;
}

static void all(void *(*fn)(void *))
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, fn, (void *)i))
			truth_die("pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	all(work);
	all(clear);
	truth_state();
	return 0;
}
