/* SPDX-License-Identifier: MIT */
/*
 * protocol.h - the messages between commands, `seep run` and a collector
 *
 * Two sockets, both SOCK_SEQPACKET, one struct per message.
 *
 * The recording's abstract socket: the first message of a connection decides:
 * a struct seep_hello (wire/layout.h, no answer) or a struct seep_request (one
 * struct seep_answer, then the connection ends).
 *
 * The session: a socketpair between `seep run` and the collector it started.
 * run keeps a duplicate of the listener and of everything received, so that it
 * can start another collector when the first one dies.
 *
 * Threads:  plain data.
 * Signals:  none.
 * Memory:   plain data; texts end in a NUL within their array.
 * Trust:    the reader of a message checks its length, magic and texts; who
 *           sent it is known by SO_PEERCRED.
 * Units:    as named.
 * Errors:   seep_answer.text.
 */
#ifndef SEEP_COLLECT_PROTOCOL_H
#define SEEP_COLLECT_PROTOCOL_H

#include <limits.h>
#include <stdint.h>

#include "wire/layout.h"

#define SEEP_REQUEST_MAGIC   0x3151455250454553ull /* "SEEPREQ1" */
#define SEEP_ANSWER_MAGIC    0x31534e4150454553ull /* "SEEPANS1" */
#define SEEP_CONTROL_VERSION 2u

enum seep_request_op {
	SEEP_REQUEST_STATUS = 1,
	SEEP_REQUEST_SNAPSHOT = 2,
	SEEP_REQUEST_GROWTH = 3,
};

struct seep_request {
	uint64_t magic;
	uint32_t version;
	uint32_t op;
	uint32_t pid;
	uint32_t pad;
	char label[128]; /* empty: none */
};

struct seep_answer {
	uint64_t magic;
	uint32_t version;
	uint32_t failed; /* text says why */
	int64_t process_id;
	int64_t snapshot, from;
	uint64_t live_blocks, live_bytes;
	uint64_t live_blocks_stderr, live_bytes_stderr; /* of a sample */
	uint64_t traced_ms;
	char recording[PATH_MAX];
	char text[512];
};

enum seep_session_type {
	/* from run */
	SEEP_SESSION_SETUP = 1, /* text: recording; socket; fd: listener */
	SEEP_SESSION_ADOPT,	/* a process of the dead collector; fds */
	SEEP_SESSION_MAIN_OVER, /* the program ended with `status` */
	SEEP_SESSION_DISCARD,	/* the program could not be started */
	/* from the collector */
	SEEP_SESSION_READY,  /* the recording is there */
	SEEP_SESSION_FAILED, /* text: why; the collector is about to end */
	SEEP_SESSION_HELLO,  /* a process has reported: hello and fds */
	SEEP_SESSION_GONE,   /* its descriptors are not needed any more */
	SEEP_SESSION_DONE,   /* all that run waits for is in the recording */
};

enum seep_session_flag {
	SEEP_SESSION_APPEND = 1 << 0,	/* SETUP: continue the recording */
	SEEP_SESSION_HAS_MAIN = 1 << 1, /* DONE: the program reported */
	SEEP_SESSION_HAS_EXE = 1 << 2,	/* DONE: its own code allocated */
	SEEP_SESSION_LOST = 1 << 3,	/* DONE: text says what is missing */
};

/* Only the part of `text` that is used is sent. */
struct seep_session_msg {
	uint32_t type;
	uint32_t flags;
	uint32_t pid;	   /* HELLO, ADOPT, GONE: of the peer; SETUP, MAIN_OVER:
			    * of the program */
	uint32_t uid;	   /* HELLO, ADOPT */
	int32_t status;	   /* MAIN_OVER: wait status */
	uint32_t count;	   /* DONE: processes still traced */
	uint64_t serial;   /* HELLO, ADOPT, GONE */
	uint64_t every_ms; /* SETUP */
	struct seep_hello hello;
	char socket[160]; /* SETUP: NAME:TOKEN */
	char text[PATH_MAX];
};

#endif
