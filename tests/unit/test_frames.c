/* SPDX-License-Identifier: MIT */
/*
 * test_frames.c - every stack equals libunwind's, frame by frame
 *
 * The shim's capture is linked into this program and asked in all kinds of
 * places; libunwind, walking from the same frame, is the oracle.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "preload/cfi.h"
#include "preload/frames.h"
#include "preload/real.h"
#include "preload/sys.h"
#include "tests/unit/wire_fixture.h"

#if defined(__clang__)
#define NI __attribute__((noinline))
#else
#define NI __attribute__((noinline, noclone))
#endif
#define MAX_PCS 4096

static struct wire_fixture segment;
static struct seep_tree tree;
static __thread struct seep_frames frames;
static unsigned long compared;
static int sink;

static const struct seep_node *node_at(uint32_t node)
{
	uint32_t chunk = node / SEEP_NODES_PER_CHUNK;
	_Atomic uint32_t *dir = seep_pool_page(&segment.pool,
	    segment.pool.head->node_dir[chunk / SEEP_CHUNKS_PER_DIR]);
	struct seep_node *nodes =
	    seep_pool_page(&segment.pool, dir[chunk % SEEP_CHUNKS_PER_DIR]);

	return &nodes[node % SEEP_NODES_PER_CHUNK];
}

/* The pcs of a node's path, innermost first. */
static unsigned path_of(uint32_t node, uint64_t *pcs)
{
	unsigned n = 0;

	for (; node && n < MAX_PCS;) {
		const struct seep_node *x = node_at(node);
		uint32_t module = seep_node_module(x->kind_module);

		if (seep_node_kind(x->kind_module) == SEEP_NODE_TRUNCATED)
			break;
		pcs[n] = x->offset;
		if (seep_node_kind(x->kind_module) == SEEP_NODE_NATIVE) {
			struct seep_module_rec *m = seep_pool_page(
			    &segment.pool,
			    segment.pool.head
				->module_page[module / SEEP_MODULES_PER_PAGE]);

			pcs[n] += m[module % SEEP_MODULES_PER_PAGE].bias;
		}
		n++;
		node = x->parent;
	}
	return n;
}

/*
 * Called where an allocation would be. Both ways of capturing must give what
 * libunwind gives for our caller's frame and all further out. glibc's entry
 * frames have no caller for either.
 */
NI static void compare(void)
{
	static uint64_t ours[MAX_PCS], nested[MAX_PCS];
	void **frame = SEEP_FRAME;
	uint32_t node = seep_frames_capture(&frames, frame);
	uint32_t again = seep_frames_capture(&frames, frame);
	unsigned nr = path_of(node, ours), i = 0;
	unsigned nr_nested = path_of(seep_frames_capture_nested(frame), nested);
	unw_context_t uc;
	unw_cursor_t c;

	ck_assert_uint_eq(node, again);
	unw_getcontext(&uc);
	unw_init_local(&c, &uc);
	while (unw_step(&c) > 0) {
		unw_word_t ip;

		unw_get_reg(&c, UNW_REG_IP, &ip);
		if (!ip)
			break;
		ck_assert_uint_lt(i, nr);
		ck_assert_uint_eq(ours[i], ip);
		if (i < nr_nested)
			ck_assert_uint_eq(nested[i], ip);
		i++;
	}
	ck_assert_uint_eq(i, nr);
	compared++;
}

static unsigned seed = 1;

