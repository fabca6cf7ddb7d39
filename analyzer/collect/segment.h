/* SPDX-License-Identifier: MIT */
/*
 * segment.h - a traced process as it reported itself: descriptors and header
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   maps the first page of the segment, to set epoch and heartbeat, and
 *           a ring while it is emptied; everything else is read with pread,
 *           which takes no memory.
 * Trust:    only a sealed memfd is taken, so that it can neither shrink nor be
 *           a file whose reads hang; only a procfs descriptor as memory.
 * Units:    bytes; nanoseconds of CLOCK_MONOTONIC.
 * Errors:   struct seep_error.
 */
#ifndef SEEP_COLLECT_SEGMENT_H
#define SEEP_COLLECT_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/error.h"
#include "wire/read.h"
#include "wire/ring.h"

enum { SEEP_SEGMENT_FD, SEEP_SEGMENT_MEM, SEEP_SEGMENT_MAPS, SEEP_SEGMENT_FDS };

struct seep_segment {
	int fds[SEEP_SEGMENT_FDS]; /* -1: not there */
	int pidfd;		   /* -1: ended before we saw it */
	uint32_t pid;		   /* as we see it, by SO_PEERCRED */
	uint32_t uid;
	struct seep_hello hello;
	struct seep_header *page; /* mapped, shared with the process */
	struct seep_reader reader;
	char *exe;
	char **command;
};

/* Takes the descriptors in any case. pidfd: of the peer, or -1. */
struct seep_error *seep_segment_open(const struct seep_hello *hello,
    uint32_t pid, uint32_t uid, int pidfd, const int *fds, size_t nr_fds,
    struct seep_segment **ret) SEEP_MUST_CHECK;
void seep_segment_close(struct seep_segment *seg);
SEEP_DEFINE_CLEANUP(struct seep_segment *, seep_segment_close)

/* A sealed memfd for a process that may not make one itself (SEEP_WANT_MAGIC in
 * layout.h); -1 and errno. The caller closes it. */
int seep_segment_make(uint64_t bytes);

/*
 * Maps part of the segment, to write to it; NULL and errno if it cannot be.
 * Pages of the segment need not be pages of the kernel, see SEEP_PAGE.
 */
void *seep_segment_view(struct seep_segment *seg, uint64_t at, size_t bytes);
void seep_segment_unview(void *view, uint64_t at, size_t bytes);

void seep_segment_set_epoch(struct seep_segment *seg, uint32_t epoch);
uint32_t seep_segment_epoch(const struct seep_segment *seg);
void seep_segment_beat(struct seep_segment *seg, uint64_t now_ns);
enum seep_state seep_segment_state(const struct seep_segment *seg);

/* Is the history of every block recorded, and not of a sample? */
bool seep_segment_has_all_histories(const struct seep_segment *seg);

/* True once all threads of the process have ended. */
bool seep_segment_has_ended(const struct seep_segment *seg);

/* True when the memory that the segment describes is gone: exec, or exit. */
bool seep_segment_is_replaced(const struct seep_segment *seg);

/* Takes the events of all threads, those of one thread in order. */
typedef void seep_segment_event_fn(
    void *ctx, const struct seep_event *e, const char *text);
void seep_segment_events(
    struct seep_segment *seg, seep_segment_event_fn *fn, void *ctx);

/* Memory that the segment takes: part of the process's RSS. */
uint64_t seep_segment_used_bytes(const struct seep_segment *seg);

#endif
