/* SPDX-License-Identifier: MIT */
/* collector.c - the loop that turns a tree of processes into a recording */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/collect/collector.h"
#include "analyzer/collect/control.h"
#include "analyzer/collect/fdmsg.h"
#include "analyzer/collect/proc.h"
#include "analyzer/collect/protocol.h"
#include "analyzer/collect/session.h"
#include "analyzer/collect/tracked.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define POLL_MS	      10
#define POLL_IDLE_MS  100
#define IDLE_AFTER_MS 1000
#define CHECKPOINT_MS 1000
#define THIN_EVERY_MS 10000
#define GRACE_MS      1000  /* for children and new images to report */
#define FORGET_MS     10000 /* ended processes, as parents of others */
#define CONN_MS	      2000  /* for the first message of a connection */
#define PATIENCE_MS   10000
#define MAX_CONNS     256

/* What an event of the epoll set is about: kind << 32 | serial. */
enum source { ON_LISTENER = 1, ON_SESSION, ON_SIGNAL, ON_CONN, ON_PROCESS };

struct conn {
	struct conn *next;
	int fd, pidfd;
	uint32_t pid, uid;
	uint64_t serial, deadline_ms;
};

struct collector {
	const struct seep_collector_options *opt;
	const struct seep_sink *sink;
	struct seep_trace trace;
	uint8_t token[16];
	int epoll, signals, folder;
	struct conn *conns;
	size_t nr_conns;
	struct seep_tracked *procs; /* newest first */
	uint64_t next_serial;
	uint32_t nr_hellos, nr_orphans;
	bool is_open, has_settings, has_session, accept_paused;
	bool main_over, main_reported, done_sent, terminated, discarded;
	bool has_main, has_exe;
	int main_status;
	uint64_t now_ms; /* CLOCK_MONOTONIC, as of the last wake-up */
	uint64_t started_ms, last_change_ms, last_arrival_ms;
	uint64_t next_poll_ms, next_checkpoint_ms, next_every_ms, next_thin_ms;
	struct seep_error *trouble; /* of the last write; NULL: went well */
	struct seep_process *old;   /* append: what the recording has */
	size_t nr_old;
};

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int64_t unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void tick(struct collector *c)
{
	c->now_ms = mono_ns() / 1000000;
}

static void watch(struct collector *c, int fd, enum source what, uint64_t id)
{
	struct epoll_event ev = {
	    .events = EPOLLIN, .data.u64 = (uint64_t)what << 56 | id};

	/* Fails only without memory; the poll timer then finds out as well. */
	(void)!epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* ---- transactions ------------------------------------------------------ */

static void set_trouble(struct collector *c, struct seep_error *err)
{
	seep_error_destroy(c->trouble);
	c->trouble = err;
}

static void roll_back(struct collector *c)
{
	c->sink->rollback(c->sink->ctx);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		seep_tracked_rolled_back(t);
}

typedef struct seep_error *write_fn(struct collector *c, void *arg);

/*
 * Runs fn in a transaction. A segment that turns out damaged is left out from
 * then on, and the rest is written; what the sink says is kept as the trouble
 * of the moment. False: nothing was written.
 */
static bool write_all(struct collector *c, write_fn *fn, void *arg)
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
	set_trouble(c, err);
	if (err)
		return false;
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		seep_tracked_committed(t);
	return true;
}

/* ---- epochs ------------------------------------------------------------ */

/* Blocks born from now on carry a larger epoch than all before. */
static void next_epoch(struct collector *c)
{
	uint32_t epoch = seep_epochs_now(&c->trace.epochs);

	if (epoch < SEEP_EPOCH_MAX)
		epoch++;
	seep_epochs_add(
	    &c->trace.epochs, epoch, seep_trace_at_ms(&c->trace, mono_ns()));
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->seg)
			seep_segment_set_epoch(t->seg, epoch);
}

/* ---- the beginning ----------------------------------------------------- */

static struct seep_error *put_settings(struct collector *c)
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
static struct seep_error *take_over(struct collector *c)
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

static struct seep_error *open_sink(
    struct collector *c, const struct seep_segment *seg)
{
	uint64_t now = mono_ns(), began = seg->hello.start_ns;
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

/* ---- processes --------------------------------------------------------- */

static struct seep_tracked *newest_image(struct collector *c, uint32_t pid)
{
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->p.pid == pid)
			return t;
	return NULL;
}

