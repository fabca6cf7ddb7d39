/* SPDX-License-Identifier: MIT */
/*
 * cfi.h - one step of unwinding as a constant: the rule of a pc
 *
 * For nearly every pc the unwind step is CFA = stack or frame pointer plus a
 * constant, the return address in a fixed place, the caller's frame pointer in
 * another or unchanged. Such a rule fits 32 bits. It is computed once per pc
 * from the .eh_frame of the module that holds it (DWARF 5 section 6.4 and the
 * LSB's .eh_frame_hdr) and then found in a table that all threads share.
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

#include "preload/cpu.h"

/* Maps the table; false without memory. */
bool seep_cfi_init(void);

/* The rule for code at pc. `pc` is the address to look up: a return address
 * less one, or an interrupted pc itself. */
seep_rule seep_cfi_rule_slow(uint64_t pc);

/* The row behind that rule, for what a rule cannot hold; false: none that is
 * understood. Interpreted anew at each call. *signal: a signal's frame. */
struct seep_row;
bool seep_cfi_row(uint64_t pc, struct seep_row *row, bool *signal);

/* Forgets every rule: code may lie elsewhere now. */
void seep_cfi_flush(void);

/* While positive no rule is kept: a module is being unloaded. */
extern _Atomic uint32_t seep_cfi_closing;

/*
 * The table: 2-way sets of 64-bit words {key >> 15 : 32, rule : 32}. With the
 * number of the set that is all of a key of 47 bits, so a hit is exact.
 */
#define SEEP_CFI_SETS_LOG 15
#define SEEP_CFI_SETS	  (1u << SEEP_CFI_SETS_LOG)
extern _Atomic uint64_t *seep_cfi_table;

_Static_assert(SEEP_RULE_KEY_BITS - SEEP_CFI_SETS_LOG <= 32, "tag");

static inline uint64_t seep_cfi_tag(uint64_t pc)
{
	return seep_rule_key(pc) >> SEEP_CFI_SETS_LOG;
}

static inline _Atomic uint64_t *seep_cfi_set(uint64_t pc)
{
	uint64_t key = seep_rule_key(pc);

	return seep_cfi_table +
	       ((key ^ key >> SEEP_CFI_SETS_LOG) & (SEEP_CFI_SETS - 1)) * 2;
}

static inline seep_rule seep_cfi_rule(uint64_t pc)
{
	_Atomic uint64_t *set = seep_cfi_set(pc);
	uint64_t tag = seep_cfi_tag(pc), w;

	w = atomic_load_explicit(&set[0], memory_order_relaxed);
	if (__builtin_expect(w >> 32 == tag && w, 1))
		return (seep_rule)w;
	w = atomic_load_explicit(&set[1], memory_order_relaxed);
	if (w >> 32 == tag && w)
		return (seep_rule)w;
	return seep_cfi_rule_slow(pc);
}

#endif
