/* SPDX-License-Identifier: MIT */
/*
 * step.h - x86-64: from one frame to the next one out
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    as preload/step.h.
 * Units:    addresses of this process.
 * Errors:   as preload/step.h.
 */
#ifndef SEEP_PRELOAD_X86_64_STEP_H
#define SEEP_PRELOAD_X86_64_STEP_H

/* Below sp: where an interrupted epilogue has just popped rbp from. */
#define SEEP_RED_ZONE 128

#include "preload/x86_64/registers.h"

/* Nothing of the next frame is known. */
static inline enum seep_step seep_step_none(
    struct seep_frame *next, enum seep_step st)
{
	next->pc = next->sp = 0;
	next->tag = 0;
	next->bp_at = next->ra_at = 0;
	return st;
}

static inline __attribute__((always_inline)) enum seep_step seep_step(
    struct seep_frame *s, struct seep_frame *next, uint64_t end)
{
	seep_rule r = seep_cfi_rule(s->pc - !(s->tag & SEEP_FRAME_EXACT));
	uint64_t cfa, limit = end ? end : s->sp + SEEP_STEP_MAX, pc, bp;
	int64_t off = 0;

	switch (seep_rule_kind(r)) {
	case SEEP_RULE_RSP:
		cfa = s->sp + (uint64_t)seep_rule_cfa(r);
		break;
	case SEEP_RULE_RBP:
		s->tag |= SEEP_FRAME_NEEDS_BP;
		cfa = s->bp + (uint64_t)seep_rule_cfa(r);
		break;
	case SEEP_RULE_DEREF:
		seep_step_none(next, SEEP_STEP_CUT);
		s->tag |= SEEP_FRAME_NEEDS_BP;
		next->tag = SEEP_FRAME_BLIND;
		if (s->bp & 7 || s->bp < s->sp || s->bp + 64 > limit)
			return SEEP_STEP_CUT;
		cfa = s->bp + (uint64_t)seep_rule_cfa(r);
		if (cfa < s->sp || cfa >= limit)
			return SEEP_STEP_CUT;
		next->sp = cfa;
		cfa = seep_stack_load(cfa);
		if (cfa & 7 || cfa <= s->sp || cfa > limit)
			return SEEP_STEP_CUT;
		next->bp =
		    seep_rule_has_bp(r)
			? seep_stack_load(s->bp + (uint64_t)seep_rule_bp(r))
			: s->bp;
		next->pc = seep_stack_load(cfa - 8);
		next->sp = cfa;
		return next->pc ? SEEP_STEP_ON : SEEP_STEP_END;
	case SEEP_RULE_SIGFRAME:
		/* struct ucontext of the kernel: gregs[] begins at 40; rbp is
		 * the 11th, rsp the 16th, rip the 17th. */
		seep_step_none(next, SEEP_STEP_CUT);
		if (end && s->sp + 176 > end)
			return SEEP_STEP_CUT;
		next->bp = seep_stack_load(s->sp + 120);
		next->pc = seep_stack_load(s->sp + 168);
		next->sp = seep_stack_load(s->sp + 160);
		next->tag = SEEP_FRAME_EXACT | SEEP_FRAME_BLIND;
		return next->pc ? SEEP_STEP_ON : SEEP_STEP_END;
	case SEEP_RULE_END:
		return seep_step_none(next, SEEP_STEP_END);
	case SEEP_RULE_COMPLEX:
		seep_step_none(next, SEEP_STEP_CUT);
		s->tag |= SEEP_FRAME_NEEDS_BP;
		next->tag = SEEP_FRAME_BLIND;
		next->sp = s->sp;
		return seep_step_by_row(s, next, limit);
	default:
		return seep_step_none(next, SEEP_STEP_CUT);
	}
	/* Wrong unwind information must not lead us off the stack. */
	if (cfa & 7 || cfa <= s->sp || cfa > limit)
		return seep_step_none(next, SEEP_STEP_CUT);
	pc = seep_stack_load(cfa - 8);
	bp = s->bp;
	if (seep_rule_has_bp(r)) {
		off = seep_rule_bp(r);
		if (cfa + (uint64_t)off < s->sp - SEEP_RED_ZONE)
			return seep_step_none(next, SEEP_STEP_CUT);
		bp = seep_stack_load(cfa + (uint64_t)off);
	}
	next->pc = pc;
	next->sp = cfa;
	next->bp = bp;
	next->tag = 0;
	next->bp_at = (int16_t)(off / 8);
	next->ra_at = 0;
	return pc ? SEEP_STEP_ON : SEEP_STEP_END;
}

#endif