static uint32_t nr_live(const struct collector *c)
{
	uint32_t nr = 0;

	for (const struct seep_tracked *t = c->procs; t; t = t->next)
		nr += t->seg != NULL;
	return nr;
}

static void tell_session(
    struct collector *c, uint32_t type, const struct seep_tracked *t)
{
	struct seep_session_msg *msg;
	int fds[SEEP_SESSION_FDS];
	size_t nr = 0;

	if (!c->has_session)
		return;
	msg = calloc(1, sizeof(*msg));
	if (!msg)
		return;
	msg->type = type;
	msg->serial = t->serial;
	msg->pid = t->p.pid;
	if (type == SEEP_SESSION_HELLO) {
		msg->uid = t->seg->uid;
		msg->hello = t->seg->hello;
		for (int i = 0; i < SEEP_SEGMENT_FDS; i++) {
			if (t->seg->fds[i] < 0)
				continue;
			msg->count |= 1u << i;
			fds[nr++] = t->seg->fds[i];
		}
		if (t->seg->pidfd >= 0) {
			msg->count |= 1u << SEEP_SEGMENT_FDS;
			fds[nr++] = t->seg->pidfd;
		}
	}
	/* A run that does not read (stopped) loses only its spare copies. */
	(void)!seep_session_send(c->opt->session, msg, fds, nr);
	free(msg);
}

static void announce(struct collector *c, const struct seep_tracked *t)
{
	struct seep_error *err;

	if (c->folder < 0 || seep_segment_has_ended(t->seg))
		return;
	err = seep_control_announce(
	    c->folder, t->p.pid, c->opt->socket, c->sink->path(c->sink->ctx));
	/* Without its entry it is traced all the same; ps cannot see it. */
	seep_error_destroy(err);
}

static void withdraw(struct collector *c, const struct seep_tracked *t)
{
	if (c->folder >= 0)
		seep_control_withdraw(c->folder, t->p.pid, c->opt->socket);
}

/* The state a process ended in, as far as it can be known. */
static void take_exit_status(struct collector *c, struct seep_tracked *t)
{
	int status;

	if (t->p.pid == c->opt->main_pid && c->main_reported)
		status = c->main_status;
	else if (!t->seg || t->seg->pidfd < 0 ||
		 !seep_proc_exit_status(t->seg->pidfd, t->p.pid, &status))
		return;
	if (WIFEXITED(status))
		t->p.exit_code = WEXITSTATUS(status);
	else if (WIFSIGNALED(status))
		t->p.exit_signal = WTERMSIG(status);
}

static void is_over(
    struct collector *c, struct seep_tracked *t, enum seep_process_state state)
{
	if (t->is_over)
		return;
	t->p.state = state;
	t->is_over = true;
	if (t->watched)
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, t->seg->pidfd, NULL);
	t->watched = false;
	if (state == SEEP_PROCESS_EXITED)
		take_exit_status(c, t);
	c->last_arrival_ms = c->now_ms;
}

static struct seep_error *write_ends(struct collector *c, void *arg)
{
	struct seep_error *err = NULL;

	(void)arg;
	for (struct seep_tracked *t = c->procs; t && !err; t = t->next) {
		if (!t->is_over || !t->seg)
			continue;
		err = seep_tracked_finish(t, &c->trace);
		if (!err && t->exec_untraced)
			err = c->sink->put_event(c->sink->ctx, t->p.id,
			    t->p.end_ms, "exec untraced", NULL);
	}
	return err;
}

/* Stores the end of every process that is over. */
static void finish_ended(struct collector *c)
{
	bool any = false;

	for (struct seep_tracked *t = c->procs; t; t = t->next)
		any |= t->is_over && t->seg;
	if (!any || !write_all(c, write_ends, NULL))
		return;
	for (struct seep_tracked *t = c->procs; t; t = t->next) {
		if (!t->is_over || !t->seg)
			continue;
		if (newest_image(c, t->p.pid) == t) {
			if (t->p.pid == c->opt->main_pid)
				c->has_exe = t->has_exe;
			withdraw(c, t);
		}
		tell_session(c, SEEP_SESSION_GONE, t);
		seep_tracked_release(t);
	}
}

static bool accept_all(struct collector *c);

static void look_for_ended(struct collector *c)
{
	bool any = false;

	for (struct seep_tracked *t = c->procs; t; t = t->next) {
		t->has_ended =
		    t->seg && !t->is_over && seep_segment_has_ended(t->seg);
		any |= t->has_ended;
	}
	if (!any)
		return;
	/* What the dead have sent is in the queue by now: their new images and
	 * their children come first. */
	accept_all(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->has_ended && !t->is_over)
			is_over(c, t, SEEP_PROCESS_EXITED);
	finish_ended(c);
}

