/* SPDX-License-Identifier: MIT */
/*
 * Forks in a loop while 16 threads allocate; each child has its own truth, and
 * what it inherited is not its leak (D5, L8).
 */
#include "truth.h"
#include <pthread.h>
#include <sys/wait.h>

#define THREADS	 16
#define CHILDREN 24

static int stop;

static void *allocate(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 50; i++)
			free(CHURN(malloc(30 + i * 7), 30 + i * 7));
	}
	return NULL;
}

static void be_child(int number, void *inherited)
{
	truth_reset();
	free(inherited);
	for (int i = 0; i <= number; i++)
		KEEP(malloc(200), 200);
	free(CHURN(malloc(300), 300));
	truth_state();
	_exit(number);
}

int main(void)
{
	pthread_t threads[THREADS];
	void *blocks[CHILDREN];

	for (int i = 0; i < CHILDREN; i++)
		blocks[i] = KEEP(malloc(500), 500);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, allocate, NULL);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			be_child(i, blocks[i]);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != i)
			truth_die("a child ended badly");
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	truth_state();
	return 0;
}
