/* SPDX-License-Identifier: MIT */
/* reader.c - what a recording says, checked */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/store/internal.h"

#define MAX_ARGUMENTS 100000

/* ---- opening ------------------------------------------------------------ */

static struct seep_error *open_checked(
    const char *path, const char *uri, struct seep_store **ret)
{
	_cleanup_(seep_store_destroyp) struct seep_store *st = NULL;
	struct seep_error *err;

	err = seep_store_connect(path, uri,
	    SQLITE_OPEN_READONLY | (uri ? SQLITE_OPEN_URI : 0), false, &st);
	if (!err)
		err = seep_store_check_schema(st);
	if (!err)
		*ret = no_cleanup_ptr(st);
	return err;
}

/*
 * A recording whose collector was killed is still in WAL mode. In a folder
 * without write permission SQLite cannot make the side files that reading it
 * takes; without a -wal nothing is lost by reading the file as it is.
 */
static struct seep_error *open_immutable(
    const char *path, struct seep_store **ret)
{
	_cleanup_(seep_freep) char *uri = malloc(3 * strlen(path) + 32);
	char *to;

	if (!uri)
		return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
	to = stpcpy(uri, "file:");
	for (const char *p = path; *p; p++) {
		if (strchr("?#%", *p))
			to += sprintf(to, "%%%02x", (unsigned char)*p);
		else
			*to++ = *p;
	}
	strcpy(to, "?immutable=1");
	return open_checked(path, uri, ret);
}

static bool has_wal(const char *path)
{
	_cleanup_(seep_freep) char *name = NULL;
	struct stat sb;

	if (asprintf(&name, "%s-wal", path) < 0) {
		name = NULL;
		return true;
	}
	return !stat(name, &sb) && sb.st_size > 0;
}

struct seep_error *seep_store_open(const char *path, struct seep_store **ret)
{
	struct seep_error *err;
	struct stat sb;

	if (stat(path, &sb))
		return seep_error_errno(errno, "recording '%s'", path);
	if (!S_ISREG(sb.st_mode))
		return seep_error_new(
		    SEEP_ERROR_OTHER, "'%s' is not a seep recording", path);
	err = open_checked(path, NULL, ret);
	if (err && seep_error_code(err) != SEEP_ERROR_CORRUPT &&
	    !access(path, R_OK) && !has_wal(path)) {
		struct seep_error *second = open_immutable(path, ret);

		if (!second) {
			seep_error_destroy(err);
			return NULL;
		}
		seep_error_destroy(second);
	}
	return err;
}

struct seep_error *seep_store_freeze(struct seep_store *st)
{
	/* a transaction that only reads begins with its first read */
	return seep_store_exec(st, "BEGIN; SELECT count(*) FROM setting");
}

/* ---- settings ----------------------------------------------------------- */

struct seep_error *seep_store_get(
    struct seep_store *st, const char *key, char **ret)
{
	struct seep_error *err;
	struct seep_cursor c;
	char *value = NULL;

	seep_cursor_init(&c, st, SEEP_STMT_GET);
	if (!c.err && sqlite3_bind_text(c.stmt, 1, key, -1, SQLITE_STATIC))
		c.err = seep_store_error(st);
	if (seep_cursor_next(&c))
		value = seep_cursor_strdup(&c, 0, false);
	err = seep_cursor_end(&c);
	if (err)
		free(value);
	else
		*ret = value;
	return err;
}

struct seep_error *seep_store_get_baseline(
    struct seep_store *st, int64_t process_id, uint32_t uid, int64_t *snapshot)
{
	struct seep_error *err;
	struct seep_cursor c;
	int64_t found = 0;

	seep_cursor_init(&c, st, SEEP_STMT_BASELINE_GET);
	seep_cursor_bind(&c, 1, process_id);
	seep_cursor_bind(&c, 2, uid);
	if (seep_cursor_next(&c))
		found = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
	err = seep_cursor_end(&c);
	if (!err)
		*snapshot = found;
	return err;
}

