/* SPDX-License-Identifier: MIT */
/*
 * row.h - aarch64: what unwind information says at one pc, packed into a rule
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    any row.
 * Units:    bytes.
 * Errors:   SEEP_RULE_COMPLEX: the form cannot hold it.
 */
#ifndef SEEP_PRELOAD_AARCH64_ROW_H
#define SEEP_PRELOAD_AARCH64_ROW_H

/* The field for a return address at CFA + off; 0: it has none. */
static inline uint32_t seep_rule_pack_ra(int64_t off, int64_t cfa_off)
{
	int64_t above = cfa_off + off; /* from the base register */

	if (off & 7)
		return 0;
	if (off < 0 && off / 8 > -SEEP_RULE_RA_BASE)
		return (uint32_t)(-off / 8);
	if (above >= 0 && above / 8 < SEEP_RULE_RA_BASE)
		return SEEP_RULE_RA_BASE + (uint32_t)(above / 8);
	return 0;
}

/* The field for x29 saved so many words from the return address; 0: none. */
static inline uint32_t seep_rule_pack_bp(int64_t words)
{
	if (words < 0 && words >= -4)
		return (uint32_t)(-words * 2 - 1);
	if (words > 0 && words <= 3)
		return (uint32_t)(words * 2);
	return 0;
}

static inline seep_rule seep_rule_of_row(const struct seep_row *r, bool signal)
{
	uint32_t kind = r->cfa_reg == SEEP_REG_SP ? SEEP_RULE_SP : SEEP_RULE_BP;
	uint32_t ra = 0, bp = 0;

	if (signal)
		return SEEP_RULE_SIGFRAME;
	if (r->ra == SEEP_SAVED_UNDEFINED)
		return SEEP_RULE_END;
	if ((r->cfa_reg != SEEP_REG_SP && r->cfa_reg != SEEP_REG_BP) ||
	    r->cfa_deref || r->cfa_off < 0 || r->cfa_off & 7 ||
	    r->cfa_off / 8 >= 1 << 17)
		return SEEP_RULE_COMPLEX;
	if (r->ra == SEEP_SAVED_CFA)
		ra = seep_rule_pack_ra(r->ra_off, r->cfa_off);
	if (!ra && r->ra != SEEP_SAVED_NOT)
		return SEEP_RULE_COMPLEX;
	if (r->bp == SEEP_SAVED_CFA && r->bp_off < 0 && !(r->bp_off & 7)) {
		if (ra)
			bp = seep_rule_pack_bp((r->bp_off - r->ra_off) / 8);
		else if (r->bp_off >= -7 * 8)
			bp = (uint32_t)(-r->bp_off / 8);
	}
	if (!bp && r->bp != SEEP_SAVED_NOT && r->bp != SEEP_SAVED_UNDEFINED)
		return SEEP_RULE_COMPLEX;
	return kind | bp << 3 | ra << 6 | (uint32_t)(r->cfa_off / 8) << 15;
}

/* The rule at a return address in code without unwind information: none. Here
 * gcc's crt files have some. */
static inline seep_rule seep_rule_of_code(uint64_t pc)
{
	(void)pc;
	return SEEP_RULE_NONE;
}

#endif
