/* SPDX-License-Identifier: MIT */
/* record.c - the collector's sink: a recording, and names at its end */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/cmd/names.h"
#include "analyzer/cmd/record.h"
#include "analyzer/collect/control.h"
#include "analyzer/store/store.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

#define MAX_MODULE_FDS 512
#define NAMES_S	       60
#define NAMED_FROM     4 /* blocks of a sample, between two checkpoints */

struct module_fd {
	int64_t module; /* 0: its transaction was rolled back */
	int fd;
	char *path;
};

struct process_pid {
	int64_t process;
	uint32_t pid;
};

struct seep_record {
	struct seep_sink sink;
	struct seep_store *st;
	char *path; /* absolute; NULL: not known yet */
	char *wanted;
	struct module_fd fds[MAX_MODULE_FDS + 1];
	size_t nr_fds, nr_committed_fds;
	bool has_version; /* the recording, of the program that writes it */
	struct process_pid last; /* of put_process: for the sites that follow */
	struct seep_names_site *sites; /* hash by site; site 0: free */
	size_t sites_log, nr_sites;
};

static struct seep_record *of(void *ctx)
{
	return ctx;
}

/* ---- sites that names are wanted for ----------------------------------- */

static struct seep_names_site *site_find(
    struct seep_names_site *table, size_t log, int64_t site)
{
	size_t mask = ((size_t)1 << log) - 1;
	size_t i = (uint64_t)site * 0x9e3779b97f4a7c15ull >> 20 & mask;

	while (table[i].site && table[i].site != site)
		i = (i + 1) & mask;
	return &table[i];
}

static bool sites_grow(struct seep_record *rec)
{
	size_t log = rec->sites ? rec->sites_log + 1 : 10;
	struct seep_names_site *table =
	    calloc((size_t)1 << log, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; rec->sites && i < (size_t)1 << rec->sites_log; i++)
		if (rec->sites[i].site)
			*site_find(table, log, rec->sites[i].site) =
			    rec->sites[i];
	free(rec->sites);
	rec->sites = table;
	rec->sites_log = log;
	return true;
}

static void want_names(struct seep_record *rec, int64_t site, uint32_t pid)
{
	struct seep_names_site *s;

	if (!rec->sites || rec->nr_sites >= ((size_t)3 << rec->sites_log) / 4)
		if (!sites_grow(rec))
			return; /* the report resolves it then */
	s = site_find(rec->sites, rec->sites_log, site);
	if (s->site)
		return;
	s->site = site;
	s->pid = pid;
	rec->nr_sites++;
}

/* ---- the sink ---------------------------------------------------------- */

char *seep_record_absolute(const char *path)
{
	char cwd[PATH_MAX], *ret;

	if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return strdup(path);
	if (asprintf(&ret, "%s/%s", cwd[1] ? cwd : "", path) < 0)
		return NULL;
	return ret;
}

static struct seep_error *create_at(struct seep_record *rec, const char *path)
{
	struct seep_error *err;
	char *absolute = seep_record_absolute(path);

	if (!absolute)
		return seep_error_errno(ENOMEM, "recording");
	err = seep_store_create(absolute, &rec->st);
	if (err) {
		free(absolute);
		return err;
	}
	free(rec->path);
	rec->path = absolute;
	return NULL;
}

static struct seep_error *create_in_runtime(
    struct seep_record *rec, const char *name)
{
	char folder[PATH_MAX], path[2 * PATH_MAX];
	struct seep_error *err;
	int fd = -1;

	err = seep_control_folder(folder, sizeof(folder), &fd);
	if (err)
		return err;
	close(fd);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return create_at(rec, path);
}

static struct seep_error *sink_open(void *ctx, uint32_t pid, const char *exe)
{
	struct seep_record *rec = of(ctx);
	const char *base = exe ? strrchr(exe, '/') : NULL;
	struct seep_error *err;
	char name[NAME_MAX + 1];

	if (rec->st)
		return NULL;
	snprintf(name, sizeof(name), "%.200s.%u.seep",
	    base && base[1] ? base + 1 : "process", pid);
	err = create_at(rec, rec->wanted ? rec->wanted : name);
	if (err) {
		/* Somewhere is better than nowhere: `seep ps` says where. */
		seep_error_destroy(err);
		err = create_in_runtime(rec, name);
	}
	/* Its folder may be unmounted from now on. */
	if (!err && chdir("/") < 0)
		err = NULL;
	return err;
}

static const char *sink_path(void *ctx)
{
	return of(ctx)->path ? of(ctx)->path : "";
}

static struct seep_error *sink_begin(void *ctx)
{
	struct seep_record *rec = of(ctx);
	struct seep_error *err = seep_store_begin(rec->st);

	/* Not by itself: the program waits for the file, not for a commit. */
	if (!err && !rec->has_version)
		err = seep_store_set(rec->st, "seep_version", PACKAGE_VERSION);
	return err;
}

