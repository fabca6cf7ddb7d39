/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - the malloc family
 *
 * Each entry point calls the next allocator's of the same name and records the
 * block once. Where one entry point of that allocator comes back through
 * another of ours, both record, and record.c takes the inner record back.
 */
#include <errno.h>
#include <string.h>

#include "preload/hooks.h"

SEEP_EXPORT void *malloc(size_t bytes)
{
	void *p = seep_real.malloc(bytes);

	if (__builtin_expect(p != NULL, 1))
		seep_record_alloc(p, bytes, SEEP_FRAME);
	return p;
}

SEEP_EXPORT void free(void *p)
{
	if (p)
		seep_record_free(p, SEEP_FRAME);
	seep_real.free(p);
}

SEEP_EXPORT void *calloc(size_t nr, size_t bytes)
{
	void *p = seep_real.calloc(nr, bytes);

	if (p)
		seep_record_alloc(p, nr * bytes, SEEP_FRAME);
	return p;
}

static inline void *do_realloc(
    void *(*real)(void *, size_t), void *p, size_t bytes, void **frame)
{
	struct seep_realloc r;
	void *q;

	if (!p) {
		q = real(NULL, bytes);
		if (q)
			seep_record_alloc(q, bytes, frame);
		return q;
	}
	seep_record_realloc_begin(&r, p, frame);
	q = real(p, bytes);
	if (q)
		seep_record_alloc(q, bytes, frame);
	else if (bytes) /* with 0 bytes NULL says that p was freed */
		seep_record_realloc_undo(&r, frame);
	return q;
}

SEEP_EXPORT void *realloc(void *p, size_t bytes)
{
	return do_realloc(seep_real.realloc, p, bytes, SEEP_FRAME);
}

