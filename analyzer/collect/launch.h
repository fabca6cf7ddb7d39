/* SPDX-License-Identifier: MIT */
/*
 * launch.h - finds a program, tells whether it can be traced, and starts it
 *
 * The program runs exactly as without us but for LD_PRELOAD and SEEP_SOCKET in
 * its environment: same descriptors, folder, group, terminal, limits, signals.
 *
 * Threads:  one; the caller has no other (it forks).
 * Signals:  the caller blocks them; the program gets the mask and dispositions
 *           that were found at seep_launch_prepare().
 * Memory:   see each call.
 * Trust:    the program's file is only read, with every offset checked.
 * Units:    none.
 * Errors:   SEEP_ERROR_NOT_FOUND, _NOT_EXEC and _NOT_MEASURED, whose texts say
 *           what to do.
 */
#ifndef SEEP_COLLECT_LAUNCH_H
#define SEEP_COLLECT_LAUNCH_H

#include <sys/types.h>

#include "analyzer/base/error.h"

struct seep_launch;

/*
 * Resolves argv[0] by PATH and checks what it leads to, through scripts. shim:
 * the library's path, as seep_launch_find_shim() has it. argv stays the
 * caller's and lives longer.
 */
struct seep_error *seep_launch_prepare(
    char **argv, const char *shim, struct seep_launch **ret) SEEP_MUST_CHECK;
void seep_launch_destroy(struct seep_launch *l);
SEEP_DEFINE_CLEANUP(struct seep_launch *, seep_launch_destroy)

/* The name of the program as in a recording's name. */
const char *seep_launch_name(const struct seep_launch *l);

/* SEEP_SHIM, else beside the build, else installed. */
struct seep_error *seep_launch_find_shim(
    char *path, size_t path_size) SEEP_MUST_CHECK;

/* Forks. The child waits until seep_launch_release(), so that its pid is known
 * and the collector is ready; it ends when the handle is destroyed before. */
struct seep_error *seep_launch_fork(
    struct seep_launch *l, const char *socket, pid_t *ret_pid) SEEP_MUST_CHECK;

/* Lets it run. An error: it could not, the child has ended. */
struct seep_error *seep_launch_release(struct seep_launch *l) SEEP_MUST_CHECK;

/* Only the checks, for one file. depth: 0. */
struct seep_error *seep_launch_check(
    const char *path, int depth) SEEP_MUST_CHECK;

#endif
