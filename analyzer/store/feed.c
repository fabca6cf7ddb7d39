/* SPDX-License-Identifier: MIT */
/* feed.c - rows of the writer's memory, as a table that SQL can read */
#include <stdlib.h>

#include "analyzer/store/feed.h"

struct table {
	sqlite3_vtab base;
	const struct seep_feed *feed;
};

struct cursor {
	sqlite3_vtab_cursor base;
	const struct seep_feed *feed;
	size_t row;
};

static int feed_connect(sqlite3 *db, void *aux, int argc,
    const char *const *argv, sqlite3_vtab **ret, char **text)
{
	struct table *t;
	int rc = sqlite3_declare_vtab(db,
	    "CREATE TABLE feed (c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, "
	    "c10, c11, c12, c13)");

	(void)argc;
	(void)argv;
	(void)text;
	if (rc != SQLITE_OK)
		return rc;
	t = calloc(1, sizeof(*t));
	if (!t)
		return SQLITE_NOMEM;
	t->feed = aux;
	*ret = &t->base;
	return SQLITE_OK;
}

static int feed_disconnect(sqlite3_vtab *vtab)
{
	free(vtab);
	return SQLITE_OK;
}

/* There is one way to read it: all, in order. */
static int feed_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
	(void)vtab;
	(void)info;
	return SQLITE_OK;
}

static int feed_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **ret)
{
	struct cursor *c = calloc(1, sizeof(*c));

	if (!c)
		return SQLITE_NOMEM;
	c->feed = ((struct table *)vtab)->feed;
	*ret = &c->base;
	return SQLITE_OK;
}

static int feed_close(sqlite3_vtab_cursor *cursor)
{
	free(cursor);
	return SQLITE_OK;
}

static int feed_filter(sqlite3_vtab_cursor *cursor, int index, const char *text,
    int argc, sqlite3_value **argv)
{
	(void)index;
	(void)text;
	(void)argc;
	(void)argv;
	((struct cursor *)cursor)->row = 0;
	return SQLITE_OK;
}

static int feed_next(sqlite3_vtab_cursor *cursor)
{
	((struct cursor *)cursor)->row++;
	return SQLITE_OK;
}

static int feed_eof(sqlite3_vtab_cursor *cursor)
{
	const struct cursor *c = (struct cursor *)cursor;

	return c->row >= c->feed->nr;
}

static int feed_column(
    sqlite3_vtab_cursor *cursor, sqlite3_context *to, int column)
{
	const struct cursor *c = (struct cursor *)cursor;

	c->feed->fn(c->feed->ctx, c->row, column, to);
	return SQLITE_OK;
}

static int feed_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)((struct cursor *)cursor)->row;
	return SQLITE_OK;
}

int seep_feed_register(sqlite3 *db, struct seep_feed *f)
{
	/* Without xCreate it exists by itself, and only so. */
	static const sqlite3_module module = {
	    .xConnect = feed_connect,
	    .xDisconnect = feed_disconnect,
	    .xBestIndex = feed_best_index,
	    .xOpen = feed_open,
	    .xClose = feed_close,
	    .xFilter = feed_filter,
	    .xNext = feed_next,
	    .xEof = feed_eof,
	    .xColumn = feed_column,
	    .xRowid = feed_rowid,
	};

	return sqlite3_create_module(db, "feed", &module, f);
}
