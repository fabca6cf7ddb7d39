/* SPDX-License-Identifier: MIT */
/*
 * registers.h - x86-64: steps that take more than a rule
 *
 * Nearly every frame has its CFA at a short distance from rsp or rbp. Here are
 * the others: very large frames, and those whose CFA hangs on another register,
 * as in the loader's lazy binding (rbx) and some assembler. The value of such a
 * register at a frame far out is found by unwinding all registers from here, by
 * interpreting the unwind information of each frame: about 1 us each.
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   the stack.
 * Trust:    as preload/step.h.
 * Units:    addresses of this process.
 * Errors:   SEEP_STEP_CUT.
 */
#ifndef SEEP_PRELOAD_X86_64_REGISTERS_H
#define SEEP_PRELOAD_X86_64_REGISTERS_H

#include "preload/row.h"

struct seep_registers {
	uint64_t kept[SEEP_NR_KEPT], sp, bp, pc;
	uint32_t lost; /* a bit for each of kept[] that nothing is known of */
	bool exact;
};

/* The value of a row's register at the frame that r is of. */
static inline bool seep_register_value(
    const struct seep_registers *r, int reg, uint64_t *ret)
{
	int kept = reg < 0 ? -1 : seep_kept_index((uint64_t)reg);

	if (kept < 0 ? reg != SEEP_REG_SP && reg != SEEP_REG_BP
		     : r->lost >> kept & 1)
		return false;
	*ret = kept >= 0 ? r->kept[kept] : reg == SEEP_REG_SP ? r->sp : r->bp;
	return true;
}

/* What a row says of a register that has the value *now in r's frame. */
static inline bool seep_register_outwards(const struct seep_registers *r,
    uint64_t cfa, uint64_t limit, enum seep_saved where, int64_t off,
    uint64_t *now)
{
	uint64_t at = (where == SEEP_SAVED_BP ? r->bp : cfa) + (uint64_t)off;

	if (where == SEEP_SAVED_NOT)
		return true;
	if ((where != SEEP_SAVED_CFA && where != SEEP_SAVED_BP) ||
	    at < r->sp - SEEP_RED_ZONE || at >= limit)
		return false;
	*now = seep_stack_load(at);
	return true;
}

/* One frame outwards, with all registers; nothing at or above limit is read. */
static __attribute__((noinline)) bool seep_registers_step(
    struct seep_registers *r, uint64_t limit)
{
	struct seep_registers out = *r;
	struct seep_row row;
	uint64_t cfa;
	bool signal;

	if (!seep_cfi_row(r->pc - !r->exact, &row, &signal))
		return false;
	out.exact = signal;
	if (signal) {
		/* gregs[] of the kernel's struct ucontext, from 40 on */
		for (uint64_t i = 0; i < 4; i++)
			out.kept[1 + i] = seep_stack_load(r->sp + 72 + i * 8);
		out.kept[0] = seep_stack_load(r->sp + 128);
		out.bp = seep_stack_load(r->sp + 120);
		out.sp = seep_stack_load(r->sp + 160);
		out.pc = seep_stack_load(r->sp + 168);
		out.lost = 0;
		*r = out;
		return true;
	}
	if (!seep_register_value(r, row.cfa_reg, &cfa))
		return false;
	cfa += (uint64_t)row.cfa_off;
	if (row.cfa_deref) {
		if (cfa & 7 || cfa < r->sp || cfa >= limit)
			return false;
		cfa = seep_stack_load(cfa);
	}
	if (cfa & 7 || cfa <= r->sp || cfa > limit ||
	    row.ra != SEEP_SAVED_CFA || row.ra_off != -8)
		return false;
	for (int i = 0; i < SEEP_NR_KEPT; i++)
		if (!seep_register_outwards(r, cfa, limit, row.kept[i].where,
			row.kept[i].off, &out.kept[i]))
			out.lost |= 1u << i;
	if (!seep_register_outwards(r, cfa, limit, row.bp, row.bp_off, &out.bp))
		return false;
	out.sp = cfa;
	out.pc = seep_stack_load(cfa - 8);
	*r = out;
	return true;
}

#define SEEP_REGISTERS_FRAMES 100000 /* of a stack that is walked for them */

/* All registers at frame s, unwound from here. Each step up to s was taken
 * before, by rules: the slots are there. */
static __attribute__((noinline)) bool seep_registers_at(
    const struct seep_frame *s, struct seep_registers *r)
{
	__asm__ volatile("movq %%rbx, (%0)\n\t"
			 "movq %%r12, 8(%0)\n\t"
			 "movq %%r13, 16(%0)\n\t"
			 "movq %%r14, 24(%0)\n\t"
			 "movq %%r15, 32(%0)\n\t"
			 "movq %%rsp, 40(%0)\n\t"
			 "movq %%rbp, 48(%0)\n"
			 "1:\tleaq 1b(%%rip), %%rax\n\t"
			 "movq %%rax, 56(%0)"
			 :
			 : "r"(r)
			 : "rax", "memory");
	r->exact = true;
	r->lost = 0;
	for (int i = 0; i < SEEP_REGISTERS_FRAMES; i++) {
		if (r->sp == s->sp && r->pc == s->pc)
			return true;
		if (!seep_registers_step(r, UINT64_MAX))
			return false;
	}
	return false;
}

static __attribute__((noinline)) enum seep_step seep_step_by_row(
    const struct seep_frame *s, struct seep_frame *next, uint64_t limit)
{
	struct seep_registers r = {.sp = s->sp, .bp = s->bp, .pc = s->pc};
	struct seep_row row;
	bool signal;

	r.exact = s->tag & SEEP_FRAME_EXACT;
	if (!seep_cfi_row(r.pc - !r.exact, &row, &signal))
		return SEEP_STEP_CUT;
	if (row.cfa_reg >= 0 && seep_kept_index((uint64_t)row.cfa_reg) >= 0 &&
	    !seep_registers_at(s, &r))
		return SEEP_STEP_CUT;
	if (!seep_registers_step(&r, limit))
		return SEEP_STEP_CUT;
	next->pc = r.pc;
	next->sp = r.sp;
	next->bp = r.bp;
	return r.pc ? SEEP_STEP_ON : SEEP_STEP_END;
}

#endif
