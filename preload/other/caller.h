/* SPDX-License-Identifier: MIT */
/*
 * caller.h - a CPU without a folder of its own: who called a hook
 *
 * Threads:  any.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    addresses of this process.
 * Errors:   none.
 */
#ifndef SEEP_PRELOAD_OTHER_CALLER_H
#define SEEP_PRELOAD_OTHER_CALLER_H

/* Where the hook is, in its own frame, and who called it. */
#define SEEP_FRAME                                                             \
	((void *[]){__builtin_frame_address(0),                                \
	    __builtin_extract_return_addr(__builtin_return_address(0))})

static inline uint64_t seep_caller_pc(void **frame)
{
	return (uint64_t)(uintptr_t)frame[1];
}

#endif