struct seep_error *seep_store_drop_causes(
    struct seep_store *st, struct seep_drop_cause *causes)
{
	struct seep_error *err;
	struct seep_cursor c;

	memset(causes, 0, SEEP_NR_DROP_CAUSES * sizeof(*causes));
	seep_cursor_init(&c, st, SEEP_STMT_DROP_CAUSES);
	while (seep_cursor_next(&c)) {
		uint64_t i = seep_cursor_uint(&c, 0, INT64_MAX);

		if (i >= SEEP_NR_DROP_CAUSES || c.err)
			continue; /* of a later seep: it has no place here */
		free(causes[i].name);
		free(causes[i].meaning);
		causes[i].name = seep_cursor_strdup(&c, 1, false);
		causes[i].meaning = seep_cursor_strdup(&c, 2, false);
	}
	err = seep_cursor_end(&c);
	if (err)
		seep_drop_causes_deinit(causes);
	return err;
}

/* ---- processes ---------------------------------------------------------- */

static struct seep_error *read_arguments(
    struct seep_store *st, struct seep_process *p)
{
	struct seep_cursor c;
	size_t nr = 0, room = 0;

	seep_cursor_init(&c, st, SEEP_STMT_ARGUMENTS);
	seep_cursor_bind(&c, 1, p->id);
	while (seep_cursor_next(&c)) {
		if (nr > MAX_ARGUMENTS)
			seep_cursor_damaged(&c, "a command has no end");
		/* one more for the NULL, which is there at any moment */
		if (!seep_cursor_more(
			&c, &p->command, nr + 1, &room, sizeof(char *)))
			break;
		p->command[nr] = NULL;
		p->command[nr] = seep_cursor_strdup(&c, 0, false);
		if (p->command[nr])
			p->command[++nr] = NULL;
	}
	return seep_cursor_end(&c);
}

static struct seep_error *read_drops(
    struct seep_store *st, struct seep_process *p)
{
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_DROPS);
	seep_cursor_bind(&c, 1, p->id);
	while (seep_cursor_next(&c)) {
		uint64_t cause = seep_cursor_uint(&c, 0, INT64_MAX);
		uint64_t count = seep_cursor_uint(&c, 1, INT64_MAX);

		if (cause < SEEP_NR_DROP_CAUSES)
			p->drops[cause] = count;
	}
	return seep_cursor_end(&c);
}

static void read_process(struct seep_cursor *c, struct seep_process *p)
{
	int at = 0;

	p->id = (int64_t)seep_cursor_uint(c, at++, INT64_MAX);
	p->parent_id = (int64_t)seep_cursor_uint(c, at++, INT64_MAX);
	p->pid = (uint32_t)seep_cursor_uint(c, at++, UINT32_MAX);
	p->ppid = (uint32_t)seep_cursor_uint(c, at++, UINT32_MAX);
	p->state = (enum seep_process_state)seep_cursor_word(
	    c, at++, seep_store_states);
	p->forked = seep_cursor_uint(c, at++, 1);
	p->exe = seep_cursor_strdup(c, at++, true);
	p->start_unix_ms = (int64_t)seep_cursor_bits(c, at++);
	p->start_ms = seep_cursor_uint(c, at++, INT64_MAX);
	p->end_ms = seep_cursor_uint(c, at++, INT64_MAX);
	p->exit_code = p->exit_signal = -1;
	if (!seep_cursor_is_null(c, at))
		p->exit_code = (int)seep_cursor_uint(c, at, 255);
	at++;
	if (!seep_cursor_is_null(c, at))
		p->exit_signal = (int)seep_cursor_uint(c, at, 127);
	at++;
	seep_cursor_counts(c, at, &p->totals);
	at += 6;
	p->unknown_frees = seep_cursor_uint(c, at++, INT64_MAX);
	p->inherited_blocks = seep_cursor_uint(c, at++, INT64_MAX);
	p->inherited_bytes = seep_cursor_uint(c, at++, INT64_MAX);
	p->peak_live_bytes = seep_cursor_uint(c, at++, INT64_MAX);
	p->peak_ms = seep_cursor_uint(c, at++, INT64_MAX);
	p->rss_bytes = seep_cursor_uint(c, at++, INT64_MAX);
	p->uss_bytes = seep_cursor_uint(c, at++, INT64_MAX);
	p->pss_bytes = seep_cursor_uint(c, at++, INT64_MAX);
	p->seep_bytes = seep_cursor_uint(c, at++, INT64_MAX);
	p->sample_bytes = seep_cursor_uint(c, at++, INT64_MAX);
	seep_cursor_variances(c, at, &p->totals.var);
}

