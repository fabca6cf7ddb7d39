/* SPDX-License-Identifier: MIT */
/*
 * Allocates below a hundred thousand frames, and in threads whose whole stack
 * is the smallest there is (D48).
 */
#include "truth.h"
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#define FRAMES 100000

__attribute__((noinline)) static int descend(int level)
{
	int below = 0;

	if (level % 20000 == 0) {
		KEEP(malloc(61), 61);
		free(CHURN(malloc(6100), 6100));
	}
	if (level)
		below = descend(level - 1);
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

static void *deep(void *unused)
{
	(void)unused;
	if (descend(FRAMES) != FRAMES + 1)
		truth_die("the stack is wrong");
	return NULL;
}

static void *narrow(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		KEEP(malloc(62), 62);
		free(CHURN(malloc(6200), 6200));
		free(CHURN(realloc(NULL, 30), 30));
	}
	return NULL;
}

static void run(void *(*start)(void *), size_t stack_bytes)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (pthread_attr_setstacksize(&attr, stack_bytes) ||
	    pthread_create(&thread, &attr, start, NULL))
		truth_die("pthread_create");
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
}

int main(void)
{
	run(deep, 64 << 20);
	for (int i = 0; i < 5; i++)
		run(narrow, (size_t)sysconf(_SC_THREAD_STACK_MIN));
	truth_state();
	return 0;
}
