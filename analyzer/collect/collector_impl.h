/* SPDX-License-Identifier: MIT */
/*
 * collector_impl.h - what the files of the collector share
 *
 * collector.c the loop, and the session with run; peers.c connections and
 * requests; processes.c their beginnings and ends; writes.c what goes into the
 * recording and when.
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   struct seep_collector lives in seep_collector_run().
 * Trust:    see collector.h.
 * Units:    milliseconds of CLOCK_MONOTONIC, but for at_ms (model.h).
 * Errors:   what the sink says is kept in `trouble`, see
 *           seep_collector_write_all().
 */
#ifndef SEEP_COLLECT_COLLECTOR_IMPL_H
#define SEEP_COLLECT_COLLECTOR_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "analyzer/collect/collector.h"
#include "analyzer/collect/protocol.h"
#include "analyzer/collect/tracked.h"

#define SEEP_COLLECTOR_GRACE_MS 1000 /* for children and images to report */
#define SEEP_COLLECTOR_THIN_MS	10000

/* What an event of the epoll set is about: kind << 56 | serial. */
enum seep_source {
	SEEP_ON_LISTENER = 1,
	SEEP_ON_SESSION,
	SEEP_ON_SIGNAL,
	SEEP_ON_CONN,
	SEEP_ON_PROCESS
};

struct seep_conn; /* peers.c */

struct seep_collector {
	const struct seep_collector_options *opt;
	const struct seep_sink *sink;
	struct seep_trace trace;
	uint8_t token[16];
	int epoll, signals, folder;
	struct seep_conn *conns;
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

static inline uint64_t seep_collector_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Adds fd to the epoll set. */
void seep_collector_watch(
    struct seep_collector *c, int fd, enum seep_source what, uint64_t id);

/* ---- writes.c ---------------------------------------------------------- */

typedef struct seep_error *seep_write_fn(struct seep_collector *c, void *arg);

/*
 * Runs fn in a transaction. A segment that turns out damaged is left out from
 * then on, and the rest is written; what the sink says is kept as the trouble
 * of the moment. False: nothing was written.
 */
bool seep_collector_write_all(
    struct seep_collector *c, seep_write_fn *fn, void *arg);
void seep_collector_set_trouble(
    struct seep_collector *c, struct seep_error *err);

/* Blocks born from now on carry a larger epoch than all before. */
void seep_collector_next_epoch(struct seep_collector *c);

/* The recording is needed: its file and its clock. */
struct seep_error *seep_collector_open_sink(
    struct seep_collector *c, const struct seep_segment *seg);
struct seep_error *seep_collector_put_settings(struct seep_collector *c);
/* A dead collector's recording: its clock, its processes, its epochs. */
struct seep_error *seep_collector_take_over(struct seep_collector *c);

void seep_collector_poll_processes(struct seep_collector *c);
void seep_collector_checkpoint(struct seep_collector *c);
void seep_collector_snapshot_every(struct seep_collector *c);

/* A snapshot that somebody asked for; a seep_write_fn takes it. */
struct seep_wanted {
	struct seep_tracked *t;
	struct seep_snapshot s;
	uint32_t uid;
	bool is_growth;
	int64_t from;
};

struct seep_error *seep_collector_write_snapshot(
    struct seep_collector *c, void *arg);

/* ---- processes.c ------------------------------------------------------- */

struct seep_tracked *seep_collector_newest_image(
    struct seep_collector *c, uint32_t pid);
uint32_t seep_collector_nr_live(const struct seep_collector *c);

/* A process has reported. Takes the descriptors. */
struct seep_error *seep_collector_begin_process(struct seep_collector *c,
    const struct seep_hello *hello, uint32_t pid, uint32_t uid, int pidfd,
    const int *fds, size_t nr_fds, bool adopted);

void seep_collector_look_for_ended(struct seep_collector *c);
void seep_collector_look_for_execs(struct seep_collector *c);
/* It is over, in this state; to be stored by the next call. */
void seep_collector_end(struct seep_collector *c, struct seep_tracked *t,
    enum seep_process_state state);
void seep_collector_finish_ended(struct seep_collector *c);
void seep_collector_take_exit_status(
    struct seep_collector *c, struct seep_tracked *t);
/* Removes its entry from the runtime folder. */
void seep_collector_withdraw(
    struct seep_collector *c, const struct seep_tracked *t);
/* Drops what is no longer needed of those that ended a while ago. */
void seep_collector_forget_ended(struct seep_collector *c);

/* Children that were begun and have not reported. */
uint32_t seep_collector_all_missing(const struct seep_collector *c);
/* Those of t will not come any more. */
void seep_collector_settle_children(
    struct seep_collector *c, struct seep_tracked *t);

/* ---- peers.c ----------------------------------------------------------- */

/* Every connection there is; true when there was one. */
bool seep_collector_accept_all(struct seep_collector *c);
void seep_collector_on_conn(struct seep_collector *c, uint64_t serial);
void seep_collector_expire_conns(struct seep_collector *c);
void seep_collector_drop_conn(struct seep_collector *c, struct seep_conn *conn);

#endif
