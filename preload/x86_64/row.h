/* SPDX-License-Identifier: MIT */
/*
 * row.h - x86-64: what unwind information says at one pc, packed into a rule
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    any row.
 * Units:    bytes.
 * Errors:   SEEP_RULE_COMPLEX: the form cannot hold it.
 */
#ifndef SEEP_PRELOAD_X86_64_ROW_H
#define SEEP_PRELOAD_X86_64_ROW_H

static inline seep_rule seep_rule_pack(
    enum seep_rule_kind kind, int64_t cfa, bool has_bp, int64_t bp)
{
	if (cfa & 7 || bp & 7 || cfa / 8 >= 1 << 16 || cfa / 8 < -(1 << 16) ||
	    bp / 8 >= 1 << 10 || bp / 8 < -(1 << 10))
		return SEEP_RULE_COMPLEX;
	return (uint32_t)kind | (has_bp ? 8u : 0) |
	       ((uint32_t)(bp / 8) & 0x7ff) << 4 | (uint32_t)(cfa / 8) << 15;
}

static inline seep_rule seep_rule_of_row(const struct seep_row *r, bool signal)
{
	if (signal)
		return SEEP_RULE_SIGFRAME;
	if (r->ra == SEEP_SAVED_UNDEFINED)
		return SEEP_RULE_END;
	if (r->ra != SEEP_SAVED_CFA || r->ra_off != -8)
		return SEEP_RULE_COMPLEX;
	if (r->cfa_deref) {
		if (r->cfa_reg != SEEP_REG_BP ||
		    (r->bp != SEEP_SAVED_BP && r->bp != SEEP_SAVED_NOT))
			return SEEP_RULE_COMPLEX;
		return seep_rule_pack(SEEP_RULE_DEREF, r->cfa_off,
		    r->bp == SEEP_SAVED_BP,
		    r->bp == SEEP_SAVED_BP ? r->bp_off : 0);
	}
	if ((r->cfa_reg != SEEP_REG_SP && r->cfa_reg != SEEP_REG_BP) ||
	    (r->bp != SEEP_SAVED_CFA && r->bp != SEEP_SAVED_NOT &&
		r->bp != SEEP_SAVED_UNDEFINED))
		return SEEP_RULE_COMPLEX;
	/* Not below the CFA: seep_frame.bp_at has no number for that, and it
	 * may be beyond the end of the stack. */
	if (r->bp == SEEP_SAVED_CFA && r->bp_off >= 0)
		return SEEP_RULE_COMPLEX;
	return seep_rule_pack(
	    r->cfa_reg == SEEP_REG_SP ? SEEP_RULE_RSP : SEEP_RULE_RBP,
	    r->cfa_off, r->bp == SEEP_SAVED_CFA,
	    r->bp == SEEP_SAVED_CFA ? r->bp_off : 0);
}

/*
 * The rule at a return address in code without unwind information. gcc's crt
 * files have one such function that calls others: __do_global_dtors_aux,
 * through which destructors run when an image is unloaded. What is left of it
 * after the call says where its frame is: call, movb $1, pop %rbp, ret.
 */
static inline seep_rule seep_rule_of_code(uint64_t pc)
{
	const uint8_t *code = (const uint8_t *)(uintptr_t)pc;

	if ((pc & 4095) > 4096 - 14) /* the next page may not be there */
		return SEEP_RULE_NONE;
	if (code[0] != 0xe8 || code[5] != 0xc6 || code[6] != 0x05 ||
	    code[11] != 1 || code[12] != 0x5d || code[13] != 0xc3)
		return SEEP_RULE_NONE;
	return seep_rule_pack(SEEP_RULE_RSP, 16, true, -16);
}

#endif
