/* SPDX-License-Identifier: MIT */
/* snapshots.c - rows of a recording: snapshots, survivors, thinning, baselines
 */
#include <string.h>

#include "analyzer/store/bind.h"
#include "analyzer/store/internal.h"

/* ---- what was stored last ----------------------------------------------- */

static struct seep_error *load_state(
    struct seep_store *st, struct seep_state *state)
{
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_SNAPSHOT_LAST);
	seep_cursor_bind(&c, 1, state->process_id);
	if (seep_cursor_next(&c)) {
		state->last_snapshot =
		    (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		state->last_kind = (enum seep_snapshot_kind)seep_cursor_word(
		    &c, 1, seep_store_kinds);
	}
	err = seep_cursor_end(&c);
	if (err)
		return err;
	seep_cursor_init(&c, st, SEEP_STMT_COUNTS);
	seep_cursor_bind(&c, 1, state->process_id);
	seep_cursor_bind(&c, 2, state->last_snapshot);
	while (seep_cursor_next(&c)) {
		struct seep_counts counts;
		int64_t at = seep_state_get(state,
		    (uint32_t)seep_cursor_uint(&c, 1, SEEP_STORE_MAX_NODES));

		seep_cursor_counts(&c, 2, &counts);
		if (at < 0)
			seep_cursor_no_memory(&c);
		else
			state->sums[at] = seep_counts_sum(&counts);
	}
	return seep_cursor_end(&c);
}

static struct seep_error *get_state(
    struct seep_store *st, int64_t process_id, struct seep_state **ret)
{
	struct seep_state *state;
	struct seep_error *err;

	for (state = st->states; state; state = state->next) {
		if (state->process_id == process_id) {
			*ret = state;
			return NULL;
		}
	}
	state = seep_state_create(process_id);
	if (!state)
		return seep_store_no_memory(st);
	err = load_state(st, state);
	if (err) {
		seep_state_destroy(state);
		return err;
	}
	state->next = st->states;
	st->states = state;
	*ret = state;
	return NULL;
}

static void drop_state(struct seep_store *st, struct seep_state *state)
{
	struct seep_state **at = &st->states;

	while (*at != state)
		at = &(*at)->next;
	*at = state->next;
	seep_state_destroy(state);
}

/* ---- snapshots ---------------------------------------------------------- */

static struct seep_error *put_snapshot_row(struct seep_store *st,
    const struct seep_state *state, struct seep_snapshot *snap)
{
	sqlite3_stmt *s;
	struct seep_error *err;

	err = seep_store_prepare(st, SEEP_STMT_SNAPSHOT_PUT, &s);
	if (err)
		return err;
	/* A checkpoint is overwritten by whatever comes after it. */
	if (state->last_snapshot &&
	    state->last_kind == SEEP_SNAPSHOT_CHECKPOINT)
		seep_bind_int(s, 1, state->last_snapshot);
	else
		sqlite3_bind_null(s, 1);
	seep_bind_int(s, 2, snap->process_id);
	seep_bind_text(s, 3, seep_store_kinds[snap->kind]);
	seep_bind_text(s, 4, snap->label);
	seep_bind_count(s, 5, snap->at_ms);
	seep_bind_int(s, 6, snap->epoch);
	seep_bind_counts(s, 7, &snap->totals);
	seep_bind_count(s, 13, snap->rss_bytes);
	seep_bind_variances(s, 14, &snap->totals.var);
	err = seep_store_step_done(st, s);
	if (!err)
		snap->id = sqlite3_last_insert_rowid(st->db);
	return err;
}

static int compare_sites(const void *pa, const void *pb)
{
	const struct seep_site_row *a = pa, *b = pb;

	return a->site < b->site ? -1 : a->site > b->site;
}

