/* SPDX-License-Identifier: MIT */
/*
 * The other plugin. It takes the addresses of plugin_one.c when that one is
 * gone; its name must not be given to the blocks of the other.
 */
#include <stdlib.h>

int plugin_line;
char const *const plugin_file = __FILE__;

__attribute__((noinline)) static void *inner(size_t bytes)
{
	plugin_line = __LINE__ + 1;
	return calloc(1, bytes);
}

void *plugin_allocate(size_t bytes)
{
	void *p = inner(bytes);

	__asm__ volatile("" : "+r"(p));
	return p;
}
