/* SPDX-License-Identifier: MIT */
/* writer.c - rows of a recording: processes, modules, nodes, names */
#include <string.h>

#include "analyzer/store/bind.h"
#include "analyzer/store/internal.h"

/* ---- transactions ------------------------------------------------------- */

static struct seep_error *plain(struct seep_store *st, enum seep_stmt which)
{
	sqlite3_stmt *s;
	struct seep_error *err = seep_store_prepare(st, which, &s);

	return err ? err : seep_store_step_done(st, s);
}

struct seep_error *seep_store_begin(struct seep_store *st)
{
	return plain(st, SEEP_STMT_BEGIN);
}

struct seep_error *seep_store_commit(struct seep_store *st)
{
	struct seep_error *err;

	/* After an error like a full disk SQLite has rolled back by itself. */
	if (sqlite3_get_autocommit(st->db))
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s': the transaction was undone", st->path);
	err = seep_store_put_nodes(st);
	return err ? err : plain(st, SEEP_STMT_COMMIT);
}

void seep_store_rollback(struct seep_store *st)
{
	seep_store_forget(st);
	if (!sqlite3_get_autocommit(st->db))
		seep_error_destroy(plain(st, SEEP_STMT_ROLLBACK));
}

/* ---- settings, processes, events ---------------------------------------- */

struct seep_error *seep_store_set(
    struct seep_store *st, const char *key, const char *value)
{
	sqlite3_stmt *s;
	struct seep_error *err = seep_store_prepare(st, SEEP_STMT_SET, &s);

	if (err)
		return err;
	seep_bind_text(s, 1, key);
	seep_bind_text(s, 2, value);
	return seep_store_step_done(st, s);
}

static struct seep_error *put_arguments(
    struct seep_store *st, const struct seep_process *p)
{
	sqlite3_stmt *s;
	struct seep_error *err;

	err = seep_store_prepare(st, SEEP_STMT_ARGUMENT_CLEAR, &s);
	if (err)
		return err;
	seep_bind_int(s, 1, p->id);
	err = seep_store_step_done(st, s);
	if (!err)
		err = seep_store_prepare(st, SEEP_STMT_ARGUMENT_PUT, &s);
	for (int i = 0; !err && p->command && p->command[i]; i++) {
		seep_bind_int(s, 1, p->id);
		seep_bind_int(s, 2, i);
		seep_bind_text(s, 3, p->command[i]);
		err = seep_store_step_done(st, s);
	}
	return err;
}

static struct seep_error *put_drops(
    struct seep_store *st, const struct seep_process *p)
{
	sqlite3_stmt *s;
	struct seep_error *err = seep_store_prepare(st, SEEP_STMT_DROP_PUT, &s);

	for (int i = 0; !err && i < SEEP_NR_DROP_CAUSES; i++) {
		if (!p->drops[i])
			continue;
		seep_bind_int(s, 1, p->id);
		seep_bind_int(s, 2, i);
		seep_bind_count(s, 3, p->drops[i]);
		err = seep_store_step_done(st, s);
	}
	return err;
}

static struct seep_error *put_process_row(
    struct seep_store *st, struct seep_process *p)
{
	sqlite3_stmt *s;
	struct seep_error *err;
	int at = 1;

	err = seep_store_prepare(st, SEEP_STMT_PROCESS_PUT, &s);
	if (err)
		return err;
	if (p->id)
		seep_bind_int(s, at, p->id);
	else
		sqlite3_bind_null(s, at);
	at++;
	seep_bind_int(s, at++, p->parent_id);
	seep_bind_int(s, at++, p->pid);
	seep_bind_int(s, at++, p->ppid);
	seep_bind_text(s, at++, seep_store_states[p->state]);
	seep_bind_int(s, at++, p->forked);
	seep_bind_text(s, at++, p->exe);
	seep_bind_int(s, at++, p->start_unix_ms);
	seep_bind_count(s, at++, p->start_ms);
	seep_bind_count(s, at++, p->end_ms);
	seep_bind_age(
	    s, at++, p->exit_code < 0 ? UINT64_MAX : (uint64_t)p->exit_code);
	seep_bind_age(s, at++,
	    p->exit_signal <= 0 ? UINT64_MAX : (uint64_t)p->exit_signal);
	seep_bind_counts(s, at, &p->totals);
	at += 6;
	seep_bind_count(s, at++, p->unknown_frees);
	seep_bind_count(s, at++, p->inherited_blocks);
	seep_bind_count(s, at++, p->inherited_bytes);
	seep_bind_count(s, at++, p->peak_live_bytes);
	seep_bind_count(s, at++, p->peak_ms);
	seep_bind_count(s, at++, p->rss_bytes);
	seep_bind_count(s, at++, p->uss_bytes);
	seep_bind_count(s, at++, p->pss_bytes);
	seep_bind_count(s, at++, p->seep_bytes);
	seep_bind_count(s, at++, p->sample_bytes);
	seep_bind_variances(s, at, &p->totals.var);
	err = seep_store_step_done(st, s);
	if (!err && !p->id)
		p->id = sqlite3_last_insert_rowid(st->db);
	return err;
}

