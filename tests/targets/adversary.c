/* SPDX-License-Identifier: MIT */
/*
 * adversary.c - allocates in every kind of frame that compilers, libraries and
 * people make, for the check build to compare
 *
 * adversary [-n ROUNDS] [PART...]: all parts, or those named. What a part
 * proves is up to who compares the stacks; here it only has to run through.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "adversary.h"

#ifdef __clang__
#define APART __attribute__((noinline))
#else
#define APART __attribute__((noinline, noclone))
#endif
#define NO_TAIL_CALL() __asm__ volatile("" ::: "memory")

static volatile long sink;
static __thread unsigned seed = 1;
static int rounds = 40; /* of random calls in a part */

unsigned rnd(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

APART void touch(void)
{
	void *volatile p = malloc(1 + rnd() % 200);

	free(p);
}

/* ---- frames ------------------------------------------------------------ */

APART static void plain(int depth)
{
	wander(depth);
	sink++;
}

APART static void with_alloca(int depth)
{
	volatile char *p = __builtin_alloca(16 + rnd() % 900);

	p[0] = 1;
	wander(depth);
	sink += p[0];
}

APART static void with_vla(int depth)
{
	volatile long v[1 + rnd() % 100];

	v[0] = depth;
	wander(depth);
	sink += v[0];
}

APART static void big_frame(int depth)
{
	volatile char a[9 << 10];

	a[depth] = 1;
	wander(depth);
	sink += a[depth];
}

/* Farther than 128 KiB and than 512 KiB. */
APART static void huge_frame(int depth)
{
	volatile char a[200 << 10];

	a[depth] = 1;
	wander(depth > 3 ? 3 : depth);
	sink += a[depth];
}

APART static void immense_frame(int depth)
{
	volatile char a[700 << 10];

	a[depth] = 1;
	wander(depth > 2 ? 2 : depth);
	sink += a[depth];
}

APART static void aligned_locals(int depth)
{
	volatile char a[64] __attribute__((aligned(64)));

	a[depth % 64] = 1;
	wander(depth);
	sink += a[depth % 64];
}

APART static void aligned_with_alloca(int depth)
{
	volatile char a[128] __attribute__((aligned(128)));
	volatile char *p = __builtin_alloca(1 + rnd() % 300);

	a[depth % 128] = p[0] = 1;
	wander(depth);
	sink += a[depth % 128] + p[0];
}

typedef long vec __attribute__((vector_size(32)));

APART static void vectors_live(int depth)
{
	volatile vec v = {depth, 1, 2, 3};
	vec w = v;

	wander(depth);
	w += v;
	sink += w[0];
}

APART static void many_arguments(
    int depth, long a, long b, long c, long d, long e, long f, long g, long h)
{
	sink += a + b + c + d + e + f + g + h;
	wander(depth);
	sink++;
}

APART static void passes_many(int depth)
{
	many_arguments(depth, 1, 2, 3, 4, 5, 6, 7, depth);
	sink++;
}

APART static void with_struct(int depth)
{
	struct {
		char c[300];
	} s = {{(char)depth}};

	wander(depth);
	sink += s.c[depth];
}

/* Many values over the call: all callee-saved registers. */
APART static long all_registers(long a, long b, long c, long d, long e, long f)
{
	long g = a ^ rnd(), h = b ^ rnd(), i = c ^ rnd(), j = d ^ rnd();

	wander((int)a);
	return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g + h + i + j;
}

APART static void keeps_registers(int depth)
{
	sink += all_registers(depth, 2, 3, 4, 5, rnd());
}

/* The call is a jump where the compiler optimizes. */
APART static void tail_call(int depth)
{
	sink++;
	wander(depth);
}

APART static void tail_calls(int depth)
{
	sink--;
	tail_call(depth);
}

/* Frames of one size and place, other callees. */
#define TWIN(name, callee)                                                     \
	APART static void name(int depth)                                      \
	{                                                                      \
		callee(depth);                                                 \
		NO_TAIL_CALL();                                                \
	}
TWIN(twin_a, wander)
TWIN(twin_b, wander)
TWIN(twin_c, twin_a)
TWIN(twin_d, twin_b)

/* ---- calls that come back from libraries ------------------------------- */

static int by_value(const void *a, const void *b)
{
	if (rnd() % 8 == 0)
		touch();
	return *(const int *)a - *(const int *)b;
}

APART static void through_qsort(int depth)
{
	int v[12];

	for (int i = 0; i < 12; i++)
		v[i] = (int)(rnd() % 100);
	qsort(v, 12, sizeof(v[0]), by_value);
	wander(depth);
	sink += v[3];
}

static void on_leaf(void *p)
{
	(void)p;
	touch();
}

APART static void through_libc(int depth)
{
	static pthread_once_t never = PTHREAD_ONCE_INIT;
	pthread_once_t once = never;
	void *root = NULL;
	char *text = NULL;
	int v[20], unused;

	for (int i = 0; i < 20; i++) {
		v[i] = (int)(rnd() % 50);
		tsearch(&v[i], &root, by_value);
	}
	tdestroy(root, on_leaf);
	unused = asprintf(&text, "%d %s", depth, "text");
	free(text);
	pthread_once(&once, touch);
	wander(depth + 0 * unused);
	sink++;
}

/* ---- assembler --------------------------------------------------------- */

#ifdef __x86_64__
#define ASSEMBLER(name)                                                        \
	APART static void name##_frame(int depth)                              \
	{                                                                      \
		name(wander, depth);                                           \
		NO_TAIL_CALL();                                                \
	}
ASSEMBLER(asm_pushes)
ASSEMBLER(asm_expression)
ASSEMBLER(asm_saved_far)
#endif

/* ---- the walk ---------------------------------------------------------- */

static step_fn *const ways[] = {plain, with_alloca, with_vla, big_frame,
    aligned_locals, aligned_with_alloca, vectors_live, passes_many, with_struct,
    keeps_registers, tail_call, tail_calls, twin_a, twin_b, twin_c, twin_d,
    through_qsort, through_libc,
#ifdef __x86_64__
    asm_pushes_frame, asm_expression_frame, asm_saved_far_frame,
#endif
    through_exceptions};

void wander(int depth)
{
	touch();
	if (depth <= 0)
		return;
	ways[rnd() % (sizeof(ways) / sizeof(ways[0]))](depth - 1);
	if (rnd() % 3 == 0)
		touch();
}

static void frames(void)
{
	for (int i = 0; i < rounds; i++)
		wander((int)(rnd() % 40));
}

static void large_frames(void)
{
	for (int i = 0; i < rounds / 4; i++) {
		huge_frame(5);
		immense_frame(5);
	}
}

APART static void down(int n)
{
	if (n)
		down(n - 1);
	else
		touch();
	NO_TAIL_CALL();
}

static void deep(void)
{
	for (int i = 0; i < 20; i++)
		down((int)(rnd() % 3000));
}

/* ---- jumps ------------------------------------------------------------- */

static jmp_buf jump_to;
static sigjmp_buf signal_to;

/* The compiler ends the function with the call: the return address is
 * behind its end. */
__attribute__((noreturn)) APART static void leave(int way)
{
	touch();
	if (way)
		longjmp(jump_to, way);
	siglongjmp(signal_to, 1);
}

__attribute__((noreturn)) APART static void ends_with_a_call(int way)
{
	touch();
	leave(way);
}

APART static void jump(int n)
{
	touch();
	if (n > 0)
		jump(n - 1);
	else if (!n)
		ends_with_a_call(1);
	sink++;
}

static void jumps(void)
{
	for (volatile int i = 0; i < rounds; i++) {
		if (!setjmp(jump_to))
			jump(i);
		wander(3);
		if (!sigsetjmp(signal_to, 1))
			ends_with_a_call(0);
	}
}

/* ---- coroutines -------------------------------------------------------- */

#define COROUTINES 3
static ucontext_t back_to, coroutines[COROUTINES];

static void on_its_own_stack(int number)
{
	for (;;) {
		wander(6);
		swapcontext(&coroutines[number], &back_to);
		touch();
	}
}

static void switching(void)
{
	static char stacks[COROUTINES][1 << 20];

	for (int i = 0; i < COROUTINES; i++) {
		getcontext(&coroutines[i]);
		coroutines[i].uc_stack.ss_sp = stacks[i];
		coroutines[i].uc_stack.ss_size = sizeof(stacks[i]);
		makecontext(
		    &coroutines[i], (void (*)(void))on_its_own_stack, 1, i);
	}
	for (int i = 0; i < rounds * 5; i++) {
		touch();
		swapcontext(&back_to, &coroutines[rnd() % COROUTINES]);
	}
}

/* ---- signals ----------------------------------------------------------- */

static volatile sig_atomic_t jumping;

static void on_signal(int number)
{
	(void)number;
	touch();
	down(3);
	if (jumping && rnd() % 4 == 0)
		siglongjmp(signal_to, 1);
}

static void handle(int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(SIGPROF, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
}

/* A timer interrupts wherever we are: in prologues, PLT stubs, the loader, the
 * allocator, the tracer. */
static void storm(int flags, bool jump_out)
{
	struct itimerval often = {{0, 1000}, {0, 1000}},
			 never = {{0, 0}, {0, 0}};

	handle(flags);
	setitimer(ITIMER_PROF, &often, NULL);
	for (volatile int i = 0; i < rounds; i++) {
		if (jump_out && !sigsetjmp(signal_to, 1))
			jumping = 1;
		wander((int)(rnd() % 12));
		raise(SIGUSR1);
		jumping = 0;
	}
	setitimer(ITIMER_PROF, &never, NULL);
}

static void signals(void)
{
	static char alt[1 << 18];
	stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)};

	storm(0, false);
	storm(SA_NODEFER, true);
	sigaltstack(&ss, NULL);
	storm(SA_ONSTACK, false);
	storm(SA_ONSTACK, true);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

/* ---- threads ----------------------------------------------------------- */

static void cleanup(void *arg)
{
	(void)arg;
	touch();
}

static void *in_thread(void *arg)
{
	seed = (unsigned)(uintptr_t)arg;
	for (int i = 0; i < rounds / 4; i++)
		wander((int)(rnd() % 25));
	pthread_cleanup_push(cleanup, NULL);
	if (seed & 1)
		pthread_exit(NULL); /* unwinds by force */
	pthread_cleanup_pop(1);
	return NULL;
}

static void *in_small_thread(void *arg)
{
	down(5);
	return arg;
}

static void threads(void)
{
	pthread_attr_t small;
	pthread_t t[6];

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 96 << 10);
	for (int round = 0; round < 3; round++) {
		for (uintptr_t i = 0; i < 6; i++)
			pthread_create(&t[i], i < 4 ? NULL : &small,
			    i < 4 ? in_thread : in_small_thread,
			    (void *)(i + 11));
		for (int i = 0; i < 6; i++)
			pthread_join(t[i], NULL);
	}
}

