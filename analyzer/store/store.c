/* SPDX-License-Identifier: MIT */
/* store.c - what writer and reader share: statements, errors, checked values */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/store/internal.h"

#define STEPS_PER_TICK 1000

const char seep_store_schema[] =
#include "analyzer/store/schema.inc"
    ;

const char *const seep_store_states[] = {[SEEP_PROCESS_RUNNING] = "running",
    [SEEP_PROCESS_EXITED] = "exited",
    [SEEP_PROCESS_EXECED] = "execed",
    [SEEP_PROCESS_LOST] = "lost",
    NULL};

const char *const seep_store_kinds[] = {[SEEP_SNAPSHOT_PERIODIC] = "periodic",
    [SEEP_SNAPSHOT_CHECKPOINT] = "checkpoint",
    [SEEP_SNAPSHOT_REQUEST] = "request",
    [SEEP_SNAPSHOT_PEAK] = "peak",
    [SEEP_SNAPSHOT_MARK] = "mark",
    [SEEP_SNAPSHOT_END] = "end",
    NULL};

#define COUNTS                                                                 \
	"live_blocks, live_bytes, alloc_blocks, alloc_bytes, free_blocks, "    \
	"free_bytes"
#define VARIANCES                                                              \
	"live_blocks_var, live_bytes_var, alloc_blocks_var, "                  \
	"alloc_bytes_var, free_blocks_var, free_bytes_var"

