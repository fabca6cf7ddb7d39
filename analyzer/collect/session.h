/* SPDX-License-Identifier: MIT */
/*
 * session.h - messages between `seep run` and the collector it started
 *
 * Threads:  none of its own.
 * Signals:  not for signal handlers.
 * Memory:   the caller's; received descriptors are close-on-exec and his.
 * Trust:    both ends are ours, but one may be another build: lengths and texts
 *           are checked.
 * Units:    see protocol.h.
 * Errors:   false, 0 or -1, see each call. Neither call waits.
 */
#ifndef SEEP_COLLECT_SESSION_H
#define SEEP_COLLECT_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/collect/protocol.h"

/* Of a process: those of segment.h and its pidfd. msg.count says which. */
#define SEEP_SESSION_FDS 4

/* False: the peer is gone or does not read. */
bool seep_session_send(int sock, const struct seep_session_msg *msg,
    const int *fds, size_t nr_fds);

/* 1: a message; 0: none there; -1: the peer is gone. */
int seep_session_recv(int sock, struct seep_session_msg *msg,
    int fds[SEEP_SESSION_FDS], size_t *nr_fds);

#endif
