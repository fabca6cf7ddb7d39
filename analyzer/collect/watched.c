/* SPDX-License-Identifier: MIT */
/* watched.c - the histories of one process on their way into the recording */
#include <errno.h>
#include <stdlib.h>

#include "analyzer/collect/watched.h"

/* The distance at which the shim watches blocks: preload/history.h. */
#define SAMPLE_EVERY 1024u

void seep_watched_deinit(struct seep_watched *w)
{
	seep_drain_detach(w->ring);
	w->ring = NULL;
	seep_histories_delta_deinit(&w->staged);
}

void seep_watched_poll(
    struct seep_watched *w, struct seep_drain *d, struct seep_segment *seg)
{
	struct seep_error *err;

	if (!w->ring && !w->is_damaged) {
		err = seep_drain_attach(d, seg, &w->ring);
		w->is_damaged = err != NULL;
		seep_error_destroy(err);
		w->h.every =
		    seep_segment_has_all_histories(seg) ? 1 : SAMPLE_EVERY;
	}
	if (w->ring && w->h.every > 1)
		seep_drain_read(w->ring, false);
}

void seep_watched_read(struct seep_watched *w, bool over)
{
	if (w->ring)
		seep_drain_read(w->ring, over);
}

uint64_t seep_watched_lost(const struct seep_watched *w)
{
	if (w->h.every > 1)
		return 0;
	return w->is_damaged + (w->ring ? seep_drain_lost(w->ring) : 0);
}

/* ---- rows -------------------------------------------------------------- */

static struct seep_error *map_sites(struct seep_sites *sites,
    const struct seep_histories_delta *d, struct seep_history_rows *rows)
{
	struct seep_error *err = NULL;

	for (uint32_t i = 0; !err && i < d->nr_sites; i++) {
		const struct seep_histories_site *s = &d->sites[i];
		struct seep_history_row *row = &rows->sites[rows->nr_sites++];

		row->begun = s->begun;
		row->lifetime = s->l;
		err = seep_sites_map(sites, s->node, &row->site);
	}
	return err;
}

static struct seep_error *map_pairs(struct seep_sites *sites,
    const struct seep_histories_delta *d, struct seep_history_rows *rows)
{
	struct seep_error *err = NULL;

	for (uint32_t i = 0; !err && i < d->nr_pairs; i++) {
		const struct seep_histories_pair *p = &d->pairs[i];
		int64_t site = 0, free_site = 0;

		err = seep_sites_map(sites, p->node, &site);
		if (!err && p->is_freed_by)
			err = seep_sites_map(sites, p->other, &free_site);
		if (p->is_freed_by)
			rows->freed[rows->nr_freed++] =
			    (struct seep_freed_row){site, free_site, p->blocks};
		else
			rows->lifetimes[rows->nr_lifetimes++] =
			    (struct seep_lifetime_row){
				site, {p->other, p->blocks}};
	}
	return err;
}

static struct seep_error *map_rows(struct seep_sites *sites,
    const struct seep_histories_delta *d, struct seep_history_rows *rows)
{
	struct seep_error *err;

	rows->sites = calloc(d->nr_sites + 1u, sizeof(*rows->sites));
	rows->lifetimes = calloc(d->nr_pairs + 1u, sizeof(*rows->lifetimes));
	rows->freed = calloc(d->nr_pairs + 1u, sizeof(*rows->freed));
	if (!rows->sites || !rows->lifetimes || !rows->freed)
		return seep_error_errno(ENOMEM, "histories");
	err = seep_sites_catch_up(sites);
	if (!err)
		err = map_sites(sites, d, rows);
	if (!err)
		err = map_pairs(sites, d, rows);
	return err;
}

struct seep_error *seep_watched_put(struct seep_watched *w,
    struct seep_sites *sites, const struct seep_sink *sink, int64_t process_id,
    uint64_t dropped)
{
	_cleanup_(seep_history_rows_deinit) struct seep_history_rows rows = {0};
	struct seep_error *err;

	if (!w->ring)
		return NULL;
	seep_drain_take(w->ring, &w->staged);
	w->h.lost = w->h.every == 1 ? dropped : seep_drain_lost(w->ring);
	err = map_rows(sites, &w->staged, &rows);
	if (!err)
		err = sink->put_histories(sink->ctx, process_id, &w->h, &rows);
	return err;
}

void seep_watched_committed(struct seep_watched *w)
{
	if (!w->staged.nr_sites)
		return;
	seep_drain_kept(w->ring);
	seep_histories_delta_deinit(&w->staged);
}

void seep_watched_rolled_back(struct seep_watched *w)
{
	if (w->ring)
		seep_drain_give_back(w->ring, &w->staged);
	seep_histories_delta_deinit(&w->staged);
}
