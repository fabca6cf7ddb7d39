/* SPDX-License-Identifier: MIT */
/* sym_inline.c - inlined calls in each other, for the tests of names */
#include <stdlib.h>

void *volatile sink;

static inline __attribute__((always_inline)) void take(size_t n)
{
	sink = malloc(n); /* at: take */
}

static inline __attribute__((always_inline)) void twice(size_t n)
{
	take(n); /* at: twice */
	sink = NULL;
}

__attribute__((noinline)) void outer(size_t n)
{
	twice(n + 1); /* at: outer */
	sink = NULL;
}

__attribute__((noinline)) static void local_to_file(size_t n)
{
	outer(n); /* at: local */
	sink = NULL;
}

/* A call that never returns: the address after it is of another function. */
__attribute__((noinline, noreturn)) void last_call(void)
{
	abort(); /* at: last */
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 9)
		last_call();
	local_to_file((size_t)argc);
	return 0;
}
