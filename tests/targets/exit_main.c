/* SPDX-License-Identifier: MIT */
/* The program around exit_plugin.c: opened, and still open at the end. */
#include <dlfcn.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL))
			abort();
	}
	return 0;
}
