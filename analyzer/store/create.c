/* SPDX-License-Identifier: MIT */
/* create.c - making, continuing and finishing a recording's file */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/store/internal.h"

#define SQLITE_HEADER "SQLite format 3"
#define HEADER_BYTES  100
#define APP_ID_AT     68
#define VERSIONS_AT   18 /* of the format, to write and to read: 2 is WAL */

/*
 * What lies at the path. Read by hand and not by SQLite, because a damaged
 * recording may be replaced, too.
 */
static struct seep_error *check_existing(const char *path, bool *exists)
{
	_cleanup_(seep_closep) int fd = -1;
	unsigned char h[HEADER_BYTES];
	struct stat sb;
	ssize_t n;

	*exists = false;
	if (stat(path, &sb)) {
		if (errno == ENOENT)
			return NULL;
		return seep_error_errno(errno, "'%s'", path);
	}
	*exists = true;
	if (S_ISDIR(sb.st_mode))
		return seep_error_errno(EISDIR, "'%s'", path);
	if (!S_ISREG(sb.st_mode))
		return seep_error_new(
		    SEEP_ERROR_OTHER, "'%s' exists and is not a file", path);
	if (sb.st_size == 0) /* of mktemp: there is nothing to lose */
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return seep_error_errno(errno, "'%s'", path);
	n = read(fd, h, sizeof(h));
	if (n == HEADER_BYTES &&
	    !memcmp(h, SQLITE_HEADER, sizeof(SQLITE_HEADER)) &&
	    h[APP_ID_AT] == 'S' && h[APP_ID_AT + 1] == 'E' &&
	    h[APP_ID_AT + 2] == 'E' && h[APP_ID_AT + 3] == 'P')
		return NULL;
	return seep_error_new(SEEP_ERROR_OTHER,
	    "'%s' exists and is not a seep recording, it is left as it is",
	    path);
}

static void remove_side_files(const char *path)
{
	char name[PATH_MAX + 8];

	if (snprintf(name, sizeof(name), "%s-wal", path) < (int)sizeof(name))
		unlink(name);
	if (snprintf(name, sizeof(name), "%s-shm", path) < (int)sizeof(name))
		unlink(name);
	if (snprintf(name, sizeof(name), "%s-journal", path) <
	    (int)sizeof(name))
		unlink(name);
}

/*
 * The side files of a recording go by its name, so that it can be replaced
 * only when nobody has it open: only then can SQLite leave WAL mode.
 */
static struct seep_error *check_unused(const char *path)
{
	sqlite3 *db = NULL;
	int rc;

	rc = sqlite3_open_v2(
	    path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(
		    db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	sqlite3_close(db);
	if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
		return seep_error_new(
		    SEEP_ERROR_OTHER, "'%s' is in use by another seep", path);
	remove_side_files(path);
	return NULL;
}

/*
 * Says of a new file that its journal is a WAL. Asking SQLite for that takes a
 * journal and four fsync() before the traced program can start.
 */
static struct seep_error *begin_with_wal(const char *path, int fd)
{
	static const unsigned char wal[2] = {2, 2};

	if (pwrite(fd, wal, sizeof(wal), VERSIONS_AT) != sizeof(wal))
		return seep_error_errno(errno, "'%s'", path);
	return NULL;
}

/* An empty recording under another name, which then takes the place. */
static struct seep_error *make_file(const char *path, const char *temp)
{
	struct seep_store *st = NULL;
	struct seep_error *err;
	int fd;

	fd = open(
	    temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return seep_error_errno(errno, "'%s'", path);
	if (fchmod(fd, 0600))
		err = seep_error_errno(errno, "'%s'", path);
	else
		err = seep_store_connect(
		    temp, NULL, SQLITE_OPEN_READWRITE, true, &st);
	if (!err)
		err = seep_store_exec(st,
		    "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
		    "PRAGMA auto_vacuum = NONE; BEGIN;");
	if (!err)
		err = seep_store_exec(st, seep_store_schema);
	if (!err)
		err = seep_store_exec(st, "COMMIT");
	seep_store_destroy(st);
	if (!err)
		err = begin_with_wal(path, fd);
	close(fd);
	if (!err && rename(temp, path))
		err = seep_error_errno(errno, "'%s'", path);
	if (err)
		unlink(temp);
	return err;
}

static struct seep_error *open_for_writing(
    const char *path, struct seep_store **ret)
{
	_cleanup_(seep_store_destroyp) struct seep_store *st = NULL;
	struct seep_error *err;

	err = seep_store_connect(path, NULL, SQLITE_OPEN_READWRITE, true, &st);
	if (!err)
		err = seep_store_check_schema(st);
	if (!err)
		err = seep_store_exec(st,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
	if (!err)
		*ret = no_cleanup_ptr(st);
	return err;
}

/* A link keeps pointing where it points: the file behind it is replaced. */
static char *resolve(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : strdup(path);
}

struct seep_error *seep_store_create(const char *path, struct seep_store **ret)
{
	_cleanup_(seep_freep) char *real = resolve(path);
	_cleanup_(seep_freep) char *temp = NULL;
	struct seep_error *err;
	bool exists;

	if (!real || asprintf(&temp, "%s.new%d", real, (int)getpid()) < 0) {
		temp = NULL;
		err = seep_error_new(SEEP_ERROR_OTHER, "out of memory");
		return seep_error_wrap(err, "creating the recording");
	}
	err = check_existing(real, &exists);
	if (!err && exists)
		err = check_unused(real);
	if (!err)
		err = make_file(real, temp);
	if (!err) {
		err = open_for_writing(real, ret);
		if (err) {
			unlink(real);
			remove_side_files(real);
		}
	}
	return err ? seep_error_wrap(err, "creating the recording") : NULL;
}

struct seep_error *seep_store_append(const char *path, struct seep_store **ret)
{
	_cleanup_(seep_freep) char *real = resolve(path);
	struct seep_error *err;

	if (!real)
		err = seep_error_new(SEEP_ERROR_OTHER, "out of memory");
	else
		err = open_for_writing(real, ret);
	return err ? seep_error_wrap(err, "continuing the recording") : NULL;
}

/*
 * Leaving WAL mode needs the file for ourselves. A reader that is at work is
 * waited for a while; if it stays the file is left as it is, complete and
 * readable, with its -wal beside it.
 */
static struct seep_error *leave_wal(struct seep_store *st)
{
	const char *how = "PRAGMA journal_mode = DELETE";
	int rc;

	sqlite3_busy_timeout(st->db, 1000);
	/* Once all is on the disk, what remains is a word of the header, with
	 * which the file is as good as without: no journal, no waiting. */
	if (sqlite3_wal_checkpoint_v2(st->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
		NULL, NULL) == SQLITE_OK)
		how = "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY";
	rc = sqlite3_exec(st->db, how, NULL, NULL, NULL);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY ||
	    (rc & 0xff) == SQLITE_LOCKED)
		return NULL;
	return seep_error_wrap(seep_store_error(st), "finishing the recording");
}

struct seep_error *seep_store_finish(struct seep_store *st)
{
	struct seep_error *err = NULL;

	if (!sqlite3_get_autocommit(st->db))
		err = seep_store_commit(st);
	for (int i = 0; i < SEEP_NR_STMTS; i++) {
		sqlite3_finalize(st->stmts[i]);
		st->stmts[i] = NULL;
	}
	if (!err)
		err = leave_wal(st);
	seep_store_destroy(st);
	return err;
}