/* One row for each site: a sorted copy of rows that name some twice. */
static struct seep_error *merge_rows(struct seep_store *st,
    const struct seep_site_row *rows, size_t *nr, struct seep_site_row **ret)
{
	struct seep_site_row *copy = malloc(*nr * sizeof(*copy));
	size_t out = 0;

	if (!copy)
		return seep_store_no_memory(st);
	memcpy(copy, rows, *nr * sizeof(*copy));
	qsort(copy, *nr, sizeof(*copy), compare_sites);
	for (size_t i = 0; i < *nr; i++) {
		if (out && copy[out - 1].site == copy[i].site)
			seep_counts_add(&copy[out - 1].counts, &copy[i].counts);
		else
			copy[out++] = copy[i];
	}
	*nr = out;
	*ret = copy;
	return NULL;
}

/* Where the sites of the rows are in state->sites, and which of those have a
 * row at all. */
struct places {
	uint32_t *of_row;
	unsigned char *has_row;
};

static void places_deinit(struct places *p)
{
	free(p->of_row);
	free(p->has_row);
	*p = (struct places){0};
}

/* *twice is set, and the rest is of no use, when some site has two rows. */
static struct seep_error *find_places(struct seep_store *st,
    struct seep_state *state, const struct seep_site_row *rows, size_t nr,
    struct places *p, bool *twice)
{
	p->of_row = malloc((nr + 1) * sizeof(*p->of_row));
	if (!p->of_row)
		return seep_store_no_memory(st);
	for (size_t i = 0; i < nr; i++) {
		int64_t at;

		if (rows[i].site < 1 || rows[i].site > SEEP_STORE_MAX_NODES)
			return seep_error_new(SEEP_ERROR_OTHER,
			    "recording '%s': a site that cannot be", st->path);
		at = seep_state_get(state, (uint32_t)rows[i].site);
		if (at < 0)
			return seep_store_no_memory(st);
		p->of_row[i] = (uint32_t)at;
	}
	p->has_row = calloc((size_t)state->nr + 1, 1);
	if (!p->has_row)
		return seep_store_no_memory(st);
	*twice = false;
	for (size_t i = 0; i < nr; i++) {
		*twice |= p->has_row[p->of_row[i]];
		p->has_row[p->of_row[i]] = 1;
	}
	return NULL;
}

/* A row of site_count to be put. */
struct change {
	uint32_t site;
	uint32_t row; /* of the new ones; NONE: it has none any more */
};

#define NONE UINT32_MAX

struct changes {
	const struct seep_site_row *rows;
	int64_t snapshot;
	struct change *list;
	size_t nr;
};

static void feed_change(
    const void *ctx, size_t i, int column, sqlite3_context *to)
{
	static const struct seep_counts none;
	const struct changes *c = ctx;
	const struct seep_counts *counts =
	    c->list[i].row == NONE ? &none : &c->rows[c->list[i].row].counts;

	switch (column) {
	case 0:
		sqlite3_result_int64(to, c->snapshot);
		break;
	case 1:
		sqlite3_result_int64(to, c->list[i].site);
		break;
	case 2:
		sqlite3_result_int64(to, seep_count(counts->live_blocks));
		break;
	case 3:
		sqlite3_result_int64(to, seep_count(counts->live_bytes));
		break;
	case 4:
		sqlite3_result_int64(to, seep_count(counts->alloc_blocks));
		break;
	case 5:
		sqlite3_result_int64(to, seep_count(counts->alloc_bytes));
		break;
	case 6:
		sqlite3_result_int64(to, seep_count(counts->free_blocks));
		break;
	case 7:
		sqlite3_result_int64(to, seep_count(counts->free_bytes));
		break;
	case 8:
		sqlite3_result_double(to, counts->var.live_blocks);
		break;
	case 9:
		sqlite3_result_double(to, counts->var.live_bytes);
		break;
	case 10:
		sqlite3_result_double(to, counts->var.alloc_blocks);
		break;
	case 11:
		sqlite3_result_double(to, counts->var.alloc_bytes);
		break;
	case 12:
		sqlite3_result_double(to, counts->var.free_blocks);
		break;
	default:
		sqlite3_result_double(to, counts->var.free_bytes);
		break;
	}
}

