/* SPDX-License-Identifier: MIT */
/*
 * sink.h - where a collector puts what it finds
 *
 * The collector does not know the store: cmd/record.c puts the two together
 * (includes of collect/ and store/ meet only in cmd/), tests bring their own.
 *
 * Threads:  called by the collector's one thread.
 * Signals:  not for signal handlers.
 * Memory:   arguments belong to the caller, but for `fd` of put_module.
 * Trust:    texts and numbers may come from a hostile segment.
 * Units:    as in model.h.
 * Errors:   struct seep_error. After one the collector calls rollback, forgets
 *           every id it was given since begin and tries again later.
 */
#ifndef SEEP_COLLECT_SINK_H
#define SEEP_COLLECT_SINK_H

#include "analyzer/base/error.h"
#include "analyzer/model/model.h"

struct seep_sink {
	void *ctx;

	/* The recording is needed now: pid and exe of its first process. Called
	 * once; the name of the file may depend on them. */
	struct seep_error *(*open)(void *ctx, uint32_t pid, const char *exe);
	/* Absolute path, once it is open. */
	const char *(*path)(void *ctx);

	/* Nothing more comes: names and the final form. quick: there is no time
	 * for names, the machine may be going down. */
	struct seep_error *(*finish)(void *ctx, bool quick);
	/* The program could not be started: no recording. */
	void (*discard)(void *ctx);

	struct seep_error *(*begin)(void *ctx);
	struct seep_error *(*commit)(void *ctx);
	void (*rollback)(void *ctx);

	struct seep_error *(*set)(
	    void *ctx, const char *key, const char *value);
	/* *ret NULL: not there; the caller frees. */
	struct seep_error *(*get)(void *ctx, const char *key, char **ret);

	struct seep_error *(*put_drop_cause)(
	    void *ctx, unsigned cause, const char *name, const char *meaning);
	struct seep_error *(*put_process)(void *ctx, struct seep_process *p);
	/* Those of a recording that is continued. Caller deinits and frees. */
	struct seep_error *(*processes)(
	    void *ctx, struct seep_process **ret, size_t *nr);
	/* Snapshots of all processes tell when an epoch began. */
	struct seep_error *(*snapshots)(void *ctx, int64_t process_id,
	    struct seep_snapshot **ret, size_t *nr);

	/* fd: the open file, or -1; it becomes the sink's, also on failure. */
	struct seep_error *(*put_module)(void *ctx, const char *path,
	    const char *build_id, int fd, int64_t *id);
	struct seep_error *(*put_node)(void *ctx, int64_t parent, int kind,
	    int64_t module, uint64_t offset, bool exact, int64_t *id);
	struct seep_error *(*put_snapshot)(void *ctx, struct seep_snapshot *s,
	    const struct seep_site_row *rows, size_t nr_rows);
	struct seep_error *(*put_survivors)(void *ctx, int64_t process_id,
	    const struct seep_survivor_row *rows, size_t nr_rows);
	/* Adds to what is there of this process. */
	struct seep_error *(*put_histories)(void *ctx, int64_t process_id,
	    const struct seep_history *h, const struct seep_history_rows *rows);
	struct seep_error *(*thin)(void *ctx, uint64_t now_ms);
	struct seep_error *(*put_event)(void *ctx, int64_t process_id,
	    uint64_t at_ms, const char *kind, const char *text);
	struct seep_error *(*put_baseline)(
	    void *ctx, int64_t process_id, uint32_t uid, int64_t snapshot);
	struct seep_error *(*get_baseline)(
	    void *ctx, int64_t process_id, uint32_t uid, int64_t *snapshot);
};

#endif
