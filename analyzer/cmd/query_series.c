/* SPDX-License-Identifier: MIT */
/* query_series.c - the sites of a process over a window of its snapshots */
#include <string.h>

#include "analyzer/cmd/query_series.h"

#define WARM_UP_SHARE 5

struct walk {
	struct seep_tracks *t;
	const struct seep_tree *tree;
	const struct seep_snapshot *snapshots;
	size_t from, to;
	size_t at;  /* index of the snapshot whose rows come */
	bool begun; /* the window: series are initialised */
	/* By node id: what a site of the recording held last; several may
	 * share a stack. */
	struct seep_counts *held;
	uint32_t *touched;
	uint32_t nr_touched;
};

static struct seep_error *no_memory(void)
{
	return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
}

size_t seep_warm_up(size_t nr_snapshots)
{
	return nr_snapshots / WARM_UP_SHARE;
}

void seep_tracks_deinit(struct seep_tracks *t)
{
	free(t->tracks);
	free(t->of_stack);
	*t = (struct seep_tracks){0};
}

const struct seep_track *seep_tracks_find(
    const struct seep_tracks *t, uint32_t stack)
{
	uint32_t at = t->of_stack[stack];

	return at ? &t->tracks[at - 1] : NULL;
}

static struct seep_track *get_track(struct walk *w, uint32_t stack)
{
	struct seep_tracks *t = w->t;
	struct seep_track *track;

	if (t->of_stack[stack])
		return &t->tracks[t->of_stack[stack] - 1];
	if (t->nr == t->room) {
		uint32_t room = t->room ? t->room * 2 : 64;
		void *more = realloc(t->tracks, room * sizeof(*t->tracks));

		if (!more)
			return NULL;
		t->tracks = more;
		t->room = room;
	}
	track = &t->tracks[t->nr++];
	*track = (struct seep_track){.stack = stack};
	t->of_stack[stack] = t->nr;
	if (w->begun)
		seep_series_init(
		    &track->series, (uint32_t)(w->to - w->from), 0);
	return track;
}

static void begin_window(struct walk *w)
{
	for (uint32_t i = 0; i < w->t->nr; i++) {
		struct seep_track *track = &w->t->tracks[i];

		track->from = track->now;
		seep_series_init(&track->series, (uint32_t)(w->to - w->from),
		    track->now.live_bytes);
	}
	w->begun = true;
}

/* All rows of the snapshot w->at have been seen. */
static void end_snapshot(struct walk *w)
{
	for (uint32_t i = 0; i < w->nr_touched; i++) {
		struct seep_track *track = &w->t->tracks[w->touched[i]];

		track->touched = false;
		if (w->begun)
			seep_series_add(&track->series,
			    (uint32_t)(w->at - w->from), track->now.live_bytes);
	}
	w->nr_touched = 0;
	if (w->at == w->from)
		begin_window(w);
}

/* Goes on to the snapshot with this id; false when it is none of them. */
static bool advance(struct walk *w, int64_t snapshot)
{
	while (w->at < w->to && w->snapshots[w->at].id < snapshot) {
		end_snapshot(w);
		w->at++;
	}
	return w->snapshots[w->at].id == snapshot;
}

static struct seep_error *add_row(
    void *ctx, int64_t snapshot, const struct seep_site_row *row)
{
	struct walk *w = ctx;
	struct seep_track *track;
	uint32_t stack;

	if (row->site < 1 || row->site > w->tree->nr_nodes ||
	    !advance(w, snapshot))
		return seep_error_new(SEEP_ERROR_CORRUPT,
		    "the recording is damaged: a site is no frame");
	stack = w->tree->numbers[row->site];
	track = get_track(w, stack);
	if (!track)
		return no_memory();
	seep_counts_sub(&track->now, &w->held[row->site]);
	seep_counts_add(&track->now, &row->counts);
	w->held[row->site] = row->counts;
	if (!track->touched) {
		track->touched = true;
		w->touched[w->nr_touched++] = (uint32_t)(track - w->t->tracks);
	}
	return NULL;
}

struct seep_error *seep_tracks_load(struct seep_tracks *t,
    struct seep_store *st, const struct seep_tree *tree,
    const struct seep_snapshot *snapshots, size_t from, size_t to)
{
	_cleanup_(seep_freep) struct seep_counts *held = NULL;
	_cleanup_(seep_freep) uint32_t *touched = NULL;
	struct walk w = {
	    .t = t,
	    .tree = tree,
	    .snapshots = snapshots,
	    .from = from,
	    .to = to,
	};
	struct seep_error *err;

	*t = (struct seep_tracks){0};
	t->of_stack =
	    calloc((size_t)tree->stacks->nr_nodes + 1, sizeof(uint32_t));
	held = calloc((size_t)tree->nr_nodes + 1, sizeof(*held));
	touched = calloc((size_t)tree->nr_nodes + 1, sizeof(*touched));
	if (!t->of_stack || !held || !touched) {
		seep_tracks_deinit(t);
		return no_memory();
	}
	w.held = held;
	w.touched = touched;
	err = seep_store_each_count(
	    st, snapshots[to].process_id, snapshots[to].id, add_row, &w);
	if (err) {
		seep_tracks_deinit(t);
		return err;
	}
	for (; w.at < to; w.at++)
		end_snapshot(&w);
	end_snapshot(&w);
	for (uint32_t i = 0; i < t->nr; i++)
		seep_series_end(&t->tracks[i].series);
	return NULL;
}