static int compare_changes(const void *pa, const void *pb)
{
	const struct change *a = pa, *b = pb;

	return a->site < b->site ? -1 : a->site > b->site;
}

/* In the order of their key they are put at the end of the table. */
static void sort_changes(struct changes *c)
{
	for (size_t i = 1; i < c->nr; i++) {
		if (c->list[i - 1].site > c->list[i].site) {
			qsort(
			    c->list, c->nr, sizeof(*c->list), compare_changes);
			return;
		}
	}
}

static void note_change(
    struct changes *c, struct seep_state *state, uint32_t place, uint32_t row)
{
	uint64_t sum = row == NONE ? 0 : seep_counts_sum(&c->rows[row].counts);

	if (sum == state->sums[place])
		return;
	state->sums[place] = sum;
	c->list[c->nr++] =
	    (struct change){.site = state->sites[place], .row = row};
}

static struct seep_error *put_changes(struct seep_store *st,
    struct seep_state *state, const struct seep_site_row *rows, size_t nr,
    const struct places *p, int64_t snapshot)
{
	_cleanup_(seep_freep) struct change *list =
	    malloc((state->nr + 1) * sizeof(*list));
	struct changes c = {.rows = rows, .snapshot = snapshot, .list = list};

	if (!list)
		return seep_store_no_memory(st);
	for (uint32_t i = 0; i < nr; i++)
		note_change(&c, state, p->of_row[i], i);
	for (uint32_t at = 0; at < state->nr; at++)
		if (!p->has_row[at])
			note_change(&c, state, at, NONE);
	sort_changes(&c);
	return seep_store_put_rows(
	    st, SEEP_STMT_COUNT_PUT, feed_change, &c, c.nr);
}

static struct seep_error *put_snapshot(struct seep_store *st,
    struct seep_snapshot *s, const struct seep_site_row *rows, size_t nr)
{
	_cleanup_(seep_freep) struct seep_site_row *merged = NULL;
	_cleanup_(places_deinit) struct places places = {0};
	struct seep_state *state = NULL;
	struct seep_error *err;
	bool twice = false;

	err = get_state(st, s->process_id, &state);
	if (!err)
		err = find_places(st, state, rows, nr, &places, &twice);
	if (!err && twice) {
		places_deinit(&places);
		err = merge_rows(st, rows, &nr, &merged);
		rows = merged;
		if (!err)
			err = find_places(st, state, rows, nr, &places, &twice);
	}
	if (!err)
		err = put_snapshot_row(st, state, s);
	if (!err)
		err = put_changes(st, state, rows, nr, &places, s->id);
	if (err)
		return err;
	state->last_snapshot = s->id;
	state->last_kind = s->kind;
	if (s->kind == SEEP_SNAPSHOT_END)
		drop_state(st, state);
	return NULL;
}

struct seep_error *seep_store_put_snapshot(struct seep_store *st,
    struct seep_snapshot *s, const struct seep_site_row *rows, size_t nr_rows)
{
	struct seep_error *err;
	bool own;

	err = seep_store_scope_begin(st, &own);
	if (err)
		return err;
	err = put_snapshot(st, s, rows, nr_rows);
	return seep_store_scope_end(st, own, err);
}

/* ---- survivors ---------------------------------------------------------- */

static int compare_survivors(const void *pa, const void *pb)
{
	const struct seep_survivor_row *a = pa, *b = pb;

	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	if (a->class_ != b->class_)
		return a->class_ < b->class_ ? -1 : 1;
	if (a->size_bytes != b->size_bytes)
		return a->size_bytes < b->size_bytes ? -1 : 1;
	return 0;
}

static bool is_sorted(const struct seep_survivor_row *rows, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		if (compare_survivors(&rows[i - 1], &rows[i]) >= 0)
			return false;
	}
	return true;
}

