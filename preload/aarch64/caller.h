/* SPDX-License-Identifier: MIT */
/*
 * caller.h - aarch64: who called the hook that we are in
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    addresses of this process.
 * Errors:   none.
 */
#ifndef SEEP_PRELOAD_AARCH64_CALLER_H
#define SEEP_PRELOAD_AARCH64_CALLER_H

/*
 * What SEEP_FRAME points to, in the frame of the hook: the caller's x29, the
 * return address and the caller's sp, which is the hook's CFA. The record that
 * x29 points to may lie anywhere in a frame, so the CFA cannot be told from its
 * address alone.
 */
struct seep_caller {
	uint64_t bp, pc, sp;
	uint64_t in_hook; /* clang: `sp` is still to come, see below */
};

#define SEEP_FRAME seep_caller_get(&(struct seep_caller){0})

static inline __attribute__((always_inline)) void **seep_caller_get(
    struct seep_caller *c)
{
	void **record = __builtin_frame_address(0);

	c->bp = (uint64_t)(uintptr_t)record[0];
	c->pc = (uint64_t)(uintptr_t)__builtin_return_address(0);
#ifdef __clang__
	/* Its __builtin_dwarf_cfa() is the address of the record (seen with
	 * 14), so our own unwind information must say, once it is needed. */
	c->sp = (uint64_t)(uintptr_t)record;
	__asm__("adr %0, ." : "=r"(c->in_hook) : "r"(record));
#else
	c->sp = (uint64_t)(uintptr_t)__builtin_dwarf_cfa();
#endif
	return (void **)c;
}

static inline uint64_t seep_caller_pc(void **frame)
{
	return ((struct seep_caller *)frame)->pc;
}

static inline uint64_t seep_caller_bp(void **frame)
{
	return ((struct seep_caller *)frame)->bp;
}

static inline uint64_t seep_caller_sp(void **frame)
{
	const struct seep_caller *c = (struct seep_caller *)frame;

#ifdef __clang__
	/* Of a function with a frame record clang has the CFA by x29. */
	return c->sp + seep_rule_cfa(seep_cfi_rule(c->in_hook));
#else
	return c->sp;
#endif
}

#endif
