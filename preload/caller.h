/* SPDX-License-Identifier: MIT */
/*
 * caller.h - who called the hook that we are in
 *
 * SEEP_FRAME, in a hook, is a handle for it, and an address in the frame of the
 * hook. seep_caller_pc(), seep_caller_sp() and seep_caller_bp() say of such a
 * handle where the call returns to, and what the stack and the frame pointer
 * are there.
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   a handle holds while its hook runs.
 * Trust:    none.
 * Units:    addresses of this process.
 * Errors:   none.
 */
#ifndef SEEP_PRELOAD_CALLER_H
#define SEEP_PRELOAD_CALLER_H

#if defined(SEEP_CAPTURE_LIBUNWIND)
#include "preload/cpu.h"
#include "preload/other/caller.h"
#elif defined(__x86_64__)
#include "preload/cfi.h"
#include "preload/x86_64/caller.h"
#elif defined(__aarch64__)
#include "preload/cfi.h"
#include "preload/aarch64/caller.h"
#endif

#endif
