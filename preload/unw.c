/* SPDX-License-Identifier: MIT */
/* unw.c - libunwind inside a traced process, kept to ourselves */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "config.h"
#include "preload/objects.h"
#include "preload/unw.h"

struct seep_unw seep_unw;

/* libunwind.h gives each function a name of its own for each CPU. */
#define NAME_OF(function) QUOTED(function)
#define QUOTED(name)	  #name
#define FIND(lib, member, function)                                            \
	find(lib, NAME_OF(function), &seep_unw.member, sizeof(seep_unw.member))

static bool find(void *lib, const char *name, void *ret, size_t bytes)
{
	void *p = dlsym(lib, name);

	/* ISO C has no conversion from an object to a function pointer. */
	memcpy(ret, &p, bytes);
	return p != NULL;
}

static bool open_library(void)
{
	void *lib = dlopen(SEEP_LIBUNWIND, RTLD_NOW | RTLD_LOCAL);

	return lib && FIND(lib, getcontext, unw_tdep_getcontext) &&
	       FIND(lib, init_local, unw_init_local) &&
	       FIND(lib, get_reg, unw_get_reg) &&
	       FIND(lib, backtrace, unw_backtrace) &&
	       FIND(lib, flush_cache, unw_flush_cache) &&
	       FIND(lib, local, unw_local_addr_space) &&
	       FIND(lib, step, unw_step);
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

bool seep_unw_ready(const uint64_t *pcs, uint32_t nr)
{
	static _Atomic int state;
	int now = atomic_load_explicit(&state, memory_order_acquire);

	if (now == CLOSED && can_open(pcs, nr) &&
	    atomic_compare_exchange_strong(&state, &now, OPENING)) {
		now = open_library() ? OPEN : NONE;
		/* release: the functions before the word that they are there.
		 */
		atomic_store_explicit(&state, now, memory_order_release);
	}
	return now == OPEN;
}
