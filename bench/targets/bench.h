/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the benchmark's C programs share: numbers, clocks, results
 *
 * Threads:  a generator belongs to one thread.
 * Signals:  not for signal handlers.
 * Memory:   never allocates: what a program allocates is its workload.
 * Trust:    arguments are checked, a bad one ends the program with status 2.
 * Units:    nanoseconds, bytes.
 * Errors:   none but that.
 *
 * A line that begins with '@' is a measurement, "@name value"; all others are
 * the same in every run, traced or not, and bench/run compares them.
 */
#ifndef SEEP_BENCH_H
#define SEEP_BENCH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A call stays a call, and has a frame of its own. */
#ifdef __clang__
#define BENCH_CALL __attribute__((noinline))
#else
#define BENCH_CALL __attribute__((noinline, noclone, noipa))
#endif
#define BENCH_NO_TAIL_CALL() __asm__ volatile("" ::: "memory")

static inline uint64_t bench_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint64_t bench_seed(unsigned thread)
{
	return 88172645463325252ull + thread * 7919;
}

static inline int64_t bench_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The number in TEXT; a usage error if it is not one of at least MIN. */
static inline uint64_t bench_number(const char *text, uint64_t min)
{
	char *end = NULL;
	uint64_t n = text ? strtoull(text, &end, 10) : 0;

	if (!text || end == text || *end || n < min) {
		fprintf(stderr, "a number of at least %llu is missing\n",
		    (unsigned long long)min);
		exit(2);
	}
	return n;
}

/* Resident bytes of this process as the page tables have them: the counters of
 * /proc/self/statm lag behind by some pages per CPU. No stdio, it allocates. */
static inline uint64_t bench_rss_bytes(void)
{
	static char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *rss;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	rss = strstr(text, "\nRss:");
	return rss ? strtoull(rss + 5, NULL, 10) * 1024 : 0;
}

#endif
