/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - aarch64: system calls, the form of a rule
 *
 * Threads:  any.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    offsets in bytes in the functions, in words of 8 in the rule.
 * Errors:   seep_sys6() returns the kernel's: a negative errno value.
 */
#ifndef SEEP_PRELOAD_AARCH64_CPU_H
#define SEEP_PRELOAD_AARCH64_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define SEEP_ELF_MACHINE EM_AARCH64

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

/* ---- frames ------------------------------------------------------------ */

/* A return address without the signature that pointer authentication leaves in
 * it: XPACLRI, which does nothing on CPUs that do not sign. */
static inline uint64_t seep_plain_pc(uint64_t pc)
{
	register uint64_t x30 __asm__("x30") = pc;

	__asm__("hint 7" : "+r"(x30));
	return x30;
}

/* Where the return address lies by which a frame with this sp is reached. */
static inline uint64_t seep_ra_slot(uint64_t sp, int16_t ra_at)
{
	return sp + (uint64_t)(ra_at * 8);
}

/* ---- rules ------------------------------------------------------------- */

/* DWARF register numbers */
#define SEEP_REG_BP 29
#define SEEP_REG_SP 31
#define SEEP_REG_PC (-1) /* no expression may name it */

/* No CFA hangs on a register that functions keep for their callers: of 720,000
 * instructions of Debian's libraries 83 need another one than sp and x29, in
 * code that ends in a jump and calls nobody. */
#define SEEP_NR_KEPT 0

static inline int seep_kept_index(uint64_t reg)
{
	(void)reg;
	return -1;
}

/* Instructions are 4 bytes: a return address less one and the call before it
 * are the same key, and 48 bits of address fit. */
#define SEEP_RULE_KEY_BITS 46

static inline uint64_t seep_rule_key(uint64_t pc)
{
	return pc >> 2;
}

enum seep_rule_kind {
	SEEP_RULE_SP = 1,   /* CFA = sp + cfa */
	SEEP_RULE_BP,	    /* CFA = x29 + cfa */
	SEEP_RULE_SIGFRAME, /* registers lie in the ucontext at sp */
	SEEP_RULE_END,	    /* outermost frame */
	SEEP_RULE_NONE,
	SEEP_RULE_COMPLEX,
};

/*
 * From bit 0: kind 3, bp 3, ra 9, cfa 17 (words). Compilers save x29 and x30
 * side by side, either near the CFA or, below large variables, near the
 * register that the CFA is computed from. So `ra` has two ranges:
 *      0          still in x30
 *      1 to 255   at the CFA less that many words
 *    256 to 511   at sp or x29 plus so many words over 256
 * and `bp` is told from it: 0, still in x29; 1, 3, 5, 7: 1, 2, 3, 4 words below
 * the return address; 2, 4, 6: 1, 2, 3 words above it. With the return address
 * in x30 it is at the CFA less `bp` words. Never 0.
 */
typedef uint32_t seep_rule;

#define SEEP_RULE_RA_BASE 256

static inline enum seep_rule_kind seep_rule_kind(seep_rule r)
{
	return (enum seep_rule_kind)(r & 7);
}

static inline uint64_t seep_rule_cfa(seep_rule r)
{
	return (uint64_t)(r >> 15) * 8;
}

static inline bool seep_rule_has_ra(seep_rule r)
{
	return r >> 6 & 0x1ff;
}

/* Where the return address was saved. */
static inline uint64_t seep_rule_ra(seep_rule r, uint64_t base, uint64_t cfa)
{
	uint64_t ra = r >> 6 & 0x1ff;

	return ra < SEEP_RULE_RA_BASE ? cfa - ra * 8
				      : base + (ra - SEEP_RULE_RA_BASE) * 8;
}

static inline bool seep_rule_has_bp(seep_rule r)
{
	return r >> 3 & 7;
}

/* Where x29 was saved: `ra`, where the return address was, or the CFA. */
static inline uint64_t seep_rule_bp(seep_rule r, uint64_t ra)
{
	uint64_t bp = r >> 3 & 7;

	if (!seep_rule_has_ra(r))
		return ra - bp * 8;
	return bp & 1 ? ra - (bp + 1) / 2 * 8 : ra + bp / 2 * 8;
}

#endif
