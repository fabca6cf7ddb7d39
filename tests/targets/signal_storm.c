/* SPDX-License-Identifier: MIT */
/*
 * A handler that allocates, many thousand times, also while its thread is in
 * the shim. (Not while it is in the C library, which does not allow it.)
 */
#include "truth.h"
#include "interrupted.h"
#include <link.h>
#include <signal.h>
#include <sys/time.h>

#ifndef EVERY_US /* time between signals */
#define EVERY_US 30
#endif
#define HANDLED 5000

static unsigned long lo[8], hi[8];
static int nr_ranges;
int main(void);
static long volatile handled, elsewhere;
static void *volatile previous;

static int note_library(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (!strstr(info->dlpi_name, "libc.so") &&
	    !strstr(info->dlpi_name, "ld-linux"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum && nr_ranges < 8; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		lo[nr_ranges] = info->dlpi_addr + p->p_vaddr;
		hi[nr_ranges] = lo[nr_ranges] + p->p_memsz;
		nr_ranges++;
	}
	return 0;
}

static void on_timer(int number, siginfo_t *info, void *context)
{
	unsigned long pc = interrupted_pc(context);
	int before = errno;

	(void)number;
	(void)info;
	for (int i = 0; i < nr_ranges; i++) {
		if (pc >= lo[i] && pc < hi[i])
			return;
	}
	errno = 4711;
	if (handled % 2)
		KEEP(malloc(801), 801);
	free(previous);
	previous = CHURN(malloc(802), 802);
	if (errno != 4711)
		truth_die("errno changed");
	errno = before;
	handled++;
	elsewhere += pc < (unsigned long)main - (64 << 10) ||
		     pc > (unsigned long)main + (64 << 10);
}

__attribute__((noinline)) static void *descend(int level, size_t bytes)
{
	void *p = level ? descend(level - 1, bytes) : malloc(bytes);

	__asm__ volatile("" ::: "memory");
	return p;
}

int main(void)
{
	struct itimerval often = {{0, EVERY_US}, {0, EVERY_US}}, never = {0};
	struct sigaction action = {
	    .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
	long rounds = 0, kept = 0;
	void *p;

	dl_iterate_phdr(note_library, NULL);
	if (nr_ranges < 2)
		truth_die("the C library was not found");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (handled < HANDLED && rounds < 30000000) {
		p = descend(rounds % 11, 90);
		if (!p)
			truth_die("malloc");
		if (rounds++ % 1000 == 0 && kept < 5000) {
			truth_keep(__LINE__, p, 90);
			kept++;
		} else {
			free(p);
		}
	}
	setitimer(ITIMER_REAL, &never, NULL);
	if (!handled)
		truth_die("no signal was handled");
	free(previous);
	/* The loop's blocks are stated as a file; by line, the handler's. */
	truth_expect("total", 0, 0, __FILE__, 0);
	for (unsigned i = 1; i < TRUTH_LINES; i++) {
		struct truth_line *l = &truth_lines[i];

		if (!l->all_blocks)
			continue;
		if (l->keep_blocks != kept)
			truth_expect(
			    "leak", l->keep_blocks, l->keep_bytes, __FILE__, i);
		truth_expect(
		    "total", l->keep_blocks, l->keep_bytes, __FILE__, 0);
	}
	printf("%ld handled, %ld outside of the program\n", handled, elsewhere);
	return 0;
}
