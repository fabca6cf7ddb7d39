/* SPDX-License-Identifier: MIT */
/* Threads ask for their stack's bounds, which allocates under a lock (D1). */
#include "truth.h"
#include <pthread.h>

#define THREADS 8

static void *ask(void *unused)
{
	pthread_attr_t attr;
	cpu_set_t cpus;

	(void)unused;
	for (int i = 0; i < 300; i++) {
		if (pthread_getattr_np(pthread_self(), &attr))
			truth_die("pthread_getattr_np");
		pthread_attr_getaffinity_np(&attr, sizeof(cpus), &cpus);
		pthread_attr_destroy(&attr);
		KEEP(malloc(40), 40);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, ask, NULL);
	ask(NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	truth_state();
	return 0;
}
