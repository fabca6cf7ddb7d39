/* SPDX-License-Identifier: MIT */
/* unw.c - opens libunwind inside a traced process, and keeps it to ourselves */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "preload/objects.h"
#include "preload/unw.h"

bool seep_unw_find(void *handle, const char *name, void *pointer)
{
	void *p = dlsym(handle, name);

	/* ISO C has no conversion from an object to a function pointer. */
	memcpy(pointer, &p, sizeof(p));
	return p != NULL;
}

static bool in_loader(uint64_t pc)
{
	struct seep_object o;

	return seep_object_find(pc - 1, &o) && strstr(o.name, "/ld-linux");
}

/* The loader may call a constructor, which allocates; it must not be in the
 * middle of work of its own. */
static bool can_open(const uint64_t *pcs, uint32_t nr)
{
	while (nr && in_loader(pcs[nr - 1]))
		nr--;
	for (uint32_t i = 0; i < nr; i++)
		if (in_loader(pcs[i]))
			return false;
	return nr && program_invocation_name && *program_invocation_name;
}

enum { CLOSED, OPENING, OPEN, NONE };

bool seep_unw_ready(const char *library, bool (*bind)(void *handle),
    const uint64_t *pcs, uint32_t nr)
{
	static _Atomic int state;
	int now = atomic_load_explicit(&state, memory_order_acquire);

	if (now == CLOSED && can_open(pcs, nr) &&
	    atomic_compare_exchange_strong(&state, &now, OPENING)) {
		int before = errno;
		void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

		now = handle && bind(handle) ? OPEN : NONE;
		errno = before;
		/* release: the functions before the word that they are there.
		 */
		atomic_store_explicit(&state, now, memory_order_release);
	}
	return now == OPEN;
}