static struct seep_error *sink_commit(void *ctx)
{
	struct seep_record *rec = of(ctx);
	struct seep_error *err = seep_store_commit(rec->st);

	if (err)
		return err;
	rec->nr_committed_fds = rec->nr_fds;
	rec->has_version = true;
	return NULL;
}

static void sink_rollback(void *ctx)
{
	struct seep_record *rec = of(ctx);

	seep_store_rollback(rec->st);
	/* The ids are free again, for other modules. */
	for (size_t i = rec->nr_committed_fds; i < rec->nr_fds; i++)
		rec->fds[i].module = 0;
}

static struct seep_error *sink_set(
    void *ctx, const char *key, const char *value)
{
	return seep_store_set(of(ctx)->st, key, value);
}

static struct seep_error *sink_get(void *ctx, const char *key, char **ret)
{
	return seep_store_get(of(ctx)->st, key, ret);
}

static struct seep_error *sink_put_drop_cause(
    void *ctx, unsigned cause, const char *name, const char *meaning)
{
	return seep_store_put_drop_cause(of(ctx)->st, cause, name, meaning);
}

static struct seep_error *sink_put_process(void *ctx, struct seep_process *p)
{
	struct seep_error *err = seep_store_put_process(of(ctx)->st, p);

	if (!err)
		of(ctx)->last = (struct process_pid){p->id, p->pid};
	return err;
}

static struct seep_error *sink_processes(
    void *ctx, struct seep_process **ret, size_t *nr)
{
	return seep_store_processes(of(ctx)->st, ret, nr);
}

static struct seep_error *sink_snapshots(
    void *ctx, int64_t process_id, struct seep_snapshot **ret, size_t *nr)
{
	return seep_store_snapshots(of(ctx)->st, process_id, ret, nr);
}

static int module_fd(void *ctx, int64_t module)
{
	struct seep_record *rec = of(ctx);

	for (size_t i = 0; i < rec->nr_fds; i++)
		if (rec->fds[i].module == module)
			return rec->fds[i].fd;
	return -1;
}

/* Keeps the file of a module: it may be deleted before names are resolved. */
static void keep_fd(
    struct seep_record *rec, int64_t module, const char *path, int fd)
{
	struct module_fd *to = &rec->fds[rec->nr_fds];

	/* One that a rollback has left without its module. */
	for (size_t i = 0; fd < 0 && i < rec->nr_fds; i++) {
		if (!rec->fds[i].module && !strcmp(rec->fds[i].path, path)) {
			rec->fds[i].module = module;
			return;
		}
	}
	if (fd < 0)
		return;
	to->path = rec->nr_fds < MAX_MODULE_FDS && module_fd(rec, module) < 0
		       ? strdup(path)
		       : NULL;
	if (!to->path) {
		close(fd);
		return;
	}
	to->module = module;
	to->fd = fd;
	rec->nr_fds++;
}

static struct seep_error *sink_put_module(
    void *ctx, const char *path, const char *build_id, int fd, int64_t *id)
{
	struct seep_record *rec = of(ctx);
	struct seep_error *err =
	    seep_store_put_module(rec->st, path, build_id, id);

	if (!err)
		keep_fd(rec, *id, path, fd);
	else if (fd >= 0)
		close(fd);
	return err;
}

static struct seep_error *sink_put_node(void *ctx, int64_t parent, int kind,
    int64_t module, uint64_t offset, bool exact, int64_t *id)
{
	return seep_store_put_node(
	    of(ctx)->st, parent, kind, module, offset, exact, id);
}

static struct seep_error *sink_put_snapshot(void *ctx, struct seep_snapshot *s,
    const struct seep_site_row *rows, size_t nr_rows)
{
	struct seep_record *rec = of(ctx);
	struct seep_error *err =
	    seep_store_put_snapshot(rec->st, s, rows, nr_rows);
	uint32_t pid = rec->last.process == s->process_id ? rec->last.pid : 0;

	for (size_t i = 0; !err && i < nr_rows; i++)
		if (rows[i].counts.live_blocks)
			want_names(rec, rows[i].site, pid);
	return err;
}

static struct seep_error *sink_put_survivors(void *ctx, int64_t process_id,
    const struct seep_survivor_row *rows, size_t nr_rows)
{
	return seep_store_put_survivors(of(ctx)->st, process_id, rows, nr_rows);
}

static struct seep_error *sink_put_histories(void *ctx, int64_t process_id,
    const struct seep_history *h, const struct seep_history_rows *rows)
{
	struct seep_record *rec = of(ctx);
	uint32_t pid = rec->last.process == process_id ? rec->last.pid : 0;
	struct seep_error *err =
	    seep_store_put_histories(rec->st, process_id, h, rows);

	/* Of a sample, those that came more than by chance: names are dear. */
	for (size_t i = 0; !err && i < rows->nr_sites; i++)
		if (h->every == 1 || rows->sites[i].begun >= NAMED_FROM)
			want_names(rec, rows->sites[i].site, pid);
	for (size_t i = 0; !err && i < rows->nr_freed; i++)
		if (h->every == 1 || rows->freed[i].blocks >= NAMED_FROM)
			want_names(rec, rows->freed[i].free_site, pid);
	return err;
}