static const char *const texts[SEEP_NR_STMTS] = {
    [SEEP_STMT_BEGIN] = "BEGIN IMMEDIATE",
    [SEEP_STMT_COMMIT] = "COMMIT",
    [SEEP_STMT_ROLLBACK] = "ROLLBACK",
    [SEEP_STMT_SET] = "INSERT OR REPLACE INTO setting VALUES (?, ?)",
    [SEEP_STMT_GET] = "SELECT value FROM setting WHERE key = ?",
    [SEEP_STMT_PROCESS_PUT] =
	"INSERT OR REPLACE INTO process (id, parent, pid, ppid, state, "
	"forked, exe, start_unix_ms, start_ms, end_ms, exit_code, "
	"exit_signal, " COUNTS ", unknown_frees, inherited_blocks, "
	"inherited_bytes, peak_live_bytes, peak_ms, rss_bytes, uss_bytes, "
	"pss_bytes, seep_bytes, sample_bytes, " VARIANCES ") "
	"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
	"?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SEEP_STMT_ARGUMENT_CLEAR] = "DELETE FROM argument WHERE process = ?",
    [SEEP_STMT_ARGUMENT_PUT] = "INSERT INTO argument VALUES (?, ?, ?)",
    [SEEP_STMT_DROP_PUT] = "INSERT OR REPLACE INTO drops VALUES (?, ?, ?)",
    [SEEP_STMT_DROP_CAUSE_PUT] =
	"INSERT OR REPLACE INTO drop_cause VALUES (?, ?, ?)",
    [SEEP_STMT_MODULE_FIND] =
	"SELECT id FROM module WHERE path = ? AND build_id IS ?",
    [SEEP_STMT_MODULE_PUT] =
	"INSERT INTO module (path, build_id) VALUES (?, ?)",
    /* NULL: the next id, for which SQLite need not search */
    [SEEP_STMT_NODE_PUT] =
	"INSERT INTO node SELECT NULL, c0, c1, c2, c3, c4 FROM feed",
    [SEEP_STMT_STRING_PUT] = "INSERT INTO string (text) VALUES (?)",
    [SEEP_STMT_STRING_GET] = "SELECT text FROM string WHERE id = ?",
    [SEEP_STMT_SYMBOL_CLEAR] =
	"DELETE FROM symbol WHERE module = ? AND offset = ? AND exact = ?",
    [SEEP_STMT_SYMBOL_PUT] =
	"INSERT INTO symbol VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [SEEP_STMT_SNAPSHOT_LAST] = "SELECT id, kind FROM snapshot "
				"WHERE process = ? ORDER BY id DESC LIMIT 1",
    [SEEP_STMT_SNAPSHOT_PUT] =
	"INSERT OR REPLACE INTO snapshot (id, process, kind, label, at_ms, "
	"epoch, " COUNTS ", rss_bytes, " VARIANCES ") "
	"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SEEP_STMT_COUNT_PUT] =
	"INSERT OR REPLACE INTO site_count (snapshot, site, " COUNTS
	", " VARIANCES ") SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, "
	"c11, c12, c13 FROM feed",
    [SEEP_STMT_SURVIVOR_SCAN] =
	"SELECT site, class, size_bytes, blocks, oldest_ms, newest_ms "
	"FROM survivor WHERE process = ? ORDER BY site, class, size_bytes",
    [SEEP_STMT_SURVIVOR_PUT] = "INSERT OR REPLACE INTO survivor "
			       "SELECT c0, c1, c2, c3, c4, c5, c6 FROM feed",
    [SEEP_STMT_SURVIVOR_DROP] =
	"DELETE FROM survivor WHERE process = ? AND site = ? "
	"AND class = ? AND size_bytes = ?",
    [SEEP_STMT_HISTORY_PUT] = "INSERT OR REPLACE INTO history VALUES (?, ?, ?)",
    [SEEP_STMT_SITE_HISTORY_PUT] =
	"INSERT INTO site_history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
	"ON CONFLICT DO UPDATE SET begun = begun + excluded.begun, "
	"min_ns = CASE WHEN excluded.ended = 0 THEN min_ns WHEN ended = 0 "
	"THEN excluded.min_ns ELSE min(min_ns, excluded.min_ns) END, "
	"max_ns = max(max_ns, excluded.max_ns), "
	"ended = ended + excluded.ended, "
	"temporary = temporary + excluded.temporary, "
	"temporary_bytes = temporary_bytes + excluded.temporary_bytes, "
	"elsewhere = elsewhere + excluded.elsewhere, "
	"total_ns = total_ns + excluded.total_ns",
    [SEEP_STMT_LIFETIME_PUT] =
	"INSERT INTO lifetime VALUES (?, ?, ?, ?) "
	"ON CONFLICT DO UPDATE SET blocks = blocks + excluded.blocks",
    [SEEP_STMT_FREED_BY_PUT] =
	"INSERT INTO freed_by VALUES (?, ?, ?, ?) "
	"ON CONFLICT DO UPDATE SET blocks = blocks + excluded.blocks",
    /* Requests without a label, too, but for the newest 100: a script that
     * asks every second must not fill the disk. */
    [SEEP_STMT_THIN_LIST] =
	"SELECT s.id, s.process, s.at_ms, p.start_ms FROM snapshot AS s "
	"JOIN process AS p ON p.id = s.process "
	"WHERE s.at_ms < ? AND (s.kind = 'periodic' OR (s.kind = 'request' "
	"AND s.label IS NULL AND s.id <= ifnull((SELECT r.id "
	"FROM snapshot AS r WHERE r.process = s.process "
	"AND r.kind = 'request' AND r.label IS NULL "
	"ORDER BY r.id DESC LIMIT 1 OFFSET 100), 0))) "
	"AND s.id NOT IN (SELECT snapshot FROM baseline) "
	"ORDER BY s.process, s.id",
    [SEEP_STMT_THIN_NEXT] = "SELECT id FROM snapshot WHERE process = ? "
			    "AND id > ? ORDER BY id LIMIT 1",
    [SEEP_STMT_THIN_MERGE] =
	"INSERT OR IGNORE INTO site_count SELECT ?, site, " COUNTS
	", " VARIANCES " FROM site_count WHERE snapshot = ?",
    [SEEP_STMT_THIN_ROWS] = "DELETE FROM site_count WHERE snapshot = ?",
    [SEEP_STMT_THIN_DROP] = "DELETE FROM snapshot WHERE id = ?",
    [SEEP_STMT_EVENT_PUT] = "INSERT INTO event (process, at_ms, kind, text) "
			    "VALUES (?, ?, ?, ?)",
    [SEEP_STMT_BASELINE_PUT] =
	"INSERT OR REPLACE INTO baseline VALUES (?, ?, ?)",
    [SEEP_STMT_BASELINE_GET] =
	"SELECT snapshot FROM baseline WHERE process = ? AND uid = ?",
    [SEEP_STMT_PROCESSES] =
	"SELECT id, parent, pid, ppid, state, forked, exe, start_unix_ms, "
	"start_ms, end_ms, exit_code, exit_signal, " COUNTS
	", unknown_frees, inherited_blocks, inherited_bytes, "
	"peak_live_bytes, peak_ms, rss_bytes, uss_bytes, pss_bytes, "
	"seep_bytes, sample_bytes, " VARIANCES " FROM process ORDER BY id",
    [SEEP_STMT_ARGUMENTS] =
	"SELECT value FROM argument WHERE process = ? ORDER BY position",
    [SEEP_STMT_DROPS] = "SELECT cause, count FROM drops WHERE process = ?",
    [SEEP_STMT_DROP_CAUSES] =
	"SELECT cause, name, meaning FROM drop_cause ORDER BY cause",
    [SEEP_STMT_MODULES] = "SELECT id, path, build_id FROM module ORDER BY id",
    [SEEP_STMT_SNAPSHOTS] = "SELECT id, kind, label, at_ms, epoch, " COUNTS
			    ", rss_bytes, " VARIANCES
			    " FROM snapshot WHERE process = ? ORDER BY id",
    /* CROSS JOIN: this order of loops, whatever the planner thinks */
    [SEEP_STMT_COUNTS] =
	"SELECT c.snapshot, c.site, c.live_blocks, c.live_bytes, "
	"c.alloc_blocks, c.alloc_bytes, c.free_blocks, c.free_bytes, "
	"c.live_blocks_var, c.live_bytes_var, c.alloc_blocks_var, "
	"c.alloc_bytes_var, c.free_blocks_var, c.free_bytes_var "
	"FROM snapshot AS s CROSS JOIN site_count AS c "
	"ON c.snapshot = s.id "
	"WHERE s.process = ? AND s.id <= ? ORDER BY s.id, c.site",
    [SEEP_STMT_SURVIVORS] =
	"SELECT site, class, size_bytes, blocks, oldest_ms, newest_ms "
	"FROM survivor WHERE process = ? ORDER BY site, class, size_bytes",
    [SEEP_STMT_HISTORY] = "SELECT every, lost FROM history WHERE process = ?",
    [SEEP_STMT_SITE_HISTORIES] =
	"SELECT site, begun, ended, temporary, temporary_bytes, elsewhere, "
	"total_ns, min_ns, max_ns FROM site_history WHERE process = ? "
	"ORDER BY site",
    [SEEP_STMT_LIFETIMES] = "SELECT site, class, blocks FROM lifetime "
			    "WHERE process = ? ORDER BY site, class",
    [SEEP_STMT_FREED_BY] = "SELECT site, free_site, blocks FROM freed_by "
			   "WHERE process = ? ORDER BY site, free_site",
    [SEEP_STMT_NODES] = "SELECT id, parent, module, offset, kind, exact "
			"FROM node ORDER BY id",
    [SEEP_STMT_STRINGS] = "SELECT id, text FROM string ORDER BY id",
    [SEEP_STMT_SYMBOLS] =
	"SELECT function, file, line, inlined FROM symbol "
	"WHERE module = ? AND offset = ? AND exact = ? ORDER BY depth",
    [SEEP_STMT_SYMBOLS_ALL] =
	"SELECT module, offset, exact, function, file, line, inlined "
	"FROM symbol ORDER BY module, offset, exact, depth",
};

