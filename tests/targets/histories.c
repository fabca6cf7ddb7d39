/* SPDX-License-Identifier: MIT */
/*
 * histories [ROUNDS]: blocks whose histories it knows itself. For each function
 * that allocates it writes to descriptor 3
 *
 *	history FUNCTION begun ended temporary elsewhere
 *
 * with the blocks that it allocated, that were freed, that were freed by the
 * thread that allocated them before its next allocation, and by another thread.
 * With two arguments it also writes "ready" to descriptor 1 and waits for a
 * byte on descriptor 0 before it begins.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 4
#define SLOTS	64

struct counts {
	_Atomic long begun, ended, temporary, elsewhere;
};

static struct counts at_once, in_order, passed_on, grown, refused;
static long rounds = 20000;
static pthread_barrier_t together;

/* What is in a block: the thread that allocated it. */
static _Atomic(long *) slots[SLOTS];

static __thread void *volatile sink;

static __attribute__((noinline)) void allocate_at_once(void)
{
	sink = malloc(48);
	free(sink);
	at_once.begun++;
	at_once.ended++;
	at_once.temporary++;
}

/* The second is freed first: only that one is temporary. */
static __attribute__((noinline)) void allocate_in_order(void)
{
	void *volatile a = malloc(24), *volatile b = malloc(3000);

	free(b);
	free(a);
	in_order.begun += 2;
	in_order.ended += 2;
	in_order.temporary++;
}

static void ended(long *p, long who)
{
	passed_on.ended++;
	if (*p != who)
		passed_on.elsewhere++;
	free(p);
}

/* Takes what another thread left and leaves something: addresses go round. */
static __attribute__((noinline)) void allocate_passed_on(long who, long i)
{
	long *p = malloc(i % 7 ? 40 : 2000);

	*p = who;
	passed_on.begun++;
	p = atomic_exchange(&slots[i % SLOTS], p);
	if (p)
		ended(p, who);
}

/* realloc ends one history and begins another; each frees the thread's last
 * block, as does the last. */
static __attribute__((noinline)) void allocate_grown(void)
{
	void *volatile p = malloc(10);
	int i;

	for (i = 1; i < 8; i++)
		p = realloc(p, (size_t)i * 700);
	free(p);
	grown.begun += i;
	grown.ended += i;
	grown.temporary += i;
}

/* One that fails ends nothing. */
static __attribute__((noinline)) void allocate_refused(void)
{
	volatile size_t too_much = PTRDIFF_MAX;
	void *volatile p = malloc(100), *q = realloc(p, too_much);

	if (q)
		_exit(99);
	free(p);
	refused.begun++;
	refused.ended++;
	refused.temporary++;
}

static void *work(void *argument)
{
	long who = (long)argument;

	pthread_barrier_wait(&together);
	for (long i = 0; i < rounds; i++) {
		allocate_at_once();
		allocate_passed_on(who, i * 13 + who);
		if (i % 4 == 0)
			allocate_in_order();
		if (i % 16 == 0)
			allocate_grown();
		if (i % 64 == 0)
			allocate_refused();
	}
	return NULL;
}

static void state(const char *name, const struct counts *c)
{
	dprintf(3, "history %s %ld %ld %ld %ld\n", name, c->begun, c->ended,
	    c->temporary, c->elsewhere);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	char byte;

	if (argc > 1)
		rounds = atol(argv[1]);
	if (argc > 2 && (write(1, "ready\n", 6) != 6 || read(0, &byte, 1) != 1))
		return 99;
	pthread_barrier_init(&together, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	state("allocate_at_once", &at_once);
	state("allocate_in_order", &in_order);
	state("allocate_passed_on", &passed_on);
	state("allocate_grown", &grown);
	state("allocate_refused", &refused);
	return 0;
}
