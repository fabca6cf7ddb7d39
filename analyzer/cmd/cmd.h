/* SPDX-License-Identifier: MIT */
/*
 * cmd.h - the commands of the program, and what they share
 *
 * Threads:  the program has one.
 * Signals:  a command may install its own handlers.
 * Memory:   a command frees what it takes.
 * Trust:    arguments are checked by the option tables.
 * Units:    none.
 * Errors:   a command prints its error and returns the exit status of DESIGN 7.
 */
#ifndef SEEP_CMD_CMD_H
#define SEEP_CMD_CMD_H

#include "analyzer/base/error.h"
#include "analyzer/base/option.h"

/* argv[0] is the command's own name. */
int seep_cmd_run(int argc, char **argv);
int seep_cmd_collect(int argc, char **argv);
int seep_cmd_ps(int argc, char **argv);
int seep_cmd_snapshot(int argc, char **argv);
int seep_cmd_report(int argc, char **argv);
int seep_cmd_growth(int argc, char **argv);
int seep_cmd_diff(int argc, char **argv);

/* Prints "seep: TEXT" on stderr, destroys it, returns its exit status. */
int seep_cmd_fail(struct seep_error *err);

/* Prints "seep: warning: TEXT" on stderr. */
void seep_cmd_warn(const char *fmt, ...) SEEP_PRINTF(1, 2);

/* Flushes stdout; a full disk or closed pipe behind it turns 0 into 3. */
int seep_cmd_close_stdout(int status);

/*
 * Parses the command line. Returns -1 to go on with operands from *first on,
 * else the exit status: -h was answered, or the error printed.
 */
int seep_cmd_options(const struct seep_usage *u, void *values, int argc,
    char **argv, int *first);

/*
 * Prints the text report of a finished recording, as `seep report PATH` does
 * without options: for the end of `seep run`. Names that the recording lacks
 * are resolved on the fly.
 */
struct seep_error *seep_cmd_print_report(
    const char *path, FILE *f) SEEP_MUST_CHECK;

#endif
