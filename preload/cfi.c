/* SPDX-License-Identifier: MIT */
/*
 * cfi.c - one step of unwinding as a constant: the rule of a pc
 *
 * _dl_find_object() (glibc 2.35) names the module of a pc without a lock; its
 * .eh_frame_hdr has a sorted table of all functions. What the CFA program of
 * the function says at the pc is followed for three registers only: the CFA,
 * the frame pointer and the return address.
 */
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "preload/cfi.h"
#include "preload/objects.h"
#include "preload/row.h"
#include "preload/sys.h"

_Atomic uint64_t *seep_cfi_table;
_Atomic uint32_t seep_cfi_closing;
static _Atomic uint32_t flushes;

/* ---- reading the tables ------------------------------------------------ */

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static uint64_t take(struct cursor *c, unsigned bytes)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->p) < bytes) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	memcpy(&v, c->p, bytes);
	c->p += bytes;
	return v;
}

static uint64_t uleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = (uint8_t)take(c, 1);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	return v;
}

static int64_t sleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = (uint8_t)take(c, 1);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (shift < 64 && b & 0x40)
		v |= ~0ull << shift;
	return (int64_t)v;
}

#define ENC_OMIT 0xff

/* An encoded pointer (DW_EH_PE_*); `data` is the base of datarel. */
static uint64_t encoded(struct cursor *c, uint8_t enc, uint64_t data)
{
	uint64_t at = (uint64_t)(uintptr_t)c->p, v;

	switch (enc & 0x0f) {
	case 0x01:
		v = uleb(c);
		break;
	case 0x02:
		v = take(c, 2);
		break;
	case 0x03:
		v = take(c, 4);
		break;
	case 0x00:
	case 0x04:
	case 0x0c:
		v = take(c, 8);
		break;
	case 0x09:
		v = (uint64_t)sleb(c);
		break;
	case 0x0a:
		v = (uint64_t)(int64_t)(int16_t)take(c, 2);
		break;
	case 0x0b:
		v = (uint64_t)(int64_t)(int32_t)take(c, 4);
		break;
	default:
		c->bad = true;
		return 0;
	}
	switch (enc & 0x70) {
	case 0x00:
		break;
	case 0x10:
		v += at;
		break;
	case 0x30:
		v += data;
		break;
	default:
		c->bad = true;
	}
	if (enc & 0x80 && !c->bad)
		memcpy(&v, (const void *)(uintptr_t)v, sizeof(v));
	return v;
}

/* The FDE that .eh_frame_hdr names for pc, or NULL. */
static const uint8_t *find_fde(const uint8_t *hdr, uint64_t pc)
{
	struct cursor c = {hdr, hdr + 64, false};
	uint8_t ptr_enc, count_enc, table_enc;
	uint64_t count, lo = 0, hi;
	const uint8_t *table;

	if (take(&c, 1) != 1)
		return NULL;
	ptr_enc = (uint8_t)take(&c, 1);
	count_enc = (uint8_t)take(&c, 1);
	table_enc = (uint8_t)take(&c, 1);
	encoded(&c, ptr_enc, (uint64_t)(uintptr_t)hdr);
	if (count_enc == ENC_OMIT || table_enc != 0x3b)
		return NULL; /* no sorted table of datarel sdata4 */
	count = encoded(&c, count_enc, (uint64_t)(uintptr_t)hdr);
	if (c.bad || !count)
		return NULL;
	table = c.p;
	hi = count;
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;
		int32_t start;

		memcpy(&start, table + mid * 8, 4);
		if ((uint64_t)(uintptr_t)hdr + (uint64_t)(int64_t)start > pc)
			hi = mid;
		else
			lo = mid;
	}
	{
		int32_t at;

		memcpy(&at, table + lo * 8 + 4, 4);
		return hdr + at;
	}
}

/* ---- the CFA program --------------------------------------------------- */

struct program {
	uint64_t code_align;
	int64_t data_align;
	uint8_t fde_enc;
	bool signal;
	unsigned ra_reg;
	struct seep_row first; /* as the CIE's program leaves it */
};

/*
 * Expressions are followed as far as they stay "register + constant", once
 * dereferenced at most, or a constant: what PLT entries (their CFA depends on
 * the pc) and realigned frames need.
 */
struct value {
	int reg; /* -1: constant */
	int64_t off;
	bool deref;
};

