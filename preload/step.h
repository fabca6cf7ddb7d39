/* SPDX-License-Identifier: MIT */
/*
 * step.h - from one frame to the next one out
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    unwind information may be wrong: nothing below the frame and
 *           nothing beyond `end`, or far away where that is unknown, is read.
 * Units:    addresses of this process.
 * Errors:   SEEP_STEP_CUT: the stack goes on, but no rule says where.
 */
#ifndef SEEP_PRELOAD_STEP_H
#define SEEP_PRELOAD_STEP_H

#include "preload/cfi.h"
#include "preload/frames.h"

#define SEEP_STEP_MAX (1ull << 24) /* where no end of the stack is known */

enum seep_step { SEEP_STEP_ON, SEEP_STEP_END, SEEP_STEP_CUT };

/*
 * A CPU's step.h defines seep_step(), from *s outwards to *next: its pc, sp,
 * bp, bp_at, ra_at and flags. Where that read memory and found the end, *next
 * is a frame with pc 0 to find it by again; else next->sp is 0. `end`: nothing
 * is read at or above it; 0: unknown.
 */
#if defined(__x86_64__)
#include "preload/x86_64/step.h"
#elif defined(__aarch64__)
#include "preload/aarch64/step.h"
#endif

#endif