struct seep_error *seep_store_processes(
    struct seep_store *st, struct seep_process **ret, size_t *nr)
{
	struct seep_process *list = NULL;
	size_t n = 0, room = 0;
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_PROCESSES);
	while (seep_cursor_next(&c)) {
		if (!seep_cursor_more(&c, &list, n, &room, sizeof(*list)))
			break;
		list[n] = (struct seep_process){0};
		read_process(&c, &list[n++]);
	}
	err = seep_cursor_end(&c);
	for (size_t i = 0; !err && i < n; i++) {
		err = read_arguments(st, &list[i]);
		if (!err)
			err = read_drops(st, &list[i]);
	}
	if (err) {
		for (size_t i = 0; i < n; i++)
			seep_process_deinit(&list[i]);
		free(list);
		return err;
	}
	*ret = list;
	*nr = n;
	return NULL;
}

/* ---- snapshots and counts ----------------------------------------------- */

struct seep_error *seep_store_snapshots(struct seep_store *st,
    int64_t process_id, struct seep_snapshot **ret, size_t *nr)
{
	struct seep_snapshot *list = NULL;
	size_t n = 0, room = 0;
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_SNAPSHOTS);
	seep_cursor_bind(&c, 1, process_id);
	while (seep_cursor_next(&c)) {
		struct seep_snapshot *s;

		if (!seep_cursor_more(&c, &list, n, &room, sizeof(*list)))
			break;
		s = &list[n++];
		s->process_id = process_id;
		s->id = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		s->kind = (enum seep_snapshot_kind)seep_cursor_word(
		    &c, 1, seep_store_kinds);
		s->label = seep_cursor_strdup(&c, 2, true);
		s->at_ms = seep_cursor_uint(&c, 3, INT64_MAX);
		s->epoch = (uint32_t)seep_cursor_uint(&c, 4, UINT32_MAX);
		seep_cursor_counts(&c, 5, &s->totals);
		s->rss_bytes = seep_cursor_uint(&c, 11, INT64_MAX);
		seep_cursor_variances(&c, 12, &s->totals.var);
	}
	err = seep_cursor_end(&c);
	if (err) {
		for (size_t i = 0; i < n; i++)
			seep_snapshot_deinit(&list[i]);
		free(list);
		return err;
	}
	*ret = list;
	*nr = n;
	return NULL;
}

struct seep_error *seep_store_each_count(struct seep_store *st,
    int64_t process_id, int64_t last, seep_store_count_fn *fn, void *ctx)
{
	struct seep_error *err = NULL, *end;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_COUNTS);
	seep_cursor_bind(&c, 1, process_id);
	seep_cursor_bind(&c, 2, last);
	while (!err && seep_cursor_next(&c)) {
		struct seep_site_row row;
		int64_t snapshot;

		snapshot = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		row.site =
		    (int64_t)seep_cursor_uint(&c, 1, SEEP_STORE_MAX_NODES);
		seep_cursor_counts(&c, 2, &row.counts);
		seep_cursor_variances(&c, 8, &row.counts.var);
		if (!c.err)
			err = fn(ctx, snapshot, &row);
	}
	end = seep_cursor_end(&c);
	if (!err)
		return end;
	seep_error_destroy(end);
	return err;
}

