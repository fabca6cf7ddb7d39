/* SPDX-License-Identifier: MIT */
/*
 * store.h - a recording: one SQLite file, written by one collector
 *
 * The schema is store/schema.sql and seep-recording(5).
 *
 * Threads:  a handle belongs to one thread. One writer and any number of
 *           readers, in any process, at the same time (WAL; a finished file is
 *           a plain rollback-journal database and nothing else).
 * Signals:  not for signal handlers; a kill at any moment leaves the file at
 *           its last committed state.
 * Memory:   results belong to the caller, see each call.
 * Trust:    a reader trusts nothing: schema, types, ranges, cycles in the tree
 *           and lengths are checked; a hostile file gives an error.
 * Units:    as in model.h.
 * Errors:   struct seep_error; SEEP_ERROR_CORRUPT for damaged files, with the
 *           path in the text; newer schema says so.
 */
#ifndef SEEP_STORE_STORE_H
#define SEEP_STORE_STORE_H

#include "analyzer/base/error.h"
#include "analyzer/model/model.h"

struct seep_store;

#define SEEP_SCHEMA_VERSION 2

/* ---- writer ------------------------------------------------------------ */

/* Creates the file (mode 0600); an existing recording is replaced, any other
 * existing file is refused. Nothing is left behind on failure. */
struct seep_error *seep_store_create(
    const char *path, struct seep_store **ret) SEEP_MUST_CHECK;

/* Continues a recording whose collector died. */
struct seep_error *seep_store_append(
    const char *path, struct seep_store **ret) SEEP_MUST_CHECK;

/* Turns the file into its final form (no -wal, no -shm) and closes it. */
struct seep_error *seep_store_finish(struct seep_store *st) SEEP_MUST_CHECK;

/* Closes without finishing; NULL allowed. */
void seep_store_destroy(struct seep_store *st);
SEEP_DEFINE_CLEANUP(struct seep_store *, seep_store_destroy)

/* Groups what follows; commit makes it visible as one. Calls outside of a
 * transaction commit by themselves. */
struct seep_error *seep_store_begin(struct seep_store *st) SEEP_MUST_CHECK;
struct seep_error *seep_store_commit(struct seep_store *st) SEEP_MUST_CHECK;
void seep_store_rollback(struct seep_store *st);

/* Settings are text pairs, e.g. "seep_version", "start_unix_ms". */
struct seep_error *seep_store_set(
    struct seep_store *st, const char *key, const char *value) SEEP_MUST_CHECK;
/* *ret is NULL when the key is not there; the caller frees it. */
struct seep_error *seep_store_get(
    struct seep_store *st, const char *key, char **ret) SEEP_MUST_CHECK;

/* Inserts (p->id == 0, which is then set) or updates; drops included. */
struct seep_error *seep_store_put_process(
    struct seep_store *st, struct seep_process *p) SEEP_MUST_CHECK;

/*
 * What drop cause `cause` (an index into drops[]) is called and what it means
 * for the figures, so that a recording explains itself: the collector stores
 * all of its causes once, right after seep_store_create().
 */
struct seep_error *seep_store_put_drop_cause(struct seep_store *st,
    unsigned cause, const char *name, const char *meaning) SEEP_MUST_CHECK;

/* Finds the module of this path and build-id or adds it. */
struct seep_error *seep_store_put_module(struct seep_store *st,
    const char *path, const char *build_id, int64_t *id) SEEP_MUST_CHECK;

/*
 * Finds or adds a node of the call tree: the frame (module, offset, exact)
 * called from the path of `parent`. parent 0: outermost. module 0: code outside
 * of every module. kind: enum seep_node_kind of the wire (1 native, 2 unknown,
 * 3 truncated). A site is named by the id of its innermost node.
 */
struct seep_error *seep_store_put_node(struct seep_store *st, int64_t parent,
    int kind, int64_t module, uint64_t offset, bool exact,
    int64_t *id) SEEP_MUST_CHECK;

/* One address of the tree, and its parent; kind as in put_node. */
struct seep_store_node {
	int64_t id, parent, module;
	uint64_t offset;
	int kind;
	bool exact;
};

/* What put_node stored; of a tree as large as the collector's this is much
 * faster than reading it. */
struct seep_error *seep_store_node(struct seep_store *st, int64_t id,
    struct seep_store_node *ret) SEEP_MUST_CHECK;

/*
 * Adds a snapshot (s->id is set) with the counts of all sites that have any;
 * only rows that differ from the process's last snapshot are stored. A
 * CHECKPOINT replaces the process's previous checkpoint.
 */
struct seep_error *seep_store_put_snapshot(struct seep_store *st,
    struct seep_snapshot *s, const struct seep_site_row *rows,
    size_t nr_rows) SEEP_MUST_CHECK;

/* Replaces the survivors of a process. */
struct seep_error *seep_store_put_survivors(struct seep_store *st,
    int64_t process_id, const struct seep_survivor_row *rows,
    size_t nr_rows) SEEP_MUST_CHECK;

/* Adds histories to those of the process; h replaces what was there. */
struct seep_error *seep_store_put_histories(struct seep_store *st,
    int64_t process_id, const struct seep_history *h,
    const struct seep_history_rows *rows) SEEP_MUST_CHECK;