SEEP_EXPORT void *reallocarray(void *p, size_t nr, size_t bytes)
{
	size_t all;

	if (__builtin_mul_overflow(nr, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return do_realloc(seep_real.realloc, p, all, SEEP_FRAME);
}

SEEP_EXPORT void *memalign(size_t align, size_t bytes)
{
	int64_t mark = seep_sample.left;
	void *p = seep_real.memalign(align, bytes);

	if (p)
		seep_record_alloc_once(p, bytes, SEEP_FRAME, mark);
	return p;
}

SEEP_EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
	int64_t mark = seep_sample.left;
	void *p = seep_real.aligned_alloc(align, bytes);

	if (p)
		seep_record_alloc_once(p, bytes, SEEP_FRAME, mark);
	return p;
}

SEEP_EXPORT int posix_memalign(void **ret, size_t align, size_t bytes)
{
	int64_t mark = seep_sample.left;
	int err = seep_real.posix_memalign(ret, align, bytes);

	if (!err && *ret)
		seep_record_alloc_once(*ret, bytes, SEEP_FRAME, mark);
	return err;
}

SEEP_EXPORT void *valloc(size_t bytes)
{
	int64_t mark = seep_sample.left;
	void *p = seep_real.valloc(bytes);

	if (p)
		seep_record_alloc_once(p, bytes, SEEP_FRAME, mark);
	return p;
}

SEEP_EXPORT void *pvalloc(size_t bytes)
{
	int64_t mark = seep_sample.left;
	void *p = seep_real.pvalloc(bytes);

	if (p)
		seep_record_alloc_once(p, bytes, SEEP_FRAME, mark);
	return p;
}

/* ---- other names for free ---------------------------------------------- */

#define FREE_LIKE(name, params, args)                                          \
	SEEP_EXPORT void name params;                                          \
	SEEP_EXPORT void name params                                           \
	{                                                                      \
		static struct seep_later l = {#name, NULL, 0};                 \
		void *fn;                                                      \
                                                                               \
		seep_later_get(&l, &fn);                                       \
		if (p)                                                         \
			seep_record_free(p, SEEP_FRAME);                       \
		if (fn)                                                        \
			((void(*) params)fn) args;                             \
		else                                                           \
			seep_real.free(p);                                     \
	}

FREE_LIKE(cfree, (void *p), (p))
FREE_LIKE(free_sized, (void *p, size_t bytes), (p, bytes))
FREE_LIKE(free_aligned_sized, (void *p, size_t align, size_t bytes),
    (p, align, bytes))
FREE_LIKE(__libc_free, (void *p), (p))
FREE_LIKE(__libc_cfree, (void *p), (p))
FREE_LIKE(tc_free, (void *p), (p))
FREE_LIKE(tc_cfree, (void *p), (p))
FREE_LIKE(tc_free_sized, (void *p, size_t bytes), (p, bytes))
FREE_LIKE(dallocx, (void *p, int flags), (p, flags))
FREE_LIKE(sdallocx, (void *p, size_t bytes, int flags), (p, bytes, flags))

/* ---- other names for the rest ------------------------------------------ */

/* `other`: the next allocator's plain entry point, where nobody has this. */
#define ALLOC_LIKE(name, params, args, size, other)                            \
	SEEP_EXPORT void *name params;                                         \
	SEEP_EXPORT void *name params                                          \
	{                                                                      \
		static struct seep_later l = {#name, NULL, 0};                 \
		int64_t mark = seep_sample.left;                               \
		void *fn, *p;                                                  \
                                                                               \
		seep_later_get(&l, &fn);                                       \
		p = fn ? ((void *(*)params)fn)args : other;                    \
		if (p)                                                         \
			seep_record_alloc_once(p, size, SEEP_FRAME, mark);     \
		return p;                                                      \
	}

#define REALLOC_LIKE(name)                                                     \
	SEEP_EXPORT void *name(void *p, size_t bytes);                         \
	SEEP_EXPORT void *name(void *p, size_t bytes)                          \
	{                                                                      \
		static struct seep_later l = {#name, NULL, 0};                 \
		void *fn;                                                      \
                                                                               \
		seep_later_get(&l, &fn);                                       \
		return do_realloc(                                             \
		    fn ? (void *(*)(void *, size_t))fn : seep_real.realloc, p, \
		    bytes, SEEP_FRAME);                                        \
	}

ALLOC_LIKE(
    __libc_malloc, (size_t bytes), (bytes), bytes, seep_real.malloc(bytes))
ALLOC_LIKE(__libc_calloc, (size_t nr, size_t bytes), (nr, bytes), nr *bytes,
    seep_real.calloc(nr, bytes))
ALLOC_LIKE(__libc_memalign, (size_t align, size_t bytes), (align, bytes), bytes,
    seep_real.memalign(align, bytes))
ALLOC_LIKE(
    __libc_valloc, (size_t bytes), (bytes), bytes, seep_real.valloc(bytes))
ALLOC_LIKE(
    __libc_pvalloc, (size_t bytes), (bytes), bytes, seep_real.pvalloc(bytes))
REALLOC_LIKE(__libc_realloc)

ALLOC_LIKE(tc_malloc, (size_t bytes), (bytes), bytes, seep_real.malloc(bytes))
ALLOC_LIKE(tc_malloc_skip_new_handler, (size_t bytes), (bytes), bytes,
    seep_real.malloc(bytes))
ALLOC_LIKE(tc_calloc, (size_t nr, size_t bytes), (nr, bytes), nr *bytes,
    seep_real.calloc(nr, bytes))
ALLOC_LIKE(tc_memalign, (size_t align, size_t bytes), (align, bytes), bytes,
    seep_real.memalign(align, bytes))
ALLOC_LIKE(tc_valloc, (size_t bytes), (bytes), bytes, seep_real.valloc(bytes))
ALLOC_LIKE(tc_pvalloc, (size_t bytes), (bytes), bytes, seep_real.pvalloc(bytes))
REALLOC_LIKE(tc_realloc)

/*
 * jemalloc's own interface. Programs look for it by weak references, which find
 * ours: where there is no jemalloc it must work all the same, on what there is.
 */
#define MALLOCX_ALIGN(flags) ((size_t)1 << ((flags)&63))
#define MALLOCX_ZERO	     0x40

static void *plain_mallocx(size_t bytes, int flags)
{
	bool zero = flags & MALLOCX_ZERO;
	void *p;

	if (MALLOCX_ALIGN(flags) <= 16)
		return zero ? seep_real.calloc(1, bytes)
			    : seep_real.malloc(bytes);
	p = seep_real.memalign(MALLOCX_ALIGN(flags), bytes);
	return p && zero ? memset(p, 0, bytes) : p;
}

ALLOC_LIKE(mallocx, (size_t bytes, int flags), (bytes, flags), bytes,
    plain_mallocx(bytes, flags))

#define POSIX_MEMALIGN_LIKE(name)                                              \
	SEEP_EXPORT int name(void **ret, size_t align, size_t bytes);          \
	SEEP_EXPORT int name(void **ret, size_t align, size_t bytes)           \
	{                                                                      \
		static struct seep_later l = {#name, NULL, 0};                 \
		int64_t mark = seep_sample.left;                               \
		void *fn;                                                      \
		int err;                                                       \
                                                                               \
		seep_later_get(&l, &fn);                                       \
		err = fn ? ((int (*)(void **, size_t, size_t))fn)(             \
			       ret, align, bytes)                              \
			 : seep_real.posix_memalign(ret, align, bytes);        \
		if (!err && *ret)                                              \
			seep_record_alloc_once(*ret, bytes, SEEP_FRAME, mark); \
		return err;                                                    \
	}

POSIX_MEMALIGN_LIKE(tc_posix_memalign)
POSIX_MEMALIGN_LIKE(__posix_memalign)

SEEP_EXPORT void *rallocx(void *p, size_t bytes, int flags);
SEEP_EXPORT void *rallocx(void *p, size_t bytes, int flags)
{
	static struct seep_later l = {"rallocx", NULL, 0};
	struct seep_realloc r;
	void *fn, *q;

	seep_later_get(&l, &fn);
	if (!fn)
		return do_realloc(seep_real.realloc, p, bytes, SEEP_FRAME);
	seep_record_realloc_begin(&r, p, SEEP_FRAME);
	q = ((void *(*)(void *, size_t, int))fn)(p, bytes, flags);
	if (q)
		seep_record_alloc(q, bytes, SEEP_FRAME);
	else
		seep_record_realloc_undo(&r, SEEP_FRAME);
	return q;
}

/* Resizes in place, if it can: returns the real size afterwards. */
SEEP_EXPORT size_t xallocx(void *p, size_t bytes, size_t extra, int flags);
SEEP_EXPORT size_t xallocx(void *p, size_t bytes, size_t extra, int flags)
{
	static struct seep_later l = {"xallocx", NULL, 0};
	struct seep_realloc r;
	size_t size;
	void *fn;

	seep_later_get(&l, &fn);
	seep_record_realloc_begin(&r, p, SEEP_FRAME);
	if (!fn) { /* the block cannot change: it is as large as it was */
		seep_record_realloc_undo(&r, SEEP_FRAME);
		return r.old.place ? r.old.size_bytes : 0;
	}
	size = ((size_t(*)(void *, size_t, size_t, int))fn)(
	    p, bytes, extra, flags);
	if (size >= bytes)
		seep_record_alloc(
		    p, size - bytes > extra ? bytes + extra : size, SEEP_FRAME);
	else
		seep_record_realloc_undo(&r, SEEP_FRAME);
	return size;
}
