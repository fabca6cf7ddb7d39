/* SPDX-License-Identifier: MIT */
/*
 * control.h - which processes are traced, and asking their collector
 *
 * A collector keeps one small file per traced process in the user's runtime
 * folder ($XDG_RUNTIME_DIR/seep, else /tmp/seep-UID; mode 0700). It names the
 * collector's abstract socket, its token and the recording. Requests go over
 * that socket, see protocol.h.
 *
 * Threads:  a handle belongs to one thread.
 * Signals:  not for signal handlers.
 * Memory:   results belong to the caller, each has its _deinit.
 * Trust:    the folder is used only if it is a real folder, ours alone; a file
 *           whose process is gone, or is another one by now, is ignored. Every
 *           answer is checked.
 * Units:    bytes; at_ms as in model.h.
 * Errors:   struct seep_error; no call waits longer than its deadline, also
 *           when the collector is stopped or hangs.
 */
#ifndef SEEP_COLLECT_CONTROL_H
#define SEEP_COLLECT_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "analyzer/base/error.h"

/* ---- asking ------------------------------------------------------------ */

struct seep_control;

/* The traced process `pid`. An error says whether there is no such process,
 * whether it belongs to another user, or whether it is not traced. */
struct seep_error *seep_control_find(
    uint32_t pid, struct seep_control **ret) SEEP_MUST_CHECK;
void seep_control_destroy(struct seep_control *ctl);
SEEP_DEFINE_CLEANUP(struct seep_control *, seep_control_destroy)

/* The recording's absolute path; lives as long as the handle. */
const char *seep_control_recording(const struct seep_control *ctl);

/* A snapshot that is committed to the recording when the call returns, with
 * the survivors of that moment. label may be NULL. */
struct seep_control_snapshot {
	char *recording;
	int64_t process_id;
	int64_t snapshot;
	uint64_t live_blocks, live_bytes;
	uint64_t live_blocks_stderr, live_bytes_stderr; /* 0: exact */
};

struct seep_error *seep_control_snapshot(struct seep_control *ctl,
    const char *label, struct seep_control_snapshot *ret) SEEP_MUST_CHECK;
void seep_control_snapshot_deinit(struct seep_control_snapshot *s);

/*
 * For `seep growth PID`: takes a snapshot and makes it the baseline of the
 * asking user (by the peer's uid) for the next call. `from` is the baseline of
 * the previous call, 0 the first time.
 */
struct seep_control_growth {
	char *recording;
	int64_t process_id;
	int64_t from, to;
};

struct seep_error *seep_control_growth(
    struct seep_control *ctl, struct seep_control_growth *ret) SEEP_MUST_CHECK;
void seep_control_growth_deinit(struct seep_control_growth *g);

/* What `seep ps` lists. */
struct seep_control_process {
	uint32_t pid;
	uint32_t collector_pid;
	char *recording;
	char *command;	    /* arguments separated by spaces */
	uint64_t traced_ms; /* since tracing began */
	uint64_t live_blocks, live_bytes;
	uint64_t live_blocks_stderr, live_bytes_stderr; /* 0: exact */
	int answers; /* 0: its collector does not; figures are 0 */
};

/* The traced processes of this user (root: of all), by pid. */
struct seep_error *seep_control_list(
    struct seep_control_process **ret, size_t *nr) SEEP_MUST_CHECK;
void seep_control_process_deinit(struct seep_control_process *p);

/* ---- the runtime folder, for the collector and the launcher ------------- */

/* An open descriptor of the folder, made if need be; its path in `path`. */
struct seep_error *seep_control_folder(
    char *path, size_t path_size, int *ret_fd) SEEP_MUST_CHECK;

/* "NAME:TOKEN" as in the environment variable SEEP_SOCKET. */
struct seep_error *seep_control_announce(int folder_fd, uint32_t pid,
    const char *socket_and_token, const char *recording) SEEP_MUST_CHECK;
void seep_control_withdraw(
    int folder_fd, uint32_t pid, const char *socket_and_token);

/* Start time of a process in clock ticks since boot (/proc/PID/stat), which
 * tells a process from a later one with the same pid; 0 when it is gone. */
uint64_t seep_control_start_ticks(uint32_t pid);

#endif
