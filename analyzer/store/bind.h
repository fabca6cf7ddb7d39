/* SPDX-License-Identifier: MIT */
/*
 * bind.h - parameters of the writer's statements
 *
 * Threads:  as in store.h.
 * Signals:  not for signal handlers.
 * Memory:   a bound text must stay until the statement was stepped.
 * Trust:    none.
 * Units:    as in model.h.
 * Errors:   left to the step that follows: sqlite3_step() reports an out of
 *           memory, and a column that is NOT NULL refuses what is missing.
 */
#ifndef SEEP_STORE_BIND_H
#define SEEP_STORE_BIND_H

#include <sqlite3.h>

#include "analyzer/model/model.h"

static inline void seep_bind_int(sqlite3_stmt *s, int at, int64_t value)
{
	sqlite3_bind_int64(s, at, value);
}

/* A count. The difference of two counters that were read while the program
 * ran may be less than nothing; the file has no negative counts. */
static inline int64_t seep_count(uint64_t value)
{
	return value > INT64_MAX ? 0 : (int64_t)value;
}

static inline void seep_bind_count(sqlite3_stmt *s, int at, uint64_t value)
{
	sqlite3_bind_int64(s, at, seep_count(value));
}

static inline void seep_bind_age(sqlite3_stmt *s, int at, uint64_t ms)
{
	if (ms > INT64_MAX)
		sqlite3_bind_null(s, at);
	else
		sqlite3_bind_int64(s, at, (int64_t)ms);
}

static inline void seep_result_age(sqlite3_context *to, uint64_t ms)
{
	if (ms > INT64_MAX)
		sqlite3_result_null(to);
	else
		sqlite3_result_int64(to, (int64_t)ms);
}

/* The text must stay until the step. NULL gives NULL. */
static inline void seep_bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

static inline void seep_bind_counts(
    sqlite3_stmt *s, int at, const struct seep_counts *c)
{
	seep_bind_count(s, at, c->live_blocks);
	seep_bind_count(s, at + 1, c->live_bytes);
	seep_bind_count(s, at + 2, c->alloc_blocks);
	seep_bind_count(s, at + 3, c->alloc_bytes);
	seep_bind_count(s, at + 4, c->free_blocks);
	seep_bind_count(s, at + 5, c->free_bytes);
}

static inline void seep_bind_variances(
    sqlite3_stmt *s, int at, const struct seep_variances *v)
{
	sqlite3_bind_double(s, at, v->live_blocks);
	sqlite3_bind_double(s, at + 1, v->live_bytes);
	sqlite3_bind_double(s, at + 2, v->alloc_blocks);
	sqlite3_bind_double(s, at + 3, v->alloc_bytes);
	sqlite3_bind_double(s, at + 4, v->free_blocks);
	sqlite3_bind_double(s, at + 5, v->free_bytes);
}

#endif
