/* SPDX-License-Identifier: MIT */
/* A thousand threads, never more than eight at a time. */
#include "truth.h"
#include <pthread.h>

#define AT_ONCE 8

static void *live_shortly(void *unused)
{
	(void)unused;
	free(CHURN(malloc(50), 50));
	KEEP(malloc(51), 51);
	KEEP(malloc(5100), 5100);
	return NULL;
}

int main(void)
{
	pthread_t threads[AT_ONCE];

	for (int round = 0; round < 1000 / AT_ONCE; round++) {
		for (int i = 0; i < AT_ONCE; i++) {
			if (pthread_create(
				&threads[i], NULL, live_shortly, NULL))
				truth_die("pthread_create");
		}
		for (int i = 0; i < AT_ONCE; i++)
			pthread_join(threads[i], NULL);
	}
	truth_state();
	return 0;
}
