/* SPDX-License-Identifier: MIT */
/*
 * cleanup.h - scope guards: a destructor that runs when a variable goes away
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   _cleanup_(f) calls f(&variable) at the end of the scope.
 * Trust:    none.
 * Units:    none.
 * Errors:   none.
 */
#ifndef SEEP_BASE_CLEANUP_H
#define SEEP_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Take the pointer out of a guarded variable: the guard then frees nothing. */
#define no_cleanup_ptr(p)                                                      \
	({                                                                     \
		__typeof__(p) taken_ = (p);                                    \
		(p) = NULL;                                                    \
		taken_;                                                        \
	})

/* f##p(T *) for _cleanup_, from a destructor that accepts NULL. */
#define SEEP_DEFINE_CLEANUP(type, f)                                           \
	static inline void f##p(type *p)                                       \
	{                                                                      \
		f(*p);                                                         \
	}

static inline void seep_freep(void *p)
{
	free(*(void **)p);
}

static inline void seep_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void seep_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