/* One row of each key, in `to`. */
static size_t merge_survivors(struct seep_survivor_row *rows, size_t nr)
{
	size_t out = 0;

	for (size_t i = 0; i < nr; i++) {
		struct seep_survivor_row *last = out ? &rows[out - 1] : NULL;

		if (!last || compare_survivors(last, &rows[i])) {
			rows[out++] = rows[i];
			continue;
		}
		last->blocks += rows[i].blocks;
		if (last->oldest_ms > rows[i].oldest_ms)
			last->oldest_ms = rows[i].oldest_ms;
		if (last->newest_ms == SEEP_AGE_UNKNOWN ||
		    (rows[i].newest_ms != SEEP_AGE_UNKNOWN &&
			last->newest_ms < rows[i].newest_ms))
			last->newest_ms = rows[i].newest_ms;
	}
	return out;
}

/* What has to be done to the stored rows. Rows that did not change, most of
 * them in a program at work, cost no write. */
struct plan {
	uint32_t *put; /* positions of new rows */
	size_t nr_put;
	struct seep_survivor_row *gone;
	size_t nr_gone, room;
};

static void plan_deinit(struct plan *p)
{
	free(p->put);
	free(p->gone);
}

static bool plan_gone(struct plan *p, const struct seep_survivor_row *row)
{
	if (p->nr_gone == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		void *more = realloc(p->gone, room * sizeof(*p->gone));

		if (!more)
			return false;
		p->gone = more;
		p->room = room;
	}
	p->gone[p->nr_gone++] = *row;
	return true;
}

static bool same_survivor(
    const struct seep_survivor_row *a, const struct seep_survivor_row *b)
{
	return a->blocks == b->blocks && a->oldest_ms == b->oldest_ms &&
	       a->newest_ms == b->newest_ms;
}

static uint64_t read_age(struct seep_cursor *c, int col)
{
	if (seep_cursor_is_null(c, col))
		return SEEP_AGE_UNKNOWN;
	return seep_cursor_uint(c, col, INT64_MAX);
}

static void read_survivor(struct seep_cursor *c, struct seep_survivor_row *r)
{
	r->site = (int64_t)seep_cursor_uint(c, 0, SEEP_STORE_MAX_NODES);
	r->class_ =
	    (enum seep_class)seep_cursor_uint(c, 1, SEEP_NR_CLASSES - 1);
	r->size_bytes = seep_cursor_uint(c, 2, INT64_MAX);
	r->blocks = seep_cursor_uint(c, 3, INT64_MAX);
	r->oldest_ms = read_age(c, 4);
	r->newest_ms = read_age(c, 5);
}

/* Walks the stored and the new rows, both sorted, side by side. */
static struct seep_error *make_plan(struct seep_store *st, int64_t process_id,
    const struct seep_survivor_row *rows, size_t nr, struct plan *plan)
{
	struct seep_cursor c;
	uint32_t i = 0;

	plan->put = malloc((nr + 1) * sizeof(*plan->put));
	if (!plan->put)
		return seep_store_no_memory(st);
	seep_cursor_init(&c, st, SEEP_STMT_SURVIVOR_SCAN);
	seep_cursor_bind(&c, 1, process_id);
	while (seep_cursor_next(&c)) {
		struct seep_survivor_row old;

		read_survivor(&c, &old);
		if (c.err)
			break;
		while (i < nr && compare_survivors(&rows[i], &old) < 0)
			plan->put[plan->nr_put++] = i++;
		if (i < nr && !compare_survivors(&rows[i], &old)) {
			if (!same_survivor(&rows[i], &old))
				plan->put[plan->nr_put++] = i;
			i++;
		} else if (!plan_gone(plan, &old)) {
			seep_cursor_no_memory(&c);
		}
	}
	while (i < nr)
		plan->put[plan->nr_put++] = i++;
	return seep_cursor_end(&c);
}

/* The planned ones of the rows. */
struct survivors {
	const struct seep_survivor_row *rows;
	int64_t process_id;
	uint32_t *which;
};