/* ---- errors ------------------------------------------------------------- */

struct seep_error *seep_store_error(struct seep_store *st)
{
	int code = sqlite3_errcode(st->db) & 0xff;
	int os = sqlite3_system_errno(st->db);

	switch (code) {
	case SQLITE_NOMEM:
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s': out of memory", st->path);
	case SQLITE_FULL:
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s': no space left on the device", st->path);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		if (os)
			return seep_error_errno(os, "recording '%s'", st->path);
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s' is in use by another process", st->path);
	case SQLITE_NOTADB:
		return seep_error_new(SEEP_ERROR_CORRUPT,
		    "'%s' is not a seep recording", st->path);
	case SQLITE_INTERRUPT:
		return seep_store_damaged(st, "a query does not end");
	case SQLITE_CORRUPT:
	case SQLITE_TOOBIG:
	case SQLITE_ERROR:
	case SQLITE_MISMATCH:
		return seep_store_damaged(st, sqlite3_errmsg(st->db));
	}
	return seep_error_new(SEEP_ERROR_OTHER, "recording '%s': %s", st->path,
	    sqlite3_errmsg(st->db));
}

struct seep_error *seep_store_damaged(
    const struct seep_store *st, const char *what)
{
	return seep_error_new(SEEP_ERROR_CORRUPT,
	    "recording '%s' is damaged: %s", st->path, what);
}

