/* SPDX-License-Identifier: MIT */
/*
 * grower: each byte on stdin is one step: it grows at one site, keeps a second
 * steady, churns at a third; a byte on stdout says that the step is done.
 * A first argument "stop N" ends the growth after N steps: such a site grew
 * and stopped.
 */
#include "truth.h"

#define STEADY 100

static void *volatile steady[STEADY];

__attribute__((noinline)) static void grow(void)
{
	for (int i = 0; i < 256; i++)
		KEEP(malloc(4096), 4096);
}

__attribute__((noinline)) static void hold(int step)
{
	for (int i = 0; i < STEADY; i++) {
		if (step == 0 || i % 10 == step % 10) {
			free(steady[i]);
			steady[i] = CHURN(malloc(9000), 9000);
		}
	}
}

__attribute__((noinline)) static void churn(void)
{
	for (int i = 0; i < 1000; i++)
		free(CHURN(malloc(3000), 3000));
}

int main(int argc, char **argv)
{
	int last = argc > 2 ? atoi(argv[2]) : -1;
	char byte;

	for (int step = 0; read(0, &byte, 1) == 1; step++) {
		hold(step);
		churn();
		if (step && (last < 0 || step <= last))
			grow();
		if (write(1, &byte, 1) != 1)
			truth_die("write");
	}
	return 0;
}
