/* SPDX-License-Identifier: MIT */
/*
 * Blocks of every size class around its limits, up to 8 GiB, aligned in all
 * ways, and moved by realloc from one class to any other. Exact in bytes.
 */
#include "truth.h"
#include <malloc.h>
#include <stdint.h>

#define MAX_LOG 33

static const size_t odd[] = {0, 1, 7, 8, 15, 16, 17, 24, 25, 31, 32, 33, 40, 47,
    48, 1008, 1023, 1024, 1025, 4095, 4096, 4097};

static void *volatile moved;

int main(void)
{
	size_t n, m;

	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		n = odd[i];
		KEEP(malloc(n), n);
		free(CHURN(malloc(n), n));
		KEEP(calloc(1, n), n);
	}
	for (int log = 4; log <= MAX_LOG; log++) {
		for (int off = -1; off <= 1; off++) {
			n = ((size_t)1 << log) + off;
			moved = malloc(n);
			/* Huge ones may be refused: then they are no leaks. */
			if (moved)
				truth_keep(__LINE__ - 3, moved, n);
		}
	}
	for (int log = 4; log <= 20; log++) {
		n = (size_t)1 << log;
		for (int k = 0; k < 5; k++) {
			KEEP(memalign(n, 48 + k), 48 + k);
			KEEP(memalign(n, n * k + 1), n * k + 1);
			free(CHURN(memalign(n, 100), 100));
		}
	}
	for (int from = 3; from <= 24; from += 3) {
		for (int to = 3; to <= 24; to += 3) {
			n = (size_t)1 << from;
			m = ((size_t)1 << to) + 5;
			moved = CHURN(malloc(n), n);
			moved = CHURN(realloc(moved, m), m);
			moved = KEEP(realloc(moved, n + 9), n + 9);
			moved = CHURN(malloc(m), m);
			free(moved);
		}
	}
	truth_state();
	return 0;
}
