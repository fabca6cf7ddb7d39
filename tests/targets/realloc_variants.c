/* SPDX-License-Identifier: MIT */
/* What realloc can do, also fail; each leaves the live set exact (D12, L1, L2).
 */
#include "truth.h"
#include <stdint.h>
#include <sys/resource.h>

#define N 50

static size_t volatile huge = SIZE_MAX / 4;
static size_t volatile zero;
static size_t volatile half = SIZE_MAX / 2;

int main(void)
{
	struct rlimit limit;
	void *volatile p;
	void *volatile q;

	/* Fails: the old block stays, at its old line. */
	for (int i = 0; i < N; i++) {
		p = KEEP(malloc(100 + i * 40), 100 + i * 40);
		q = realloc(p, huge);
		if (q)
			truth_die("a huge realloc succeeded");
	}
	for (int i = 0; i < N; i++) {
		p = KEEP(malloc(2000), 2000);
		q = reallocarray(p, half, 3);
		if (q || errno != ENOMEM)
			truth_die("reallocarray overflow");
	}

	/* Frees: realloc to nothing. */
	for (int i = 0; i < N; i++) {
		p = CHURN(malloc(64 + i), 64 + i);
		q = realloc(p, zero);
		if (q)
			truth_die("realloc(p, 0) gave a block");
	}

	/* Grows in place, moves, shrinks: one block, at the last line. */
	for (int i = 0; i < N; i++) {
		p = CHURN(malloc(24), 24);
		p = CHURN(realloc(p, 3000), 3000);
		p = CHURN(realloc(p, 300000), 300000);
		p = KEEP(realloc(p, 30), 30);
	}
	for (int i = 0; i < N; i++) {
		p = CHURN(malloc(1000), 1000);
		p = KEEP(reallocarray(p, 10, 100), 1000);
	}

	/* Failed allocations are no leaks. */
	for (int i = 0; i < N; i++) {
		p = malloc(huge);
		q = calloc(huge, 8);
		if (p || q)
			truth_die("a huge allocation succeeded");
		if (!posix_memalign((void **)&q, 64, huge) ||
		    !posix_memalign((void **)&q, 3, 64))
			truth_die("a bad posix_memalign succeeded");
	}

	/* Under a limit of address space: fails where it would have moved. */
	p = KEEP(malloc(200000), 200000);
	q = CHURN(malloc(1000000), 1000000);
	if (getrlimit(RLIMIT_AS, &limit))
		truth_die("getrlimit");
	limit.rlim_cur = 1 << 20;
	if (setrlimit(RLIMIT_AS, &limit))
		truth_die("setrlimit");
	if (realloc(p, 64 << 20))
		truth_die("realloc past RLIMIT_AS succeeded");
	free(q);
	truth_state();
	return 0;
}
