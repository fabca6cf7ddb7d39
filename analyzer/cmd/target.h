/* SPDX-License-Identifier: MIT */
/*
 * target.h - "FILE|PID": a recording, or a process whose collector is asked
 *
 * Threads:  the program has one.
 * Signals:  not for signal handlers.
 * Memory:   _deinit frees the path.
 * Trust:    answers of a collector are checked by collect/control.
 * Units:    none.
 * Errors:   struct seep_error.
 */
#ifndef SEEP_CMD_TARGET_H
#define SEEP_CMD_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/base/error.h"

struct seep_target {
	char *path;	    /* the recording */
	uint32_t pid;	    /* 0: a file was named */
	int64_t process_id; /* of a PID, once it is known */
	int64_t from, to;   /* for growth of a PID; from 0: first call */
};

/* A word of digits is a PID, unless only a file is called so. */
bool seep_target_is_pid(const char *word, uint32_t *pid);

/* For a PID takes a snapshot first; a collector that does not answer gives a
 * warning, and the recording is used as it is. */
struct seep_error *seep_target_open(
    const char *word, struct seep_target *ret) SEEP_MUST_CHECK;

/* The same; the snapshot becomes the next baseline of the asking user. */
struct seep_error *seep_target_open_growth(
    const char *word, struct seep_target *ret) SEEP_MUST_CHECK;

void seep_target_deinit(struct seep_target *t);

#endif