/* A process whose memory is gone while it lives has called exec. */
static void look_for_execs(struct collector *c)
{
	bool any = false;

	for (struct seep_tracked *t = c->procs; t; t = t->next) {
		if (!t->seg || t->is_over || !seep_segment_is_replaced(t->seg))
			continue;
		if (!t->replaced_ms) {
			t->replaced_ms = c->now_ms;
		} else if (c->now_ms - t->replaced_ms >= GRACE_MS &&
			   !seep_segment_has_ended(t->seg)) {
			t->exec_untraced = true;
			t->p.drops[SEEP_DROP_EXEC_UNTRACED] = 1;
			is_over(c, t, SEEP_PROCESS_EXECED);
			any = true;
		}
	}
	if (any)
		finish_ended(c);
}

static struct seep_error *write_begin(struct collector *c, void *arg)
{
	struct seep_tracked *t = arg;
	struct seep_error *err = NULL;

	if (!c->has_settings)
		err = put_settings(c);
	if (!err)
		err = c->sink->put_process(c->sink->ctx, &t->p);
	return err;
}

static struct seep_error *write_process(struct collector *c, void *arg)
{
	return c->sink->put_process(
	    c->sink->ctx, &((struct seep_tracked *)arg)->p);
}

static uint32_t missing_children(const struct seep_tracked *t)
{
	return t->nr_children > t->nr_children_seen
		   ? t->nr_children - t->nr_children_seen
		   : 0;
}

/* The image of t's parent process that began it: it may have called exec
 * since. */
static struct seep_tracked *find_parent_image(
    struct collector *c, const struct seep_tracked *t)
{
	uint32_t start_lo = t->seg->reader.head.parent_start_lo;
	struct seep_tracked *best = NULL;

	for (struct seep_tracked *p = c->procs; p; p = p->next) {
		if (p->p.pid != t->p.ppid)
			continue;
		if (p->seg && !p->is_over)
			seep_tracked_poll(p, &c->trace);
		if (t->p.forked && start_lo &&
		    (uint32_t)p->start_ns == start_lo)
			return p;
		if (!best || (!missing_children(best) && missing_children(p)))
			best = p;
	}
	return best;
}

/* Its parent, and what it has from it. */
static void find_parent(
    struct collector *c, struct seep_tracked *t, struct seep_tracked *earlier)
{
	struct seep_tracked *parent = find_parent_image(c, t);

	if (earlier) {
		/* Another image of the same process: not another child. */
		t->p.parent_id = earlier->p.parent_id;
		return;
	}
	if (!parent) {
		if (c->nr_hellos)
			c->nr_orphans++;
		return;
	}
	parent->nr_children_seen++;
	t->p.parent_id = parent->p.id;
	if (!t->p.forked)
		return;
	parent->nr_forked_seen++;
	/* The parent runs on, so a copy cannot be exact: its totals now. */
	t->p.inherited_blocks = parent->p.totals.live_blocks;
	t->p.inherited_bytes = parent->p.totals.live_bytes;
}

/* The row that a dead collector had for this process. */
static void find_row(struct collector *c, struct seep_tracked *t)
{
	for (size_t i = 0; i < c->nr_old; i++) {
		const struct seep_process *o = &c->old[i];

		if (o->pid != t->p.pid || o->start_ms != t->p.start_ms)
			continue;
		t->p.id = t->committed_id = o->id;
		t->p.parent_id = o->parent_id;
		t->p.inherited_blocks = o->inherited_blocks;
		t->p.inherited_bytes = o->inherited_bytes;
		t->p.peak_live_bytes = o->peak_live_bytes;
		t->p.peak_ms = o->peak_ms;
		if (!t->p.rss_bytes)
			t->p.rss_bytes = o->rss_bytes;
		t->p.uss_bytes = o->uss_bytes;
		t->p.pss_bytes = o->pss_bytes;
	}
}

/* False: the pid was reused. Where the kernel cannot tell, a pid that comes
 * back before its end was noticed has called exec. */
static bool is_same_process(
    const struct seep_tracked *earlier, const struct seep_segment *seg)
{
	uint64_t now = seep_proc_identity(seg->pidfd);

	return !earlier->identity || !now || earlier->identity == now;
}

