/* SPDX-License-Identifier: MIT */
/*
 * unw.h - libunwind inside a traced process, kept to ourselves
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

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdbool.h>
#include <stdint.h>

struct seep_unw {
	int (*getcontext)(unw_context_t *);
	int (*init_local)(unw_cursor_t *, unw_context_t *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*backtrace)(void **, int);
	void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
	unw_addr_space_t *local;
};
extern struct seep_unw seep_unw;

/* Is it there? Opens it if it can be opened in the middle of the allocation
 * whose stack this is, innermost pc first. */
bool seep_unw_ready(const uint64_t *pcs, uint32_t nr);

#endif
