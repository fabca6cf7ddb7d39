/* SPDX-License-Identifier: MIT */
/*
 * interrupted.h - where the code was that a signal interrupted
 *
 * Threads:  any.
 * Signals:  for handlers: async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    an address of this process.
 * Errors:   none.
 */
#ifndef SEEP_TESTS_INTERRUPTED_H
#define SEEP_TESTS_INTERRUPTED_H

#include <ucontext.h>

static inline unsigned long interrupted_pc(const void *context)
{
	const ucontext_t *uc = context;

#ifdef __aarch64__
	return uc->uc_mcontext.pc;
#else
	return (unsigned long)uc->uc_mcontext.gregs[REG_RIP];
#endif
}

#endif
