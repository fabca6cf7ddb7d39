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

#if defined(__x86_64__)
static inline long seep_sys6(
    long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile(
	    "syscall"
	    : "=a"(ret)
	    : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	    : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long seep_sys6(
    long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#error "no system call sequence for this CPU"
#endif

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

/* A line on descriptor 2, only with SEEP_DEBUG=1 in the environment. */
void seep_sys_debug(const char *text, long value);
extern bool seep_sys_debugging;

#endif
