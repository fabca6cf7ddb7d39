/* SPDX-License-Identifier: MIT */
/* env.c - the environment, also before libc knows it */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "preload/env.h"

extern char **environ;
extern void *__libc_stack_end __attribute__((weak));

/*
 * The environment, also before libc knows it (a constructor of an image that
 * is initialised first): it lies behind the arguments on the first stack.
 */
char **seep_env(void)
{
	uint64_t *at = &__libc_stack_end ? __libc_stack_end : NULL;

	if (environ || !at || at[0] > 1u << 20 || at[1 + at[0]])
		return environ;
	return (char **)(at + 2 + at[0]);
}

const char *seep_env_value(const char *name)
{
	size_t len = strlen(name);

	for (char **e = seep_env(); e && *e; e++)
		if (!strncmp(*e, name, len) && (*e)[len] == '=')
			return *e + len + 1;
	return NULL;
}