/* A process has reported. Takes the descriptors. */
static struct seep_error *begin_process(struct collector *c,
    const struct seep_hello *hello, uint32_t pid, uint32_t uid, int pidfd,
    const int *fds, size_t nr_fds, bool adopted)
{
	struct seep_tracked *t = NULL, *earlier;
	struct seep_segment *seg = NULL;
	struct seep_error *err;

	err = seep_segment_open(hello, pid, uid, pidfd, fds, nr_fds, &seg);
	if (err)
		return err;
	err = open_sink(c, seg);
	if (err) {
		seep_segment_close(seg);
		return err;
	}
	earlier = newest_image(c, seg->pid);
	if (earlier && earlier->seg && !earlier->is_over)
		is_over(c, earlier,
		    is_same_process(earlier, seg) ? SEEP_PROCESS_EXECED
						  : SEEP_PROCESS_EXITED);
	else if (earlier && earlier->exec_untraced) {
		/* It came late, but it came. */
		earlier->p.drops[SEEP_DROP_EXEC_UNTRACED] = 0;
		earlier->exec_untraced = false;
		write_all(c, write_process, earlier);
	}
	if (earlier && earlier->p.state != SEEP_PROCESS_EXECED)
		earlier = NULL; /* the pid was reused */
	finish_ended(c);
	err = seep_tracked_create(&c->trace, seg, &t);
	if (err)
		return err;
	t->serial = ++c->next_serial;
	if (adopted) {
		find_row(c, t);
		seep_sites_forget(t->sites);
	}
	if (!t->committed_id)
		find_parent(c, t, earlier);
	if (t->p.pid == c->opt->main_pid)
		c->has_main = true;
	t->next = c->procs;
	c->procs = t;
	c->nr_hellos++;
	if (seep_segment_epoch(seg) > seep_epochs_now(&c->trace.epochs))
		seep_epochs_add(&c->trace.epochs, seep_segment_epoch(seg),
		    seep_trace_at_ms(&c->trace, mono_ns()));
	next_epoch(c);
	if (seg->pidfd >= 0) {
		watch(c, seg->pidfd, ON_PROCESS, t->serial);
		t->watched = true;
	}
	tell_session(c, SEEP_SESSION_HELLO, t);
	seep_tracked_poll(t, &c->trace);
	t->changed = true;
	if (write_all(c, write_begin, t))
		c->has_settings = true;
	announce(c, t);
	c->last_arrival_ms = c->last_change_ms = c->now_ms;
	c->next_poll_ms = c->now_ms;
	err = seep_sites_look_at_modules(t->sites);
	seep_error_destroy(err);
	return NULL;
}

/* ---- children that never reported -------------------------------------- */

/* Forked children that a process has not forked: it is a subreaper, and their
 * parent had ended when they reported. */
static uint32_t adopted_children(const struct seep_tracked *t)
{
	return t->nr_forked_seen > t->nr_children
		   ? t->nr_forked_seen - t->nr_children
		   : 0;
}

static uint32_t all_missing(const struct collector *c)
{
	uint32_t nr = 0, spare = c->nr_orphans;

	for (const struct seep_tracked *t = c->procs; t; t = t->next) {
		nr += missing_children(t);
		spare += adopted_children(t);
	}
	/* Those whose parent had ended: we cannot tell whose they were. */
	return nr > spare ? nr - spare : 0;
}

/* Takes up to nr of the children whose parents are not known; how many. */
static uint32_t take_spare(struct collector *c, uint32_t nr)
{
	uint32_t taken = nr < c->nr_orphans ? nr : c->nr_orphans;

	c->nr_orphans -= taken;
	for (struct seep_tracked *t = c->procs; t && taken < nr; t = t->next) {
		uint32_t n = adopted_children(t);

		n = n < nr - taken ? n : nr - taken;
		t->nr_forked_seen -= n;
		taken += n;
	}
	return taken;
}

/* The process has ended a while ago: what has not come will not come. */
static void settle_children(struct collector *c, struct seep_tracked *t)
{
	uint32_t nr = missing_children(t);

	nr -= take_spare(c, nr);
	t->nr_children_seen = t->nr_children;
	if (!nr)
		return;
	t->p.drops[SEEP_DROP_CHILD_UNTRACED] += nr; /* besides the shim's */
	write_all(c, write_process, t);
}

