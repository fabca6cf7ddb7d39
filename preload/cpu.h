/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - what differs from one processor to the next
 *
 * Each CPU has a folder: cpu.h has its system calls and the form of an unwind
 * rule; row.h packs unwind information into that form; caller.h says where a
 * walk begins; step.h takes the step. All of cfi.c and frames.c besides is the
 * same everywhere. A CPU without a folder captures with libunwind.
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    see there.
 * Errors:   none.
 */
#ifndef SEEP_PRELOAD_CPU_H
#define SEEP_PRELOAD_CPU_H

#if defined(SEEP_CAPTURE_LIBUNWIND)
#include "preload/other/cpu.h"
#elif defined(__x86_64__)
#include "preload/x86_64/cpu.h"
#elif defined(__aarch64__)
#include "preload/aarch64/cpu.h"
#else
#error "this CPU has no rules: configure --with-capture=libunwind"
#endif

#endif
