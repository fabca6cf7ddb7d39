/* SPDX-License-Identifier: MIT */
/* session.c - messages between `seep run` and the collector it started */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "analyzer/collect/fdmsg.h"
#include "analyzer/collect/session.h"

bool seep_session_send(
    int sock, const struct seep_session_msg *msg, const int *fds, size_t nr_fds)
{
	size_t len =
	    offsetof(struct seep_session_msg, text) + strlen(msg->text) + 1;

	return seep_fdmsg_send(sock, msg, len, fds, nr_fds) == (ssize_t)len;
}

int seep_session_recv(int sock, struct seep_session_msg *msg,
    int fds[SEEP_SESSION_FDS], size_t *nr_fds)
{
	ssize_t n;

	*nr_fds = 0;
	n = seep_fdmsg_recv(
	    sock, msg, sizeof(*msg), fds, SEEP_SESSION_FDS, nr_fds);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n <= (ssize_t)offsetof(struct seep_session_msg, text))
		return -1;
	((char *)msg)[n - 1] = '\0';
	msg->socket[sizeof(msg->socket) - 1] = '\0';
	return 1;
}
