/* SPDX-License-Identifier: MIT */
/*
 * read.h - the reader's side of a segment: header, blocks, nodes, counters
 *
 * Threads:  one reader per handle; the writers may be at work meanwhile. Each
 *           block and counter was right at some moment of the call; at rest
 *           the answer is exact.
 * Signals:  not for signal handlers.
 * Memory:   never allocates; the caller gives `read` and owns every buffer.
 * Trust:    everything read is checked; a segment that contradicts itself
 *           gives SEEP_READ_CORRUPT, and never a crash or an endless loop.
 * Units:    bytes; page numbers are in SEEP_PAGE.
 * Errors:   enum seep_read_status.
 */
#ifndef SEEP_WIRE_READ_H
#define SEEP_WIRE_READ_H

#include <stdbool.h>

#include "wire/layout.h"

enum seep_read_status {
	SEEP_READ_OK = 0,
	SEEP_READ_IO = -1,	/* the read callback failed */
	SEEP_READ_CORRUPT = -2, /* the segment contradicts itself */
	SEEP_READ_STOP = -3,	/* the caller's callback said stop */
	SEEP_READ_VERSION = -4, /* written by another version of seep */
};

/* Reads exactly len bytes at off (a pread of the memfd); 0, or -1. */
typedef int seep_read_fn(void *ctx, uint64_t off, void *buf, size_t len);

struct seep_reader {
	seep_read_fn *read;
	void *ctx;
	uint64_t file_bytes;	 /* as fstat says: page numbers end here */
	struct seep_header head; /* as of the last seep_reader_refresh() */
};

/* Checks magic, version and size and reads the header. */
enum seep_read_status seep_reader_init(
    struct seep_reader *r, seep_read_fn *read, void *ctx, uint64_t file_bytes);
enum seep_read_status seep_reader_refresh(struct seep_reader *r);

struct seep_block {
	uint64_t addr;
	uint64_t size_bytes;
	uint32_t node;
	uint32_t epoch;
};

/* Calls fn for each live block, in no order to rely on; nonzero from fn stops.
 */
typedef int seep_block_fn(void *ctx, const struct seep_block *b);
enum seep_read_status seep_read_blocks(
    struct seep_reader *r, seep_block_fn *fn, void *ctx);

/* Up to `max` nodes from id `first` on; *got may be less at the end. */
enum seep_read_status seep_read_nodes(struct seep_reader *r, uint32_t first,
    struct seep_node *nodes, uint32_t max, uint32_t *got);
uint32_t seep_reader_nr_nodes(const struct seep_reader *r);

/* Module `id`; `path` gets a NUL-terminated copy, cut to path_size. Returns
 * SEEP_READ_STOP when the entry is not ready yet. */
enum seep_read_status seep_read_module(struct seep_reader *r, uint32_t id,
    struct seep_module_rec *rec, char *path, size_t path_size);
uint32_t seep_reader_nr_modules(const struct seep_reader *r);

/* exe or command line, as the header names them; *len is what was copied. */
enum seep_read_status seep_read_text(struct seep_reader *r, uint64_t at,
    uint32_t want, char *buf, size_t size, size_t *len);

struct seep_sums {
	uint64_t alloc_blocks, alloc_bytes, free_blocks, free_bytes;
};

/* In a sampled segment (head.sample_bytes) both are in the units of sample.h.
 */
struct seep_totals {
	struct seep_sums sums;
	struct seep_sums spread;
	uint64_t unknown_frees;
};

/* to += add, modulo 2^64. */
void seep_sums_add(struct seep_sums *to, const struct seep_sums *add);

/* Sum over all threads: a few cache lines per thread, cheap enough for 10 ms.
 */
enum seep_read_status seep_read_totals(
    struct seep_reader *r, struct seep_totals *ret);

/* Calls fn for each counter of each thread: sum per node. Nonzero stops. */
typedef int seep_counter_fn(
    void *ctx, uint32_t node, const struct seep_totals *t);
enum seep_read_status seep_read_counters(
    struct seep_reader *r, seep_counter_fn *fn, void *ctx);
/* At the last refresh no more than one thread had counters: each node comes
 * once, with all there is of it. */
bool seep_reader_has_one_thread(const struct seep_reader *r);

/* Page numbers of the threads' rings (ring.h), which fn gets one by one, with
 * the thread's tid. Nonzero stops. */
typedef int seep_ring_fn(void *ctx, uint32_t tid, uint64_t page);
enum seep_read_status seep_read_rings(
    struct seep_reader *r, seep_ring_fn *fn, void *ctx);

/* "fork", "exec", ...; NULL for a kind that is not known. */
const char *seep_event_name(uint32_t kind);

/* The name of a drop cause in reports: "segment_full"; NULL past the last. */
const char *seep_drop_name(unsigned drop);

/* One line for people on what the cause means for the figures. */
const char *seep_drop_meaning(unsigned drop);

#endif
