/* SPDX-License-Identifier: MIT */
/*
 * Linked with -z initfirst: its constructor runs before every other one, the
 * shim's too, and makes the process's first call of the family (D13, D16).
 */
#include "truth.h"
#include <malloc.h>

__attribute__((constructor)) static void first(
    int argc, char **argv, char **envp)
{
	const char *entry = NULL;
	void *p = NULL;

	/* The C library does not know its environment yet. */
	(void)argc;
	(void)argv;
	for (; *envp; envp++) {
		if (!strncmp(*envp, "FIRST_CALL=", 11))
			entry = *envp + 11;
	}
	if (!entry)
		return;
	if (!strcmp(entry, "malloc"))
		KEEP(malloc(901), 901);
	else if (!strcmp(entry, "calloc"))
		KEEP(calloc(2, 902), 1804);
	else if (!strcmp(entry, "realloc"))
		KEEP(realloc(NULL, 903), 903);
	else if (!strcmp(entry, "reallocarray"))
		KEEP(reallocarray(NULL, 3, 904), 2712);
	else if (!strcmp(entry, "memalign"))
		KEEP(memalign(512, 905), 905);
	else if (!strcmp(entry, "aligned_alloc"))
		KEEP(aligned_alloc(64, 960), 960);
	else if (!strcmp(entry, "valloc"))
		KEEP(valloc(907), 907);
	else if (!strcmp(entry, "pvalloc"))
		KEEP(pvalloc(908), 908);
	else if (!strcmp(entry, "free"))
		free(NULL);
	else if (!strcmp(entry, "usable"))
		malloc_usable_size(NULL);
	else if (posix_memalign(&p, 64, 909))
		truth_die("posix_memalign");
	else
		truth_keep(__LINE__ - 3, p, 909);
	/* Later frees of early blocks are ordinary ones. */
	p = CHURN(calloc(1, 77), 77);
	p = CHURN(realloc(p, 7777), 7777);
	free(p);
}

int first_state(void)
{
	truth_state();
	return 0;
}
