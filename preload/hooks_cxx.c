/* SPDX-License-Identifier: MIT */
/*
 * hooks_cxx.c - operator new and delete, in all their forms
 *
 * libstdc++ and libc++ build them on malloc and free: then we only pass the
 * call on, and malloc records it. jemalloc, tcmalloc and mimalloc bring their
 * own, which never come near malloc: then the block is recorded here (D51).
 * Who it is shows in where the next definition lives.
 */
#include <malloc.h>
#include <stdlib.h>

#include "preload/hooks.h"

/* Nobody in this process defines operator new, yet somebody calls it. */
static void *plain_new(size_t bytes)
{
	return malloc(bytes ? bytes : 1);
}

static void *plain_new_aligned(size_t bytes, size_t align)
{
	return memalign(align, bytes ? bytes : 1);
}

#define NEW_LIKE(symbol, params, args, plain)                                  \
	SEEP_EXPORT void *symbol params;                                       \
	SEEP_EXPORT void *symbol params                                        \
	{                                                                      \
		static struct seep_later l = {#symbol, NULL, 0};               \
		int64_t mark = seep_sample.left;                               \
		void *fn, *p;                                                  \
                                                                               \
		if (!seep_later_get(&l, &fn))                                  \
			return fn ? ((void *(*)params)fn)args : plain;         \
		p = ((void *(*)params)fn)args;                                 \
		if (p)                                                         \
			seep_record_alloc_once(p, bytes, SEEP_FRAME, mark);    \
		return p;                                                      \
	}

#define DELETE_LIKE(symbol, params, args)                                      \
	SEEP_EXPORT void symbol params;                                        \
	SEEP_EXPORT void symbol params                                         \
	{                                                                      \
		static struct seep_later l = {#symbol, NULL, 0};               \
		void *fn;                                                      \
                                                                               \
		if (!seep_later_get(&l, &fn)) {                                \
			if (fn)                                                \
				((void(*) params)fn) args;                     \
			else                                                   \
				free(p);                                       \
			return;                                                \
		}                                                              \
		if (p)                                                         \
			seep_record_free(p, SEEP_FRAME);                       \
		((void(*) params)fn) args;                                     \
	}

/* new, new[]; nothrow; aligned; both. nothrow_t is passed by address. */
NEW_LIKE(_Znwm, (size_t bytes), (bytes), plain_new(bytes))
NEW_LIKE(_Znam, (size_t bytes), (bytes), plain_new(bytes))
NEW_LIKE(_ZnwmRKSt9nothrow_t, (size_t bytes, const void *nothrow),
    (bytes, nothrow), plain_new(bytes))
NEW_LIKE(_ZnamRKSt9nothrow_t, (size_t bytes, const void *nothrow),
    (bytes, nothrow), plain_new(bytes))
NEW_LIKE(_ZnwmSt11align_val_t, (size_t bytes, size_t align), (bytes, align),
    plain_new_aligned(bytes, align))
NEW_LIKE(_ZnamSt11align_val_t, (size_t bytes, size_t align), (bytes, align),
    plain_new_aligned(bytes, align))
NEW_LIKE(_ZnwmSt11align_val_tRKSt9nothrow_t,
    (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow),
    plain_new_aligned(bytes, align))
NEW_LIKE(_ZnamSt11align_val_tRKSt9nothrow_t,
    (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow),
    plain_new_aligned(bytes, align))

/* tcmalloc's names for the same */
NEW_LIKE(tc_new, (size_t bytes), (bytes), plain_new(bytes))
NEW_LIKE(tc_newarray, (size_t bytes), (bytes), plain_new(bytes))
NEW_LIKE(tc_new_nothrow, (size_t bytes, const void *nothrow), (bytes, nothrow),
    plain_new(bytes))
NEW_LIKE(tc_newarray_nothrow, (size_t bytes, const void *nothrow),
    (bytes, nothrow), plain_new(bytes))
NEW_LIKE(tc_new_aligned, (size_t bytes, size_t align), (bytes, align),
    plain_new_aligned(bytes, align))
NEW_LIKE(tc_newarray_aligned, (size_t bytes, size_t align), (bytes, align),
    plain_new_aligned(bytes, align))
NEW_LIKE(tc_new_aligned_nothrow,
    (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow),
    plain_new_aligned(bytes, align))
NEW_LIKE(tc_newarray_aligned_nothrow,
    (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow),
    plain_new_aligned(bytes, align))

/* delete, delete[]; nothrow; sized; aligned; combinations */
DELETE_LIKE(_ZdlPv, (void *p), (p))
DELETE_LIKE(_ZdaPv, (void *p), (p))
DELETE_LIKE(_ZdlPvRKSt9nothrow_t, (void *p, const void *nothrow), (p, nothrow))
DELETE_LIKE(_ZdaPvRKSt9nothrow_t, (void *p, const void *nothrow), (p, nothrow))
DELETE_LIKE(_ZdlPvm, (void *p, size_t bytes), (p, bytes))
DELETE_LIKE(_ZdaPvm, (void *p, size_t bytes), (p, bytes))
DELETE_LIKE(_ZdlPvSt11align_val_t, (void *p, size_t align), (p, align))
DELETE_LIKE(_ZdaPvSt11align_val_t, (void *p, size_t align), (p, align))
DELETE_LIKE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
    (void *p, size_t align, const void *nothrow), (p, align, nothrow))
DELETE_LIKE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
    (void *p, size_t align, const void *nothrow), (p, align, nothrow))
DELETE_LIKE(_ZdlPvmSt11align_val_t, (void *p, size_t bytes, size_t align),
    (p, bytes, align))
DELETE_LIKE(_ZdaPvmSt11align_val_t, (void *p, size_t bytes, size_t align),
    (p, bytes, align))

DELETE_LIKE(tc_delete, (void *p), (p))
DELETE_LIKE(tc_deletearray, (void *p), (p))
DELETE_LIKE(tc_delete_nothrow, (void *p, const void *nothrow), (p, nothrow))
DELETE_LIKE(
    tc_deletearray_nothrow, (void *p, const void *nothrow), (p, nothrow))
DELETE_LIKE(tc_delete_sized, (void *p, size_t bytes), (p, bytes))
DELETE_LIKE(tc_deletearray_sized, (void *p, size_t bytes), (p, bytes))
DELETE_LIKE(tc_delete_aligned, (void *p, size_t align), (p, align))
DELETE_LIKE(tc_deletearray_aligned, (void *p, size_t align), (p, align))
DELETE_LIKE(tc_delete_aligned_nothrow,
    (void *p, size_t align, const void *nothrow), (p, align, nothrow))
DELETE_LIKE(tc_deletearray_aligned_nothrow,
    (void *p, size_t align, const void *nothrow), (p, align, nothrow))
DELETE_LIKE(tc_delete_sized_aligned, (void *p, size_t bytes, size_t align),
    (p, bytes, align))
DELETE_LIKE(tc_deletearray_sized_aligned, (void *p, size_t bytes, size_t align),
    (p, bytes, align))