static void feed_survivor(
    const void *ctx, size_t i, int column, sqlite3_context *to)
{
	const struct survivors *s = ctx;
	const struct seep_survivor_row *row = &s->rows[s->which[i]];

	switch (column) {
	case 0:
		sqlite3_result_int64(to, s->process_id);
		break;
	case 1:
		sqlite3_result_int64(to, row->site);
		break;
	case 2:
		sqlite3_result_int64(to, row->class_);
		break;
	case 3:
		sqlite3_result_int64(to, seep_count(row->size_bytes));
		break;
	case 4:
		sqlite3_result_int64(to, seep_count(row->blocks));
		break;
	case 5:
		seep_result_age(to, row->oldest_ms);
		break;
	default:
		seep_result_age(to, row->newest_ms);
		break;
	}
}

static struct seep_error *drop_survivor(struct seep_store *st,
    int64_t process_id, const struct seep_survivor_row *row)
{
	sqlite3_stmt *s;
	struct seep_error *err;

	err = seep_store_prepare(st, SEEP_STMT_SURVIVOR_DROP, &s);
	if (err)
		return err;
	seep_bind_int(s, 1, process_id);
	seep_bind_int(s, 2, row->site);
	seep_bind_int(s, 3, row->class_);
	seep_bind_count(s, 4, row->size_bytes);
	return seep_store_step_done(st, s);
}

static struct seep_error *put_sorted_survivors(struct seep_store *st,
    int64_t process_id, const struct seep_survivor_row *rows, size_t nr)
{
	_cleanup_(plan_deinit) struct plan plan = {0};
	struct seep_error *err = make_plan(st, process_id, rows, nr, &plan);
	struct survivors s = {
	    .rows = rows, .process_id = process_id, .which = plan.put};

	for (size_t i = 0; !err && i < plan.nr_gone; i++)
		err = drop_survivor(st, process_id, &plan.gone[i]);
	if (err)
		return err;
	return seep_store_put_rows(
	    st, SEEP_STMT_SURVIVOR_PUT, feed_survivor, &s, plan.nr_put);
}

struct seep_error *seep_store_put_survivors(struct seep_store *st,
    int64_t process_id, const struct seep_survivor_row *rows, size_t nr_rows)
{
	_cleanup_(seep_freep) struct seep_survivor_row *copy = NULL;
	struct seep_error *err;
	bool own;

	if (!is_sorted(rows, nr_rows)) {
		copy = malloc(nr_rows * sizeof(*copy));
		if (!copy)
			return seep_store_no_memory(st);
		memcpy(copy, rows, nr_rows * sizeof(*copy));
		qsort(copy, nr_rows, sizeof(*copy), compare_survivors);
		nr_rows = merge_survivors(copy, nr_rows);
		rows = copy;
	}
	err = seep_store_scope_begin(st, &own);
	if (err)
		return err;
	err = put_sorted_survivors(st, process_id, rows, nr_rows);
	return seep_store_scope_end(st, own, err);
}

struct seep_error *seep_store_survivors(struct seep_store *st,
    int64_t process_id, struct seep_survivor_row **ret, size_t *nr)
{
	_cleanup_(seep_freep) struct seep_survivor_row *rows = NULL;
	size_t n = 0, room = 0;
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_SURVIVORS);
	seep_cursor_bind(&c, 1, process_id);
	while (seep_cursor_next(&c)) {
		if (n == room) {
			size_t more = room ? room * 2 : 256;
			void *p = realloc(rows, more * sizeof(*rows));

			if (!p) {
				seep_cursor_no_memory(&c);
				break;
			}
			rows = p;
			room = more;
		}
		read_survivor(&c, &rows[n++]);
	}
	err = seep_cursor_end(&c);
	if (err)
		return err;
	*ret = no_cleanup_ptr(rows);
	*nr = n;
	return NULL;
}

/* ---- thinning ----------------------------------------------------------- */

#define KEEP_ALL_MS   120000u
#define KEEP_TENTH_MS 3600000u
#define TENTH_MS      10000u

struct periodic {
	int64_t id, process_id;
	uint64_t at_ms, start_ms;
};

/*
 * Of the snapshots in one bucket only the newest is kept. Widths are 10 s
 * times powers of two, so that a wider bucket is made of whole narrower ones
 * and a snapshot that was kept once goes only with its neighbour.
 */
