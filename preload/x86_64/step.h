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

#include "preload/x86_64/registers.h"

static inline enum seep_step seep_step(
    struct seep_frame_state *s, struct seep_frame_state *next, uint64_t end)
{
	seep_rule r = seep_cfi_rule(s->pc - !(s->flags & SEEP_FRAME_EXACT));
	uint64_t cfa, limit = end ? end : s->sp + SEEP_STEP_MAX;

	s->bp_slot = 0;
	next->flags = 0;
	switch (seep_rule_kind(r)) {
	case SEEP_RULE_RSP:
		cfa = s->sp + (uint64_t)seep_rule_cfa(r);
		break;
	case SEEP_RULE_RBP:
		s->flags |= SEEP_FRAME_USES_BP;
		cfa = s->bp + (uint64_t)seep_rule_cfa(r);
		break;
	case SEEP_RULE_DEREF:
		s->flags |= SEEP_FRAME_UNCHECKED | SEEP_FRAME_USES_BP;
		if (s->bp & 7 || s->bp < s->sp || s->bp + 64 > limit)
			return SEEP_STEP_CUT;
		cfa = s->bp + (uint64_t)seep_rule_cfa(r);
		if (cfa < s->sp || cfa >= limit)
			return SEEP_STEP_CUT;
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
		s->flags |= SEEP_FRAME_UNCHECKED;
		if (end && s->sp + 176 > end)
			return SEEP_STEP_CUT;
		next->bp = seep_stack_load(s->sp + 120);
		next->pc = seep_stack_load(s->sp + 168);
		next->sp = seep_stack_load(s->sp + 160);
		next->flags = SEEP_FRAME_EXACT;
		return next->pc ? SEEP_STEP_ON : SEEP_STEP_END;
	case SEEP_RULE_END:
		return SEEP_STEP_END;
	case SEEP_RULE_COMPLEX:
		s->flags |= SEEP_FRAME_UNCHECKED | SEEP_FRAME_USES_BP;
		return seep_step_by_row(s, next, limit);
	default:
		return SEEP_STEP_CUT;
	}
	/* Wrong unwind information must not lead us off the stack. */
	if (cfa & 7 || cfa <= s->sp || cfa > limit)
		return SEEP_STEP_CUT;
	next->pc = seep_stack_load(cfa - 8);
	next->sp = cfa;
	next->bp = s->bp;
	if (seep_rule_has_bp(r)) {
		int64_t off = seep_rule_bp(r);

		if (cfa + (uint64_t)off < s->sp - 8)
			return SEEP_STEP_CUT;
		next->bp = seep_stack_load(cfa + (uint64_t)off);
		s->bp_slot = (int16_t)(off / 8);
	}
	return next->pc ? SEEP_STEP_ON : SEEP_STEP_END;
}

static inline struct seep_check seep_step_check(
    const struct seep_frame_state *s, const struct seep_frame_state *next)
{
	(void)s;
	return (struct seep_check){next->sp - 8, next->pc};
}

#endif
