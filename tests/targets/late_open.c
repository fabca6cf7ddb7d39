/* SPDX-License-Identifier: MIT */
/*
 * late_open SHIM: opens the shim late, in a process that has used up much of
 * the spare room for thread-local storage (D18). It may load or be refused; the
 * program runs on, and allocates in threads from before and after.
 */
#include "truth.h"
#include <dlfcn.h>
#include <pthread.h>

static __thread char mine[900];
static pthread_barrier_t before, after;

static void *allocate(void *unused)
{
	(void)unused;
	mine[0] = 1;
	free(CHURN(malloc(100), 100));
	pthread_barrier_wait(&before);
	pthread_barrier_wait(&after);
	for (int i = 0; i < 100; i++)
		free(CHURN(malloc(100 + i), 100 + i));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[3];
	void *handle;

	if (argc != 2)
		return 2;
	pthread_barrier_init(&before, NULL, 3);
	pthread_barrier_init(&after, NULL, 3);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, allocate, NULL);
	pthread_barrier_wait(&before);
	handle = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
	printf("%s\n", handle ? "loaded" : dlerror());
	pthread_barrier_wait(&after);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_init(&before, NULL, 1);
	pthread_barrier_init(&after, NULL, 1);
	pthread_create(&threads[2], NULL, allocate, NULL);
	pthread_join(threads[2], NULL);
	free(CHURN(malloc(5), 5));
	return 0;
}
