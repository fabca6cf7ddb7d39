/* SPDX-License-Identifier: MIT */
/* collector.c - the loop that turns a tree of processes into a recording */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "analyzer/collect/collector_impl.h"
#include "analyzer/collect/control.h"
#include "analyzer/collect/proc.h"
#include "analyzer/collect/session.h"

#define IDLE_MS	    100 /* with nobody to look at */
#define PATIENCE_MS 10000

static void tick(struct seep_collector *c)
{
	c->now_ms = seep_collector_mono_ns() / 1000000;
}

void seep_collector_watch(
    struct seep_collector *c, int fd, enum seep_source what, uint64_t id)
{
	struct epoll_event ev = {
	    .events = EPOLLIN, .data.u64 = (uint64_t)what << 56 | id};

	/* Fails only without memory; the poll timer then finds out as well. */
	(void)!epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* ---- the session with run ---------------------------------------------- */

static void end_session(struct seep_collector *c)
{
	if (!c->has_session)
		return;
	epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->opt->session, NULL);
	c->has_session = false;
	c->main_over = true;
}

static void adopt(struct seep_collector *c, const struct seep_session_msg *msg,
    int *fds, size_t nr)
{
	int all[SEEP_SESSION_FDS] = {-1, -1, -1, -1};
	struct seep_error *err;
	size_t at = 0;

	for (int i = 0; i < SEEP_SESSION_FDS; i++)
		if ((msg->count & 1u << i) && at < nr)
			all[i] = fds[at++];
	while (at < nr)
		close(fds[at++]);
	err = seep_collector_begin_process(c, &msg->hello, msg->pid, msg->uid,
	    all[SEEP_SEGMENT_FDS], all, SEEP_SEGMENT_FDS, true);
	if (err)
		seep_collector_set_trouble(c, err);
}

static void on_session(struct seep_collector *c)
{
	struct seep_session_msg *msg = malloc(sizeof(*msg));
	int fds[SEEP_SESSION_FDS];
	size_t nr;

	while (msg && c->has_session) {
		int got = seep_session_recv(c->opt->session, msg, fds, &nr);

		if (got < 0)
			end_session(c);
		if (got <= 0)
			break;
		if (msg->type == SEEP_SESSION_ADOPT) {
			adopt(c, msg, fds, nr);
			continue;
		}
		while (nr)
			close(fds[--nr]);
		if (msg->type == SEEP_SESSION_MAIN_OVER) {
			c->main_over = c->main_reported = true;
			c->main_status = msg->status;
			c->last_arrival_ms = c->now_ms;
		} else if (msg->type == SEEP_SESSION_DISCARD) {
			c->discarded = true;
		}
	}
	free(msg);
}

static char *trouble_text(struct seep_collector *c)
{
	return c->trouble ? strdup(seep_error_text(c->trouble)) : NULL;
}

/* Tells run that all it waits for is in the recording. */
static void send_done(struct seep_collector *c, uint32_t count)
{
	struct seep_session_msg *msg;

	if (!c->has_session || c->done_sent)
		return;
	msg = calloc(1, sizeof(*msg));
	if (!msg)
		return;
	msg->type = SEEP_SESSION_DONE;
	msg->count = count;
	if (c->has_main)
		msg->flags |= SEEP_SESSION_HAS_MAIN;
	if (c->has_exe)
		msg->flags |= SEEP_SESSION_HAS_EXE;
	if (c->trouble) {
		msg->flags |= SEEP_SESSION_LOST;
		snprintf(msg->text, sizeof(msg->text), "%s",
		    seep_error_text(c->trouble));
	}
	if (seep_session_send(c->opt->session, msg, NULL, 0))
		c->done_sent = true;
	free(msg);
}

static struct seep_error *write_main_status(struct seep_collector *c, void *arg)
{
	struct seep_tracked *t = arg;

	seep_collector_take_exit_status(c, t);
	return c->sink->put_process(c->sink->ctx, &t->p);
}

/* The program is over, its daemons are not: run need not wait for them. */
static void report_main(struct seep_collector *c)
{
	struct seep_tracked *t;

	if (!c->main_over || !c->has_session || c->done_sent)
		return;
	t = seep_collector_newest_image(c, c->opt->main_pid);
	if (t && t->seg)
		return; /* not yet */
	if (t && t->p.exit_code < 0 && t->p.exit_signal < 0 && c->main_reported)
		seep_collector_write_all(c, write_main_status, t);
	if (seep_collector_nr_live(c)) {
		seep_collector_checkpoint(c);
		send_done(c, seep_collector_nr_live(c));
	}
}

