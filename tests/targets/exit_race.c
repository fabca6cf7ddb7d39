/* SPDX-License-Identifier: MIT */
/* Ends while 32 threads allocate, with handlers that allocate too (D26). */
#include "truth.h"
#include <pthread.h>

#define THREADS 32

static pthread_barrier_t barrier;

static void *allocate(void *unused)
{
	void *volatile p;

	(void)unused;
	pthread_barrier_wait(&barrier);
	for (;;) {
		for (int i = 0; i < 50; i++) {
			p = malloc(40 + i * 10);
			free(p);
		}
	}
	return NULL;
}

static void at_end(void)
{
	for (int i = 0; i < 100; i++)
		free(CHURN(malloc(1000 + i), 1000 + i));
	KEEP(malloc(49), 49);
	truth_expect("leak", 1, 49, __FILE__, __LINE__ - 1);
}

int main(void)
{
	pthread_t thread;

	atexit(at_end);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, allocate, NULL);
	pthread_barrier_wait(&barrier);
	return 17;
}
