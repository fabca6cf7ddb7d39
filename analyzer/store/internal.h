/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of the store share; nobody else includes it
 *
 * Threads:  as in store.h.
 * Signals:  not for signal handlers.
 * Memory:   a statement is prepared once and kept until the store is closed.
 * Trust:    a value is read through seep_cursor_*, which checks its type and
 *           range; the number of steps of a query is bounded by the file size.
 * Units:    as in store.h.
 * Errors:   struct seep_error; a cursor keeps its first error, and every call
 *           after it does nothing.
 */
#ifndef SEEP_STORE_INTERNAL_H
#define SEEP_STORE_INTERNAL_H

#include <sqlite3.h>

#include "analyzer/store/feed.h"
#include "analyzer/store/nodes.h"
#include "analyzer/store/state.h"
#include "analyzer/store/store.h"
#include "analyzer/store/strings.h"

#define SEEP_APPLICATION_ID 0x53454550 /* "SEEP" */

enum seep_stmt {
	SEEP_STMT_BEGIN,
	SEEP_STMT_COMMIT,
	SEEP_STMT_ROLLBACK,
	SEEP_STMT_SET,
	SEEP_STMT_GET,
	SEEP_STMT_PROCESS_PUT,
	SEEP_STMT_ARGUMENT_CLEAR,
	SEEP_STMT_ARGUMENT_PUT,
	SEEP_STMT_DROP_PUT,
	SEEP_STMT_DROP_CAUSE_PUT,
	SEEP_STMT_MODULE_FIND,
	SEEP_STMT_MODULE_PUT,
	SEEP_STMT_NODE_PUT,
	SEEP_STMT_STRING_PUT,
	SEEP_STMT_STRING_GET,
	SEEP_STMT_SYMBOL_CLEAR,
	SEEP_STMT_SYMBOL_PUT,
	SEEP_STMT_SNAPSHOT_LAST,
	SEEP_STMT_SNAPSHOT_PUT,
	SEEP_STMT_COUNT_PUT,
	SEEP_STMT_SURVIVOR_SCAN,
	SEEP_STMT_SURVIVOR_PUT,
	SEEP_STMT_SURVIVOR_DROP,
	SEEP_STMT_HISTORY_PUT,
	SEEP_STMT_SITE_HISTORY_PUT,
	SEEP_STMT_LIFETIME_PUT,
	SEEP_STMT_FREED_BY_PUT,
	SEEP_STMT_THIN_LIST,
	SEEP_STMT_THIN_NEXT,
	SEEP_STMT_THIN_MERGE,
	SEEP_STMT_THIN_ROWS,
	SEEP_STMT_THIN_DROP,
	SEEP_STMT_EVENT_PUT,
	SEEP_STMT_BASELINE_PUT,
	SEEP_STMT_BASELINE_GET,
	SEEP_STMT_PROCESSES,
	SEEP_STMT_ARGUMENTS,
	SEEP_STMT_DROPS,
	SEEP_STMT_DROP_CAUSES,
	SEEP_STMT_MODULES,
	SEEP_STMT_SNAPSHOTS,
	SEEP_STMT_COUNTS,
	SEEP_STMT_SURVIVORS,
	SEEP_STMT_HISTORY,
	SEEP_STMT_SITE_HISTORIES,
	SEEP_STMT_LIFETIMES,
	SEEP_STMT_FREED_BY,
	SEEP_STMT_NODES,
	SEEP_STMT_STRINGS,
	SEEP_STMT_SYMBOLS,
	SEEP_STMT_SYMBOLS_ALL,
	SEEP_NR_STMTS
};

struct seep_store {
	sqlite3 *db;
	char *path;
	bool writer;
	int64_t max_steps; /* of one query, in virtual machine steps */
	int64_t steps;	   /* left */
	sqlite3_stmt *stmts[SEEP_NR_STMTS];

	/* The writer's memory of what it wrote; loaded when first needed. */
	bool nodes_loaded, strings_loaded;
	struct seep_nodes nodes;
	uint32_t nr_nodes_put; /* so many of them are in the file */
	struct seep_strings strings;
	struct seep_state *states; /* one per process, a list */
	struct seep_feed feed;	   /* of the statement at work */
};

/* The error of the last SQLite call of this store. */
struct seep_error *seep_store_error(struct seep_store *st) SEEP_MUST_CHECK;
struct seep_error *seep_store_damaged(
    const struct seep_store *st, const char *what) SEEP_MUST_CHECK;

