/* SPDX-License-Identifier: MIT */
/*
 * hooks.h - what the files of exported functions share
 *
 * Threads:  seep_later_get() may run in several threads at once.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    none.
 * Errors:   NULL where nobody defines the entry point.
 */
#ifndef SEEP_PRELOAD_HOOKS_H
#define SEEP_PRELOAD_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "preload/caller.h"
#include "preload/real.h"
#include "preload/record.h"

/* The only symbols that leave the library; listed in libseep.map, too. */
#define SEEP_EXPORT __attribute__((visibility("default")))

/* An entry point that most programs never use: looked up at its first call. */
struct seep_later {
	const char *name;
	_Atomic(void *) fn;
	/* 1: its image is that of the next malloc, which it does not call;
	 * 2: it lives elsewhere and will come back through malloc or free. */
	_Atomic int kind;
};

static inline bool seep_later_get(struct seep_later *l, void **fn)
{
	*fn = atomic_load_explicit(&l->fn, memory_order_relaxed);
	if (__builtin_expect(!*fn, 0)) {
		*fn = seep_real_next(l->name);
		seep_real_resolve();
		atomic_store(&l->kind,
		    *fn && seep_real_same_image(*fn, (void *)seep_real.malloc)
			? 1
			: 2);
		atomic_store(&l->fn, *fn);
	}
	return atomic_load_explicit(&l->kind, memory_order_relaxed) == 1;
}

#endif
