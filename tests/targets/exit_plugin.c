/* SPDX-License-Identifier: MIT */
/*
 * A library that registers more exit handlers than fit without allocating, in
 * its constructor, and cleans up in its destructor, after them (D27, D28).
 */
#include "truth.h"

#define HANDLERS 100

static void *volatile blocks[HANDLERS];
static int nr_called;

static void clean_one(void)
{
	if (!blocks[nr_called] || *(int *)blocks[nr_called] != nr_called)
		truth_die("cleaned up too early");
	free(blocks[nr_called]);
	blocks[nr_called++] = NULL;
	free(CHURN(malloc(71), 71));
}

__attribute__((constructor)) static void begin(void)
{
	for (int i = 0; i < HANDLERS; i++) {
		blocks[i] = CHURN(malloc(4 + i), 4 + i);
		*(int *)blocks[i] = i;
		if (atexit(clean_one))
			truth_die("atexit");
	}
}

__attribute__((destructor)) static void end(void)
{
	if (nr_called != HANDLERS)
		truth_die("destructor before the handlers");
	KEEP(malloc(72), 72);
	truth_state();
	dprintf(1, "%d handlers ran\n", nr_called);
}