struct seep_error *seep_store_no_memory(const struct seep_store *st)
{
	return seep_error_new(
	    SEEP_ERROR_OTHER, "recording '%s': out of memory", st->path);
}

/* ---- statements --------------------------------------------------------- */

struct seep_error *seep_store_prepare(
    struct seep_store *st, enum seep_stmt which, sqlite3_stmt **ret)
{
	sqlite3_stmt *s = st->stmts[which];

	if (!s) {
		int rc = sqlite3_prepare_v3(st->db, texts[which], -1,
		    SQLITE_PREPARE_PERSISTENT, &st->stmts[which], NULL);

		if (rc != SQLITE_OK)
			return seep_store_error(st);
		s = st->stmts[which];
	}
	*ret = s;
	return NULL;
}

struct seep_error *seep_store_step_done(struct seep_store *st, sqlite3_stmt *s)
{
	struct seep_error *err = NULL;

	st->steps = st->max_steps;
	if (sqlite3_step(s) != SQLITE_DONE)
		err = seep_store_error(st);
	sqlite3_reset(s);
	return err;
}

struct seep_error *seep_store_put_rows(struct seep_store *st,
    enum seep_stmt which, seep_feed_fn *fn, const void *ctx, size_t nr)
{
	struct seep_error *err;
	sqlite3_stmt *s = NULL;

	if (!nr)
		return NULL;
	err = seep_store_prepare(st, which, &s);
	if (err)
		return err;
	st->feed = (struct seep_feed){.fn = fn, .ctx = ctx, .nr = nr};
	err = seep_store_step_done(st, s);
	st->feed = (struct seep_feed){0};
	return err;
}