static void forget_ended(struct collector *c)
{
	uint64_t now = seep_trace_at_ms(&c->trace, mono_ns());

	for (struct seep_tracked **at = &c->procs; *at;) {
		struct seep_tracked *t = *at;

		if (t->seg || now - t->p.end_ms < FORGET_MS ||
		    t->p.pid == c->opt->main_pid) {
			at = &t->next;
			continue;
		}
		settle_children(c, t);
		*at = t->next;
		seep_tracked_destroy(t);
	}
}

/* ---- looking ----------------------------------------------------------- */

static void poll_processes(struct collector *c)
{
	uint64_t began = mono_ns(), cost_ms, every;

	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (seep_tracked_poll(t, &c->trace))
			c->last_change_ms = c->now_ms;
	every = c->now_ms - c->last_change_ms < IDLE_AFTER_MS ? POLL_MS
							      : POLL_IDLE_MS;
	/* Never more than a twentieth of a core. */
	cost_ms = (mono_ns() - began) * 20 / 1000000;
	c->next_poll_ms = c->now_ms + (cost_ms > every ? cost_ms : every);
}

static struct seep_error *write_checkpoint(struct collector *c, void *arg)
{
	struct seep_error *err = NULL;

	(void)arg;
	for (struct seep_tracked *t = c->procs; t && !err; t = t->next)
		if (t->seg && !t->is_over && t->changed)
			err = seep_tracked_checkpoint(t, &c->trace);
	if (!err && c->now_ms >= c->next_thin_ms) {
		c->next_thin_ms = c->now_ms + THIN_EVERY_MS;
		err = c->sink->thin(
		    c->sink->ctx, seep_trace_at_ms(&c->trace, mono_ns()));
	}
	return err;
}

static void checkpoint(struct collector *c)
{
	uint64_t began = mono_ns(), cost_ms;
	bool any = false;

	for (struct seep_tracked *t = c->procs; t; t = t->next)
		any |= t->seg && !t->is_over && t->changed;
	if (any) {
		next_epoch(c);
		if (write_all(c, write_checkpoint, NULL))
			for (struct seep_tracked *t = c->procs; t; t = t->next)
				t->changed = false;
	}
	finish_ended(c); /* those a full disk has kept */
	forget_ended(c);
	cost_ms = (mono_ns() - began) * 5 / 1000000;
	c->next_checkpoint_ms =
	    c->now_ms + (cost_ms > CHECKPOINT_MS ? cost_ms : CHECKPOINT_MS);
}

struct request {
	struct seep_tracked *t;
	struct seep_snapshot s;
	uint32_t uid;
	bool is_growth;
	int64_t from;
};