static bool evaluate(struct cursor c, uint64_t pc, struct value *result)
{
	struct value s[8];
	int n = 0;

	while (c.p < c.end && !c.bad) {
		uint8_t op = (uint8_t)take(&c, 1);
		struct value v = {-1, 0, false};

		if (op >= 0x70 && op <= 0x8f) { /* DW_OP_breg0.. */
			int64_t off = sleb(&c);

			v.reg = op - 0x70;
			v.off = off;
			if (v.reg == SEEP_REG_PC) {
				v.reg = -1;
				v.off = (int64_t)pc + off;
			}
		} else if (op >= 0x30 && op <= 0x4f) { /* DW_OP_lit0.. */
			v.off = op - 0x30;
		} else if (op == 0x08) { /* const1u */
			v.off = (int64_t)take(&c, 1);
		} else if (op == 0x09) { /* const1s */
			v.off = (int8_t)take(&c, 1);
		} else if (op == 0x0a) { /* const2u */
			v.off = (int64_t)take(&c, 2);
		} else if (op == 0x06) { /* deref */
			if (n < 1 || s[n - 1].deref || s[n - 1].reg < 0)
				return false;
			s[n - 1].deref = true;
			continue;
		} else if (op == 0x23) { /* plus_uconst */
			if (n < 1 || s[n - 1].deref)
				return false;
			s[n - 1].off += (int64_t)uleb(&c);
			continue;
		} else { /* two operands: and, plus, shl, ge */
			struct value *a, *b;

			if (n < 2)
				return false;
			a = &s[n - 2];
			b = &s[n - 1];
			n--;
			if (a->deref || b->deref || b->reg >= 0)
				return false;
			if (op == 0x22) { /* plus; a may be a register */
				a->off += b->off;
				continue;
			}
			if (a->reg >= 0)
				return false;
			if (op == 0x1a)
				a->off &= b->off;
			else if (op == 0x24)
				a->off <<= b->off & 63;
			else if (op == 0x2a)
				a->off = a->off >= b->off;
			else
				return false;
			continue;
		}
		if (n == 8)
			return false;
		s[n++] = v;
	}
	if (c.bad || n != 1)
		return false;
	*result = s[0];
	return true;
}

static struct cursor block(struct cursor *c)
{
	uint64_t len = uleb(c);
	struct cursor b = {c->p, c->p, c->bad};

	if ((uint64_t)(c->end - c->p) < len) {
		c->bad = true;
		return b;
	}
	b.end = c->p + len;
	c->p = b.end;
	return b;
}

static void set_register(struct seep_row *r, const struct program *g,
    uint64_t reg, enum seep_saved where, int64_t off)
{
	int kept = seep_kept_index(reg);

	if (kept >= 0)
		r->kept[kept] = (struct seep_kept){where, (int32_t)off};
	else if (reg == SEEP_REG_BP) {
		r->bp = where;
		r->bp_off = off;
	} else if (reg == g->ra_reg) {
		r->ra = where;
		r->ra_off = off;
	}
}

static void restore_register(
    struct seep_row *r, const struct program *g, uint64_t reg)
{
	int kept = seep_kept_index(reg);

	if (kept >= 0)
		r->kept[kept] = g->first.kept[kept];
	else if (reg == SEEP_REG_BP) {
		r->bp = g->first.bp;
		r->bp_off = g->first.bp_off;
	} else if (reg == g->ra_reg) {
		r->ra = g->first.ra;
		r->ra_off = g->first.ra_off;
	}
}

