/* SPDX-License-Identifier: MIT */
/*
 * real.h - the next allocator's entry points, in link order
 *
 * They are found by reading the loader's list of images and their symbol
 * tables, not with dlsym(): dlsym() allocates when it fails, takes the loader's
 * lock, and changes what the program's next dlerror() says. So there is no
 * bootstrap arena and no block of ours that the program could free (D13, D14,
 * D15, D17 cannot happen).
 *
 * Threads:  seep_real_resolve() may run in several threads at once: all find
 *           the same.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    the loader's tables.
 * Units:    none.
 * Errors:   an entry point that nobody defines stays NULL, see hooks.c.
 */
#ifndef SEEP_PRELOAD_REAL_H
#define SEEP_PRELOAD_REAL_H

#include <stdbool.h>
#include <stddef.h>

struct seep_real {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
	void *(*memalign)(size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*valloc)(size_t);
	void *(*pvalloc)(size_t);
};

/* Until they are resolved these point to functions that resolve first. */
extern struct seep_real seep_real __attribute__((visibility("hidden")));

void seep_real_resolve(void);

/* Is the next malloc the C library's own? */
bool seep_real_is_glibc(void);

/* The next definition of any symbol after this library; NULL: none. */
void *seep_real_next(const char *name);

/* Do the next definitions of these two come from the same image? */
bool seep_real_same_image(const void *a, const void *b);

#endif
