/* SPDX-License-Identifier: MIT */
/*
 * truth.h - how a victim states what must be true of it
 *
 * A victim marks every block that it means to leave alive with KEEP and every
 * block that it frees with CHURN, on the line of the allocation. At its end it
 * calls truth_state(), which writes one line for each marked line and one for
 * the whole file; tests/tools/check_truth.py compares them with the report:
 *
 *	expect leak 3 96 leak_in_loop.c:21 pid=12 exe=leak_in_loop
 *
 * The lines go to descriptor 3 where that is open for appending, else to the
 * file that SEEP_TRUTH names.
 *
 * Threads:  KEEP and CHURN from any thread; truth_state when all are quiet.
 * Signals:  KEEP and CHURN are async-signal-safe.
 * Memory:   never allocates: it must not add to what it states.
 * Trust:    none; a test program.
 * Units:    bytes are requested bytes.
 * Errors:   a victim that measured nothing ends with status 99.
 */
#ifndef SEEP_TESTS_TRUTH_H
#define SEEP_TESTS_TRUTH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRUTH_LINES 4096
#define TRUTH_SINKS 65536

struct truth_line {
	long keep_blocks, keep_bytes; /* alive at the end */
	long all_blocks, all_bytes;   /* ever allocated */
};

static struct truth_line truth_lines[TRUTH_LINES];

/* What the optimizer cannot see through: blocks are really allocated. */
static void *volatile truth_sink[TRUTH_SINKS];
static unsigned truth_nr_sinks;

static inline void truth_die(const char *why)
{
	ssize_t ignored;

	ignored = write(2, "victim: ", 8);
	ignored = write(2, why, strlen(why));
	ignored = write(2, "\n", 1);
	(void)ignored;
	_exit(99);
}

static inline void *truth_keep(unsigned line, void *p, size_t bytes)
{
	unsigned at;

	if (!p)
		truth_die("an allocation failed");
	__atomic_fetch_add(&truth_lines[line].keep_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(
	    &truth_lines[line].keep_bytes, (long)bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&truth_lines[line].all_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(
	    &truth_lines[line].all_bytes, (long)bytes, __ATOMIC_RELAXED);
	at = __atomic_fetch_add(&truth_nr_sinks, 1, __ATOMIC_RELAXED);
	truth_sink[at % TRUTH_SINKS] = p;
	return p;
}

static inline void *truth_churn(unsigned line, void *p, size_t bytes)
{
	void *volatile seen = p;

	if (!seen)
		truth_die("an allocation failed");
	__atomic_fetch_add(&truth_lines[line].all_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(
	    &truth_lines[line].all_bytes, (long)bytes, __ATOMIC_RELAXED);
	return seen;
}

#define KEEP(p, bytes)	truth_keep(__LINE__, (p), (bytes))
#define CHURN(p, bytes) truth_churn(__LINE__, (p), (bytes))

static inline const char *truth_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* One line, one write: several processes append to the same file. */
static inline void truth_write(const char *line, int length)
{
	int flags = fcntl(3, F_GETFL);
	const char *path = getenv("SEEP_TRUTH");
	int fd = 3;

	if (flags < 0 || !(flags & O_APPEND)) {
		if (!path)
			truth_die("nowhere to write the truth to");
		fd =
		    open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
		if (fd < 0)
			truth_die("cannot open SEEP_TRUTH");
	}
	if (write(fd, line, length) != length)
		truth_die("cannot write the truth");
	if (fd != 3)
		close(fd);
}

static inline void truth_expect(
    const char *what, long blocks, long bytes, const char *file, unsigned line)
{
	char text[512];
	char place[300];

	if (line)
		snprintf(place, sizeof(place), "%s:%u", truth_base(file), line);
	else
		snprintf(place, sizeof(place), "%s", truth_base(file));
	truth_write(text,
	    snprintf(text, sizeof(text), "expect %s %ld %ld %s pid=%d exe=%s\n",
		what, blocks, bytes, place, (int)getpid(),
		program_invocation_short_name));
}

/* States everything that was marked so far, for this process. */
static inline void truth_state_file(const char *file)
{
	long blocks = 0, bytes = 0, all = 0;

	for (unsigned i = 1; i < TRUTH_LINES; i++) {
		struct truth_line *l = &truth_lines[i];

		if (!l->all_blocks)
			continue;
		truth_expect("leak", l->keep_blocks, l->keep_bytes, file, i);
		truth_expect("alloc", l->all_blocks, l->all_bytes, file, i);
		blocks += l->keep_blocks;
		bytes += l->keep_bytes;
		all += l->all_blocks;
	}
	if (!all)
		truth_die("nothing was measured");
	truth_expect("total", blocks, bytes, file, 0);
}

/* A child after fork: what it inherited is not its own. */
static inline void truth_reset(void)
{
	memset(truth_lines, 0, sizeof(truth_lines));
}

#define truth_state() truth_state_file(__FILE__)

#endif
