/* SPDX-License-Identifier: MIT */
/*
 * adversary_plugin.c - code that comes and goes
 *
 * Built several times. FRAME: bytes of plugin_enter's frame, so that the same
 * address has another rule. RESOLVER: its callee is chosen by a resolver, which
 * allocates, at the first call.
 */
#include <stdlib.h>

typedef void step_fn(int depth);

#ifndef FRAME
#define FRAME 32
#endif

static volatile char sink;

/* At dlclose(), called by code of the compiler's that has no unwind
 * information: __do_global_dtors_aux. */
static void at_unloading(void)
{
	void *volatile p = malloc(44);

	free(p);
}

__attribute__((constructor)) static void at_loading(void)
{
	atexit(at_unloading);
}

#ifdef RESOLVER
static void really_resolved(step_fn *fn, int depth)
{
	fn(depth);
	sink++;
}

static void *resolver(void)
{
	void *volatile p = malloc(33);

	free(p);
	return (void *)really_resolved;
}

void resolved(step_fn *fn, int depth) __attribute__((ifunc("resolver")));
#else
#define resolved(fn, depth) fn(depth)
#endif

__attribute__((noinline)) void plugin_inner(step_fn *fn, int depth)
{
	volatile char room[FRAME];

	room[FRAME / 2] = (char)depth;
	resolved(fn, depth);
	sink += room[FRAME / 2];
}

void plugin_enter(step_fn *fn, int depth)
{
	volatile char room[FRAME * 2];

	room[FRAME] = (char)depth;
	plugin_inner(fn, depth);
	sink += room[FRAME];
}
