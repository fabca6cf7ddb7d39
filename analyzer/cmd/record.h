/* SPDX-License-Identifier: MIT */
/*
 * record.h - the collector's sink: a recording, and names at its end
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   keeps the descriptors of modules (a bounded number) and the ids of
 *           sites that had live blocks, until seep_record_destroy().
 * Trust:    names come from the traced process and are stored as they are.
 * Units:    as in model.h.
 * Errors:   struct seep_error.
 */
#ifndef SEEP_CMD_RECORD_H
#define SEEP_CMD_RECORD_H

#include <stdint.h>

#include "analyzer/base/error.h"
#include "analyzer/collect/sink.h"

struct seep_record;

/* A recording at `path`, absolute; made now, or continued. */
struct seep_error *seep_record_create(
    const char *path, bool append, struct seep_record **ret) SEEP_MUST_CHECK;

/*
 * A recording whose place is known only when the first process reports:
 * `wanted` if not NULL, else PROG.PID.seep in the current folder, else, where
 * that cannot be written, in the runtime folder.
 */
struct seep_error *seep_record_create_later(
    const char *wanted, struct seep_record **ret) SEEP_MUST_CHECK;

void seep_record_destroy(struct seep_record *rec);
SEEP_DEFINE_CLEANUP(struct seep_record *, seep_record_destroy)

/* Lives as long as the record. */
const struct seep_sink *seep_record_sink(struct seep_record *rec);

/* PATH as it is after chdir("/"); the caller frees. */
char *seep_record_absolute(const char *path);

#endif