struct seep_error *seep_store_put_process(
    struct seep_store *st, struct seep_process *p)
{
	bool own, added = !p->id;
	struct seep_error *err = seep_store_scope_begin(st, &own);

	if (err)
		return err;
	err = put_process_row(st, p);
	if (!err)
		err = put_arguments(st, p);
	if (!err)
		err = put_drops(st, p);
	err = seep_store_scope_end(st, own, err);
	if (err && added)
		p->id = 0;
	return err;
}

struct seep_error *seep_store_put_drop_cause(struct seep_store *st,
    unsigned cause, const char *name, const char *meaning)
{
	sqlite3_stmt *s;
	struct seep_error *err;

	err = seep_store_prepare(st, SEEP_STMT_DROP_CAUSE_PUT, &s);
	if (err)
		return err;
	seep_bind_int(s, 1, cause);
	seep_bind_text(s, 2, name);
	seep_bind_text(s, 3, meaning);
	return seep_store_step_done(st, s);
}

struct seep_error *seep_store_put_event(struct seep_store *st,
    int64_t process_id, uint64_t at_ms, const char *kind, const char *text)
{
	sqlite3_stmt *s;
	struct seep_error *err =
	    seep_store_prepare(st, SEEP_STMT_EVENT_PUT, &s);

	if (err)
		return err;
	seep_bind_int(s, 1, process_id);
	seep_bind_count(s, 2, at_ms);
	seep_bind_text(s, 3, kind);
	seep_bind_text(s, 4, text);
	return seep_store_step_done(st, s);
}

struct seep_error *seep_store_put_baseline(
    struct seep_store *st, int64_t process_id, uint32_t uid, int64_t snapshot)
{
	sqlite3_stmt *s;
	struct seep_error *err;

	err = seep_store_prepare(st, SEEP_STMT_BASELINE_PUT, &s);
	if (err)
		return err;
	seep_bind_int(s, 1, process_id);
	seep_bind_int(s, 2, uid);
	seep_bind_int(s, 3, snapshot);
	return seep_store_step_done(st, s);
}

/* ---- modules and nodes -------------------------------------------------- */

struct seep_error *seep_store_put_module(
    struct seep_store *st, const char *path, const char *build_id, int64_t *id)
{
	struct seep_error *err = NULL;
	struct seep_cursor c;
	sqlite3_stmt *s;
	int64_t found = 0;

	seep_cursor_init(&c, st, SEEP_STMT_MODULE_FIND);
	if (!c.err) {
		seep_bind_text(c.stmt, 1, path);
		seep_bind_text(c.stmt, 2, build_id);
	}
	if (seep_cursor_next(&c))
		found = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
	err = seep_cursor_end(&c);
	if (!err && !found) {
		err = seep_store_prepare(st, SEEP_STMT_MODULE_PUT, &s);
		if (err)
			return err;
		seep_bind_text(s, 1, path);
		seep_bind_text(s, 2, build_id);
		err = seep_store_step_done(st, s);
		found = sqlite3_last_insert_rowid(st->db);
	}
	if (!err)
		*id = found;
	return err;
}

