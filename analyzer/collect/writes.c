/* SPDX-License-Identifier: MIT */
/* writes.c - what goes into the recording, and when */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "analyzer/collect/collector_impl.h"

#define POLL_MS	      10
#define POLL_IDLE_MS  100
#define IDLE_AFTER_MS 1000
#define CHECKPOINT_MS 1000

static int64_t unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- transactions ------------------------------------------------------ */

void seep_collector_set_trouble(
    struct seep_collector *c, struct seep_error *err)
{
	seep_error_destroy(c->trouble);
	c->trouble = err;
}

static void roll_back(struct seep_collector *c)
{
	c->sink->rollback(c->sink->ctx);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		seep_tracked_rolled_back(t);
}

/*
 * Runs fn in a transaction. A segment that turns out damaged is left out from
 * then on, and the rest is written; what the sink says is kept as the trouble
 * of the moment. False: nothing was written.
 */
bool seep_collector_write_all(
    struct seep_collector *c, seep_write_fn *fn, void *arg)
{
	struct seep_error *err = NULL;
	uint32_t nr_damaged, before;

	for (;;) {
		before = nr_damaged = 0;
		for (struct seep_tracked *t = c->procs; t; t = t->next)
			before += t->damaged;
		err = c->sink->begin(c->sink->ctx);
		if (err)
			break;
		err = fn(c, arg);
		if (!err)
			err = c->sink->commit(c->sink->ctx);
		if (!err)
			break;
		roll_back(c);
		for (struct seep_tracked *t = c->procs; t; t = t->next)
			nr_damaged += t->damaged;
		if (nr_damaged == before)
			break;
		seep_error_destroy(err);
	}
	seep_collector_set_trouble(c, err);
	if (err)
		return false;
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		seep_tracked_committed(t);
	return true;
}

/* ---- epochs ------------------------------------------------------------ */

/* Blocks born from now on carry a larger epoch than all before. */
void seep_collector_next_epoch(struct seep_collector *c)
{
	uint32_t epoch = seep_epochs_now(&c->trace.epochs);

	if (epoch < SEEP_EPOCH_MAX)
		epoch++;
	seep_epochs_add(&c->trace.epochs, epoch,
	    seep_trace_at_ms(&c->trace, seep_collector_mono_ns()));
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->seg)
			seep_segment_set_epoch(t->seg, epoch);
}

/* ---- the beginning ----------------------------------------------------- */

struct seep_error *seep_collector_put_settings(struct seep_collector *c)
{
	char text[32];
	struct seep_error *err;

	snprintf(text, sizeof(text), "%" PRId64, c->trace.start_unix_ms);
	err = c->sink->set(c->sink->ctx, "start_unix_ms", text);
	snprintf(text, sizeof(text), "%" PRIu64, c->trace.start_ns);
	if (!err)
		err = c->sink->set(c->sink->ctx, "start_mono_ns", text);
	for (unsigned i = 0; !err && seep_drop_name(i); i++)
		err = c->sink->put_drop_cause(
		    c->sink->ctx, i, seep_drop_name(i), seep_drop_meaning(i));
	return err;
}

/* A dead collector's recording: its clock, its processes, its epochs. */
struct seep_error *seep_collector_take_over(struct seep_collector *c)
{
	struct seep_error *err;
	char *text = NULL;

	err = c->sink->get(c->sink->ctx, "start_mono_ns", &text);
	if (!err && text)
		c->trace.start_ns = strtoull(text, NULL, 10);
	free(text);
	text = NULL;
	if (!err)
		err = c->sink->get(c->sink->ctx, "start_unix_ms", &text);
	if (!err && text)
		c->trace.start_unix_ms = strtoll(text, NULL, 10);
	free(text);
	if (!err)
		err = c->sink->processes(c->sink->ctx, &c->old, &c->nr_old);
	for (size_t i = 0; !err && i < c->nr_old; i++) {
		struct seep_snapshot *s = NULL;
		size_t nr = 0;

		err = c->sink->snapshots(c->sink->ctx, c->old[i].id, &s, &nr);
		for (size_t k = 0; !err && k < nr; k++) {
			/* Born after the snapshot: the next epoch. */
			seep_epochs_add(
			    &c->trace.epochs, s[k].epoch + 1, s[k].at_ms);
			seep_snapshot_deinit(&s[k]);
		}
		free(s);
		if (c->old[i].pid == c->opt->main_pid)
			c->has_main = c->has_exe = true;
	}
	c->is_open = !err;
	return err;
}

