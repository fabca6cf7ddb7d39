/* SPDX-License-Identifier: MIT */
/* processes.c - beginnings and ends of the processes of a recording */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "analyzer/collect/collector_impl.h"
#include "analyzer/collect/control.h"
#include "analyzer/collect/proc.h"
#include "analyzer/collect/session.h"

#define FORGET_MS 10000 /* ended processes, as parents of others */

/* ---- processes --------------------------------------------------------- */

struct seep_tracked *seep_collector_newest_image(
    struct seep_collector *c, uint32_t pid)
{
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->p.pid == pid)
			return t;
	return NULL;
}

uint32_t seep_collector_nr_live(const struct seep_collector *c)
{
	uint32_t nr = 0;

	for (const struct seep_tracked *t = c->procs; t; t = t->next)
		nr += t->seg != NULL;
	return nr;
}

static void tell_session(
    struct seep_collector *c, uint32_t type, const struct seep_tracked *t)
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

static void announce(struct seep_collector *c, const struct seep_tracked *t)
{
	struct seep_error *err;

	if (c->folder < 0 || seep_segment_has_ended(t->seg))
		return;
	err = seep_control_announce(
	    c->folder, t->p.pid, c->opt->socket, c->sink->path(c->sink->ctx));
	/* Without its entry it is traced all the same; ps cannot see it. */
	seep_error_destroy(err);
}

void seep_collector_withdraw(
    struct seep_collector *c, const struct seep_tracked *t)
{
	if (c->folder >= 0)
		seep_control_withdraw(c->folder, t->p.pid, c->opt->socket);
}

/* The state a process ended in, as far as it can be known. */
void seep_collector_take_exit_status(
    struct seep_collector *c, struct seep_tracked *t)
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

void seep_collector_end(struct seep_collector *c, struct seep_tracked *t,
    enum seep_process_state state)
{
	if (t->is_over)
		return;
	t->p.state = state;
	t->is_over = true;
	if (t->watched)
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, t->seg->pidfd, NULL);
	t->watched = false;
	if (state == SEEP_PROCESS_EXITED)
		seep_collector_take_exit_status(c, t);
	c->last_arrival_ms = c->now_ms;
}

static struct seep_error *write_ends(struct seep_collector *c, void *arg)
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
void seep_collector_finish_ended(struct seep_collector *c)
{
	bool any = false;

	for (struct seep_tracked *t = c->procs; t; t = t->next)
		any |= t->is_over && t->seg;
	if (!any || !seep_collector_write_all(c, write_ends, NULL))
		return;
	for (struct seep_tracked *t = c->procs; t; t = t->next) {
		if (!t->is_over || !t->seg)
			continue;
		if (seep_collector_newest_image(c, t->p.pid) == t) {
			if (t->p.pid == c->opt->main_pid)
				c->has_exe = t->has_exe;
			seep_collector_withdraw(c, t);
		}
		tell_session(c, SEEP_SESSION_GONE, t);
		seep_tracked_release(t);
	}
}

void seep_collector_look_for_ended(struct seep_collector *c)
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
	seep_collector_accept_all(c);
	for (struct seep_tracked *t = c->procs; t; t = t->next)
		if (t->has_ended && !t->is_over)
			seep_collector_end(c, t, SEEP_PROCESS_EXITED);
	seep_collector_finish_ended(c);
}

/* A process whose memory is gone while it lives has called exec. */
void seep_collector_look_for_execs(struct seep_collector *c)
{
	bool any = false;

	for (struct seep_tracked *t = c->procs; t; t = t->next) {
		if (!t->seg || t->is_over || !seep_segment_is_replaced(t->seg))
			continue;
		if (!t->replaced_ms) {
			t->replaced_ms = c->now_ms;
		} else if (c->now_ms - t->replaced_ms >=
			       SEEP_COLLECTOR_GRACE_MS &&
			   !seep_segment_has_ended(t->seg)) {
			t->exec_untraced = true;
			t->p.drops[SEEP_DROP_EXEC_UNTRACED] = 1;
			seep_collector_end(c, t, SEEP_PROCESS_EXECED);
			any = true;
		}
	}
	if (any)
		seep_collector_finish_ended(c);
}

