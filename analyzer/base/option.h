/* SPDX-License-Identifier: MIT */
/*
 * option.h - a command's option table: parsed, and printed by -h
 *
 * Threads:  parsing uses getopt_long and is for one thread at a time.
 * Signals:  not for signal handlers.
 * Memory:   string values point into argv.
 * Trust:    arguments are a person's: every number is checked for its range.
 * Units:    SIZE values are bytes, TIME values milliseconds.
 * Errors:   struct seep_error with SEEP_ERROR_USAGE.
 */
#ifndef SEEP_BASE_OPTION_H
#define SEEP_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "analyzer/base/error.h"

enum seep_option_kind {
	SEEP_OPTION_FLAG,   /* bool, set to true */
	SEEP_OPTION_STRING, /* const char * */
	SEEP_OPTION_UINT,   /* uint64_t, a plain number */
	SEEP_OPTION_SIZE,   /* uint64_t, bytes: 4096, 4k, 1.5M, 2GiB */
	SEEP_OPTION_TIME,   /* uint64_t, milliseconds: 10, 1.5s, 200ms, 5min, 1h
			     */
	SEEP_OPTION_CHOICE, /* int, the position of the word in `choices` */
};

/*
 * One option. The value is stored at `at` bytes into the struct that the
 * command hands to seep_options_parse(); what is not given stays as it was.
 * A table ends with an entry whose name is NULL. -h, --help is added to each.
 */
struct seep_option {
	const char *name; /* without dashes */
	char letter;	  /* 0: none */
	enum seep_option_kind kind;
	size_t at;		    /* offsetof() the value */
	const char *arg;	    /* what -h calls the argument: "FILE" */
	const char *help;	    /* one line */
	const char *const *choices; /* CHOICE: words, NULL-terminated */
};

/* A command line as a whole; `usage` is what follows "usage: seep ". */
struct seep_usage {
	const char *usage;   /* "report [OPTION]... FILE|PID" */
	const char *summary; /* one line: what the command does */
	const char *details; /* more lines for -h, or NULL */
	const struct seep_option *options;
	bool stop_at_operand; /* what follows the first operand is not ours */
	int min_operands, max_operands; /* max -1: any number */
};

/*
 * Parses argv[1..]. *first gets the index of the first operand; operands are
 * moved behind the options unless stop_at_operand. *help is set when -h was
 * given: then nothing else was checked.
 */
struct seep_error *seep_options_parse(const struct seep_usage *u, void *values,
    int argc, char **argv, int *first, bool *help) SEEP_MUST_CHECK;

/* The text of -h. */
void seep_options_print(const struct seep_usage *u, FILE *f);

/* What SIZE, TIME and UINT accept; `what` names the value in errors. */
struct seep_error *seep_parse_size(
    const char *text, const char *what, uint64_t *ret) SEEP_MUST_CHECK;
struct seep_error *seep_parse_time(
    const char *text, const char *what, uint64_t *ret_ms) SEEP_MUST_CHECK;
struct seep_error *seep_parse_uint(const char *text, const char *what,
    uint64_t max, uint64_t *ret) SEEP_MUST_CHECK;

#endif