/* The tree of a recording that is continued: ids are dense from 1. */
struct seep_error *seep_store_load_nodes(struct seep_store *st)
{
	struct seep_nodes nodes = {0};
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_NODES);
	while (seep_cursor_next(&c)) {
		struct seep_nodes_entry e;
		uint64_t id = seep_cursor_uint(&c, 0, SEEP_STORE_MAX_NODES);

		e.parent = (uint32_t)seep_cursor_uint(&c, 1, nodes.nr);
		e.frame = seep_nodes_frame((int)seep_cursor_uint(&c, 4, 15),
		    (int64_t)seep_cursor_uint(
			&c, 2, SEEP_STORE_MAX_MODULES - 1),
		    seep_cursor_uint(&c, 5, 1));
		e.offset = seep_cursor_bits(&c, 3);
		if (!c.err && id != nodes.nr + 1)
			seep_cursor_damaged(&c, "a node is missing");
		if (!c.err && !seep_nodes_reserve(&nodes))
			seep_cursor_no_memory(&c);
		if (!c.err)
			seep_nodes_add(&nodes, &e);
	}
	err = seep_cursor_end(&c);
	if (err) {
		seep_nodes_deinit(&nodes);
		return err;
	}
	st->nodes = nodes;
	st->nr_nodes_put = nodes.nr;
	st->nodes_loaded = true;
	return NULL;
}

static void feed_node(
    const void *ctx, size_t row, int column, sqlite3_context *to)
{
	const struct seep_nodes_entry *e =
	    (const struct seep_nodes_entry *)ctx + row;

	switch (column) {
	case 0:
		sqlite3_result_int64(to, e->parent);
		break;
	case 1:
		sqlite3_result_int64(to, seep_nodes_module(e));
		break;
	case 2:
		sqlite3_result_int64(to, (int64_t)e->offset);
		break;
	case 3:
		sqlite3_result_int64(to, seep_nodes_kind(e));
		break;
	default:
		sqlite3_result_int64(to, seep_nodes_is_exact(e));
		break;
	}
}

struct seep_error *seep_store_put_nodes(struct seep_store *st)
{
	uint32_t nr = st->nodes.nr - st->nr_nodes_put;
	struct seep_error *err;

	if (!nr)
		return NULL;
	err = seep_store_put_rows(st, SEEP_STMT_NODE_PUT, feed_node,
	    st->nodes.entries + st->nr_nodes_put, nr);
	if (!err && sqlite3_last_insert_rowid(st->db) != st->nodes.nr)
		err = seep_store_damaged(st, "a node is missing");
	if (!err)
		st->nr_nodes_put = st->nodes.nr;
	return err;
}

struct seep_error *seep_store_put_node(struct seep_store *st, int64_t parent,
    int kind, int64_t module, uint64_t offset, bool exact, int64_t *id)
{
	struct seep_error *err = NULL;
	struct seep_nodes_entry e;
	uint32_t found;

	if (!st->nodes_loaded)
		err = seep_store_load_nodes(st);
	if (err)
		return err;
	if (parent < 0 || parent > st->nodes.nr || module < 0 ||
	    module >= SEEP_STORE_MAX_MODULES || kind < 0 || kind > 15)
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s': a node that cannot be", st->path);
	e.parent = (uint32_t)parent;
	e.frame = seep_nodes_frame(kind, module, exact);
	e.offset = offset;
	found = seep_nodes_find(&st->nodes, &e);
	if (!found) {
		if (!seep_nodes_reserve(&st->nodes))
			return seep_store_no_memory(st);
		seep_nodes_add(&st->nodes, &e);
		found = st->nodes.nr;
		/* A transaction puts all of its nodes at its end. */
		if (sqlite3_get_autocommit(st->db))
			err = seep_store_put_nodes(st);
		if (err)
			seep_store_forget(st);
	}
	if (!err)
		*id = found;
	return err;
}

struct seep_error *seep_store_node(
    struct seep_store *st, int64_t id, struct seep_store_node *ret)
{
	const struct seep_nodes_entry *e;
	struct seep_error *err = NULL;

	if (!st->nodes_loaded)
		err = seep_store_load_nodes(st);
	if (err)
		return err;
	if (id < 1 || id > st->nodes.nr)
		return seep_error_new(SEEP_ERROR_OTHER,
		    "recording '%s': there is no such node", st->path);
	e = &st->nodes.entries[id - 1];
	*ret = (struct seep_store_node){
	    .id = id,
	    .parent = e->parent,
	    .module = seep_nodes_module(e),
	    .offset = e->offset,
	    .kind = seep_nodes_kind(e),
	    .exact = seep_nodes_is_exact(e),
	};
	return NULL;
}