/* The last counts of each site, while the changes go by. */
struct keeper {
	struct seep_state *state; /* site -> position in rows */
	struct seep_site_row *rows;
	size_t room;
};

static struct seep_error *keep_count(
    void *ctx, int64_t snapshot, const struct seep_site_row *row)
{
	struct keeper *k = ctx;
	int64_t at = seep_state_get(k->state, (uint32_t)row->site);

	(void)snapshot;
	if (at >= 0 && (size_t)at >= k->room) {
		size_t room = k->room ? k->room * 2 : 64;
		void *p = realloc(k->rows, room * sizeof(*k->rows));

		if (!p)
			at = -1;
		else {
			k->rows = p;
			k->room = room;
		}
	}
	if (at < 0)
		return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
	k->rows[at] = *row;
	return NULL;
}

static int compare_rows(const void *pa, const void *pb)
{
	const struct seep_site_row *a = pa, *b = pb;

	return a->site < b->site ? -1 : a->site > b->site;
}

struct seep_error *seep_store_site_rows(struct seep_store *st,
    int64_t process_id, int64_t snapshot, struct seep_site_row **ret,
    size_t *nr)
{
	struct keeper k = {.state = seep_state_create(process_id)};
	struct seep_error *err;

	if (!k.state)
		return seep_store_no_memory(st);
	err = seep_store_each_count(st, process_id, snapshot, keep_count, &k);
	if (!err) {
		if (k.state->nr)
			qsort(
			    k.rows, k.state->nr, sizeof(*k.rows), compare_rows);
		*nr = k.state->nr;
		*ret = k.rows;
	} else {
		free(k.rows);
	}
	seep_state_destroy(k.state);
	return err;
}

/* ---- the tree ----------------------------------------------------------- */

/* A parent that comes after its child could be a circle. */
static void read_node(struct seep_cursor *c, struct seep_store_node *n)
{
	n->id = (int64_t)seep_cursor_uint(c, 0, SEEP_STORE_MAX_NODES);
	n->parent = (int64_t)seep_cursor_uint(c, 1, SEEP_STORE_MAX_NODES);
	n->module = (int64_t)seep_cursor_uint(c, 2, SEEP_STORE_MAX_MODULES - 1);
	n->offset = seep_cursor_bits(c, 3);
	n->kind = (int)seep_cursor_uint(c, 4, 15);
	n->exact = seep_cursor_uint(c, 5, 1);
	if (!c->err && (n->id < 1 || n->parent >= n->id))
		seep_cursor_damaged(c, "the call tree runs in a circle");
}

struct seep_error *seep_store_nodes(
    struct seep_store *st, struct seep_store_node **ret, size_t *nr)
{
	struct seep_store_node *list = NULL;
	size_t n = 0, room = 0;
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_NODES);
	while (seep_cursor_next(&c)) {
		if (!seep_cursor_more(&c, &list, n, &room, sizeof(*list)))
			break;
		read_node(&c, &list[n]);
		if (!c.err && list[n].id != (int64_t)n + 1)
			seep_cursor_damaged(&c, "a frame is missing");
		n++;
	}
	err = seep_cursor_end(&c);
	if (err) {
		free(list);
		return err;
	}
	*ret = list;
	*nr = n;
	return NULL;
}

struct seep_error *seep_store_modules(
    struct seep_store *st, struct seep_module **ret, size_t *nr)
{
	struct seep_module *list = NULL;
	size_t n = 0, room = 0;
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_MODULES);
	while (seep_cursor_next(&c)) {
		if (!seep_cursor_more(&c, &list, n, &room, sizeof(*list)))
			break;
		list[n].id = (int64_t)seep_cursor_uint(
		    &c, 0, SEEP_STORE_MAX_MODULES - 1);
		list[n].path = seep_cursor_strdup(&c, 1, false);
		list[n].build_id = seep_cursor_strdup(&c, 2, true);
		n++;
	}
	err = seep_cursor_end(&c);
	if (err) {
		for (size_t i = 0; i < n; i++)
			seep_module_deinit(&list[i]);
		free(list);
		return err;
	}
	*ret = list;
	*nr = n;
	return NULL;
}