struct seep_error *seep_collector_open_sink(
    struct seep_collector *c, const struct seep_segment *seg)
{
	uint64_t now = seep_collector_mono_ns(), began = seg->hello.start_ns;
	struct seep_error *err;

	if (c->is_open)
		return NULL;
	err = c->sink->open(c->sink->ctx, seg->pid, seg->exe);
	if (err)
		return err;
	c->is_open = true;
	if (!c->trace.start_ns) {
		/* Not later than now, nor long ago, whatever it says. */
		if (began > now || now - began > 3600ull * 1000000000)
			began = now;
		c->trace.start_ns = began;
		c->trace.start_unix_ms =
		    unix_ms() - (int64_t)((now - began) / 1000000);
	}
	return NULL;
}

/* ---- looking ----------------------------------------------------------- */

void seep_collector_poll_processes(struct seep_collector *c)
{
	uint64_t began = seep_collector_mono_ns(), cost_ms, every;

	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (seep_tracked_poll(t, &c->trace))
			c->last_change_ms = c->now_ms;
	every = c->now_ms - c->last_change_ms < IDLE_AFTER_MS ? POLL_MS
							      : POLL_IDLE_MS;
	/* Never more than a twentieth of a core. */
	cost_ms = (seep_collector_mono_ns() - began) * 20 / 1000000;
	c->next_poll_ms = c->now_ms + (cost_ms > every ? cost_ms : every);
}

static struct seep_error *write_checkpoint(struct seep_collector *c, void *arg)
{
	struct seep_error *err = NULL;

	(void)arg;
	for (struct seep_tracked *t = c->procs; t && !err; t = t->next)
		if (t->seg && !t->is_over && t->changed)
			err = seep_tracked_checkpoint(t, &c->trace);
	if (!err && c->now_ms >= c->next_thin_ms) {
		c->next_thin_ms = c->now_ms + SEEP_COLLECTOR_THIN_MS;
		err = c->sink->thin(c->sink->ctx,
		    seep_trace_at_ms(&c->trace, seep_collector_mono_ns()));
	}
	return err;
}

void seep_collector_checkpoint(struct seep_collector *c)
{
	uint64_t began = seep_collector_mono_ns(), cost_ms;
	bool any = false;

	for (struct seep_tracked *t = c->procs; t; t = t->next)
		any |= t->seg && !t->is_over && t->changed;
	if (any) {
		seep_collector_next_epoch(c);
		if (seep_collector_write_all(c, write_checkpoint, NULL))
			for (struct seep_tracked *t = c->procs; t; t = t->next)
				t->changed = false;
	}
	seep_collector_finish_ended(c); /* those a full disk has kept */
	seep_collector_forget_ended(c);
	cost_ms = (seep_collector_mono_ns() - began) * 5 / 1000000;
	c->next_checkpoint_ms =
	    c->now_ms + (cost_ms > CHECKPOINT_MS ? cost_ms : CHECKPOINT_MS);
}

struct seep_error *seep_collector_write_snapshot(
    struct seep_collector *c, void *arg)
{
	struct seep_wanted *r = arg;
	struct seep_error *err;

	err = seep_tracked_snapshot(r->t, &c->trace, &r->s);
	if (err || !r->is_growth)
		return err;
	err = c->sink->get_baseline(c->sink->ctx, r->t->p.id, r->uid, &r->from);
	if (!err)
		err = c->sink->put_baseline(
		    c->sink->ctx, r->t->p.id, r->uid, r->s.id);
	return err;
}

void seep_collector_snapshot_every(struct seep_collector *c)
{
	seep_collector_next_epoch(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next) {
		struct seep_wanted r = {
		    .t = t, .s = {.kind = SEEP_SNAPSHOT_PERIODIC}};

		if (t->seg && !t->is_over && !t->damaged)
			seep_collector_write_all(
			    c, seep_collector_write_snapshot, &r);
	}
	c->next_every_ms += c->opt->every_ms;
	if (c->next_every_ms <= c->now_ms)
		c->next_every_ms = c->now_ms + c->opt->every_ms;
}
