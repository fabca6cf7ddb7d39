/* SPDX-License-Identifier: MIT */
/*
 * churn.c - allocates and frees in a loop, at the end of a stack of calls
 *
 *	churn PATTERN DEPTH THREADS PAIRS [LIVE]
 *
 * Each of THREADS threads does PAIRS times malloc (16 sizes up to 496) and
 *free, both called by the innermost of DEPTH nested functions. PATTERN says how
 *the stack differs from one pair to the next:
 *
 *	flat      not at all: a loop in the innermost function
 *	hop       after each pair some levels return, at least one and at most
 *	          five (each further one with a probability of 0.62), and go
 *	          down again, each into another one of four functions: 2.4
 *	          frames change per pair; 768 stacks, some 1050 nodes
 *	rotate    after 64 pairs all levels return, and go down again on another
 *	          of 4096 routes
 *	rotate1   the same after each pair
 *
 * With LIVE, a pair frees one of LIVE blocks chosen at random and puts a new
 * one in its place, instead of freeing what it allocated.
 */
#include <pthread.h>

#include "bench/targets/bench.h"

#define MAX_THREADS 64
#define MAX_DEPTH   200
#define HOP_LEVELS  5
#define ROUTE_BITS  12

enum pattern { FLAT, HOP, ROTATE };

struct churn {
	enum pattern pattern;
	unsigned depth;
	uint64_t random;
	uint64_t left;	    /* pairs to do */
	uint64_t per_visit; /* pairs until the innermost function returns */
	unsigned returning; /* levels still to return before going down */
	unsigned route;	    /* rotate: a bit for each level */
	uint8_t at[MAX_DEPTH + 1]; /* hop: which function each level is in */
	void **live;
	uint64_t nr_live;
	uint64_t allocated_bytes;
	int64_t wall_ns, cpu_ns;
} __attribute__((aligned(128))); /* threads have no cache line in common */

static struct churn churns[MAX_THREADS];
static pthread_barrier_t start;

/* Inlined: what calls malloc and free is one of the functions that change. */
#define INLINE static inline __attribute__((always_inline))

INLINE void *allocate(struct churn *c)
{
	uint64_t r = bench_random(&c->random) >> 20;
	/* Many sizes from each of many stacks would be what no program does,
	 * and more than heaptrack can bear. */
	size_t size = 16 + 32 * ((c->pattern == ROTATE ? c->route : r) & 15);
	char *p = malloc(size);

	if (!p)
		abort();
	*(volatile char *)p = 1;
	c->allocated_bytes += size;
	return p;
}

INLINE void pair(struct churn *c)
{
	if (c->nr_live) {
		uint64_t i = (bench_random(&c->random) >> 16) % c->nr_live;

		free(c->live[i]);
		c->live[i] = allocate(c);
	} else {
		free(allocate(c));
	}
}

/* Which levels return, and into which other function each goes down again. */
INLINE void hop(struct churn *c)
{
	uint64_t r = bench_random(&c->random) >> 20;
	unsigned n = 1;

	while (n < HOP_LEVELS && n + 1 < c->depth && (r & 0xff) < 159) {
		n++;
		r >>= 8;
	}
	c->returning = n - 1;
	for (unsigned i = 0; i < n; i++, r >>= 2) {
		uint8_t *at = &c->at[c->depth - i];

		/* At the outermost of them there are three to choose from. */
		*at = i == HOP_LEVELS - 1 ? (*at + 1 + (r & 1)) % 3
					  : *at + 1 + ((r & 3) * 3 >> 2);
	}
}

static void descend(struct churn *c, unsigned level);

/* The innermost level does pairs; the others call the next one until it is
 * their turn to return. */
INLINE void level_of(struct churn *c, unsigned level)
{
	if (level == c->depth) {
		for (uint64_t n = c->per_visit; n; n--)
			pair(c);
		c->left -= c->per_visit;
		if (c->pattern == HOP)
			hop(c);
		else
			c->returning = MAX_DEPTH;
		return;
	}
	while (c->left) {
		descend(c, level + 1);
		if (c->returning) {
			c->returning--;
			return;
		}
	}
}

