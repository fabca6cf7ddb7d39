/* SPDX-License-Identifier: MIT */
/*
 * Allocates from ever new stacks in two threads, without end, so that it can be
 * killed at any moment (D31, D47). Writes a byte each fifty blocks.
 */
#include "truth.h"
#include <pthread.h>

struct path {
	unsigned long turns;
	int length;
};

static void *descend(struct path *p, int level);

__attribute__((noinline)) static void *left(struct path *p, int level)
{
	void *block = descend(p, level);

	__asm__ volatile("" ::: "memory");
	return block;
}

__attribute__((noinline)) static void *right(struct path *p, int level)
{
	void *block = descend(p, level);

	__asm__ volatile("" ::: "memory");
	return block;
}

__attribute__((noinline)) static void *descend(struct path *p, int level)
{
	void *block;

	if (level == p->length)
		block = malloc(40 + p->turns % 3000);
	else if (p->turns >> level & 1)
		block = left(p, level + 1);
	else
		block = right(p, level + 1);
	__asm__ volatile("" ::: "memory");
	return block;
}

static void *run(void *argument)
{
	struct path p = {(unsigned long)argument * 7777, 20};
	static void *volatile kept[1024];

	for (unsigned long i = 0;; i++) {
		p.turns += 12347;
		free(kept[i % 512 + (argument ? 512 : 0)]);
		kept[i % 512 + (argument ? 512 : 0)] = descend(&p, 0);
		if (i % 50 == 0 && write(1, "x", 1) != 1)
			_exit(1);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, (void *)1))
		truth_die("pthread_create");
	run(NULL);
	return 0;
}
