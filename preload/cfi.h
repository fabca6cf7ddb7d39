/* SPDX-License-Identifier: MIT */
/*
 * cfi.h - one step of unwinding as a constant: the rule of a pc (x86-64)
 *
 * For nearly every pc the unwind step is CFA = rsp or rbp plus a constant, the
 * return address right below the CFA, the caller's rbp in a fixed place or
 * unchanged. Such a rule fits 32 bits. It is computed once per pc from the
 * .eh_frame of the module that holds it (DWARF 5 section 6.4 and the LSB's
 * .eh_frame_hdr) and then found in a table that all threads share.
 *
 * Threads:  any number at once; a table entry is one atomic word.
 * Signals:  async-signal-safe; nests.
 * Memory:   one table of 512 KiB of private memory, touched as needed.
 * Trust:    reads only what the loader mapped: .eh_frame of loaded modules.
 * Units:    offsets in bytes in the functions, in words of 8 in the rule.
 * Errors:   kinds SEEP_RULE_NONE (no unwind information) and
 *           SEEP_RULE_COMPLEX (information that the form cannot hold).
 */
#ifndef SEEP_PRELOAD_CFI_H
#define SEEP_PRELOAD_CFI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

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

/* Maps the table; false without memory. */
bool seep_cfi_init(void);

/* The rule for code at pc. `pc` is the address to look up: a return address
 * less one, or an interrupted pc itself. */
seep_rule seep_cfi_rule_slow(uint64_t pc);

/* Forgets every rule: code may lie elsewhere now. */
void seep_cfi_flush(void);

/* While positive no rule is kept: a module is being unloaded. */
extern _Atomic uint32_t seep_cfi_closing;

/*
 * The table: 2-way sets of 64-bit words {pc >> 15 : 32, rule : 32}. With the
 * set number that is all of a 47-bit pc, so a hit is exact.
 */
#define SEEP_CFI_SETS 32768u
extern _Atomic uint64_t *seep_cfi_table;

static inline seep_rule seep_cfi_rule(uint64_t pc)
{
	_Atomic uint64_t *set =
	    seep_cfi_table + ((pc ^ pc >> 15) & (SEEP_CFI_SETS - 1)) * 2;
	uint64_t tag = pc >> 15, w;

	w = atomic_load_explicit(&set[0], memory_order_relaxed);
	if (__builtin_expect(w >> 32 == tag && w, 1))
		return (seep_rule)w;
	w = atomic_load_explicit(&set[1], memory_order_relaxed);
	if (w >> 32 == tag && w)
		return (seep_rule)w;
	return seep_cfi_rule_slow(pc);
}

#endif
