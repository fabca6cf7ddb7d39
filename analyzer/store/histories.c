/* SPDX-License-Identifier: MIT */
/* histories.c - histories of blocks, by site: lifetimes and where they ended */
#include <string.h>

#include "analyzer/store/bind.h"
#include "analyzer/store/internal.h"

/* ---- writer ------------------------------------------------------------ */

static struct seep_error *put_sites(struct seep_store *st, int64_t process_id,
    const struct seep_history_rows *rows)
{
	struct seep_error *err = NULL;
	sqlite3_stmt *s;

	for (size_t i = 0; !err && i < rows->nr_sites; i++) {
		const struct seep_history_row *row = &rows->sites[i];
		const struct seep_lifetime *l = &row->lifetime;

		err = seep_store_prepare(st, SEEP_STMT_SITE_HISTORY_PUT, &s);
		if (err)
			return err;
		seep_bind_int(s, 1, process_id);
		seep_bind_int(s, 2, row->site);
		seep_bind_int(s, 3, row->begun);
		seep_bind_count(s, 4, l->ended);
		seep_bind_count(s, 5, l->temporary);
		seep_bind_count(s, 6, l->temporary_bytes);
		seep_bind_count(s, 7, l->elsewhere);
		seep_bind_count(s, 8, l->total_ns);
		seep_bind_count(s, 9, l->min_ns);
		seep_bind_count(s, 10, l->max_ns);
		err = seep_store_step_done(st, s);
	}
	return err;
}

static struct seep_error *put_three(struct seep_store *st, enum seep_stmt which,
    int64_t process_id, int64_t site, int64_t key, uint64_t blocks)
{
	sqlite3_stmt *s;
	struct seep_error *err = seep_store_prepare(st, which, &s);

	if (err)
		return err;
	seep_bind_int(s, 1, process_id);
	seep_bind_int(s, 2, site);
	seep_bind_int(s, 3, key);
	seep_bind_count(s, 4, blocks);
	return seep_store_step_done(st, s);
}

static struct seep_error *put_all(struct seep_store *st, int64_t process_id,
    const struct seep_history *h, const struct seep_history_rows *rows)
{
	sqlite3_stmt *s;
	struct seep_error *err;

	err = seep_store_prepare(st, SEEP_STMT_HISTORY_PUT, &s);
	if (err)
		return err;
	seep_bind_int(s, 1, process_id);
	seep_bind_count(s, 2, h->every);
	seep_bind_count(s, 3, h->lost);
	err = seep_store_step_done(st, s);
	if (!err)
		err = put_sites(st, process_id, rows);
	for (size_t i = 0; !err && i < rows->nr_lifetimes; i++)
		err = put_three(st, SEEP_STMT_LIFETIME_PUT, process_id,
		    rows->lifetimes[i].site, rows->lifetimes[i].count.class_,
		    rows->lifetimes[i].count.blocks);
	for (size_t i = 0; !err && i < rows->nr_freed; i++)
		err = put_three(st, SEEP_STMT_FREED_BY_PUT, process_id,
		    rows->freed[i].site, rows->freed[i].free_site,
		    rows->freed[i].blocks);
	return err;
}

struct seep_error *seep_store_put_histories(struct seep_store *st,
    int64_t process_id, const struct seep_history *h,
    const struct seep_history_rows *rows)
{
	struct seep_error *err;
	bool own;

	err = seep_store_scope_begin(st, &own);
	if (err)
		return err;
	return seep_store_scope_end(st, own, put_all(st, process_id, h, rows));
}

/* ---- reader ------------------------------------------------------------ */

static struct seep_error *read_how(
    struct seep_store *st, int64_t process_id, struct seep_history *h)
{
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_HISTORY);
	seep_cursor_bind(&c, 1, process_id);
	if (seep_cursor_next(&c)) {
		h->every = seep_cursor_uint(&c, 0, UINT32_MAX);
		h->lost = seep_cursor_uint(&c, 1, INT64_MAX);
	}
	return seep_cursor_end(&c);
}

