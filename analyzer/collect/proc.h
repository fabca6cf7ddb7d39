/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what the kernel says of a process: /proc and pidfd
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   never allocates.
 * Trust:    the process may end, or be replaced by another, between any two
 *           calls; a text that is not as expected counts as "gone".
 * Units:    bytes; start times in clock ticks since boot.
 * Errors:   false or -1: gone, or not allowed.
 */
#ifndef SEEP_COLLECT_PROC_H
#define SEEP_COLLECT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct seep_proc_stat {
	char state; /* as ps shows it: 'Z' zombie, 'T' stopped */
	uint32_t ppid;
	uint64_t start_ticks;
	int exit_code; /* wait status of a zombie; 0 where not allowed */
};

bool seep_proc_stat(uint32_t pid, struct seep_proc_stat *ret);
bool seep_proc_uid(uint32_t pid, uid_t *ret);

/* Real pages of the process; 0 when unknown. */
uint64_t seep_proc_rss(uint32_t pid);
bool seep_proc_rollup(
    uint32_t pid, uint64_t *rss, uint64_t *uss, uint64_t *pss);

/* Arguments joined by spaces, unprintable bytes as '?'. */
bool seep_proc_command(uint32_t pid, char *buf, size_t size);

/* True when a process other than ourselves was started with `text` in its
 * environment, as far as we may look. */
bool seep_proc_any_with_environment(const char *text);

/* True when `pid` is `ancestor` or descends from it. */
bool seep_proc_descends(uint32_t pid, uint32_t ancestor);

int seep_proc_pidfd(uint32_t pid);
/* True once all threads of the process have ended. */
bool seep_proc_has_ended(int pidfd);

/* A number that no other process ever has; 0 where the kernel has none. */
uint64_t seep_proc_identity(int pidfd);

/* The wait status of an ended process that need not be our child. */
bool seep_proc_exit_status(int pidfd, uint32_t pid, int *status);

#endif
