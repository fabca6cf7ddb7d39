/* SPDX-License-Identifier: MIT */
/*
 * stack_oracle.c - every stack equals libgcc's, frame by frame
 *
 * The shim's capture is linked in and asked at the bottom of random walks
 * through all builds of stack_walks.c, in handlers of signals that come at any
 * instruction, on alternate stacks, in coroutines and in threads, after jumps.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unwind.h>

#include "preload/cfi.h"
#include "preload/frames.h"
#include "preload/objects.h"
#include "preload/sys.h"
#include "stack_oracle.h"

#define MAX_PCS	    4096
#define MAX_WALKS   512
#define POOL_PAGES  (1u << 18)
#define WALKS	    300
#define INTERRUPTED 2000

static struct seep_pool pool;
static struct seep_tree tree;
static __thread struct seep_frames frames;
static __thread volatile sig_atomic_t busy;
static unsigned long compared, nested, cut;

struct stack {
	uint64_t pc[MAX_PCS];
	unsigned nr;
	int truncated;
};

/* ---- the two of them --------------------------------------------------- */

static const struct seep_node *node_at(uint32_t id)
{
	uint32_t chunk = id / SEEP_NODES_PER_CHUNK;
	_Atomic uint32_t *dir = seep_pool_page(
	    &pool, pool.head->node_dir[chunk / SEEP_CHUNKS_PER_DIR]);
	struct seep_node *nodes =
	    seep_pool_page(&pool, dir[chunk % SEEP_CHUNKS_PER_DIR]);

	return &nodes[id % SEEP_NODES_PER_CHUNK];
}

static void path_of(uint32_t id, struct stack *s)
{
	s->nr = 0;
	s->truncated = 0;
	while (id && s->nr < MAX_PCS) {
		const struct seep_node *n = node_at(id);
		uint32_t module = seep_node_module(n->kind_module);
		uint64_t pc = n->offset;

		if (seep_node_kind(n->kind_module) == SEEP_NODE_TRUNCATED) {
			s->truncated = 1;
			return;
		}
		if (seep_node_kind(n->kind_module) == SEEP_NODE_NATIVE) {
			struct seep_module_rec *m = seep_pool_page(&pool,
			    pool.head
				->module_page[module / SEEP_MODULES_PER_PAGE]);

			pc += m[module % SEEP_MODULES_PER_PAGE].bias;
		}
		s->pc[s->nr++] = pc;
		id = n->parent;
	}
}

static _Unwind_Reason_Code take(struct _Unwind_Context *c, void *arg)
{
	struct stack *s = arg;

	if (s->nr == MAX_PCS || !_Unwind_GetIP(c))
		return _URC_END_OF_STACK;
	s->pc[s->nr++] = _Unwind_GetIP(c);
	return _URC_NO_REASON;
}

/* `theirs` begins with the function that asked for it. */
static void same(const char *what, const struct stack *ours,
    const struct stack *theirs, unsigned limit)
{
	unsigned nr = theirs->nr - 1, i = 0;

	while (i < ours->nr && i < nr && ours->pc[i] == theirs->pc[i + 1])
		i++;
	if (i == limit || (i == nr && i == ours->nr))
		return;
	fprintf(stderr, "%s: frame %u of %u and %u differs\n", what, i,
	    ours->nr, nr);
	for (unsigned k = i > 2 ? i - 2 : 0; k < i + 3; k++)
		fprintf(stderr, "  %#lx %#lx\n",
		    k < ours->nr ? (unsigned long)ours->pc[k] : 0,
		    k < nr ? (unsigned long)theirs->pc[k + 1] : 0);
	exit(1);
}

#define NESTED_ROOM 256 /* frames.c: more are cut */

__attribute__((noinline)) static void compare_nested(void)
{
	struct stack ours, theirs; /* a handler may come in between */

	theirs.nr = 0;
	_Unwind_Backtrace(take, &theirs);
	path_of(seep_frames_capture_nested(SEEP_FRAME), &ours);
	same("a nested walk", &ours, &theirs, NESTED_ROOM);
}