static struct seep_error *write_snapshot(struct collector *c, void *arg)
{
	struct request *r = arg;
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

static void snapshot_every(struct collector *c)
{
	next_epoch(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next) {
		struct request r = {
		    .t = t, .s = {.kind = SEEP_SNAPSHOT_PERIODIC}};

		if (t->seg && !t->is_over && !t->damaged)
			write_all(c, write_snapshot, &r);
	}
	c->next_every_ms += c->opt->every_ms;
	if (c->next_every_ms <= c->now_ms)
		c->next_every_ms = c->now_ms + c->opt->every_ms;
}

/* ---- connections ------------------------------------------------------- */

static void drop_conn(struct collector *c, struct conn *conn)
{
	for (struct conn **at = &c->conns; *at; at = &(*at)->next) {
		if (*at != conn)
			continue;
		*at = conn->next;
		break;
	}
	c->nr_conns--;
	close(conn->fd);
	if (conn->pidfd >= 0)
		close(conn->pidfd);
	free(conn);
}

/* A peer of another user that was gone before we looked: nobody can say any
 * more whose child it was, but it knew the token, and names a traced process,
 * which has changed to the same user (or is gone as well) as its parent. */
static bool was_child(struct collector *c, const struct conn *conn,
    const struct seep_hello *hello)
{
	struct seep_proc_stat st;
	uid_t uid;

	if (seep_proc_stat(conn->pid, &st) && st.state != 'Z')
		return false;
	return newest_image(c, hello->ppid) &&
	       (!seep_proc_uid(hello->ppid, &uid) || uid == conn->uid);
}

/* GROUND 6: ours; or one with the token that descends from a traced process. */
static bool may_report(struct collector *c, const struct conn *conn,
    const struct seep_hello *hello)
{
	static const uint8_t none[16];
	bool has_token = !memcmp(hello->token, c->token, sizeof(c->token));

	if (conn->uid == geteuid() || conn->uid == 0)
		return has_token || !memcmp(hello->token, none, sizeof(none));
	if (!has_token)
		return false;
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (seep_proc_descends(conn->pid, t->p.pid))
			return true;
	return (c->opt->main_pid &&
		   seep_proc_descends(conn->pid, c->opt->main_pid)) ||
	       was_child(c, conn, hello);
}

static void answer_text(struct seep_answer *a, const char *text)
{
	a->failed = 1;
	snprintf(a->text, sizeof(a->text), "%s", text);
}

static void fill_answer(struct collector *c, const struct conn *conn,
    const struct seep_request *req, struct seep_answer *a)
{
	struct request r = {.uid = conn->uid,
	    .is_growth = req->op == SEEP_REQUEST_GROWTH,
	    .s = {.kind = SEEP_SNAPSHOT_REQUEST}};
	struct seep_tracked *t = newest_image(c, req->pid);

	if (!t || !t->seg || t->is_over || seep_segment_has_ended(t->seg)) {
		answer_text(a, "the process has ended");
		return;
	}
	snprintf(a->recording, sizeof(a->recording), "%s",
	    c->sink->path(c->sink->ctx));
	if (req->op == SEEP_REQUEST_STATUS) {
		seep_tracked_poll(t, &c->trace);
	} else if (req->op == SEEP_REQUEST_SNAPSHOT ||
		   req->op == SEEP_REQUEST_GROWTH) {
		r.t = t;
		if (req->label[0])
			r.s.label = (char *)req->label;
		next_epoch(c);
		if (!write_all(c, write_snapshot, &r)) {
			answer_text(a, seep_error_text(c->trouble));
			return;
		}
	} else {
		answer_text(a, "an unknown request");
		return;
	}
	a->process_id = t->p.id;
	a->snapshot = r.s.id;
	a->from = r.from;
	a->live_blocks = t->p.totals.live_blocks;
	a->live_bytes = t->p.totals.live_bytes;
	a->traced_ms = seep_trace_at_ms(&c->trace, mono_ns()) - t->p.start_ms;
}

static void on_request(
    struct collector *c, struct conn *conn, struct seep_request *req)
{
	struct seep_answer *a;

	if ((conn->uid != geteuid() && conn->uid != 0) ||
	    req->version != SEEP_CONTROL_VERSION)
		return;
	req->label[sizeof(req->label) - 1] = '\0';
	a = calloc(1, sizeof(*a));
	if (!a)
		return;
	a->magic = SEEP_ANSWER_MAGIC;
	a->version = SEEP_CONTROL_VERSION;
	fill_answer(c, conn, req, a);
	(void)!seep_fdmsg_send(conn->fd, a, sizeof(*a), NULL, 0);
	free(a);
}

#define WANT_MAX (64ull << 30) /* no shim asks for more */

/* A process whose RLIMIT_FSIZE allows it no segment asks us for one. */
static void on_want(const struct conn *conn, const struct seep_hello *want)
{
	uint64_t bytes = want->segment_bytes;
	int fd;

	if (!bytes || bytes > WANT_MAX || bytes % SEEP_PAGE)
		return;
	fd = seep_segment_make(bytes);
	if (fd < 0)
		return;
	(void)!seep_fdmsg_send(conn->fd, &bytes, sizeof(bytes), &fd, 1);
	close(fd);
}

/* False: nothing has come yet. */
static bool read_conn(struct collector *c, struct conn *conn)
{
	union {
		uint64_t magic;
		struct seep_hello hello;
		struct seep_request request;
	} m;
	int fds[SEEP_SEGMENT_FDS], pidfd;
	struct seep_error *err;
	size_t nr_fds;
	ssize_t n;

	n = seep_fdmsg_recv(
	    conn->fd, &m, sizeof(m), fds, SEEP_SEGMENT_FDS, &nr_fds);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n == sizeof(m.hello) && m.magic == SEEP_HELLO_MAGIC &&
	    m.hello.version == SEEP_WIRE_VERSION &&
	    may_report(c, conn, &m.hello)) {
		pidfd = conn->pidfd;
		conn->pidfd = -1;
		err = begin_process(c, &m.hello, conn->pid, conn->uid, pidfd,
		    fds, nr_fds, false);
		if (err)
			set_trouble(c, err);
		return true;
	}
	while (nr_fds)
		close(fds[--nr_fds]);
	if (n == sizeof(m.hello) && m.magic == SEEP_WANT_MAGIC &&
	    m.hello.version == SEEP_WIRE_VERSION &&
	    may_report(c, conn, &m.hello))
		on_want(conn, &m.hello);
	if (n == sizeof(m.request) && m.magic == SEEP_REQUEST_MAGIC)
		on_request(c, conn, &m.request);
	return true;
}

