/* SPDX-License-Identifier: MIT */
/* fdmsg.c - one message with descriptors over a SOCK_SEQPACKET socket */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "analyzer/collect/fdmsg.h"

ssize_t seep_fdmsg_send(
    int sock, const void *buf, size_t len, const int *fds, size_t nr_fds)
{
	char control[CMSG_SPACE(SEEP_FDMSG_MAX * sizeof(int))]
	    __attribute__((aligned(8)));
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (nr_fds > SEEP_FDMSG_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (nr_fds) {
		struct cmsghdr *c;

		memset(control, 0, sizeof(control));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nr_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

ssize_t seep_fdmsg_recv(
    int sock, void *buf, size_t size, int *fds, size_t max_fds, size_t *nr_fds)
{
	/* Room for more than we ask for, so that we see and close the rest. */
	char control[CMSG_SPACE(64 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	size_t got = 0;
	ssize_t n;

	*nr_fds = 0;
	do {
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c;
	     c = CMSG_NXTHDR(&msg, c)) {
		size_t nr;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < nr; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (got < max_fds)
				fds[got++] = fd;
			else
				close(fd);
		}
	}
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (got)
			close(fds[--got]);
		errno = EMSGSIZE;
		return -1;
	}
	*nr_fds = got;
	return n;
}
