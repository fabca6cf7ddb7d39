/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - x86-64: system calls, the form of a rule
 *
 * Threads:  any.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    none.
 * Units:    offsets in bytes in the functions, in words of 8 in the rule.
 * Errors:   seep_sys6() returns the kernel's: a negative errno value.
 */
#ifndef SEEP_PRELOAD_X86_64_CPU_H
#define SEEP_PRELOAD_X86_64_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define SEEP_ELF_MACHINE EM_X86_64

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

/* ---- frames ------------------------------------------------------------ */

/* Return addresses are as they are: there is no signature in them. */
static inline uint64_t seep_plain_pc(uint64_t pc)
{
	return pc;
}

/* Where the return address lies by which a frame with this sp is reached. */
static inline uint64_t seep_ra_slot(uint64_t sp, int16_t ra_at)
{
	(void)ra_at;
	return sp - 8;
}

/* ---- rules ------------------------------------------------------------- */

/* DWARF register numbers */
#define SEEP_REG_BP 6
#define SEEP_REG_SP 7
#define SEEP_REG_PC 16 /* in expressions: the address itself */

/* The registers that a function keeps for its caller, besides rsp and rbp: rbx,
 * r12 to r15. The place of one among them, or -1. */
#define SEEP_NR_KEPT 5

static inline int seep_kept_index(uint64_t reg)
{
	return reg == 3 ? 0 : reg >= 12 && reg <= 15 ? (int)reg - 11 : -1;
}

/* The table of rules: 2-way sets of 64-bit words {tag : 32, rule : 32}. With
 * the number of the set the tag is all of a 47-bit pc, so a hit is exact. */
#define SEEP_RULE_KEY_BITS 47

static inline uint64_t seep_rule_key(uint64_t pc)
{
	return pc;
}

enum seep_rule_kind {
	SEEP_RULE_RSP = 1,  /* CFA = rsp + cfa */
	SEEP_RULE_RBP,	    /* CFA = rbp + cfa */
	SEEP_RULE_DEREF,    /* CFA = *(rbp + cfa); caller's rbp = *(rbp + bp) */
	SEEP_RULE_SIGFRAME, /* registers lie in the ucontext at rsp */
	SEEP_RULE_END,	    /* outermost frame */
	SEEP_RULE_NONE,
	SEEP_RULE_COMPLEX,
};

/* From bit 0: kind 3, "rbp was saved" 1, bp 11 (signed words from the CFA),
 * cfa 17 (signed words). Never 0. */
typedef uint32_t seep_rule;

static inline enum seep_rule_kind seep_rule_kind(seep_rule r)
{
	return (enum seep_rule_kind)(r & 7);
}

static inline bool seep_rule_has_bp(seep_rule r)
{
	return r >> 3 & 1;
}

static inline int64_t seep_rule_bp(seep_rule r)
{
	return (int64_t)((int32_t)(r << 17) >> 21) * 8;
}

static inline int64_t seep_rule_cfa(seep_rule r)
{
	return (int64_t)((int32_t)r >> 15) * 8;
}

#endif
