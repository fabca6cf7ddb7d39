/* SPDX-License-Identifier: MIT */
/* Allocates on an alternate signal stack and on stacks of its own (D9). */
#include "truth.h"
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#define CONTEXTS 4

static ucontext_t main_context, contexts[CONTEXTS];

static void on_signal(int number)
{
	(void)number;
	KEEP(malloc(501), 501);
	free(CHURN(malloc(502), 502));
}

static void on_nested(int number)
{
	KEEP(malloc(503), 503);
	if (number == SIGUSR2)
		raise(SIGUSR1);
}

static void deeper(int level)
{
	if (level)
		deeper(level - 1);
	else
		KEEP(malloc(504), 504);
	/* no tail call */
	__asm__ volatile("" ::: "memory");
}

static void run_context(int number)
{
	for (int i = 0; i < 50; i++) {
		KEEP(malloc(505), 505);
		deeper(i % 7);
		swapcontext(&contexts[number],
		    i % 3 ? &contexts[(number + 1) % CONTEXTS] : &main_context);
	}
	for (;;)
		swapcontext(&contexts[number], &main_context);
}

int main(void)
{
	size_t bytes = 64 << 10;
	stack_t alternate = {.ss_size = 32 << 10};
	struct sigaction action = {
	    .sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	alternate.ss_sp = mmap(NULL, alternate.ss_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sigaltstack(&alternate, NULL) || sigaction(SIGUSR1, &action, NULL))
		truth_die("sigaltstack");
	action.sa_handler = on_nested;
	if (sigaction(SIGUSR2, &action, NULL))
		truth_die("sigaction");
	for (int i = 0; i < 100; i++) {
		raise(SIGUSR1);
		raise(SIGUSR2);
	}
	for (int i = 0; i < CONTEXTS; i++) {
		getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = mmap(NULL, bytes,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		contexts[i].uc_stack.ss_size = bytes;
		contexts[i].uc_link = &main_context;
		makecontext(&contexts[i], (void (*)(void))run_context, 1, i);
	}
	for (int i = 0; i < 40; i++)
		swapcontext(&main_context, &contexts[i % CONTEXTS]);
	truth_state();
	return 0;
}
