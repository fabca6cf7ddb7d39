/* SPDX-License-Identifier: MIT */
/*
 * Every allocation entry point of the C library, each seen once (L3); with a
 * name as argument that one alone, as the program's first call (D16).
 */
#include "truth.h"
#include <malloc.h>
#include <wchar.h>

static int is_chosen(const char *only, const char *name)
{
	return !only || !strcmp(only, name);
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	static const char word[] = "a word";
	void *p = NULL;

	if (is_chosen(only, "posix_memalign")) {
		if (posix_memalign(&p, 64, 100))
			truth_die("posix_memalign");
		/* The block belongs to the line of the call. */
		truth_keep(__LINE__ - 3, p, 100);
	}
	if (is_chosen(only, "aligned_alloc"))
		KEEP(aligned_alloc(4096, 8192), 8192);
	if (is_chosen(only, "memalign"))
		KEEP(memalign(256, 33), 33);
	if (is_chosen(only, "valloc"))
		KEEP(valloc(77), 77);
	if (is_chosen(only, "pvalloc"))
		KEEP(pvalloc(99), 99);
	if (is_chosen(only, "calloc"))
		KEEP(calloc(3, 41), 123);
	if (is_chosen(only, "realloc"))
		KEEP(realloc(NULL, 55), 55);
	if (is_chosen(only, "reallocarray"))
		KEEP(reallocarray(NULL, 5, 13), 65);
	if (is_chosen(only, "malloc"))
		KEEP(malloc(19), 19);
	if (is_chosen(only, "strdup"))
		KEEP(strdup(word), sizeof(word));
	if (is_chosen(only, "strndup"))
		KEEP(strndup(word, 3), 4);
	if (is_chosen(only, "wcsdup"))
		KEEP(wcsdup(L"abc"), 4 * sizeof(wchar_t));
	if (is_chosen(only, "free")) {
		free(NULL);
		KEEP(malloc(23), 23);
	}
	truth_state();
	return 0;
}