static uint64_t bucket_ms(const struct periodic *p, uint64_t now_ms)
{
	uint64_t width = TENTH_MS;

	if (now_ms - p->at_ms > KEEP_TENTH_MS) {
		while (width < (now_ms - p->start_ms) / 1000)
			width *= 2;
	}
	return width;
}

static bool is_thinned(
    const struct periodic *p, const struct periodic *next, uint64_t now_ms)
{
	uint64_t width = bucket_ms(p, now_ms);

	return p->process_id == next->process_id &&
	       p->at_ms / width == next->at_ms / width;
}

static struct seep_error *list_periodic(
    struct seep_store *st, uint64_t now_ms, struct periodic **ret, size_t *nr)
{
	_cleanup_(seep_freep) struct periodic *list = NULL;
	size_t n = 0, room = 0;
	struct seep_error *err;
	struct seep_cursor c;

	seep_cursor_init(&c, st, SEEP_STMT_THIN_LIST);
	seep_cursor_bind(&c, 1, (int64_t)(now_ms - KEEP_ALL_MS));
	while (seep_cursor_next(&c)) {
		struct periodic p;

		p.id = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
		p.process_id = (int64_t)seep_cursor_uint(&c, 1, INT64_MAX);
		p.at_ms = seep_cursor_uint(&c, 2, INT64_MAX);
		p.start_ms = seep_cursor_uint(&c, 3, INT64_MAX);
		if (n == room) {
			size_t more = room ? room * 2 : 256;
			void *q = realloc(list, more * sizeof(*list));

			if (!q) {
				seep_cursor_no_memory(&c);
				break;
			}
			list = q;
			room = more;
		}
		if (!c.err)
			list[n++] = p;
	}
	err = seep_cursor_end(&c);
	if (err)
		return err;
	*ret = no_cleanup_ptr(list);
	*nr = n;
	return NULL;
}

static struct seep_error *run2(
    struct seep_store *st, enum seep_stmt which, int64_t a, int64_t b)
{
	sqlite3_stmt *s;
	struct seep_error *err = seep_store_prepare(st, which, &s);

	if (err)
		return err;
	seep_bind_int(s, 1, a);
	if (sqlite3_bind_parameter_count(s) > 1)
		seep_bind_int(s, 2, b);
	return seep_store_step_done(st, s);
}

/* Hands the rows of a snapshot on to the next one of the process, which holds
 * only what changed since, and removes it. */
static struct seep_error *remove_snapshot(
    struct seep_store *st, const struct periodic *p)
{
	struct seep_error *err;
	struct seep_cursor c;
	int64_t next = 0;

	seep_cursor_init(&c, st, SEEP_STMT_THIN_NEXT);
	seep_cursor_bind(&c, 1, p->process_id);
	seep_cursor_bind(&c, 2, p->id);
	if (seep_cursor_next(&c))
		next = (int64_t)seep_cursor_uint(&c, 0, INT64_MAX);
	err = seep_cursor_end(&c);
	if (err || !next)
		return err;
	err = run2(st, SEEP_STMT_THIN_MERGE, next, p->id);
	if (!err)
		err = run2(st, SEEP_STMT_THIN_ROWS, p->id, 0);
	if (!err)
		err = run2(st, SEEP_STMT_THIN_DROP, p->id, 0);
	return err;
}

struct seep_error *seep_store_thin(struct seep_store *st, uint64_t now_ms)
{
	_cleanup_(seep_freep) struct periodic *list = NULL;
	struct seep_error *err;
	size_t nr = 0;
	bool own;

	if (now_ms <= KEEP_ALL_MS)
		return NULL;
	err = seep_store_scope_begin(st, &own);
	if (err)
		return err;
	err = list_periodic(st, now_ms, &list, &nr);
	for (size_t i = 0; !err && i + 1 < nr; i++) {
		if (is_thinned(&list[i], &list[i + 1], now_ms))
			err = remove_snapshot(st, &list[i]);
	}
	return seep_store_scope_end(st, own, err);
}
