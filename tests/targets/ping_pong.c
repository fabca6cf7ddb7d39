/* SPDX-License-Identifier: MIT */
/*
 * Two threads free and allocate the same few addresses in turn, one size class,
 * without thread caches (the script turns them off): a free that were noted
 * after the real one would hide the other thread's new block (D11).
 */
#include "truth.h"
#include <pthread.h>

#define ROUNDS 150000
#define KEPT   8

static void *volatile kept[2][KEPT];

static void *play(void *argument)
{
	long who = (long)argument;

	for (int i = 0; i < ROUNDS; i++) {
		int at = i % KEPT;

		free(kept[who][at]);
		kept[who][at] = CHURN(malloc(1200), 1200);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[2];
	unsigned line = 0;

	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, play, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 1; i < TRUTH_LINES; i++) {
		if (truth_lines[i].all_blocks)
			line = i;
	}
	truth_lines[line].keep_blocks = 2 * KEPT;
	truth_lines[line].keep_bytes = 2 * KEPT * 1200;
	truth_state();
	return 0;
}