/* ---- names -------------------------------------------------------------- */

struct seep_error *seep_store_load_strings(struct seep_store *st)
{
	struct seep_strings strings = {0};
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_STRINGS);
	while (seep_cursor_next(&c)) {
		int64_t id = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		const char *text = seep_cursor_text(&c, 1, false);

		if (text && id &&
		    !seep_strings_add(
			&strings, seep_strings_hash(text, strlen(text)), id))
			seep_cursor_no_memory(&c);
	}
	err = seep_cursor_end(&c);
	if (err) {
		seep_strings_deinit(&strings);
		return err;
	}
	st->strings = strings;
	st->strings_loaded = true;
	return NULL;
}

static struct seep_error *string_is(
    struct seep_store *st, int64_t id, const char *text, bool *ret)
{
	const char *have = NULL;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_STRING_GET);
	seep_cursor_bind(&c, 1, id);
	if (seep_cursor_next(&c))
		have = seep_cursor_text(&c, 0, false);
	*ret = have && !strcmp(have, text);
	return seep_cursor_end(&c);
}

static struct seep_error *put_string(
    struct seep_store *st, const char *text, int64_t *ret)
{
	uint64_t hash = seep_strings_hash(text, strlen(text));
	struct seep_error *err = NULL;
	size_t at = SIZE_MAX;
	bool same = false;
	sqlite3_stmt *s;
	int64_t id;

	if (!st->strings_loaded)
		err = seep_store_load_strings(st);
	if (err)
		return err;
	while ((id = seep_strings_find(&st->strings, hash, &at))) {
		err = string_is(st, id, text, &same);
		if (err)
			return err;
		if (same) {
			*ret = id;
			return NULL;
		}
	}
	err = seep_store_prepare(st, SEEP_STMT_STRING_PUT, &s);
	if (err)
		return err;
	seep_bind_text(s, 1, text);
	err = seep_store_step_done(st, s);
	if (err)
		return err;
	*ret = sqlite3_last_insert_rowid(st->db);
	return seep_strings_add(&st->strings, hash, *ret)
		   ? NULL
		   : seep_store_no_memory(st);
}

static struct seep_error *put_symbol(struct seep_store *st, int64_t module,
    uint64_t offset, bool exact, int depth, const struct seep_frame *f)
{
	int64_t function = 0, file = 0;
	struct seep_error *err = NULL;
	sqlite3_stmt *s;

	if (f->function)
		err = put_string(st, f->function, &function);
	if (!err && f->file)
		err = put_string(st, f->file, &file);
	if (!err)
		err = seep_store_prepare(st, SEEP_STMT_SYMBOL_PUT, &s);
	if (err)
		return err;
	seep_bind_int(s, 1, module);
	seep_bind_int(s, 2, (int64_t)offset);
	seep_bind_int(s, 3, exact);
	seep_bind_int(s, 4, depth);
	seep_bind_age(s, 5, function ? (uint64_t)function : UINT64_MAX);
	seep_bind_age(s, 6, file ? (uint64_t)file : UINT64_MAX);
	seep_bind_int(s, 7, f->line);
	seep_bind_int(s, 8, f->inlined);
	return seep_store_step_done(st, s);
}

struct seep_error *seep_store_put_symbols(struct seep_store *st, int64_t module,
    uint64_t offset, bool exact, const struct seep_frame *frames,
    size_t nr_frames)
{
	struct seep_error *err;
	sqlite3_stmt *s;
	bool own;

	err = seep_store_scope_begin(st, &own);
	if (err)
		return err;
	err = seep_store_prepare(st, SEEP_STMT_SYMBOL_CLEAR, &s);
	if (!err) {
		seep_bind_int(s, 1, module);
		seep_bind_int(s, 2, (int64_t)offset);
		seep_bind_int(s, 3, exact);
		err = seep_store_step_done(st, s);
	}
	for (size_t i = 0; !err && i < nr_frames; i++)
		err = put_symbol(st, module, offset, exact, (int)i, &frames[i]);
	return seep_store_scope_end(st, own, err);
}
