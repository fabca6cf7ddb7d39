/* SPDX-License-Identifier: MIT */
/*
 * A handler that jumps out of whatever it interrupts, the shim too, but not out
 * of the C library, which would not survive it (D50). A block that was on its
 * way to us when we jumped may live or not; a thread gone blind would miss
 * nearly all.
 */
#include "truth.h"
#include "interrupted.h"
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#ifndef EVERY_US /* time between signals */
#define EVERY_US 50
#endif
#define JUMPS  3000
#define BLOCKS 60000

static sigjmp_buf again;
static int volatile jumps, lost;
static int volatile in_call;
static unsigned long lo[8], hi[8];
static int nr_ranges;

static int note_library(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (!strstr(info->dlpi_name, "libc.so") &&
	    !strstr(info->dlpi_name, "ld-linux") &&
	    !strstr(info->dlpi_name, "vdso"))
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

	(void)number;
	(void)info;
	for (int i = 0; i < nr_ranges; i++) {
		if (pc >= lo[i] && pc < hi[i])
			return;
	}
	jumps++;
	lost += in_call;
	siglongjmp(again, 1);
}

__attribute__((noinline)) static void *get(size_t bytes)
{
	return malloc(bytes);
}

__attribute__((noinline)) static void *descend(int level, size_t bytes)
{
	void *p = level ? descend(level - 1, bytes) : get(bytes);

	__asm__ volatile("" ::: "memory");
	return p;
}

int main(void)
{
	struct itimerval often = {{0, EVERY_US}, {0, EVERY_US}}, never = {0};
	struct sigaction action = {
	    .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
	static int volatile kept, round;
	static void *volatile mine;
	char line[200];

	dl_iterate_phdr(note_library, NULL);
	if (nr_ranges < 2)
		truth_die("the C library was not found");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	sigsetjmp(again, 1);
	in_call = 0;
	while (kept < BLOCKS || (jumps < JUMPS && round < 20000000)) {
		round++;
		in_call = 1;
		mine = descend(round % 13, 100);
		in_call = 0;
		if (!mine)
			truth_die("malloc");
		/* Every seventh is kept, the others go. */
		if (round % 7 == 0 && kept < BLOCKS) {
			kept++;
			mine = NULL;
			continue;
		}
		in_call = 1;
		free(mine);
		in_call = 0;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	if (!jumps)
		truth_die("no jump");
	/* A jump right before `kept++`, or in a call, leaves one more alive. */
	truth_write(line,
	    snprintf(line, sizeof(line),
		"expect range %d %d %d %d jump_storm.c pid=%d\n", kept,
		kept + jumps, 100 * kept, 100 * (kept + jumps), (int)getpid()));
	printf("%d jumps, %d in a call\n", jumps, lost);
	return 0;
}
