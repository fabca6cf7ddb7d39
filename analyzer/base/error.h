/* SPDX-License-Identifier: MIT */
/*
 * error.h - errors as values: a message that grows on its way up
 *
 * Threads:  an error belongs to one thread at a time.
 * Signals:  not for signal handlers.
 * Memory:   the receiver owns the error and calls seep_error_destroy(). When
 *           memory runs out a static "out of memory" error is returned, which
 *           may be wrapped and destroyed like any other.
 * Trust:    texts are the caller's; they are printed as they are.
 * Units:    none.
 * Errors:   NULL is success. A function that fails leaves its results alone.
 */
#ifndef SEEP_BASE_ERROR_H
#define SEEP_BASE_ERROR_H

#include <stdarg.h>
#include <stdlib.h>

#include "analyzer/base/cleanup.h"

/* What kind of failure it is: a command derives its exit status from it. */
enum seep_error_code {
	SEEP_ERROR_OTHER,	 /* seep failed: status 3 */
	SEEP_ERROR_USAGE,	 /* the command line is wrong: status 2 */
	SEEP_ERROR_NOT_FOUND,	 /* run: no such program: status 127 */
	SEEP_ERROR_NOT_EXEC,	 /* run: not executable: status 126 */
	SEEP_ERROR_NOT_MEASURED, /* the program cannot be traced: status 125 */
	SEEP_ERROR_CORRUPT,	 /* input is damaged or hostile: status 3 */
};

struct seep_error;

#define SEEP_MUST_CHECK	  __attribute__((warn_unused_result))
#define SEEP_PRINTF(f, a) __attribute__((format(printf, f, a)))

struct seep_error *seep_error_new(enum seep_error_code code, const char *fmt,
    ...) SEEP_PRINTF(2, 3) SEEP_MUST_CHECK;

/* As seep_error_new() with ": strerror(err)" behind it. */
struct seep_error *seep_error_errno(int err, const char *fmt, ...)
    SEEP_PRINTF(2, 3) SEEP_MUST_CHECK;

/* "what we were doing: what went wrong below"; takes and returns ownership. */
struct seep_error *seep_error_wrap(struct seep_error *err, const char *fmt, ...)
    SEEP_PRINTF(2, 3) SEEP_MUST_CHECK;

const char *seep_error_text(const struct seep_error *err);
enum seep_error_code seep_error_code(const struct seep_error *err);

/* The exit status that DESIGN 7 gives this kind of failure. */
int seep_error_status(const struct seep_error *err);

void seep_error_destroy(struct seep_error *err);
SEEP_DEFINE_CLEANUP(struct seep_error *, seep_error_destroy)

#endif
