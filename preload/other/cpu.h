/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - a CPU without a folder of its own: by means of C and libc alone
 *
 * The build that captures with libunwind uses this on every CPU, so that what
 * is tested on one is what runs on another. There are no rules here.
 *
 * Threads:  any.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    none.
 * Errors:   seep_sys6() returns the kernel's: a negative errno value.
 */
#ifndef SEEP_PRELOAD_OTHER_CPU_H
#define SEEP_PRELOAD_OTHER_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* Images for another CPU than ours are not suited: see suit.c. */
#define SEEP_ELF_MACHINE (seep_own_machine())
uint16_t seep_own_machine(void);

/* Through libc's syscall(); errno stays what it was. */
long seep_sys6(long nr, long a, long b, long c, long d, long e, long f);

#endif