static unsigned rnd(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

static void wander(int depth);

NI static void plain(int depth)
{
	wander(depth);
	sink++;
}

NI static void with_alloca(int depth)
{
	volatile char *p = __builtin_alloca(16 + rnd() % 900);

	p[0] = 1;
	wander(depth);
	sink += p[0];
}

NI static void big_frame(int depth)
{
	volatile char a[9000];

	a[depth] = 1;
	wander(depth);
	sink += a[depth];
}

NI __attribute__((force_align_arg_pointer)) static void realigned(int depth)
{
	volatile char a[64] __attribute__((aligned(64)));

	a[depth % 64] = 1;
	wander(depth);
	sink += a[depth % 64];
}

static int by_value(const void *a, const void *b)
{
	if (rnd() % 8 == 0)
		compare();
	return *(const int *)a - *(const int *)b;
}

NI static void through_libc(int depth)
{
	int v[12];

	for (int i = 0; i < 12; i++)
		v[i] = (int)(rnd() % 100);
	qsort(v, 12, sizeof(v[0]), by_value);
	wander(depth);
}

NI static void many_arguments(
    int depth, long a, long b, long c, long d, long e, long f, long g, long h)
{
	sink += (int)(a + b + c + d + e + f + g + h);
	wander(depth);
	sink++;
}

static void wander(int depth)
{
	static void (*const ways[])(int) = {
	    plain, with_alloca, big_frame, realigned, through_libc};

	compare();
	if (depth <= 0)
		return;
	if (rnd() % 6 == 5)
		many_arguments(depth - 1, 1, 2, 3, 4, 5, 6, 7, 8);
	else
		ways[rnd() % 5](depth - 1);
	if (rnd() % 3 == 0)
		compare();
}

START_TEST(random_calls_of_all_kinds_of_frames)
{
	for (int i = 0; i < 400; i++)
		wander((int)(rnd() % 40));
	ck_assert_uint_gt(compared, 5000);
}
END_TEST

NI static void down(int n)
{
	if (n)
		down(n - 1);
	else
		compare();
	__asm__ volatile("" ::: "memory");
}

#ifdef __x86_64__
/* As in the loader's lazy binding: the CFA hangs on rbx. */
void by_rbx(void (*fn)(int), int depth);
__asm__(".text\n"
	".type by_rbx, @function\n"
	"by_rbx:\n"
	"	.cfi_startproc\n"
	"	pushq %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbx, 0\n"
	"	movq %rsp, %rbx\n"
	"	.cfi_def_cfa_register %rbx\n"
	"	andq $-64, %rsp\n"
	"	subq $256, %rsp\n"
	"	movq %rdi, %rax\n"
	"	movl %esi, %edi\n"
	"	call *%rax\n"
	"	movq %rbx, %rsp\n"
	"	.cfi_def_cfa_register %rsp\n"
	"	popq %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_restore %rbx\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size by_rbx, . - by_rbx\n");

START_TEST(frames_that_hang_on_another_register)
{
	for (int i = 0; i < 20; i++) {
		by_rbx(wander, i % 5);
		by_rbx(plain, 3);
	}
}
END_TEST
#endif

START_TEST(a_stack_deeper_than_the_first_memory)
{
	down(1500);
	down(3);
	down(3000);
	compare();
}
END_TEST

NI static uint32_t capture_without_memory(void)
{
	struct rlimit before, none;
	uint32_t node;

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
	none = before;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
	node = seep_frames_capture(&frames, SEEP_FRAME);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
	return node;
}

NI static uint32_t down_without_memory(int n)
{
	uint32_t node =
	    n ? down_without_memory(n - 1) : capture_without_memory();

	__asm__ volatile("" ::: "memory");
	return node;
}

/* What could not be walked for want of memory is not taken for the end. */
START_TEST(a_stack_without_memory_is_truncated)
{
	uint32_t node = down_without_memory(1500), parent;

	while ((parent = node_at(node)->parent))
		node = parent;
	ck_assert_uint_eq(
	    seep_node_kind(node_at(node)->kind_module), SEEP_NODE_TRUNCATED);
}
END_TEST

static jmp_buf env;

NI static void jump(int n)
{
	compare();
	if (!n)
		longjmp(env, 1);
	if (n > 0)
		jump(n - 1);
	sink++;
}

START_TEST(after_longjmp)
{
	for (volatile int i = 0; i < 50; i++) {
		if (!setjmp(env))
			jump(i);
		compare();
	}
}
END_TEST

static void handler(int sig)
{
	(void)sig;
	plain(3);
}

START_TEST(in_a_signal_handler)
{
	static char alt[1 << 16];
	stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)};
	struct sigaction sa = {.sa_handler = handler};

	sa.sa_flags = _i ? SA_ONSTACK : 0;
	if (_i)
		ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 20; i++) {
		raise(SIGUSR1);
		compare();
	}
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}
END_TEST

static ucontext_t back_to, coroutine;

static void on_its_own_stack(void)
{
	for (int i = 0; i < 20; i++) {
		wander(5);
		swapcontext(&coroutine, &back_to);
	}
}

START_TEST(in_a_coroutine)
{
	static char stack[1 << 18];

	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = sizeof(stack);
	coroutine.uc_link = &back_to;
	makecontext(&coroutine, on_its_own_stack, 0);
	for (int i = 0; i < 20; i++) {
		compare();
		swapcontext(&back_to, &coroutine);
	}
}
END_TEST

static void *in_thread(void *arg)
{
	ck_assert(seep_frames_init(&frames));
	wander(20);
	return arg;
}

START_TEST(in_a_thread)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, in_thread, NULL), 0);
	pthread_join(t, NULL);
}
END_TEST

/* A frame of the same size and place with another caller far out. */
NI static void left(int n)
{
	down(n);
	__asm__ volatile("" ::: "memory");
}

NI static void right(int n)
{
	down(n);
	__asm__ volatile("nop" ::: "memory");
}

START_TEST(stacks_that_differ_only_far_out)
{
	for (int i = 0; i < 2000; i++)
		(rnd() & 1 ? left : right)((int)(rnd() % 30));
}
END_TEST

START_TEST(after_a_flush_of_all_rules)
{
	for (int i = 0; i < 5; i++) {
		seep_frames_unload_begin();
		wander(5);
		seep_frames_unload_end();
		wander(5);
	}
}
END_TEST

static void *grab(size_t bytes)
{
	return seep_sys_grab(bytes);
}

static void setup(void)
{
	wire_fixture_init(&segment, 1 << 20);
	ck_assert(seep_objects_available());
	ck_assert(seep_cfi_init());
	ck_assert(seep_tree_init(&tree, &segment.pool, grab));
	seep_capture.tree = &tree;
	seep_capture.pool = &segment.pool;
	ck_assert(seep_frames_init(&frames));
}

int main(void)
{
	Suite *s = suite_create("frames");
	TCase *tc = tcase_create("frames");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, random_calls_of_all_kinds_of_frames);
#ifdef __x86_64__
	tcase_add_test(tc, frames_that_hang_on_another_register);
#endif
	tcase_add_test(tc, a_stack_deeper_than_the_first_memory);
	tcase_add_test(tc, a_stack_without_memory_is_truncated);
	tcase_add_test(tc, after_longjmp);
	tcase_add_loop_test(tc, in_a_signal_handler, 0, 2);
	tcase_add_test(tc, in_a_coroutine);
	tcase_add_test(tc, in_a_thread);
	tcase_add_test(tc, stacks_that_differ_only_far_out);
	tcase_add_test(tc, after_a_flush_of_all_rules);
	suite_add_tcase(s, tc);
	return wire_fixture_main(s);
}