/* ---- names -------------------------------------------------------------- */

struct seep_error *seep_store_each_string(
    struct seep_store *st, seep_store_string_fn *fn, void *ctx)
{
	struct seep_error *err = NULL, *end;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_STRINGS);
	while (!err && seep_cursor_next(&c)) {
		int64_t id = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		const char *text = seep_cursor_text(&c, 1, false);

		if (!c.err)
			err = fn(ctx, id, text);
	}
	end = seep_cursor_end(&c);
	if (!err)
		return end;
	seep_error_destroy(end);
	return err;
}

static int64_t string_id(struct seep_cursor *c, int col)
{
	if (seep_cursor_is_null(c, col))
		return 0;
	return (int64_t)seep_cursor_uint(c, col, INT64_MAX);
}

struct seep_error *seep_store_each_symbol(
    struct seep_store *st, seep_store_symbol_fn *fn, void *ctx)
{
	struct seep_error *err = NULL, *end;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_SYMBOLS_ALL);
	while (!err && seep_cursor_next(&c)) {
		struct seep_store_symbol s;

		s.module = (int64_t)seep_cursor_uint(
		    &c, 0, SEEP_STORE_MAX_MODULES - 1);
		s.offset = seep_cursor_bits(&c, 1);
		s.exact = seep_cursor_uint(&c, 2, 1);
		s.function = string_id(&c, 3);
		s.file = string_id(&c, 4);
		s.line = (uint32_t)seep_cursor_uint(&c, 5, UINT32_MAX);
		s.inlined = seep_cursor_uint(&c, 6, 1);
		if (!c.err)
			err = fn(ctx, &s);
	}
	end = seep_cursor_end(&c);
	if (!err)
		return end;
	seep_error_destroy(end);
	return err;
}

static struct seep_error *get_string(
    struct seep_store *st, int64_t id, char **ret)
{
	struct seep_cursor c;

	if (!id)
		return NULL;
	seep_cursor_init(&c, st, SEEP_STMT_STRING_GET);
	seep_cursor_bind(&c, 1, id);
	if (seep_cursor_next(&c))
		*ret = seep_cursor_strdup(&c, 0, false);
	else
		seep_cursor_damaged(&c, "a name is missing");
	return seep_cursor_end(&c);
}

struct seep_error *seep_store_symbols(struct seep_store *st, int64_t module,
    uint64_t offset, bool exact, struct seep_frame **ret, size_t *nr)
{
	struct seep_frame *list = NULL;
	size_t n = 0, room = 0;
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_SYMBOLS);
	seep_cursor_bind(&c, 1, module);
	seep_cursor_bind(&c, 2, (int64_t)offset);
	seep_cursor_bind(&c, 3, exact);
	while (seep_cursor_next(&c)) {
		struct seep_frame *f;

		if (!seep_cursor_more(&c, &list, n, &room, sizeof(*list)))
			break;
		f = &list[n++];
		*f = (struct seep_frame){.offset = offset};
		if (!c.err)
			c.err = get_string(st, string_id(&c, 0), &f->function);
		if (!c.err)
			c.err = get_string(st, string_id(&c, 1), &f->file);
		f->line = (uint32_t)seep_cursor_uint(&c, 2, UINT32_MAX);
		f->inlined = seep_cursor_uint(&c, 3, 1);
	}
	err = seep_cursor_end(&c);
	if (err) {
		for (size_t i = 0; i < n; i++)
			seep_frame_deinit(&list[i]);
		free(list);
		return err;
	}
	*ret = list;
	*nr = n;
	return NULL;
}