/* Every connection there is; true when there was one. */
static bool accept_all(struct collector *c)
{
	bool any = false;

	while (c->nr_conns < MAX_CONNS) {
		int fd = accept4(
		    c->opt->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct ucred peer = {0};
		socklen_t len = sizeof(peer);
		struct conn *conn;

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			/* No descriptors left: not a busy loop over it. */
			if (errno != EAGAIN && !c->accept_paused) {
				epoll_ctl(c->epoll, EPOLL_CTL_DEL,
				    c->opt->listener, NULL);
				c->accept_paused = true;
			}
			break;
		}
		any = true;
		conn = calloc(1, sizeof(*conn));
		if (!conn ||
		    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
			free(conn);
			close(fd);
			continue;
		}
		conn->fd = fd;
		conn->pid = (uint32_t)peer.pid;
		conn->uid = peer.uid;
		conn->pidfd = -1;
		len = sizeof(conn->pidfd);
		if (getsockopt(
			fd, SOL_SOCKET, SO_PEERPIDFD, &conn->pidfd, &len) < 0)
			conn->pidfd = -1;
		conn->serial = ++c->next_serial;
		conn->deadline_ms = c->now_ms + CONN_MS;
		conn->next = c->conns;
		c->conns = conn;
		c->nr_conns++;
		if (read_conn(c, conn))
			drop_conn(c, conn);
		else
			watch(c, fd, ON_CONN, conn->serial);
	}
	return any;
}

static void on_conn(struct collector *c, uint64_t serial)
{
	for (struct conn *conn = c->conns; conn; conn = conn->next) {
		if (conn->serial != serial)
			continue;
		if (read_conn(c, conn))
			drop_conn(c, conn);
		return;
	}
}

static void expire_conns(struct collector *c)
{
	struct conn *next;

	for (struct conn *conn = c->conns; conn; conn = next) {
		next = conn->next;
		if (c->now_ms >= conn->deadline_ms)
			drop_conn(c, conn);
	}
}

/* ---- the session with run ---------------------------------------------- */

static void end_session(struct collector *c)
{
	if (!c->has_session)
		return;
	epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->opt->session, NULL);
	c->has_session = false;
	c->main_over = true;
}

static void adopt(struct collector *c, const struct seep_session_msg *msg,
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
	err = begin_process(c, &msg->hello, msg->pid, msg->uid,
	    all[SEEP_SEGMENT_FDS], all, SEEP_SEGMENT_FDS, true);
	if (err)
		set_trouble(c, err);
}

static void on_session(struct collector *c)
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

static char *trouble_text(struct collector *c)
{
	return c->trouble ? strdup(seep_error_text(c->trouble)) : NULL;
}

/* Tells run that all it waits for is in the recording. */
static void send_done(struct collector *c, uint32_t count)
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

static struct seep_error *write_main_status(struct collector *c, void *arg)
{
	struct seep_tracked *t = arg;

	take_exit_status(c, t);
	return c->sink->put_process(c->sink->ctx, &t->p);
}

/* The program is over, its daemons are not: run need not wait for them. */
static void report_main(struct collector *c)
{
	struct seep_tracked *t;

	if (!c->main_over || !c->has_session || c->done_sent)
		return;
	t = newest_image(c, c->opt->main_pid);
	if (t && t->seg)
		return; /* not yet */
	if (t && t->p.exit_code < 0 && t->p.exit_signal < 0 && c->main_reported)
		write_all(c, write_main_status, t);
	if (nr_live(c)) {
		checkpoint(c);
		send_done(c, nr_live(c));
	}
}

/* ---- the loop ---------------------------------------------------------- */

