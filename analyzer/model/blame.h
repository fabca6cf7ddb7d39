/* SPDX-License-Identifier: MIT */
/*
 * blame.h - which frame a person should look at, and what names a stack
 *
 * The blame frame is the innermost one that is not an allocator or a wrapper
 * around one: not malloc and its family, operator new, the C and C++ libraries,
 * nor the allocation functions that well-known programs put around malloc.
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   seep_function_normalise() and seep_frame_key() return texts that
 *           the caller frees.
 * Trust:    names may be anything; they are compared, never executed.
 * Units:    none.
 * Errors:   NULL when memory runs out.
 */
#ifndef SEEP_MODEL_BLAME_H
#define SEEP_MODEL_BLAME_H

#include "analyzer/model/model.h"

/* What a frame is to the person who looks for the cause. */
enum seep_role {
	SEEP_ROLE_CALLER = 1, /* can be blamed */
	SEEP_ROLE_WRAPPER,    /* its caller is the one to look at */
	SEEP_ROLE_ALLOCATOR,  /* malloc, operator new and their family */
	SEEP_ROLE_NONE,	      /* the end of a cut stack */
};

enum seep_role seep_frame_role(const struct seep_frame *f);

/* Index of the blame frame among frames of these roles, innermost first: the
 * first caller, else the first wrapper, else 0. */
size_t seep_blame(const enum seep_role *roles, size_t nr);

/* Index of the innermost frame that is not an allocator; nr when there is
 * none. Fingerprints begin there, so that they are the same under every
 * allocator. */
size_t seep_first_caller(const enum seep_role *roles, size_t nr);

/* True for a module of ours, which no report shows. */
bool seep_module_is_ours(const char *path);
/* The C library, and the loader that comes with it. */
bool seep_module_is_libc(const char *path);

/*
 * "void ns::Vec<int>::push(int const&) [clone .cold]" -> "ns::Vec::push": the
 * name without return type, template arguments, parameters and the compiler's
 * suffixes.
 */
char *seep_function_normalise(const char *name);

/* What a frame adds to fingerprint v1: the normalised function, else module
 * name and offset; "" for what adds nothing. */
char *seep_frame_key(const struct seep_frame *f);

#endif
