/* SPDX-License-Identifier: MIT */
/*
 * caller.h - x86-64: who called the hook that we are in
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    addresses of this process.
 * Errors:   none.
 */
#ifndef SEEP_PRELOAD_X86_64_CALLER_H
#define SEEP_PRELOAD_X86_64_CALLER_H

/* Our caller's frame is found through this one, so it must be a real frame:
 * the caller's rbp, the return address, and above them its own stack. */
#define SEEP_FRAME ((void **)__builtin_frame_address(0))

static inline uint64_t seep_caller_pc(void **frame)
{
	return (uint64_t)(uintptr_t)frame[1];
}

static inline uint64_t seep_caller_sp(void **frame)
{
	return (uint64_t)(uintptr_t)(frame + 2);
}

static inline uint64_t seep_caller_bp(void **frame)
{
	return (uint64_t)(uintptr_t)frame[0];
}

#endif