/* ---- the loop ---------------------------------------------------------- */

static bool is_finished(struct seep_collector *c)
{
	uint64_t patience =
	    c->opt->patience_ms ? c->opt->patience_ms : PATIENCE_MS;

	if (c->terminated || c->discarded)
		return true;
	if (seep_collector_nr_live(c)) {
		for (struct seep_tracked *t = c->procs; t; t = t->next)
			if (t->seg && !t->is_over)
				return false;
		/* Nothing but ends that cannot be stored. */
		if (!c->trouble ||
		    c->now_ms - c->last_arrival_ms < SEEP_COLLECTOR_GRACE_MS)
			return false;
	}
	if (c->nr_conns || seep_collector_accept_all(c))
		return false;
	if (c->opt->session >= 0) {
		if (!c->main_over)
			return false;
	} else if (!c->nr_hellos) {
		return c->now_ms - c->started_ms >= patience;
	}
	/* Children that have not reported: worth a wait only if there is any
	 * process left that could be one. */
	if (seep_collector_all_missing(c) &&
	    c->now_ms - c->last_arrival_ms < SEEP_COLLECTOR_GRACE_MS &&
	    seep_proc_any_with_environment(c->opt->socket))
		return false;
	return !seep_collector_accept_all(
	    c); /* it may have come, and gone, meanwhile */
}

static int timeout_ms(const struct seep_collector *c)
{
	uint64_t at = c->next_poll_ms;

	if (c->next_checkpoint_ms < at)
		at = c->next_checkpoint_ms;
	if (c->opt->every_ms && c->next_every_ms < at)
		at = c->next_every_ms;
	if (!seep_collector_nr_live(c))
		at = c->now_ms + IDLE_MS;
	return at > c->now_ms ? (int)(at - c->now_ms) : 0;
}

static void on_events(struct seep_collector *c, struct epoll_event *ev, int nr)
{
	seep_collector_accept_all(c);
	for (int i = 0; i < nr; i++) {
		switch ((enum seep_source)(ev[i].data.u64 >> 56)) {
		case SEEP_ON_LISTENER:
		case SEEP_ON_PROCESS:
			break; /* what follows looks at all of them */
		case SEEP_ON_SESSION:
			on_session(c);
			break;
		case SEEP_ON_SIGNAL:
			c->terminated = true;
			break;
		case SEEP_ON_CONN:
			seep_collector_on_conn(
			    c, ev[i].data.u64 & 0xffffffffffffff);
			break;
		}
	}
	seep_collector_look_for_ended(c);
}

static struct seep_error *loop(struct seep_collector *c)
{
	struct epoll_event ev[64];

	while (!is_finished(c)) {
		int nr = epoll_wait(c->epoll, ev, 64, timeout_ms(c));

		if (nr < 0 && errno != EINTR)
			return seep_error_errno(errno, "epoll");
		tick(c);
		if (c->accept_paused) {
			c->accept_paused = false;
			seep_collector_watch(
			    c, c->opt->listener, SEEP_ON_LISTENER, 0);
		}
		on_events(c, ev, nr > 0 ? nr : 0);
		if (c->now_ms >= c->next_poll_ms) {
			seep_collector_poll_processes(c);
			seep_collector_look_for_execs(c);
			seep_collector_expire_conns(c);
		}
		if (c->opt->every_ms && c->now_ms >= c->next_every_ms)
			seep_collector_snapshot_every(c);
		if (c->now_ms >= c->next_checkpoint_ms)
			seep_collector_checkpoint(c);
		report_main(c);
	}
	return NULL;
}

/* ---- begin and end ----------------------------------------------------- */

static struct seep_error *parse_token(struct seep_collector *c)
{
	const char *hex = strchr(c->opt->socket, ':');

	for (size_t i = 0; hex && i < sizeof(c->token); i++) {
		unsigned byte;

		if (sscanf(hex + 1 + 2 * i, "%2x", &byte) != 1)
			hex = NULL;
		else
			c->token[i] = (uint8_t)byte;
	}
	if (!hex)
		return seep_error_new(
		    SEEP_ERROR_USAGE, "the socket is not given as NAME:TOKEN");
	return NULL;
}