/* ---- code that comes and goes ------------------------------------------ */

/* Libraries of one size with different code, at the same address in turn. */
static void reuse(void)
{
	const char *const names[] = {"./plugin_a.so", "./plugin_b.so"};
	uintptr_t last = 0;
	int same = 0;

	for (int i = 0; i < rounds; i++) {
		void *lib = dlopen(names[rnd() % 2], RTLD_LAZY);
		void (*enter)(step_fn *, int);

		if (!lib) {
			fprintf(stderr, "adversary: %s\n", dlerror());
			exit(99);
		}
		*(void **)&enter = dlsym(lib, "plugin_enter");
		same += (uintptr_t)enter >> 12 == last >> 12;
		last = (uintptr_t)enter;
		enter(wander, 4);
		enter(wander, 0);
		dlclose(lib);
	}
	printf("the same address again %d times\n", same);
}

/* Calls bound at their first use, to functions chosen by a resolver that
 * allocates: the stack goes through the loader. */
static void lazy(void)
{
	void *lib = dlopen("./plugin_lazy.so", RTLD_LAZY);
	void (*enter)(step_fn *, int);

	if (!lib)
		return;
	*(void **)&enter = dlsym(lib, "plugin_enter");
	enter(wander, 6);
	enter(wander, 6);
}

/* Frames that have no unwind information, or end it. */
static void blind(void)
{
	void *lib = dlopen("./plugin_blind.so", RTLD_NOW);
	void (*enter)(step_fn *, int);

	if (lib) {
		*(void **)&enter = dlsym(lib, "plugin_enter");
		enter(wander, 6);
	}
#ifdef __x86_64__
	asm_no_cfi(wander, 5);
	asm_end(wander, 5);
#endif
}

#ifdef __x86_64__
static void by_rbx(void)
{
	for (int i = 0; i < rounds; i++) {
		asm_rbx(wander, 3);
		asm_rbx(plain, 3);
	}
}
#endif

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
    {"frames", frames},
    {"large_frames", large_frames},
    {"deep", deep},
    {"jumps", jumps},
    {"switching", switching},
    {"signals", signals},
    {"threads", threads},
    {"reuse", reuse},
    {"lazy", lazy},
    {"blind", blind},
#ifdef __x86_64__
    {"by_rbx", by_rbx},
#endif
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		rounds = atoi(argv[2]);
		argc -= 2;
		argv += 2;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], parts[i].name);
		if (wanted)
			parts[i].run();
	}
	return 0;
}