/* Runs a CFA program up to the row that holds at pc (loc: where it starts). */
static bool run(struct cursor c, const struct program *g, uint64_t loc,
    uint64_t pc, struct seep_row *r)
{
	struct seep_row saved[8];
	unsigned depth = 0;

	while (c.p < c.end && !c.bad) {
		uint8_t op = (uint8_t)take(&c, 1), low = op & 0x3f;
		struct value v;
		uint64_t reg;

		switch (op & 0xc0) {
		case 0x40: /* advance_loc */
			loc += low * g->code_align;
			if (loc > pc)
				return true;
			continue;
		case 0x80: /* offset */
			set_register(r, g, low, SEEP_SAVED_CFA,
			    (int64_t)uleb(&c) * g->data_align);
			continue;
		case 0xc0: /* restore */
			restore_register(r, g, low);
			continue;
		}
		switch (op) {
		case 0x00: /* nop */
			break;
		case 0x01: /* set_loc */
			loc = encoded(&c, g->fde_enc, 0);
			if (loc > pc)
				return !c.bad;
			break;
		case 0x02:
		case 0x03:
		case 0x04: /* advance_loc1, 2, 4 */
			loc += take(&c, 1u << (op - 2)) * g->code_align;
			if (loc > pc)
				return !c.bad;
			break;
		case 0x05: /* offset_extended */
			reg = uleb(&c);
			set_register(r, g, reg, SEEP_SAVED_CFA,
			    (int64_t)uleb(&c) * g->data_align);
			break;
		case 0x06: /* restore_extended */
			restore_register(r, g, uleb(&c));
			break;
		case 0x07: /* undefined */
			set_register(r, g, uleb(&c), SEEP_SAVED_UNDEFINED, 0);
			break;
		case 0x08: /* same_value */
			set_register(r, g, uleb(&c), SEEP_SAVED_NOT, 0);
			break;
		case 0x09: /* register */
			reg = uleb(&c);
			uleb(&c);
			set_register(r, g, reg, SEEP_SAVED_OTHER, 0);
			break;
		case 0x0a: /* remember_state */
			if (depth == 8)
				return false;
			saved[depth++] = *r;
			break;
		case 0x0b: /* restore_state */
			if (!depth)
				return false;
			*r = saved[--depth];
			break;
		case 0x0c: /* def_cfa */
			r->cfa_reg = (int)uleb(&c);
			r->cfa_off = (int64_t)uleb(&c);
			r->cfa_deref = false;
			break;
		case 0x0d: /* def_cfa_register */
			r->cfa_reg = (int)uleb(&c);
			r->cfa_deref = false;
			break;
		case 0x0e: /* def_cfa_offset */
			r->cfa_off = (int64_t)uleb(&c);
			break;
		case 0x0f: /* def_cfa_expression */
			if (!evaluate(block(&c), pc, &v) || v.reg < 0) {
				r->cfa_reg = -1;
				break;
			}
			r->cfa_reg = v.reg;
			r->cfa_off = v.off;
			r->cfa_deref = v.deref;
			break;
		case 0x10: /* expression: the address where it was saved */
			reg = uleb(&c);
			if (evaluate(block(&c), pc, &v) &&
			    v.reg == SEEP_REG_BP && !v.deref)
				set_register(r, g, reg, SEEP_SAVED_BP, v.off);
			else
				set_register(r, g, reg, SEEP_SAVED_OTHER, 0);
			break;
		case 0x11: /* offset_extended_sf */
			reg = uleb(&c);
			set_register(r, g, reg, SEEP_SAVED_CFA,
			    sleb(&c) * g->data_align);
			break;
		case 0x12: /* def_cfa_sf */
			r->cfa_reg = (int)uleb(&c);
			r->cfa_off = sleb(&c) * g->data_align;
			r->cfa_deref = false;
			break;
		case 0x13: /* def_cfa_offset_sf */
			r->cfa_off = sleb(&c) * g->data_align;
			break;
		case 0x14: /* val_offset */
		case 0x15: /* val_offset_sf */
			reg = uleb(&c);
			uleb(&c);
			set_register(r, g, reg, SEEP_SAVED_OTHER, 0);
			break;
		case 0x16: /* val_expression */
			reg = uleb(&c);
			block(&c);
			set_register(r, g, reg, SEEP_SAVED_OTHER, 0);
			break;
		case 0x2c: /* AARCH64_negate_ra_state_with_pc */
		case 0x2d: /* AARCH64_negate_ra_state: step.h asks no rule */
			break;
		case 0x2e: /* GNU_args_size */
			uleb(&c);
			break;
		case 0x2f: /* GNU_negative_offset_extended */
			reg = uleb(&c);
			set_register(r, g, reg, SEEP_SAVED_CFA,
			    -((int64_t)uleb(&c) * g->data_align));
			break;
		default:
			return false;
		}
	}
	return !c.bad;
}

/* Reads the CIE; *c is left at its program. */
static bool read_cie(const uint8_t *cie, struct program *g, struct cursor *c)
{
	const char *aug;
	uint32_t len;

	memcpy(&len, cie, 4);
	if (!len || len == 0xffffffff)
		return false;
	c->p = cie + 8;
	c->end = cie + 4 + len;
	c->bad = false;
	if (take(c, 1) > 4)
		return false;
	aug = (const char *)c->p;
	while (take(c, 1))
		;
	g->code_align = uleb(c);
	g->data_align = sleb(c);
	g->ra_reg = (unsigned)uleb(c);
	g->fde_enc = 0;
	g->signal = false;
	if (*aug == 'z') {
		struct cursor a = block(c);

		for (aug++; *aug; aug++) {
			switch (*aug) {
			case 'R':
				g->fde_enc = (uint8_t)take(&a, 1);
				break;
			case 'P': {
				uint8_t enc = (uint8_t)take(&a, 1);

				encoded(&a, enc & 0x7f, 0);
				break;
			}
			case 'L':
				take(&a, 1);
				break;
			case 'S':
				g->signal = true;
				break;
			}
		}
	} else if (*aug) {
		return false;
	}
	return !c->bad;
}