struct seep_error *seep_store_exec(struct seep_store *st, const char *sql)
{
	st->steps = st->max_steps;
	if (sqlite3_exec(st->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return seep_store_error(st);
	return NULL;
}

struct seep_error *seep_store_scope_begin(struct seep_store *st, bool *own)
{
	*own = sqlite3_get_autocommit(st->db);
	return *own ? seep_store_begin(st) : NULL;
}

struct seep_error *seep_store_scope_end(
    struct seep_store *st, bool own, struct seep_error *err)
{
	if (err)
		seep_store_forget(st);
	if (!own)
		return err;
	if (!err)
		err = seep_store_commit(st);
	if (err)
		seep_store_rollback(st);
	return err;
}

/* ---- opening and closing ------------------------------------------------ */

/* A query that runs longer than any honest file of this size explains. */
static int tick(void *ctx)
{
	struct seep_store *st = ctx;

	st->steps -= STEPS_PER_TICK;
	return st->steps < 0;
}

/* Bytes of the database: the file and, while it is being written, its -wal. */
static struct seep_error *count_bytes(struct seep_store *st, int64_t *ret)
{
	_cleanup_(seep_freep) char *wal = NULL;
	struct stat sb;

	if (stat(st->path, &sb))
		return seep_error_errno(errno, "'%s'", st->path);
	*ret = sb.st_size;
	if (asprintf(&wal, "%s-wal", st->path) < 0) {
		wal = NULL;
		return seep_store_no_memory(st);
	}
	if (!stat(wal, &sb))
		*ret += sb.st_size;
	return NULL;
}

static struct seep_error *set_up(struct seep_store *st, bool writer)
{
	static const int off[] = {SQLITE_DBCONFIG_ENABLE_TRIGGER,
	    SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_TRUSTED_SCHEMA,
	    SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_DQS_DDL};
	struct seep_error *err;
	int64_t bytes = 0;

	sqlite3_extended_result_codes(st->db, 1);
	sqlite3_busy_timeout(st->db, 5000);
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		sqlite3_db_config(st->db, off[i], 0, NULL);
	sqlite3_db_config(st->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_limit(st->db, SQLITE_LIMIT_LENGTH, 1 << 24);
	sqlite3_limit(st->db, SQLITE_LIMIT_ATTACHED, 0);
	if (writer && seep_feed_register(st->db, &st->feed) != SQLITE_OK)
		return seep_store_error(st);
	if (!writer) {
		err = count_bytes(st, &bytes);
		if (err)
			return err;
		/* No honest row is smaller than 4 bytes or takes 100 steps;
		 * the file may grow while we read. */
		st->max_steps = 20000000 + 25 * bytes;
		st->steps = st->max_steps;
		sqlite3_progress_handler(st->db, STEPS_PER_TICK, tick, st);
	}
	err = seep_store_exec(st,
	    writer ? "PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;"
		     "PRAGMA journal_size_limit = 4194304;"
		   : "PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;"
		     "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;");
	return err;
}

struct seep_error *seep_store_connect(const char *path, const char *uri,
    int flags, bool writer, struct seep_store **ret)
{
	_cleanup_(seep_store_destroyp) struct seep_store *st = NULL;
	struct seep_error *err;

	st = calloc(1, sizeof(*st));
	if (st)
		st->path = strdup(path);
	if (!st || !st->path)
		return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
	st->writer = writer;
	if (sqlite3_open_v2(uri ? uri : path, &st->db,
		flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		if (!st->db)
			return seep_error_new(
			    SEEP_ERROR_OTHER, "out of memory");
		return seep_store_error(st);
	}
	err = set_up(st, writer);
	if (err)
		return err;
	*ret = no_cleanup_ptr(st);
	return NULL;
}

void seep_store_forget(struct seep_store *st)
{
	seep_nodes_deinit(&st->nodes);
	seep_strings_deinit(&st->strings);
	st->nr_nodes_put = 0;
	st->nodes_loaded = false;
	st->strings_loaded = false;
	while (st->states) {
		struct seep_state *next = st->states->next;

		seep_state_destroy(st->states);
		st->states = next;
	}
}

void seep_store_destroy(struct seep_store *st)
{
	if (!st)
		return;
	for (int i = 0; i < SEEP_NR_STMTS; i++)
		sqlite3_finalize(st->stmts[i]);
	sqlite3_close(st->db);
	seep_store_forget(st);
	free(st->path);
	free(st);
}

/* ---- the schema --------------------------------------------------------- */

static struct seep_error *pragma(
    struct seep_store *st, const char *sql, int64_t *ret)
{
	sqlite3_stmt *s = NULL;
	struct seep_error *err = NULL;

	if (sqlite3_prepare_v2(st->db, sql, -1, &s, NULL) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_ROW)
		err = seep_store_error(st);
	else
		*ret = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return err;
}

/* The text of a table's CREATE statement; NULL when there is no such table. It
 * stays until the statement's next use. */
static struct seep_error *table_text(
    struct seep_store *st, sqlite3_stmt *s, const char *name, const char **ret)
{
	int rc;

	*ret = NULL;
	sqlite3_reset(s);
	st->steps = st->max_steps;
	rc = sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return seep_store_error(st);
	if (rc == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_TEXT) {
		*ret = (const char *)sqlite3_column_text(s, 0);
		if (!*ret)
			return seep_store_no_memory(st);
	}
	return NULL;
}

/* A table made with other words may compute, check or hide anything. */
static struct seep_error *check_table(struct seep_store *st, sqlite3_stmt *s,
    const char *name, const char *want, size_t want_bytes)
{
	const char *have;
	struct seep_error *err = table_text(st, s, name, &have);

	if (err)
		return err;
	if (!have)
		return seep_error_new(SEEP_ERROR_CORRUPT,
		    "recording '%s' is damaged: it has no table '%s'", st->path,
		    name);
	if ((size_t)sqlite3_column_bytes(s, 0) != want_bytes ||
	    memcmp(have, want, want_bytes) != 0)
		return seep_error_new(SEEP_ERROR_CORRUPT,
		    "recording '%s' is damaged: table '%s' is not as seep "
		    "makes it",
		    st->path, name);
	return NULL;
}

/* The end of a statement of our schema: its semicolon, or the end of all. */
static const char *statement_end(const char *sql)
{
	while (*sql && *sql != ';')
		sql += strncmp(sql, "--", 2) ? 1 : strcspn(sql, "\n");
	return sql;
}

/* SQLite keeps a CREATE TABLE in the words that it was given. */
static struct seep_error *check_tables(struct seep_store *st)
{
	static const char create[] = "CREATE TABLE ";
	struct seep_error *err = NULL;
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(st->db,
		"SELECT sql FROM sqlite_schema "
		"WHERE type = 'table' AND name = ?",
		-1, &s, NULL) != SQLITE_OK)
		err = seep_store_error(st);
	for (const char *at = seep_store_schema; !err;) {
		const char *end;
		char name[32];

		at = strstr(at, create);
		if (!at)
			break;
		end = statement_end(at);
		snprintf(name, sizeof(name), "%.*s",
		    (int)strcspn(at + strlen(create), " ("),
		    at + strlen(create));
		err = check_table(st, s, name, at, (size_t)(end - at));
		at = end;
	}
	sqlite3_finalize(s);
	return err;
}

struct seep_error *seep_store_check_schema(struct seep_store *st)
{
	int64_t id, version;
	struct seep_error *err;

	err = pragma(st, "PRAGMA application_id", &id);
	if (!err)
		err = pragma(st, "PRAGMA user_version", &version);
	if (err)
		return err;
	if (id != SEEP_APPLICATION_ID)
		return seep_error_new(SEEP_ERROR_CORRUPT,
		    "'%s' is not a seep recording", st->path);
	if (version > SEEP_SCHEMA_VERSION)
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s': schema %lld is newer than %d", st->path,
		    (long long)version, SEEP_SCHEMA_VERSION);
	if (version < 1)
		return seep_store_damaged(st, "it has no schema version");
	if (version < SEEP_SCHEMA_VERSION)
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s': schema %lld is older than %d, an older "
		    "seep reads it",
		    st->path, (long long)version, SEEP_SCHEMA_VERSION);
	return check_tables(st);
}

/* ---- cursors ------------------------------------------------------------ */

void seep_cursor_init(
    struct seep_cursor *c, struct seep_store *st, enum seep_stmt which)
{
	c->st = st;
	c->stmt = NULL;
	c->err = seep_store_prepare(st, which, &c->stmt);
	st->steps = st->max_steps;
}

void seep_cursor_bind(struct seep_cursor *c, int at, int64_t value)
{
	if (!c->err && sqlite3_bind_int64(c->stmt, at, value) != SQLITE_OK)
		c->err = seep_store_error(c->st);
}

bool seep_cursor_next(struct seep_cursor *c)
{
	int rc;

	if (c->err)
		return false;
	rc = sqlite3_step(c->stmt);
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		c->err = seep_store_error(c->st);
	return false;
}

struct seep_error *seep_cursor_end(struct seep_cursor *c)
{
	if (c->stmt)
		sqlite3_reset(c->stmt);
	return c->err;
}

void seep_cursor_damaged(struct seep_cursor *c, const char *what)
{
	if (!c->err)
		c->err = seep_store_damaged(c->st, what);
}

void seep_cursor_no_memory(struct seep_cursor *c)
{
	if (!c->err)
		c->err = seep_store_no_memory(c->st);
}

bool seep_cursor_more(
    struct seep_cursor *c, void *p, size_t nr, size_t *room, size_t size)
{
	size_t want;
	void *bigger;

