/* SPDX-License-Identifier: MIT */
/*
 * sys.h - the kernel, straight: the only way the shim makes system calls
 *
 * Threads:  any.
 * Signals:  async-signal-safe: no libc wrapper, so errno is never touched and
 *           no cancellation point is entered.
 * Memory:   seep_sys_grab() maps zeroed private memory; nothing is allocated.
 * Trust:    none.
 * Units:    bytes.
 * Errors:   the kernel's own: a negative errno value.
 */
#ifndef SEEP_PRELOAD_SYS_H
#define SEEP_PRELOAD_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "preload/cpu.h"

#define seep_sys_(nr, a, b, c, d, e, f, ...)                                   \
	seep_sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e),   \
	    (long)(f))
/* seep_sys(SYS_x, up to six arguments) */
#define seep_sys(nr, ...) seep_sys_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* Zeroed private memory, whole pages; NULL when there is none. */
void *seep_sys_grab(size_t bytes);
void seep_sys_release(void *p, size_t bytes);

/* Reads a whole small file; the length, or -1. */
long seep_sys_read_file(const char *path, char *buf, size_t size);

/* The decimal text of v in buf (at least 21 bytes); returns its end. */
char *seep_sys_decimal(char *buf, uint64_t v);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t seep_sys_now_ns(void);

/* From now on by the kernel's function in the vDSO, clock_gettime() for libc;
 * NULL: by a system call. */
void seep_sys_set_clock(void *fn);

/* A line on descriptor 2, only with SEEP_DEBUG=1 in the environment. */
void seep_sys_debug(const char *text, long value);
extern bool seep_sys_debugging;

#endif