static struct seep_error *write_begin(struct seep_collector *c, void *arg)
{
	struct seep_tracked *t = arg;
	struct seep_error *err = NULL;

	if (!c->has_settings)
		err = seep_collector_put_settings(c);
	if (!err)
		err = c->sink->put_process(c->sink->ctx, &t->p);
	return err;
}

static struct seep_error *write_process(struct seep_collector *c, void *arg)
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
    struct seep_collector *c, const struct seep_tracked *t)
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
static void find_parent(struct seep_collector *c, struct seep_tracked *t,
    struct seep_tracked *earlier)
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
static void find_row(struct seep_collector *c, struct seep_tracked *t)
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
struct seep_error *seep_collector_begin_process(struct seep_collector *c,
    const struct seep_hello *hello, uint32_t pid, uint32_t uid, int pidfd,
    const int *fds, size_t nr_fds, bool adopted)
{
	struct seep_tracked *t = NULL, *earlier;
	struct seep_segment *seg = NULL;
	struct seep_error *err;

	err = seep_segment_open(hello, pid, uid, pidfd, fds, nr_fds, &seg);
	if (err)
		return err;
	err = seep_collector_open_sink(c, seg);
	if (err) {
		seep_segment_close(seg);
		return err;
	}
	earlier = seep_collector_newest_image(c, seg->pid);
	if (earlier && earlier->seg && !earlier->is_over)
		seep_collector_end(c, earlier,
		    is_same_process(earlier, seg) ? SEEP_PROCESS_EXECED
						  : SEEP_PROCESS_EXITED);
	else if (earlier && earlier->exec_untraced) {
		/* It came late, but it came. */
		earlier->p.drops[SEEP_DROP_EXEC_UNTRACED] = 0;
		earlier->exec_untraced = false;
		seep_collector_write_all(c, write_process, earlier);
	}
	if (earlier && earlier->p.state != SEEP_PROCESS_EXECED)
		earlier = NULL; /* the pid was reused */
	seep_collector_finish_ended(c);
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
		    seep_trace_at_ms(&c->trace, seep_collector_mono_ns()));
	seep_collector_next_epoch(c);
	if (seg->pidfd >= 0) {
		seep_collector_watch(c, seg->pidfd, SEEP_ON_PROCESS, t->serial);
		t->watched = true;
	}
	tell_session(c, SEEP_SESSION_HELLO, t);
	seep_tracked_poll(t, &c->trace);
	t->changed = true;
	if (seep_collector_write_all(c, write_begin, t))
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

uint32_t seep_collector_all_missing(const struct seep_collector *c)
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
static uint32_t take_spare(struct seep_collector *c, uint32_t nr)
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
void seep_collector_settle_children(
    struct seep_collector *c, struct seep_tracked *t)
{
	uint32_t nr = missing_children(t);

	nr -= take_spare(c, nr);
	t->nr_children_seen = t->nr_children;
	if (!nr)
		return;
	t->p.drops[SEEP_DROP_CHILD_UNTRACED] += nr; /* besides the shim's */
	seep_collector_write_all(c, write_process, t);
}

void seep_collector_forget_ended(struct seep_collector *c)
{
	uint64_t now = seep_trace_at_ms(&c->trace, seep_collector_mono_ns());

	for (struct seep_tracked **at = &c->procs; *at;) {
		struct seep_tracked *t = *at;

		if (t->seg || now - t->p.end_ms < FORGET_MS ||
		    t->p.pid == c->opt->main_pid) {
			at = &t->next;
			continue;
		}
		seep_collector_settle_children(c, t);
		*at = t->next;
		seep_tracked_destroy(t);
	}
}
