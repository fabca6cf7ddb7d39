/* SPDX-License-Identifier: MIT */
/*
 * unw.h - opens libunwind inside a traced process, and keeps it to ourselves
 *
 * Not part of the ordinary library. libunwind.so also defines _Unwind_* and
 * backtrace(): linked the usual way it would become the program's unwinder for
 * exceptions, and the static library is not built to go into a shared one. So
 * it is opened with RTLD_LOCAL, at the first allocation where that is possible:
 * libc has to be initialised, and the allocation must not be the loader's own.
 * In a program that is linked the usual way this is in its first constructor.
 *
 * Threads:  seep_unw_ready() may be called by any number; one opens.
 * Signals:  blocked by the caller.
 * Memory:   the loader allocates from the program's heap while it opens;
 *           libunwind itself uses mmap.
 * Trust:    none.
 * Units:    none.
 * Errors:   false: not yet, or there is no libunwind here.
 */
#ifndef SEEP_PRELOAD_UNW_H
#define SEEP_PRELOAD_UNW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Is it there? Opens it if it can be opened in the middle of the allocation
 * whose stack this is, innermost pc first, as far as it is known. `bind` looks
 * up what the caller needs; false: something is missing.
 */
bool seep_unw_ready(const char *library, bool (*bind)(void *handle),
    const uint64_t *pcs, uint32_t nr);

/* libunwind.h gives each function a name of its own for each CPU. */
#define SEEP_UNW_BIND(handle, pointer, function)                               \
	seep_unw_find(handle, SEEP_UNW_NAME(function), &(pointer))
#define SEEP_UNW_NAME(function) SEEP_UNW_QUOTED(function)
#define SEEP_UNW_QUOTED(name)	#name

bool seep_unw_find(void *handle, const char *name, void *pointer);

#endif
