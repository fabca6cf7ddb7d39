/* SPDX-License-Identifier: MIT */
/*
 * Another library of the preload list that interposes malloc and free, and
 * resolves them lazily, with dlsym, as such libraries do (D14, D13). It also
 * allocates in its constructor, and frees that block in its destructor.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void *(*next_malloc)(size_t);
static void (*next_free)(void *);
static void *(*next_calloc)(size_t, size_t);
static unsigned long calls;
static void *volatile early[40];

/* dlsym itself may want a block before we know where to get one. */
static char scratch[4096] __attribute__((aligned(16)));
static size_t scratch_used;

static int is_scratch(void *p)
{
	return (char *)p >= scratch && (char *)p < scratch + sizeof(scratch);
}

void *malloc(size_t bytes)
{
	calls++;
	if (!next_malloc)
		*(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
	return next_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	static int resolving;

	calls++;
	if (!next_calloc) {
		if (resolving) {
			void *p = scratch + scratch_used;

			scratch_used += (n * bytes + 15) & ~(size_t)15;
			return p;
		}
		resolving = 1;
		*(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
		resolving = 0;
	}
	return next_calloc(n, bytes);
}

void free(void *p)
{
	calls++;
	if (is_scratch(p))
		return;
	if (!next_free)
		*(void **)&next_free = dlsym(RTLD_NEXT, "free");
	next_free(p);
}

unsigned long wrapper_calls(void)
{
	return calls;
}

__attribute__((constructor)) static void begin(void)
{
	for (int i = 0; i < 40; i++) {
		early[i] = calloc(1, 10 + i * 100);
		early[i] = realloc(early[i], 20 + i * 100);
		if (!early[i])
			abort();
	}
	for (int i = 0; i < 20; i++)
		free(early[i]);
}

__attribute__((destructor)) static void end(void)
{
	for (int i = 20; i < 40; i++)
		free(early[i]);
}