static struct seep_error *read_sites(
    struct seep_store *st, int64_t process_id, struct seep_history_rows *rows)
{
	struct seep_cursor c;
	size_t room = 0;

	seep_cursor_init(&c, st, SEEP_STMT_SITE_HISTORIES);
	seep_cursor_bind(&c, 1, process_id);
	while (seep_cursor_next(&c)) {
		struct seep_history_row *row;
		struct seep_lifetime *l;

		if (!seep_cursor_more(
			&c, &rows->sites, rows->nr_sites, &room, sizeof(*row)))
			break;
		row = &rows->sites[rows->nr_sites++];
		l = &row->lifetime;
		memset(row, 0, sizeof(*row));
		row->site = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		row->begun = (int64_t)seep_cursor_uint(&c, 1, INT64_MAX);
		l->begun = (uint64_t)row->begun;
		l->ended = seep_cursor_uint(&c, 2, INT64_MAX);
		l->temporary = seep_cursor_uint(&c, 3, INT64_MAX);
		l->temporary_bytes = seep_cursor_uint(&c, 4, INT64_MAX);
		l->elsewhere = seep_cursor_uint(&c, 5, INT64_MAX);
		l->total_ns = seep_cursor_uint(&c, 6, INT64_MAX);
		l->min_ns = seep_cursor_uint(&c, 7, INT64_MAX);
		l->max_ns = seep_cursor_uint(&c, 8, INT64_MAX);
	}
	return seep_cursor_end(&c);
}

static struct seep_error *read_lifetimes(
    struct seep_store *st, int64_t process_id, struct seep_history_rows *rows)
{
	struct seep_cursor c;
	size_t room = 0;

	seep_cursor_init(&c, st, SEEP_STMT_LIFETIMES);
	seep_cursor_bind(&c, 1, process_id);
	while (seep_cursor_next(&c)) {
		struct seep_lifetime_row *row;

		if (!seep_cursor_more(&c, &rows->lifetimes, rows->nr_lifetimes,
			&room, sizeof(*row)))
			break;
		row = &rows->lifetimes[rows->nr_lifetimes++];
		row->site = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		row->count.class_ = (uint32_t)seep_cursor_uint(
		    &c, 1, SEEP_LIFETIME_CLASSES - 1);
		row->count.blocks = seep_cursor_uint(&c, 2, INT64_MAX);
	}
	return seep_cursor_end(&c);
}

static struct seep_error *read_freed(
    struct seep_store *st, int64_t process_id, struct seep_history_rows *rows)
{
	struct seep_cursor c;
	size_t room = 0;

	seep_cursor_init(&c, st, SEEP_STMT_FREED_BY);
	seep_cursor_bind(&c, 1, process_id);
	while (seep_cursor_next(&c)) {
		struct seep_freed_row *row;

		if (!seep_cursor_more(
			&c, &rows->freed, rows->nr_freed, &room, sizeof(*row)))
			break;
		row = &rows->freed[rows->nr_freed++];
		row->site = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		row->free_site = (int64_t)seep_cursor_uint(&c, 1, INT64_MAX);
		row->blocks = seep_cursor_uint(&c, 2, INT64_MAX);
	}
	return seep_cursor_end(&c);
}

struct seep_error *seep_store_histories(struct seep_store *st,
    int64_t process_id, struct seep_history *h, struct seep_history_rows *rows)
{
	struct seep_history_rows r = {0};
	struct seep_history how = {0};
	struct seep_error *err;

	err = read_how(st, process_id, &how);
	if (!err && how.every)
		err = read_sites(st, process_id, &r);
	if (!err && how.every)
		err = read_lifetimes(st, process_id, &r);
	if (!err && how.every)
		err = read_freed(st, process_id, &r);
	if (err) {
		seep_history_rows_deinit(&r);
		return err;
	}
	*h = how;
	*rows = r;
	return NULL;
}
