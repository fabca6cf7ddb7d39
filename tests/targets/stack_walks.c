/* SPDX-License-Identifier: MIT */
/* stack_walks.c - frames of all kinds; compiled many times, see the test */
#include <stdlib.h>

#include "stack_oracle.h"

#if defined(__clang__)
#define NI __attribute__((noinline))
#else
#define NI __attribute__((noinline, noclone))
#endif

static volatile int sink;

NI static void plain(int depth)
{
	wander(depth);
	sink++;
}

NI static void tail_call(int depth)
{
	wander(depth);
}

NI static void with_alloca(int depth)
{
	volatile char *p = __builtin_alloca(16 + rnd() % 900);

	p[0] = 1;
	wander(depth);
	sink += p[0];
}

NI static void with_array(int depth)
{
	volatile char a[16 + rnd() % 700];

	a[0] = 1;
	for (unsigned i = 0; i < rnd() % 3; i++)
		wander(depth - (int)i);
	sink += a[0];
}

NI static void big_frame(int depth)
{
	volatile char a[9000];

	a[rnd() % 9000] = 1;
	wander(depth);
	sink += a[depth > 0];
}

NI static void huge_frame(int depth)
{
	volatile char a[200000];

	a[rnd() % 200000] = 1;
	wander(depth);
	sink += a[depth > 0];
}

NI static void realigned(int depth)
{
	volatile char a[64] __attribute__((aligned(64)));

	a[rnd() % 64] = 1;
	wander(depth);
	sink += a[0];
}

/* Many values live across the call: all registers that a callee keeps. */
NI static void many_registers(int depth)
{
	unsigned v[14];
	double d[10];

	for (int i = 0; i < 14; i++)
		v[i] = rnd();
	for (int i = 0; i < 10; i++)
		d[i] = rnd();
	wander(depth);
	for (int i = 0; i < 14; i++)
		sink += (int)v[i];
	for (int i = 0; i < 10; i++)
		sink += (int)d[i];
}

NI static void many_arguments(int depth, long a, long b, long c, long d, long e,
    long f, long g, long h, long i, long j, long k)
{
	sink += (int)(a + b + c + d + e + f + g + h + i + j + k);
	wander(depth);
	sink++;
}

NI static void outgoing(int depth)
{
	many_arguments(depth, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, depth);
	sink++;
}

NI static int variadic(int depth, ...)
{
	__builtin_va_list ap;
	int n;

	__builtin_va_start(ap, depth);
	n = __builtin_va_arg(ap, int) + (int)__builtin_va_arg(ap, double);
	__builtin_va_end(ap);
	wander(depth);
	return n;
}

NI static void calls_variadic(int depth)
{
	sink += variadic(depth, 3, 4.0);
}

static int by_value(const void *a, const void *b)
{
	if (rnd() % 8 == 0)
		compare();
	return *(const int *)a - *(const int *)b;
}

NI static void through_libc(int depth)
{
	int v[12];

	for (int i = 0; i < 12; i++)
		v[i] = (int)(rnd() % 100);
	qsort(v, 12, sizeof(v[0]), by_value);
	wander(depth);
	sink++;
}

static void (*const walks[])(int) = {
    plain,
    tail_call,
    with_alloca,
    with_array,
    big_frame,
    huge_frame,
    realigned,
    many_registers,
    outgoing,
    calls_variadic,
    through_libc,
};

__attribute__((constructor)) static void add(void)
{
	add_walks(walks, sizeof(walks) / sizeof(*walks));
}
