/* SPDX-License-Identifier: MIT */
/* folded.c - one line per stack for flame graphs: main;f;g BYTES */
#include <inttypes.h>
#include <string.h>

#include "analyzer/out/format.h"
#include "analyzer/out/out.h"

/* Semicolons and spaces have a meaning in the format. */
static void print_name(FILE *f, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c == ';')
			c = ':';
		else if (c < 0x20 || c == 0x7f)
			c = '?';
		putc_unlocked(c, f); /* much faster, and nobody else writes */
	}
}

static void print_folded_frame(FILE *f, const struct seep_frame *frame)
{
	if (frame->truncated) {
		fputs("[cut]", f);
		return;
	}
	if (frame->function) {
		print_name(f, frame->function);
		return;
	}
	if (frame->module)
		print_name(f, seep_base_name(frame->module));
	fprintf(f, "%s0x%" PRIx64, frame->module ? "+" : "", frame->offset);
}

static void print_root(FILE *f, const struct seep_process *p)
{
	const char *name = p->exe ? p->exe : "?";

	if (p->command && p->command[0] && *p->command[0])
		name = p->command[0];
	print_name(f, seep_base_name(name));
}

struct seep_error *seep_folded_report(const struct seep_report *r, FILE *f)
{
	struct seep_stack stack = {0};

	for (size_t i = 0; i < r->nr_processes; i++) {
		const struct seep_report_process *rp = &r->processes[i];

		for (size_t k = 0; k < rp->nr_sites; k++) {
			const struct seep_site *s = &rp->sites[k];

			if (!s->counts.live_bytes)
				continue;
			if (!seep_stack_load(&stack, r->stacks, s->stack)) {
				seep_stack_deinit(&stack);
				return seep_error_new(
				    SEEP_ERROR_OTHER, "out of memory");
			}
			print_root(f, &rp->process);
			for (size_t n = stack.nr; n; n--) {
				fputc(';', f);
				print_folded_frame(f, stack.frames[n - 1]);
			}
			fprintf(f, " %" PRIu64 "\n", s->counts.live_bytes);
		}
	}
	seep_stack_deinit(&stack);
	return NULL;
}
