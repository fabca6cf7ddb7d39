/* SPDX-License-Identifier: MIT */
/*
 * session.h - the life of the shim in one process: segment, hello, fork, exit
 *
 * Threads:  seep_session_start() lets one thread through; the others trace
 *           nothing until it is done.
 * Signals:  async-signal-safe; nests (a handler meanwhile is not traced).
 * Memory:   one segment and one private page; a child's new segment replaces
 *           its parent's.
 * Trust:    the environment is the user's.
 * Units:    bytes.
 * Errors:   a session that cannot start is off, silently: the host goes on.
 */
#ifndef SEEP_PRELOAD_SESSION_H
#define SEEP_PRELOAD_SESSION_H

#include "wire/map.h"
#include "wire/tree.h"

enum seep_gate {
	SEEP_GATE_NEW = 0, /* not started, or a child that was just forked */
	SEEP_GATE_ON,
	SEEP_GATE_OFF,
	SEEP_GATE_BUSY,	  /* starting */
	SEEP_GATE_SAMPLE, /* on, for a sample of the blocks */
};

struct seep_session {
	struct seep_pool pool;
	struct seep_map map;
	struct seep_tree tree;
	struct seep_header *head;
	uint32_t pid;
	uint32_t sample_bytes; /* mean interval; 0: every block is recorded */
	bool compare_pids;     /* no MADV_WIPEONFORK here */
	bool filtered;	       /* a seccomp filter is or may be in force */
	bool all_histories;    /* --record=events */
};

extern struct seep_session seep_session;

/* The word that every hook looks at first; its page is wiped in children. */
extern _Atomic uint32_t *seep_gate __attribute__((visibility("hidden")));

static inline uint32_t seep_gate_now(void)
{
	/* acquire: pairs with the release in seep_session_start(). */
	return atomic_load_explicit(seep_gate, memory_order_acquire);
}

/* True when this process is traced (now). */
bool seep_session_start(void);

/* Is this the process that owns the segment, and not a vfork child of it? */
bool seep_session_is_ours(void);

/*
 * A seccomp filter is about to be installed, which may kill for the calls that
 * we make: from now on this process makes none for its segment, and children
 * that it forks, and programs that it executes, are not traced but counted.
 */
void seep_session_filter(void);

static inline void seep_session_drop(enum seep_drop cause)
{
	atomic_fetch_add_explicit(
	    &seep_session.head->drops[cause], 1, memory_order_relaxed);
}

/* The path of libseep.so, for programs that this one starts; NULL: unknown. */
extern const char *seep_session_preload;

#endif
