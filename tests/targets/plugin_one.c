/* SPDX-License-Identifier: MIT */
/* A plugin that is loaded and unloaded, in turn with plugin_two.c. */
#include <stdlib.h>

int plugin_line;
char const *const plugin_file = __FILE__;

void *plugin_allocate(size_t bytes)
{
	plugin_line = __LINE__ + 1;
	return malloc(bytes);
}