static bool is_finished(struct collector *c)
{
	uint64_t patience =
	    c->opt->patience_ms ? c->opt->patience_ms : PATIENCE_MS;

	if (c->terminated || c->discarded)
		return true;
	if (nr_live(c)) {
		for (struct seep_tracked *t = c->procs; t; t = t->next)
			if (t->seg && !t->is_over)
				return false;
		/* Nothing but ends that cannot be stored. */
		if (!c->trouble || c->now_ms - c->last_arrival_ms < GRACE_MS)
			return false;
	}
	if (c->nr_conns || accept_all(c))
		return false;
	if (c->opt->session >= 0) {
		if (!c->main_over)
			return false;
	} else if (!c->nr_hellos) {
		return c->now_ms - c->started_ms >= patience;
	}
	/* Children that have not reported: worth a wait only if there is any
	 * process left that could be one. */
	if (all_missing(c) && c->now_ms - c->last_arrival_ms < GRACE_MS &&
	    seep_proc_any_with_environment(c->opt->socket))
		return false;
	return !accept_all(c); /* it may have come, and gone, meanwhile */
}

static int timeout_ms(const struct collector *c)
{
	uint64_t at = c->next_poll_ms;

	if (c->next_checkpoint_ms < at)
		at = c->next_checkpoint_ms;
	if (c->opt->every_ms && c->next_every_ms < at)
		at = c->next_every_ms;
	if (!nr_live(c))
		at = c->now_ms + POLL_IDLE_MS;
	return at > c->now_ms ? (int)(at - c->now_ms) : 0;
}

static void on_events(struct collector *c, struct epoll_event *ev, int nr)
{
	accept_all(c);
	for (int i = 0; i < nr; i++) {
		switch ((enum source)(ev[i].data.u64 >> 56)) {
		case ON_LISTENER:
		case ON_PROCESS:
			break; /* what follows looks at all of them */
		case ON_SESSION:
			on_session(c);
			break;
		case ON_SIGNAL:
			c->terminated = true;
			break;
		case ON_CONN:
			on_conn(c, ev[i].data.u64 & 0xffffffffffffff);
			break;
		}
	}
	look_for_ended(c);
}

static struct seep_error *loop(struct collector *c)
{
	struct epoll_event ev[64];

	while (!is_finished(c)) {
		int nr = epoll_wait(c->epoll, ev, 64, timeout_ms(c));

		if (nr < 0 && errno != EINTR)
			return seep_error_errno(errno, "epoll");
		tick(c);
		if (c->accept_paused) {
			c->accept_paused = false;
			watch(c, c->opt->listener, ON_LISTENER, 0);
		}
		on_events(c, ev, nr > 0 ? nr : 0);
		if (c->now_ms >= c->next_poll_ms) {
			poll_processes(c);
			look_for_execs(c);
			expire_conns(c);
		}
		if (c->opt->every_ms && c->now_ms >= c->next_every_ms)
			snapshot_every(c);
		if (c->now_ms >= c->next_checkpoint_ms)
			checkpoint(c);
		report_main(c);
	}
	return NULL;
}

/* ---- begin and end ----------------------------------------------------- */

static struct seep_error *parse_token(struct collector *c)
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
    struct collector *c, const struct seep_collector_options *opt)
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
	c->has_session = opt->session >= 0;
	tick(c);
	c->started_ms = c->last_change_ms = c->last_arrival_ms = c->now_ms;
	c->next_poll_ms = c->next_checkpoint_ms = c->now_ms;
	c->next_every_ms = c->now_ms + opt->every_ms;
	c->next_thin_ms = c->now_ms + THIN_EVERY_MS;
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
		watch(c, c->signals, ON_SIGNAL, 0);
	watch(c, opt->listener, ON_LISTENER, 0);
	if (c->has_session)
		watch(c, opt->session, ON_SESSION, 0);
	err = seep_control_folder(path, sizeof(path), &c->folder);
	if (err) {
		/* Traced all the same, only not found by pid. */
		seep_error_destroy(err);
		c->folder = -1;
	}
	return opt->append ? take_over(c) : NULL;
}

static struct seep_error *write_lost(struct collector *c, void *arg)
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

static void finish(struct collector *c)
{
	next_epoch(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->seg && !t->is_over)
			is_over(c, t,
			    seep_segment_has_ended(t->seg) ? SEEP_PROCESS_EXITED
							   : SEEP_PROCESS_LOST);
	finish_ended(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		settle_children(c, t);
	if (c->nr_old)
		write_all(c, write_lost, NULL);
}

static void deinit(struct collector *c)
{
	while (c->conns)
		drop_conn(c, c->conns);
	while (c->procs) {
		struct seep_tracked *t = c->procs;

		c->procs = t->next;
		if (t->seg)
			withdraw(c, t);
		seep_tracked_destroy(t);
	}
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
	struct collector c = {0};
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
			set_trouble(&c, last);
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