__attribute__((noinline)) void compare(void)
{
	static __thread struct stack ours, theirs;
	void **frame = SEEP_FRAME;
	uint32_t node, again;

	busy = 1;
	theirs.nr = 0;
	_Unwind_Backtrace(take, &theirs);
	node = seep_frames_capture(&frames, frame);
	again = seep_frames_capture(&frames, frame);
	path_of(node, &ours);
	same("a walk", &ours, &theirs, MAX_PCS);
	path_of(again, &ours);
	same("the same walk", &ours, &theirs, MAX_PCS);
	cut += (unsigned long)ours.truncated;
	compare_nested();
	compared++;
	busy = 0;
}

/* ---- ways to get somewhere --------------------------------------------- */

static void (*all[MAX_WALKS])(int);
static unsigned nr_all;

void add_walks(void (*const *walks)(int), unsigned nr)
{
	for (unsigned i = 0; i < nr && nr_all < MAX_WALKS; i++)
		all[nr_all++] = walks[i];
}

unsigned rnd(void)
{
	static __thread unsigned seed = 1;

	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

void wander(int depth)
{
	compare();
	if (depth <= 0)
		return;
	all[rnd() % nr_all](depth - 1);
	if (rnd() % 3 == 0)
		compare();
}

static jmp_buf env;

static void jump(int depth)
{
	compare();
	if (depth <= 0)
		longjmp(env, 1);
	jump(depth - 1);
	__asm__ volatile("" ::: "memory");
}

static void jumps(void)
{
	for (volatile int i = 0; i < 30; i++) {
		if (!setjmp(env))
			jump(i);
		wander(2);
	}
}

static volatile unsigned long interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted++;
	if (busy) {
		compare_nested();
		nested++;
	} else {
		compare();
	}
}

/* At any instruction: prologues, leaves, the C library, the shim itself. */
static void signals(int on_its_own_stack)
{
	static char alternate[1 << 18];
	stack_t ss = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
	unsigned long until = interrupted + INTERRUPTED;

	if (on_its_own_stack) {
		sa.sa_flags |= SA_ONSTACK;
		sigaltstack(&ss, NULL);
	}
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	setitimer(ITIMER_REAL, &often, NULL);
	while (interrupted < until)
		all[rnd() % nr_all]((int)(rnd() % 6));
	setitimer(ITIMER_REAL, &never, NULL);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

static ucontext_t back_to, coroutine;

static void on_its_own_stack(void)
{
	for (;;) {
		wander(3);
		swapcontext(&coroutine, &back_to);
	}
}

static void coroutines(void)
{
	size_t bytes = 8 << 20;

	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	coroutine.uc_stack.ss_size = bytes;
	coroutine.uc_link = &back_to;
	makecontext(&coroutine, on_its_own_stack, 0);
	for (int i = 0; i < 20; i++) {
		compare();
		swapcontext(&back_to, &coroutine);
	}
}

static void *in_thread(void *unused)
{
	(void)unused;
	if (!seep_frames_init(&frames))
		abort();
	for (int i = 0; i < 20; i++)
		wander(15);
	return NULL;
}

/* ---- a segment in plain memory ----------------------------------------- */

static int back(struct seep_pool *p, uint64_t first, uint64_t nr)
{
	(void)p;
	(void)first;
	(void)nr;
	return 0;
}

static void set_up(void)
{
	pool.base =
	    mmap(NULL, (size_t)POOL_PAGES * SEEP_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pool.nr_pages = POOL_PAGES;
	pool.back = back;
	pool.head = (struct seep_header *)pool.base;
	pool.head->next_page = 1;
	seep_capture.tree = &tree;
	seep_capture.pool = &pool;
	if (!seep_objects_available() || !seep_cfi_init() ||
	    !seep_tree_init(&tree, &pool, seep_sys_grab) ||
	    !seep_frames_init(&frames))
		abort();
}

int main(void)
{
	pthread_t thread;

	set_up();
	for (int i = 0; i < WALKS; i++)
		wander((int)(rnd() % 30));
	jumps();
	if (cut) {
		fprintf(stderr, "%lu stacks were cut\n", cut);
		return 1;
	}
	signals(0);
	signals(1);
	coroutines();
	if (pthread_create(&thread, NULL, in_thread, NULL))
		return 99;
	pthread_join(thread, NULL);
	printf("%lu stacks, %lu cut, %lu signals, %lu of them inside\n",
	    compared, cut, interrupted, nested);
	return 0;
}
