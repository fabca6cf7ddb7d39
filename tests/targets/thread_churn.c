/* SPDX-License-Identifier: MIT */
/*
 * thread_churn FILE OPERATIONS: four threads malloc, calloc, realloc and free
 * at random, also each other's blocks; the truth lives in FILE, so that it
 * outlasts a kill -9. With OPERATIONS 0 they never stop: "ready" is written to
 * stdout once every thread has done a few thousand.
 * thread_churn --state FILE PID EXE: states the truth that FILE holds.
 *
 * A thread notes the operation that it is about to do, with the counts from
 * before it; killed in it, the block of that operation may be there or not.
 */
#include "truth.h"
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#define THREADS 4
#define SLOTS	2048
#define SEEN	5000

struct slot {
	uint64_t address; /* 0: empty; taken and put by atomic exchange */
	uint64_t bytes;	  /* written by who holds the block */
};

struct thread_truth {
	int64_t blocks, bytes;
	int64_t before_blocks, before_bytes;
	int64_t old_bytes, new_bytes; /* -1: none; of the operation in flight */
	int64_t in_flight;
	int64_t operations;
	int64_t pad[8];
};

struct shared {
	struct thread_truth thread[THREADS];
	uint64_t pid;
};

static struct shared *shared;
static struct slot slots[SLOTS];
static long operations;
static int ready_fd = 1;
static int nr_ready;

static void begin(struct thread_truth *t, int64_t old_bytes, int64_t new_bytes)
{
	t->before_blocks = t->blocks;
	t->before_bytes = t->bytes;
	t->old_bytes = old_bytes;
	t->new_bytes = new_bytes;
	__atomic_store_n(&t->in_flight, 1, __ATOMIC_RELEASE);
}

static void end(struct thread_truth *t)
{
	t->blocks += (t->new_bytes >= 0) - (t->old_bytes >= 0);
	t->bytes += (t->new_bytes >= 0 ? t->new_bytes : 0) -
		    (t->old_bytes >= 0 ? t->old_bytes : 0);
	__atomic_store_n(&t->in_flight, 0, __ATOMIC_RELEASE);
}

__attribute__((noinline)) static void *get_small(size_t bytes)
{
	return malloc(bytes);
}

__attribute__((noinline)) static void *get_zeroed(size_t bytes)
{
	return calloc(1, bytes);
}

__attribute__((noinline)) static void *change(void *p, size_t bytes)
{
	return realloc(p, bytes);
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t pick_bytes(uint64_t random)
{
	switch (random % 16) {
	case 0:
		return 1024 + (random >> 8) % 20000;
	case 1:
		return (random >> 8) % 17;
	case 2:
		return 200000 + (random >> 8) % 200000;
	default:
		return 16 + (random >> 8) % 600;
	}
}

/*
 * The size of a block stays with it: 8 bytes at its front where it has them,
 * so that the cross-thread exchange is of one word.
 */
static void *churn(void *argument)
{
	struct thread_truth *t = argument;
	uint64_t random = 88172645463325252ull + (t - shared->thread) * 7919;

	for (long i = 0; !operations || i < operations; i++) {
		uint64_t r = next(&random);
		struct slot *s = &slots[(r >> 40) % SLOTS];
		size_t bytes = pick_bytes(r);
		uint64_t mine, old_bytes;
		void *p;

		t->operations = i;
		if (i == SEEN &&
		    __atomic_add_fetch(&nr_ready, 1, __ATOMIC_RELAXED) ==
			THREADS &&
		    write(ready_fd, "ready\n", 6) != 6)
			truth_die("write");
		if (bytes < 8)
			bytes = 8;
		mine = __atomic_exchange_n(&s->address, 0, __ATOMIC_ACQ_REL);
		if (!mine) {
			begin(t, -1, bytes);
			p = r & 64 ? get_small(bytes) : get_zeroed(bytes);
			if (!p)
				truth_die("malloc");
			end(t);
			*(uint64_t *)p = bytes;
			mine = (uint64_t)(uintptr_t)p;
		} else if (r & 128) {
			p = (void *)(uintptr_t)mine;
			old_bytes = *(uint64_t *)p;
			begin(t, old_bytes, bytes);
			p = change(p, bytes);
			if (!p)
				truth_die("realloc");
			end(t);
			*(uint64_t *)p = bytes;
			mine = (uint64_t)(uintptr_t)p;
		} else {
			p = (void *)(uintptr_t)mine;
			old_bytes = *(uint64_t *)p;
			begin(t, old_bytes, -1);
			free(p);
			end(t);
			continue;
		}
		/* Whoever put one there meanwhile loses it to us: freed. */
		mine = __atomic_exchange_n(
		    &slots[(r >> 20) % SLOTS].address, mine, __ATOMIC_ACQ_REL);
		if (mine) {
			p = (void *)(uintptr_t)mine;
			old_bytes = *(uint64_t *)p;
			begin(t, old_bytes, -1);
			free(p);
			end(t);
		}
	}
	return NULL;
}

static struct shared *map_truth(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct shared *s;

	if (fd < 0 || ftruncate(fd, sizeof(*s)))
		truth_die("cannot open the truth");
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED)
		truth_die("cannot map the truth");
	close(fd);
	return s;
}

static int state(void)
{
	long lo = 0, hi = 0, lo_bytes = 0, hi_bytes = 0, in_flight = 0;
	char line[256];

	for (int i = 0; i < THREADS; i++) {
		struct thread_truth *t = &shared->thread[i];
		long blocks = t->blocks, bytes = t->bytes;
		long old_bytes = t->old_bytes, new_bytes = t->new_bytes;

		if (t->in_flight) {
			blocks = t->before_blocks;
			bytes = t->before_bytes;
		}
		lo += blocks;
		hi += blocks;
		lo_bytes += bytes;
		hi_bytes += bytes;
		if (!t->in_flight)
			continue;
		in_flight++;
		if (old_bytes >= 0) {
			lo--;
			lo_bytes -= old_bytes;
		}
		if (new_bytes >= 0) {
			hi += old_bytes < 0;
			hi_bytes += new_bytes;
		}
	}
	if (lo < 100)
		truth_die("nothing was measured");
	truth_write(
	    line, snprintf(line, sizeof(line),
		      "expect range %ld %ld %ld %ld thread_churn.c pid=%d\n",
		      lo, hi, lo_bytes, hi_bytes, (int)shared->pid));
	printf(
	    "%ld blocks, %ld bytes, %ld in flight\n", lo, lo_bytes, in_flight);
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	if (argc == 3 && !strcmp(argv[1], "--state")) {
		shared = map_truth(argv[2]);
		return state();
	}
	if (argc != 3)
		return 2;
	shared = map_truth(argv[1]);
	shared->pid = getpid();
	operations = atol(argv[2]);
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(
			&threads[i], NULL, churn, &shared->thread[i]))
			truth_die("pthread_create");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