static struct seep_error *init(
    struct seep_collector *c, const struct seep_collector_options *opt)
{
	char path[PATH_MAX];
	struct seep_error *err;
	sigset_t set;

	c->opt = opt;
	c->sink = opt->sink;
	c->trace.sink = opt->sink;
	c->trace.cwd = opt->cwd;
	seep_epochs_init(&c->trace.epochs);
	c->epoll = c->signals = c->folder = -1;
	c->trace.drain = seep_drain_create();
	if (!c->trace.drain)
		return seep_error_errno(ENOMEM, "histories");
	c->has_session = opt->session >= 0;
	tick(c);
	c->started_ms = c->last_change_ms = c->last_arrival_ms = c->now_ms;
	c->next_poll_ms = c->next_checkpoint_ms = c->now_ms;
	c->next_every_ms = c->now_ms + opt->every_ms;
	c->next_thin_ms = c->now_ms + SEEP_COLLECTOR_THIN_MS;
	err = parse_token(c);
	if (err)
		return err;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return seep_error_errno(errno, "epoll");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signals >= 0)
		seep_collector_watch(c, c->signals, SEEP_ON_SIGNAL, 0);
	seep_collector_watch(c, opt->listener, SEEP_ON_LISTENER, 0);
	if (c->has_session)
		seep_collector_watch(c, opt->session, SEEP_ON_SESSION, 0);
	err = seep_control_folder(path, sizeof(path), &c->folder);
	if (err) {
		/* Traced all the same, only not found by pid. */
		seep_error_destroy(err);
		c->folder = -1;
	}
	return opt->append ? seep_collector_take_over(c) : NULL;
}

static struct seep_error *write_lost(struct seep_collector *c, void *arg)
{
	struct seep_error *err = NULL;

	(void)arg;
	/* Rows of the dead collector that nobody has handed over. */
	for (size_t i = 0; i < c->nr_old && !err; i++) {
		struct seep_process *o = &c->old[i];
		bool known = o->state != SEEP_PROCESS_RUNNING;

		for (struct seep_tracked *t = c->procs; t; t = t->next)
			known |= t->committed_id == o->id;
		if (known)
			continue;
		o->state = SEEP_PROCESS_LOST;
		err = c->sink->put_process(c->sink->ctx, o);
	}
	return err;
}

static void finish(struct seep_collector *c)
{
	seep_collector_next_epoch(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->seg && !t->is_over)
			seep_collector_end(c, t,
			    seep_segment_has_ended(t->seg) ? SEEP_PROCESS_EXITED
							   : SEEP_PROCESS_LOST);
	seep_collector_finish_ended(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		seep_collector_settle_children(c, t);
	if (c->nr_old)
		seep_collector_write_all(c, write_lost, NULL);
}

static void deinit(struct seep_collector *c)
{
	while (c->conns)
		seep_collector_drop_conn(c, c->conns);
	while (c->procs) {
		struct seep_tracked *t = c->procs;

		c->procs = t->next;
		if (t->seg)
			seep_collector_withdraw(c, t);
		seep_tracked_destroy(t);
	}
	seep_drain_destroy(c->trace.drain);
	for (size_t i = 0; i < c->nr_old; i++)
		seep_process_deinit(&c->old[i]);
	free(c->old);
	seep_error_destroy(c->trouble);
	if (c->epoll >= 0)
		close(c->epoll);
	if (c->signals >= 0)
		close(c->signals);
	if (c->folder >= 0)
		close(c->folder);
}

struct seep_error *seep_collector_run(
    const struct seep_collector_options *opt, struct seep_collector_result *ret)
{
	struct seep_collector c = {0};
	struct seep_error *err = init(&c, opt);

	if (!err)
		err = loop(&c);
	/* From here on nobody can report any more. */
	close(opt->listener);
	if (!err && !c.discarded && c.is_open) {
		struct seep_error *last;

		finish(&c);
		last = c.sink->finish(c.sink->ctx, c.terminated);
		if (last)
			seep_collector_set_trouble(&c, last);
	} else if (c.discarded) {
		c.sink->discard(c.sink->ctx);
	}
	if (!err)
		send_done(&c, 0);
	ret->has_main = c.has_main;
	ret->has_exe = c.has_exe;
	ret->is_cut_short = c.terminated;
	ret->nr_processes = c.nr_hellos;
	ret->missing = trouble_text(&c);
	deinit(&c);
	if (opt->session >= 0)
		close(opt->session);
	return err;
}