/* GROUND 20: PERIODIC snapshots older than 2 min keep one each 10 s, older
 * than 1 h one each thousandth of the run. So do REQUEST snapshots that have no
 * label, except for the newest 100. */
struct seep_error *seep_store_thin(
    struct seep_store *st, uint64_t now_ms) SEEP_MUST_CHECK;

/* The frames (innermost, i.e. most inlined, first) that one tree address
 * (module, offset, exact) stands for. Replaces what was there. */
struct seep_error *seep_store_put_symbols(struct seep_store *st, int64_t module,
    uint64_t offset, bool exact, const struct seep_frame *frames,
    size_t nr_frames) SEEP_MUST_CHECK;

/* An event of a process: "fork", "exec", "mark", ... */
struct seep_error *seep_store_put_event(struct seep_store *st,
    int64_t process_id, uint64_t at_ms, const char *kind,
    const char *text) SEEP_MUST_CHECK;

/* The growth baseline of a user (GROUND 21); snapshot 0: none yet. */
struct seep_error *seep_store_put_baseline(struct seep_store *st,
    int64_t process_id, uint32_t uid, int64_t snapshot) SEEP_MUST_CHECK;
struct seep_error *seep_store_get_baseline(struct seep_store *st,
    int64_t process_id, uint32_t uid, int64_t *snapshot) SEEP_MUST_CHECK;

/* ---- reader ------------------------------------------------------------ */

/* Opens for reading, finished or still being written. */
struct seep_error *seep_store_open(
    const char *path, struct seep_store **ret) SEEP_MUST_CHECK;

/* All that is read from now on is of one moment, until the store is closed,
 * however the recording goes on: do not keep it so for long. */
struct seep_error *seep_store_freeze(struct seep_store *st) SEEP_MUST_CHECK;

/* All processes, in the order they began. Caller deinits each and frees. */
struct seep_error *seep_store_processes(struct seep_store *st,
    struct seep_process **ret, size_t *nr) SEEP_MUST_CHECK;

/* All snapshots of a process by time. Caller deinits each and frees. */
struct seep_error *seep_store_snapshots(struct seep_store *st,
    int64_t process_id, struct seep_snapshot **ret, size_t *nr) SEEP_MUST_CHECK;

/* The counts of every site at that snapshot, ordered by site. */
struct seep_error *seep_store_site_rows(struct seep_store *st,
    int64_t process_id, int64_t snapshot, struct seep_site_row **ret,
    size_t *nr) SEEP_MUST_CHECK;

/* Survivors ordered by site, class, size. */
struct seep_error *seep_store_survivors(struct seep_store *st,
    int64_t process_id, struct seep_survivor_row **ret,
    size_t *nr) SEEP_MUST_CHECK;

/* The histories of a process; h->every is 0 where there are none. Lifetimes and
 * freed are ordered by site; the caller deinits *rows. */
struct seep_error *seep_store_histories(struct seep_store *st,
    int64_t process_id, struct seep_history *h,
    struct seep_history_rows *rows) SEEP_MUST_CHECK;

/* The whole tree: node i has the id i + 1. Caller frees. */
struct seep_error *seep_store_nodes(struct seep_store *st,
    struct seep_store_node **ret, size_t *nr) SEEP_MUST_CHECK;

/* Names and meanings by cause; NULL where the recording has none. `causes` has
 * SEEP_NR_DROP_CAUSES places; seep_drop_causes_deinit() frees the texts. */
struct seep_error *seep_store_drop_causes(
    struct seep_store *st, struct seep_drop_cause *causes) SEEP_MUST_CHECK;

/*
 * Every change of a site's counts up to the snapshot `last`, in the order of
 * the snapshots: the series behind growth, without holding it all in memory.
 * An error of fn ends the walk and is returned.
 */
typedef struct seep_error *seep_store_count_fn(
    void *ctx, int64_t snapshot, const struct seep_site_row *row);
struct seep_error *seep_store_each_count(struct seep_store *st,
    int64_t process_id, int64_t last, seep_store_count_fn *fn,
    void *ctx) SEEP_MUST_CHECK;

/* All names at once, for reports: the strings by id, then the frames by
 * address, the innermost first. Ids of 0 stand for no name. */
struct seep_store_symbol {
	int64_t module;
	uint64_t offset;
	bool exact, inlined;
	uint32_t line;
	int64_t function, file;
};

typedef struct seep_error *seep_store_string_fn(
    void *ctx, int64_t id, const char *text);
typedef struct seep_error *seep_store_symbol_fn(
    void *ctx, const struct seep_store_symbol *s);
struct seep_error *seep_store_each_string(
    struct seep_store *st, seep_store_string_fn *fn, void *ctx) SEEP_MUST_CHECK;
struct seep_error *seep_store_each_symbol(
    struct seep_store *st, seep_store_symbol_fn *fn, void *ctx) SEEP_MUST_CHECK;

struct seep_error *seep_store_modules(struct seep_store *st,
    struct seep_module **ret, size_t *nr) SEEP_MUST_CHECK;

/* What put_symbols stored; *nr 0 when never resolved. Caller frees. */
struct seep_error *seep_store_symbols(struct seep_store *st, int64_t module,
    uint64_t offset, bool exact, struct seep_frame **ret,
    size_t *nr) SEEP_MUST_CHECK;

#endif
