/* SPDX-License-Identifier: MIT */
/*
 * fdmsg.h - one message with descriptors over a SOCK_SEQPACKET socket
 *
 * Threads:  no state.
 * Signals:  not for signal handlers; never raises SIGPIPE.
 * Memory:   never allocates. Received descriptors are close-on-exec and belong
 *           to the caller; sent ones stay the caller's.
 * Trust:    a message that is longer than the buffer, or brings more
 *           descriptors than asked for, is cut and whatever is too much closed.
 * Units:    bytes.
 * Errors:   -1 and errno; EAGAIN when nothing is there (both never wait).
 */
#ifndef SEEP_COLLECT_FDMSG_H
#define SEEP_COLLECT_FDMSG_H

#include <stddef.h>
#include <sys/types.h>

#define SEEP_FDMSG_MAX 8 /* descriptors in a message */

ssize_t seep_fdmsg_send(
    int sock, const void *buf, size_t len, const int *fds, size_t nr_fds);

/* 0: the peer has closed. EMSGSIZE: cut; no descriptor is returned then. */
ssize_t seep_fdmsg_recv(
    int sock, void *buf, size_t size, int *fds, size_t max_fds, size_t *nr_fds);

#endif
