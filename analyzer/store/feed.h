/* SPDX-License-Identifier: MIT */
/*
 * feed.h - rows of the writer's memory, as a table that SQL can read
 *
 * `INSERT INTO t SELECT c0, c1 FROM feed` puts any number of rows with one
 * statement, three times as fast as a statement for each.
 *
 * Threads:  as the connection.
 * Signals:  not for signal handlers.
 * Memory:   nothing is copied: rows are asked for one value at a time.
 * Trust:    the table has no name in the file; only our statements see it.
 * Units:    none.
 * Errors:   SQLite's codes.
 */
#ifndef SEEP_STORE_FEED_H
#define SEEP_STORE_FEED_H

#include <sqlite3.h>
#include <stddef.h>

/* Gives the value in a column, from 0, of a row, with sqlite3_result_*(). */
typedef void seep_feed_fn(
    const void *ctx, size_t row, int column, sqlite3_context *to);

struct seep_feed {
	seep_feed_fn *fn;
	const void *ctx;
	size_t nr; /* rows */
};

/* The table `feed` of this connection, with columns c0 to c13, reads what *f
 * holds at the time of the statement. */
int seep_feed_register(sqlite3 *db, struct seep_feed *f);

#endif