/* What the unwind information behind hdr says at pc, in *r. */
enum found { FOUND, NO_INFORMATION, NOT_UNDERSTOOD };

static enum found find_row(
    const uint8_t *hdr, uint64_t pc, struct seep_row *r, bool *signal)
{
	const uint8_t *fde = hdr ? find_fde(hdr, pc) : NULL, *cie;
	struct program g = {0};
	struct cursor c, cie_program;
	uint64_t begin, size;
	uint32_t len;
	int32_t back;

	memset(r, 0, sizeof(*r));
	r->cfa_reg = -1;
	if (!fde)
		return NO_INFORMATION;
	memcpy(&len, fde, 4);
	memcpy(&back, fde + 4, 4);
	if (!len || len == 0xffffffff || !back)
		return NO_INFORMATION;
	cie = fde + 4 - back;
	if (!read_cie(cie, &g, &cie_program))
		return NOT_UNDERSTOOD;
	c.p = fde + 8;
	c.end = fde + 4 + len;
	c.bad = false;
	begin = encoded(&c, g.fde_enc, 0);
	size = encoded(&c, g.fde_enc & 0x0f, 0);
	if (c.bad || pc - begin >= size)
		return NO_INFORMATION;
	block(&c); /* augmentation data: the LSDA */
	if (!run(cie_program, &g, 0, ~0ull, r))
		return NOT_UNDERSTOOD;
	g.first = *r;
	*signal = g.signal;
	return run(c, &g, begin, pc, r) ? FOUND : NOT_UNDERSTOOD;
}

bool seep_cfi_row(uint64_t pc, struct seep_row *row, bool *signal)
{
	struct seep_object o;

	return seep_object_find(pc, &o) &&
	       find_row(o.eh_frame_hdr, pc, row, signal) == FOUND;
}

static seep_rule compute(const uint8_t *hdr, uint64_t pc)
{
	struct seep_row row;
	bool signal;

	switch (find_row(hdr, pc, &row, &signal)) {
	case FOUND:
		return seep_rule_of_row(&row, signal);
	case NO_INFORMATION:
		return SEEP_RULE_NONE;
	default:
		return SEEP_RULE_COMPLEX;
	}
}

/* ---- the table --------------------------------------------------------- */

bool seep_cfi_init(void)
{
	if (!seep_cfi_table)
		seep_cfi_table =
		    seep_sys_grab(SEEP_CFI_SETS * 2 * sizeof(uint64_t));
	return seep_cfi_table != NULL;
}

void seep_cfi_flush(void)
{
	atomic_fetch_add(&flushes, 1);
	if (!seep_cfi_table)
		return;
	for (uint32_t i = 0; i < SEEP_CFI_SETS * 2; i++)
		if (atomic_load_explicit(
			&seep_cfi_table[i], memory_order_relaxed))
			atomic_store_explicit(
			    &seep_cfi_table[i], 0, memory_order_relaxed);
}

seep_rule seep_cfi_rule_slow(uint64_t pc)
{
	uint32_t before = atomic_load(&flushes);
	_Atomic uint64_t *set;
	uint64_t w;
	struct seep_object o;
	seep_rule rule;

	if (seep_rule_key(pc) >> SEEP_RULE_KEY_BITS ||
	    !seep_object_find(pc, &o))
		return SEEP_RULE_NONE; /* not kept: a module may come to lie
					  here */
	rule = compute(o.eh_frame_hdr, pc);
	if (rule == SEEP_RULE_NONE)
		/* The loader's entry code is nobody's callee and has no FDE. */
		rule = strstr(o.name, "/ld-linux") ? SEEP_RULE_END
						   : seep_rule_of_code(pc + 1);
	/* Not while code is being unloaded, nor if some was meanwhile. */
	if (atomic_load(&seep_cfi_closing) || atomic_load(&flushes) != before)
		return rule;
	set = seep_cfi_set(pc);
	w = atomic_load_explicit(&set[0], memory_order_relaxed);
	if (w)
		atomic_store_explicit(&set[1], w, memory_order_relaxed);
	atomic_store_explicit(
	    &set[0], seep_cfi_tag(pc) << 32 | rule, memory_order_relaxed);
	return rule;
}
