/* SPDX-License-Identifier: MIT */
/* peers.c - who connects to the recording's socket, and what is answered */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "analyzer/collect/collector_impl.h"
#include "analyzer/collect/fdmsg.h"
#include "analyzer/collect/proc.h"
#include "analyzer/model/sample.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define CONN_MS	  2000 /* for the first message of a connection */
#define MAX_CONNS 256

struct seep_conn {
	struct seep_conn *next;
	int fd, pidfd;
	uint32_t pid, uid;
	uint64_t serial, deadline_ms;
};

/* ---- connections ------------------------------------------------------- */

void seep_collector_drop_conn(struct seep_collector *c, struct seep_conn *conn)
{
	for (struct seep_conn **at = &c->conns; *at; at = &(*at)->next) {
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
static bool was_child(struct seep_collector *c, const struct seep_conn *conn,
    const struct seep_hello *hello)
{
	struct seep_proc_stat st;
	uid_t uid;

	if (seep_proc_stat(conn->pid, &st) && st.state != 'Z')
		return false;
	return seep_collector_newest_image(c, hello->ppid) &&
	       (!seep_proc_uid(hello->ppid, &uid) || uid == conn->uid);
}

/* GROUND 6: ours; or one with the token that descends from a traced process. */
static bool may_report(struct seep_collector *c, const struct seep_conn *conn,
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

static void fill_answer(struct seep_collector *c, const struct seep_conn *conn,
    const struct seep_request *req, struct seep_answer *a)
{
	struct seep_wanted r = {.uid = conn->uid,
	    .is_growth = req->op == SEEP_REQUEST_GROWTH,
	    .s = {.kind = SEEP_SNAPSHOT_REQUEST}};
	struct seep_tracked *t = seep_collector_newest_image(c, req->pid);

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
		seep_collector_next_epoch(c);
		if (!seep_collector_write_all(
			c, seep_collector_write_snapshot, &r)) {
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
	a->live_blocks_stderr =
	    seep_standard_error(t->p.totals.var.live_blocks);
	a->live_bytes_stderr = seep_standard_error(t->p.totals.var.live_bytes);
	a->traced_ms = seep_trace_at_ms(&c->trace, seep_collector_mono_ns()) -
		       t->p.start_ms;
}

static void on_request(
    struct seep_collector *c, struct seep_conn *conn, struct seep_request *req)
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
static void on_want(const struct seep_conn *conn, const struct seep_hello *want)
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
static bool read_conn(struct seep_collector *c, struct seep_conn *conn)
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
		err = seep_collector_begin_process(c, &m.hello, conn->pid,
		    conn->uid, pidfd, fds, nr_fds, false);
		if (err)
			seep_collector_set_trouble(c, err);
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

/*
 * An image that said hello and then executed another: its connection may have
 * been accepted before its message came, and the next image's be the one that
 * is read now. Their order is that of the images, so the earlier one comes
 * first.
 */
static void read_earlier(struct seep_collector *c, const struct seep_conn *conn)
{
	struct seep_conn *next;

	for (struct seep_conn *other = conn->next; other; other = next) {
		next = other->next; /* the list is the newest first */
		if (other->pid == conn->pid && read_conn(c, other))
			seep_collector_drop_conn(c, other);
	}
}

/* An accept in vain makes a socket first: asking is fifty times cheaper. */
static bool is_anyone_there(const struct seep_collector *c)
{
	struct pollfd pfd = {.fd = c->opt->listener, .events = POLLIN};

	return poll(&pfd, 1, 0) != 0;
}

/* Every connection there is; true when there was one. */
bool seep_collector_accept_all(struct seep_collector *c)
{
	bool any = false;

	while (c->nr_conns < MAX_CONNS && is_anyone_there(c)) {
		int fd = accept4(
		    c->opt->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct ucred peer = {0};
		socklen_t len = sizeof(peer);
		struct seep_conn *conn;

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
		read_earlier(c, conn);
		if (read_conn(c, conn))
			seep_collector_drop_conn(c, conn);
		else
			seep_collector_watch(c, fd, SEEP_ON_CONN, conn->serial);
	}
	return any;
}

void seep_collector_on_conn(struct seep_collector *c, uint64_t serial)
{
	for (struct seep_conn *conn = c->conns; conn; conn = conn->next) {
		if (conn->serial != serial)
			continue;
		if (read_conn(c, conn))
			seep_collector_drop_conn(c, conn);
		return;
	}
}

void seep_collector_expire_conns(struct seep_collector *c)
{
	struct seep_conn *next;

	for (struct seep_conn *conn = c->conns; conn; conn = next) {
		next = conn->next;
		if (c->now_ms >= conn->deadline_ms)
			seep_collector_drop_conn(c, conn);
	}
}