#define LEVEL(name)                                                            \
	BENCH_CALL static void name(struct churn *c, unsigned level)           \
	{                                                                      \
		level_of(c, level);                                            \
		BENCH_NO_TAIL_CALL();                                          \
	}
LEVEL(level_a)
LEVEL(level_b)
LEVEL(level_c)
LEVEL(level_d)

INLINE void descend(struct churn *c, unsigned level)
{
	static void (*const levels[])(struct churn *, unsigned) = {
	    level_a, level_b, level_c, level_d};
	unsigned i = c->pattern == HOP ? c->at[level] & 3
				       : c->route >> (level % ROUTE_BITS) & 1;

	levels[i](c, level);
}

BENCH_CALL static void *run(void *arg)
{
	struct churn *c = arg;
	int64_t wall, cpu;

	for (uint64_t i = 0; i < c->nr_live; i++)
		c->live[i] = allocate(c);
	pthread_barrier_wait(&start);
	wall = bench_now(CLOCK_MONOTONIC);
	cpu = bench_now(CLOCK_THREAD_CPUTIME_ID);
	while (c->left) {
		if (c->pattern == ROTATE)
			c->route = bench_random(&c->random) >> 40;
		if (c->per_visit > c->left)
			c->per_visit = c->left;
		c->returning = 0;
		descend(c, 1);
	}
	c->cpu_ns = bench_now(CLOCK_THREAD_CPUTIME_ID) - cpu;
	c->wall_ns = bench_now(CLOCK_MONOTONIC) - wall;
	return NULL;
}

static void set_pattern(struct churn *c, const char *name)
{
	if (!strcmp(name, "flat")) {
		c->pattern = FLAT;
		c->route = 0xa53;
		c->per_visit = c->left;
	} else if (!strcmp(name, "hop")) {
		c->pattern = HOP;
		c->per_visit = 1;
	} else if (!strcmp(name, "rotate") || !strcmp(name, "rotate1")) {
		c->pattern = ROTATE;
		c->per_visit = name[6] ? 1 : 64;
	} else {
		fprintf(stderr, "no pattern '%s'\n", name);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned nr = bench_number(argc > 3 ? argv[3] : NULL, 1);
	uint64_t depth = bench_number(argv[2], 1);
	uint64_t pairs = bench_number(argc > 4 ? argv[4] : NULL, 1);
	uint64_t live = argc > 5 ? bench_number(argv[5], 1) : 0;
	uint64_t bytes = 0;
	int64_t wall = 0, cpu = 0;
	pthread_t threads[MAX_THREADS];

	if (nr > MAX_THREADS || depth > MAX_DEPTH) {
		fprintf(stderr, "at most %d threads and a depth of %d\n",
		    MAX_THREADS, MAX_DEPTH);
		return 2;
	}
	pthread_barrier_init(&start, NULL, nr);
	for (unsigned i = 0; i < nr; i++) {
		struct churn *c = &churns[i];

		c->depth = depth;
		c->left = pairs;
		c->random = bench_seed(i);
		c->nr_live = live;
		c->live = live ? calloc(live, sizeof(*c->live)) : NULL;
		set_pattern(c, argv[1]);
		if (live && !c->live)
			abort();
		if (i && pthread_create(&threads[i], NULL, run, c))
			abort();
	}
	run(&churns[0]);
	for (unsigned i = 0; i < nr; i++) {
		if (i)
			pthread_join(threads[i], NULL);
		bytes += churns[i].allocated_bytes;
		cpu += churns[i].cpu_ns;
		if (churns[i].wall_ns > wall)
			wall = churns[i].wall_ns;
	}
	printf("churn: %llu pairs, %llu bytes\n",
	    (unsigned long long)(nr * pairs), (unsigned long long)bytes);
	printf("@wall_ns %.3f\n", (double)wall / (double)pairs);
	printf("@cpu_ns %.3f\n", (double)cpu / (double)(nr * pairs));
	printf("@threads %u\n", nr);
	printf("@operations %llu\n", (unsigned long long)(nr * pairs));
	return 0;
}