	if (c->err)
		return false;
	if (nr < *room)
		return true;
	want = *room ? *room * 2 : 64;
	bigger = realloc(*(void **)p, want * size);
	if (!bigger) {
		seep_cursor_no_memory(c);
		return false;
	}
	*(void **)p = bigger;
	*room = want;
	return true;
}

static void bad_value(struct seep_cursor *c, int col, const char *what)
{
	if (!c->err)
		c->err = seep_error_new(SEEP_ERROR_CORRUPT,
		    "recording '%s' is damaged: column '%s' is %s", c->st->path,
		    sqlite3_column_name(c->stmt, col), what);
}

uint64_t seep_cursor_bits(struct seep_cursor *c, int col)
{
	if (c->err)
		return 0;
	if (sqlite3_column_type(c->stmt, col) != SQLITE_INTEGER) {
		bad_value(c, col, "not a number");
		return 0;
	}
	return (uint64_t)sqlite3_column_int64(c->stmt, col);
}

uint64_t seep_cursor_uint(struct seep_cursor *c, int col, uint64_t max)
{
	uint64_t value = seep_cursor_bits(c, col);

	if (value > max) {
		bad_value(c, col, "out of range");
		return 0;
	}
	return value;
}

bool seep_cursor_is_null(struct seep_cursor *c, int col)
{
	return !c->err && sqlite3_column_type(c->stmt, col) == SQLITE_NULL;
}

const char *seep_cursor_text(struct seep_cursor *c, int col, bool null_allowed)
{
	const char *text;

	if (c->err || (null_allowed && seep_cursor_is_null(c, col)))
		return NULL;
	if (sqlite3_column_type(c->stmt, col) != SQLITE_TEXT) {
		bad_value(c, col, "not a text");
		return NULL;
	}
	text = (const char *)sqlite3_column_text(c->stmt, col);
	if (!text)
		seep_cursor_no_memory(c);
	return text;
}

char *seep_cursor_strdup(struct seep_cursor *c, int col, bool null_allowed)
{
	const char *text = seep_cursor_text(c, col, null_allowed);
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		seep_cursor_no_memory(c);
	return copy;
}

int seep_cursor_word(struct seep_cursor *c, int col, const char *const *words)
{
	const char *text = seep_cursor_text(c, col, false);

	for (int i = 0; text && words[i]; i++) {
		if (!strcmp(words[i], text))
			return i;
	}
	if (text)
		bad_value(c, col, "none of the known words");
	return 0;
}

void seep_cursor_counts(
    struct seep_cursor *c, int col, struct seep_counts *counts)
{
	counts->live_blocks = seep_cursor_uint(c, col, INT64_MAX);
	counts->live_bytes = seep_cursor_uint(c, col + 1, INT64_MAX);
	counts->alloc_blocks = seep_cursor_uint(c, col + 2, INT64_MAX);
	counts->alloc_bytes = seep_cursor_uint(c, col + 3, INT64_MAX);
	counts->free_blocks = seep_cursor_uint(c, col + 4, INT64_MAX);
	counts->free_bytes = seep_cursor_uint(c, col + 5, INT64_MAX);
}

static double variance(struct seep_cursor *c, int col)
{
	double v = c->err ? 0 : sqlite3_column_double(c->stmt, col);
	int type = c->err ? SQLITE_FLOAT : sqlite3_column_type(c->stmt, col);

	if (type != SQLITE_FLOAT && type != SQLITE_INTEGER)
		bad_value(c, col, "not a number");
	else if (!(v >= 0 && v < HUGE_VAL))
		bad_value(c, col, "out of range");
	else
		return v;
	return 0;
}

void seep_cursor_variances(
    struct seep_cursor *c, int col, struct seep_variances *v)
{
	v->live_blocks = variance(c, col);
	v->live_bytes = variance(c, col + 1);
	v->alloc_blocks = variance(c, col + 2);
	v->alloc_bytes = variance(c, col + 3);
	v->free_blocks = variance(c, col + 4);
	v->free_bytes = variance(c, col + 5);
}
