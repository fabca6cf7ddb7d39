/* SPDX-License-Identifier: MIT */
/*
 * row.h - what unwind information says at one pc, packed into a rule
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    any row: what the rule cannot hold is SEEP_RULE_COMPLEX.
 * Units:    bytes.
 * Errors:   none.
 */
#ifndef SEEP_PRELOAD_ROW_H
#define SEEP_PRELOAD_ROW_H

#include "preload/cpu.h"

/* Where the caller's value of a register is. */
enum seep_saved {
	SEEP_SAVED_NOT, /* still in the register */
	SEEP_SAVED_CFA, /* at the CFA plus an offset */
	SEEP_SAVED_BP,	/* at the frame pointer plus an offset */
	SEEP_SAVED_UNDEFINED,
	SEEP_SAVED_OTHER,
};

/* The same for a register that functions keep for their callers, apart from the
 * frame pointer; needed only where a CFA hangs on it. */
struct seep_kept {
	enum seep_saved where;
	int32_t off;
};

struct seep_row {
	int cfa_reg; /* SEEP_REG_SP, SEEP_REG_BP, another; -1: expression */
	int64_t cfa_off;
	bool cfa_deref; /* of an expression: CFA = *(reg + off) */
	enum seep_saved bp, ra;
	int64_t bp_off, ra_off;
	struct seep_kept kept[SEEP_NR_KEPT];
};

#if defined(__x86_64__)
#include "preload/x86_64/row.h"
#elif defined(__aarch64__)
#include "preload/aarch64/row.h"
#endif

#endif
