/* SPDX-License-Identifier: MIT */
/* Locks, flushes and closes all files while threads allocate (D4). */
#include "truth.h"
#include <pthread.h>

static int stop;

static void *allocate(void *unused)
{
	(void)unused;
	for (int i = 0; i < 500; i++)
		KEEP(malloc(52), 52);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		free(CHURN(malloc(53), 53));
	return NULL;
}

int main(void)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, allocate, NULL);
	for (int i = 0; i < 300; i++) {
		FILE *f = fopen("/dev/null", "w");

		if (!f)
			truth_die("fopen");
		flockfile(stdout);
		fprintf(f, "%d\n", i);
		KEEP(malloc(54), 54);
		fflush(NULL);
		funlockfile(stdout);
		fclose(f);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	truth_state();
	fcloseall();
	return 0;
}