struct seep_error *seep_store_no_memory(
    const struct seep_store *st) SEEP_MUST_CHECK;

/* Prepared, reset and without bindings. */
struct seep_error *seep_store_prepare(struct seep_store *st,
    enum seep_stmt which, sqlite3_stmt **ret) SEEP_MUST_CHECK;

/* Runs a statement that returns no rows, and resets it. */
struct seep_error *seep_store_step_done(
    struct seep_store *st, sqlite3_stmt *s) SEEP_MUST_CHECK;

/* Runs a statement that inserts from the table `feed`: those rows. */
struct seep_error *seep_store_put_rows(struct seep_store *st,
    enum seep_stmt which, seep_feed_fn *fn, const void *ctx,
    size_t nr) SEEP_MUST_CHECK;

/* Opens the database under its URI, NULL: its path; checks nothing yet. */
struct seep_error *seep_store_connect(const char *path, const char *uri,
    int flags, bool writer, struct seep_store **ret) SEEP_MUST_CHECK;
struct seep_error *seep_store_exec(
    struct seep_store *st, const char *sql) SEEP_MUST_CHECK;
/* application_id, version and the tables. */
struct seep_error *seep_store_check_schema(
    struct seep_store *st) SEEP_MUST_CHECK;
extern const char seep_store_schema[];

/* Puts the nodes that are only in memory yet; a commit does, too. */
struct seep_error *seep_store_put_nodes(struct seep_store *st) SEEP_MUST_CHECK;

/* Unless the caller has a transaction open: opens one, and ends it. */
struct seep_error *seep_store_scope_begin(
    struct seep_store *st, bool *own) SEEP_MUST_CHECK;
struct seep_error *seep_store_scope_end(
    struct seep_store *st, bool own, struct seep_error *err) SEEP_MUST_CHECK;

/* Forgets what the writer remembers, after a rollback. */
void seep_store_forget(struct seep_store *st);

/* ---- cursors ------------------------------------------------------------ */

struct seep_cursor {
	struct seep_store *st;
	sqlite3_stmt *stmt;
	struct seep_error *err;
};

/* Starts a query; bind parameters before the first next(). */
void seep_cursor_init(
    struct seep_cursor *c, struct seep_store *st, enum seep_stmt which);
void seep_cursor_bind(struct seep_cursor *c, int at, int64_t value);
/* True while there is a row. */
bool seep_cursor_next(struct seep_cursor *c);
/* Ends the query; the first error of all. */
struct seep_error *seep_cursor_end(struct seep_cursor *c) SEEP_MUST_CHECK;

/* Whole numbers of at least 0 and at most `max`. */
uint64_t seep_cursor_uint(struct seep_cursor *c, int col, uint64_t max);
/* Any whole number, as 64 bits. */
uint64_t seep_cursor_bits(struct seep_cursor *c, int col);
bool seep_cursor_is_null(struct seep_cursor *c, int col);
/* Text that stays until the next row; NULL for NULL only if that is allowed. */
const char *seep_cursor_text(struct seep_cursor *c, int col, bool null_allowed);
char *seep_cursor_strdup(struct seep_cursor *c, int col, bool null_allowed);
/* Position of the text in a list that ends with NULL. */
int seep_cursor_word(struct seep_cursor *c, int col, const char *const *words);
void seep_cursor_damaged(struct seep_cursor *c, const char *what);
void seep_cursor_no_memory(struct seep_cursor *c);
/* Room in the array *p, which has nr elements of `size` bytes and *room places,
 * for one more; false without memory, or if the cursor has failed before. */
bool seep_cursor_more(
    struct seep_cursor *c, void *p, size_t nr, size_t *room, size_t size);
/* Six counts; their six variances, which are finite and not negative. */
void seep_cursor_counts(
    struct seep_cursor *c, int col, struct seep_counts *counts);
void seep_cursor_variances(
    struct seep_cursor *c, int col, struct seep_variances *v);

extern const char *const seep_store_states[];
extern const char *const seep_store_kinds[];

/* Fill the writer's memory from the file. */
struct seep_error *seep_store_load_nodes(struct seep_store *st) SEEP_MUST_CHECK;
struct seep_error *seep_store_load_strings(
    struct seep_store *st) SEEP_MUST_CHECK;

#endif