static struct seep_error *sink_thin(void *ctx, uint64_t now_ms)
{
	return seep_store_thin(of(ctx)->st, now_ms);
}

static struct seep_error *sink_put_event(void *ctx, int64_t process_id,
    uint64_t at_ms, const char *kind, const char *text)
{
	return seep_store_put_event(of(ctx)->st, process_id, at_ms, kind, text);
}

static struct seep_error *sink_put_baseline(
    void *ctx, int64_t process_id, uint32_t uid, int64_t snapshot)
{
	return seep_store_put_baseline(of(ctx)->st, process_id, uid, snapshot);
}

static struct seep_error *sink_get_baseline(
    void *ctx, int64_t process_id, uint32_t uid, int64_t *snapshot)
{
	return seep_store_get_baseline(of(ctx)->st, process_id, uid, snapshot);
}

/* ---- the end ----------------------------------------------------------- */

static struct seep_error *name_sites(struct seep_record *rec)
{
	size_t nr = 0;

	/* The table, packed. */
	for (size_t i = 0; i < (size_t)1 << rec->sites_log; i++)
		if (rec->sites[i].site)
			rec->sites[nr++] = rec->sites[i];
	return seep_names_resolve(
	    rec->st, rec->sites, nr, module_fd, rec, NAMES_S);
}

static struct seep_error *sink_finish(void *ctx, bool quick)
{
	struct seep_record *rec = of(ctx);
	struct seep_store *st = rec->st;

	if (!st)
		return NULL;
	/* Without names a recording is complete all the same. */
	if (!quick && rec->nr_sites)
		seep_error_destroy(name_sites(rec));
	rec->st = NULL;
	return seep_store_finish(st);
}

static void sink_discard(void *ctx)
{
	struct seep_record *rec = of(ctx);
	char side[PATH_MAX + 8];

	if (!rec->path)
		return;
	seep_store_destroy(rec->st);
	rec->st = NULL;
	unlink(rec->path);
	snprintf(side, sizeof(side), "%s-wal", rec->path);
	unlink(side);
	snprintf(side, sizeof(side), "%s-shm", rec->path);
	unlink(side);
}

/* ---- making one -------------------------------------------------------- */

static struct seep_record *make(void)
{
	struct seep_record *rec = calloc(1, sizeof(*rec));

	if (rec) {
		rec->sink = (struct seep_sink){.ctx = rec,
		    .open = sink_open,
		    .path = sink_path,
		    .finish = sink_finish,
		    .discard = sink_discard,
		    .begin = sink_begin,
		    .commit = sink_commit,
		    .rollback = sink_rollback,
		    .set = sink_set,
		    .get = sink_get,
		    .put_drop_cause = sink_put_drop_cause,
		    .put_process = sink_put_process,
		    .processes = sink_processes,
		    .snapshots = sink_snapshots,
		    .put_module = sink_put_module,
		    .put_node = sink_put_node,
		    .put_snapshot = sink_put_snapshot,
		    .put_survivors = sink_put_survivors,
		    .put_histories = sink_put_histories,
		    .thin = sink_thin,
		    .put_event = sink_put_event,
		    .put_baseline = sink_put_baseline,
		    .get_baseline = sink_get_baseline};
	}
	return rec;
}

struct seep_error *seep_record_create(
    const char *path, bool append, struct seep_record **ret)
{
	struct seep_record *rec = make();
	struct seep_error *err;

	if (!rec)
		return seep_error_errno(ENOMEM, "recording");
	rec->has_version = append;
	if (append) {
		rec->path = seep_record_absolute(path);
		err = rec->path ? seep_store_append(rec->path, &rec->st)
				: seep_error_errno(ENOMEM, "recording");
	} else {
		err = create_at(rec, path);
	}
	if (err) {
		seep_record_destroy(rec);
		return err;
	}
	*ret = rec;
	return NULL;
}

struct seep_error *seep_record_create_later(
    const char *wanted, struct seep_record **ret)
{
	struct seep_record *rec = make();

	if (rec && wanted && *wanted)
		rec->wanted = seep_record_absolute(wanted);
	if (!rec || (wanted && *wanted && !rec->wanted)) {
		seep_record_destroy(rec);
		return seep_error_errno(ENOMEM, "recording");
	}
	*ret = rec;
	return NULL;
}

void seep_record_destroy(struct seep_record *rec)
{
	if (!rec)
		return;
	seep_store_destroy(rec->st);
	for (size_t i = 0; i < rec->nr_fds; i++) {
		close(rec->fds[i].fd);
		free(rec->fds[i].path);
	}
	free(rec->sites);
	free(rec->wanted);
	free(rec->path);
	free(rec);
}

const struct seep_sink *seep_record_sink(struct seep_record *rec)
{
	return &rec->sink;
}
