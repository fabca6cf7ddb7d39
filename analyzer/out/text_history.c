/* SPDX-License-Identifier: MIT */
/* text_history.c - histories of blocks, for people */
#include <inttypes.h>

#include "analyzer/out/format.h"
#include "analyzer/out/text_history.h"

#define MAX_FREERS 3

void seep_text_histories(FILE *f, const struct seep_report_process *rp)
{
	const struct seep_report_histories *h = &rp->histories;
	struct seep_lifetime all = {0};
	char a[SEEP_FORMAT_MAX];

	for (size_t i = 0; i < h->nr_sites; i++)
		seep_lifetime_add(&all, &h->sites[i].lifetime);
	if (!all.begun)
		return;
	if (h->how.every == 1)
		fprintf(f,
		    "  histories  of all %s, %" PRIu64 " ended, %" PRIu64
		    " of them temporary\n",
		    seep_format_blocks(all.begun, a), all.ended, all.temporary);
	else
		fprintf(f,
		    "  histories  of a sample: %s, %" PRIu64 " ended, %" PRIu64
		    " of them temporary\n",
		    seep_format_blocks(all.begun, a), all.ended, all.temporary);
}

/* "<1 %" and ">99 %" where rounding would say none or all. */
static void print_percent(FILE *f, uint64_t part, uint64_t all)
{
	double percent = 100.0 * (double)part / (double)all;

	if (part && percent < 1)
		fputs("<1 %", f);
	else if (part < all && percent > 99)
		fputs(">99 %", f);
	else
		fprintf(f, "%.0f %%", percent);
}

static void print_lifetime(
    FILE *f, const struct seep_site_history *h, uint64_t every)
{
	const struct seep_lifetime *l = &h->lifetime;
	char a[SEEP_FORMAT_MAX], b[SEEP_FORMAT_MAX];

	fputs("      lifetime", f);
	if (every > 1)
		fprintf(f, " (of %" PRIu64 " sampled)", l->ended);
	fprintf(f, ": median %s, 95 %% under %s, ",
	    seep_format_ns(
		seep_lifetime_quantile(l, h->counts, h->nr_counts, 50), a),
	    seep_format_ns(
		seep_lifetime_quantile(l, h->counts, h->nr_counts, 95), b));
	print_percent(f, l->temporary, l->ended);
	fputs(" temporary", f);
	if (l->elsewhere) {
		fputs(", ", f);
		print_percent(f, l->elsewhere, l->ended);
		fputs(" freed by another thread", f);
	}
	fputc('\n', f);
}

static bool print_freers(FILE *f, const struct seep_site_history *h,
    struct seep_stacks *stacks, struct seep_stack *stack)
{
	for (size_t i = 0; i < h->nr_freed && i < MAX_FREERS; i++) {
		if (!seep_stack_load(stack, stacks, h->freed[i].stack))
			return false;
		fputs(i ? "                " : "      freed by: ", f);
		if (stack->nr)
			seep_print_frame(f, stack->frames[stack->blame]);
		else
			fputs("(no stack was recorded)", f);
		if (h->nr_freed > 1) {
			fputs(", ", f);
			print_percent(f, h->freed[i].blocks, h->lifetime.ended);
		}
		fputc('\n', f);
	}
	if (h->nr_freed > MAX_FREERS)
		fprintf(f, "                and %zu more\n",
		    h->nr_freed - MAX_FREERS);
	return true;
}

bool seep_text_site_history(FILE *f, const struct seep_report_process *rp,
    const struct seep_site *s, struct seep_stacks *stacks,
    struct seep_stack *stack)
{
	const struct seep_site_history *h;

	if (!s->history)
		return true;
	h = &rp->histories.sites[s->history - 1];
	if (!h->lifetime.ended)
		return true;
	print_lifetime(f, h, rp->histories.how.every);
	return print_freers(f, h, stacks, stack);
}
