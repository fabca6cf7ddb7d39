/* SPDX-License-Identifier: MIT */
/* A program with a malloc of its own, that no preload sees (D15, L12). */
#include <stdio.h>
#include <string.h>

static char arena[1 << 20] __attribute__((aligned(16)));
static size_t used;

void *malloc(size_t bytes)
{
	void *p = arena + used;

	used += (bytes + 15) & ~(size_t)15;
	return used <= sizeof(arena) ? p : NULL;
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t bytes)
{
	return malloc(n * bytes);
}

void *realloc(void *p, size_t bytes)
{
	void *q = malloc(bytes);

	if (p && q)
		memcpy(q, p, bytes);
	return q;
}

int main(void)
{
	void *volatile p = NULL;

	for (int i = 0; i < 100; i++)
		p = malloc(32);
	printf("%s\n", p ? "own malloc" : "none");
	return 0;
}
