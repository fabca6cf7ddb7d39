/* SPDX-License-Identifier: MIT */
/*
 * step.h - aarch64: from one frame to the next one out
 *
 * Threads:  none.
 * Signals:  async-signal-safe.
 * Memory:   none.
 * Trust:    as preload/step.h.
 * Units:    addresses of this process.
 * Errors:   as preload/step.h.
 */
#ifndef SEEP_PRELOAD_AARCH64_STEP_H
#define SEEP_PRELOAD_AARCH64_STEP_H

/*
 * The kernel's struct rt_sigframe is a siginfo of 128 bytes and a ucontext,
 * whose struct sigcontext begins at 176: an address, x0 to x30, sp, pc.
 */
enum {
	SEEP_SIGFRAME_X29 = 128 + 176 + 8 + 29 * 8,
	SEEP_SIGFRAME_X30 = SEEP_SIGFRAME_X29 + 8,
	SEEP_SIGFRAME_SP = SEEP_SIGFRAME_X29 + 16,
	SEEP_SIGFRAME_PC = SEEP_SIGFRAME_X29 + 24,
	SEEP_SIGFRAME_MAX = 1
			    << 18, /* all registers of SVE and SME, and more */
};

/*
 * The code that a handler returns to has no unwind information: the kernel left
 * it out on purpose (arch/arm64/kernel/vdso/sigreturn.S), and an emulator's is
 * in no image at all. But the handler was begun with x29 pointing to a frame
 * record that the kernel put behind the registers and that says again what x29
 * and x30 were.
 */
static inline bool seep_step_may_be_sigframe(
    const struct seep_frame *s, uint64_t limit)
{
	uint64_t up = s->bp - s->sp;

	return !(s->sp & 15) && !(s->bp & 15) && up > SEEP_SIGFRAME_PC &&
	       up < SEEP_SIGFRAME_MAX && s->bp < limit - 16;
}

static inline bool seep_step_is_sigframe(const struct seep_frame *s)
{
	return seep_stack_load(s->bp) ==
		   seep_stack_load(s->sp + SEEP_SIGFRAME_X29) &&
	       seep_stack_load(s->bp + 8) ==
		   seep_stack_load(s->sp + SEEP_SIGFRAME_X30) &&
	       seep_stack_load(s->sp + SEEP_SIGFRAME_PC);
}

static inline enum seep_step seep_step_sigframe(
    const struct seep_frame *s, struct seep_frame *next, uint64_t limit)
{
	if (s->sp + SEEP_SIGFRAME_PC >= limit)
		return SEEP_STEP_CUT;
	next->bp = seep_stack_load(s->sp + SEEP_SIGFRAME_X29);
	next->lr = seep_stack_load(s->sp + SEEP_SIGFRAME_X30);
	next->sp = seep_stack_load(s->sp + SEEP_SIGFRAME_SP);
	next->pc = seep_stack_load(s->sp + SEEP_SIGFRAME_PC);
	next->tag = SEEP_FRAME_EXACT | SEEP_FRAME_BLIND;
	return next->pc ? SEEP_STEP_ON : SEEP_STEP_END;
}

/* Words from sp to a slot, for seep_frame; one too far away is not looked at
 * again, but walked to again. */
static inline int16_t seep_step_words(struct seep_frame *next, uint64_t slot)
{
	int64_t words = (int64_t)(slot - next->sp) / 8;

	if (words != (int16_t)words)
		next->tag |= SEEP_FRAME_BLIND;
	return (int16_t)words;
}

static inline enum seep_step seep_step(
    struct seep_frame *s, struct seep_frame *next, uint64_t end)
{
	bool exact = s->tag & SEEP_FRAME_EXACT;
	seep_rule r = seep_cfi_rule(seep_plain_pc(s->pc) - !exact);
	uint64_t base, cfa, ra, limit = end ? end : s->sp + SEEP_STEP_MAX;

	next->pc = next->sp = 0;
	next->tag = 0;
	next->bp_at = next->ra_at = 0;
	switch (seep_rule_kind(r)) {
	case SEEP_RULE_SP:
		base = s->sp;
		break;
	case SEEP_RULE_BP:
		s->tag |= SEEP_FRAME_NEEDS_BP;
		base = s->bp;
		break;
	case SEEP_RULE_SIGFRAME:
		return seep_step_sigframe(s, next, limit);
	case SEEP_RULE_END:
		return SEEP_STEP_END;
	case SEEP_RULE_NONE:
		s->tag |= SEEP_FRAME_NEEDS_BP;
		if (!seep_step_may_be_sigframe(s, limit))
			return SEEP_STEP_CUT;
		if (seep_step_is_sigframe(s))
			return seep_step_sigframe(s, next, limit);
		/* That took reading the stack. */
		next->tag = SEEP_FRAME_BLIND;
		next->sp = s->sp;
		return SEEP_STEP_CUT;
	default:
		return SEEP_STEP_CUT;
	}
	cfa = base + seep_rule_cfa(r);
	/* Wrong unwind information must not lead us off the stack. */
	if (cfa & 7 || cfa < s->sp || cfa > limit)
		return SEEP_STEP_CUT;
	ra = cfa;
	if (seep_rule_has_ra(r)) {
		ra = seep_rule_ra(r, base, cfa);
		if (cfa == s->sp || ra < s->sp || ra >= limit)
			return SEEP_STEP_CUT;
		next->sp = cfa;
		next->pc = seep_stack_load(ra);
		next->ra_at = seep_step_words(next, ra);
	} else if (exact) {
		next->sp = cfa;
		next->pc = s->lr;
		next->tag = SEEP_FRAME_BLIND;
	} else {
		return SEEP_STEP_CUT; /* it has called: x30 is gone */
	}
	next->bp = s->bp;
	if (seep_rule_has_bp(r)) {
		uint64_t bp = seep_rule_bp(r, ra);

		if (bp < s->sp || bp >= limit) {
			next->pc = next->sp = 0;
			return SEEP_STEP_CUT;
		}
		next->bp = seep_stack_load(bp);
		next->bp_at = seep_step_words(next, bp);
	}
	return next->pc ? SEEP_STEP_ON : SEEP_STEP_END;
}

#endif
