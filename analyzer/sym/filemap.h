/* SPDX-License-Identifier: MIT */
/*
 * filemap.h - a file mapped for reading that may shrink under our hands
 *
 * Threads:  one thread at a time in the whole process between _enter/_leave.
 * Signals:  between seep_filemap_enter() and _leave() SIGBUS is ours: a page
 *           of one of our maps that the file lost reads as zeros from then on.
 *           Any other SIGBUS does what it did before.
 * Memory:   nothing is copied; seep_filemap_trim() gives the pages back to the
 *           page cache, they come again when touched.
 * Trust:    regular files only, opened without blocking; contents are not
 *           looked at. /proc/self/fd is used where a descriptor cannot be
 *           mapped itself.
 * Units:    bytes.
 * Errors:   false: no such regular file, empty, too large, or no memory.
 */
#ifndef SEEP_SYM_FILEMAP_H
#define SEEP_SYM_FILEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/cleanup.h"

struct seep_filemap {
	unsigned char *base; /* NULL: nothing is mapped */
	size_t size;
	uint64_t dev, ino;
	size_t keep_start, keep_end; /* not given back: was written to */
	struct seep_filemap *next;   /* of all maps: for the SIGBUS handler */
};

/* The struct must stay where it is until _close(). */
bool seep_filemap_open(struct seep_filemap *m, const char *path);
bool seep_filemap_open_fd(struct seep_filemap *m, int fd);
void seep_filemap_close(struct seep_filemap *m);
void seep_filemap_trim(const struct seep_filemap *m);
/* Lets our copy of a few bytes be written; once per map. */
bool seep_filemap_unlock(struct seep_filemap *m, size_t offset, size_t bytes);

void seep_filemap_enter(void);
void seep_filemap_leave(void);

#endif
