/* SPDX-License-Identifier: MIT */
/* cmd.c - what all commands share: errors, warnings, option tables */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/cmd/cmd.h"

int seep_cmd_fail(struct seep_error *err)
{
	int status = seep_error_status(err);

	fprintf(stderr, "seep: %s\n", seep_error_text(err));
	seep_error_destroy(err);
	return status;
}

void seep_cmd_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("seep: warning: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int seep_cmd_close_stdout(int status)
{
	if (!ferror(stdout) && !fflush(stdout))
		return status;
	/* A reader that had enough (head, less) is no failure of ours. */
	if (errno == EPIPE)
		return status;
	fprintf(stderr, "seep: writing the output: %s\n", strerror(errno));
	return status ? status : 3;
}

int seep_cmd_options(
    const struct seep_usage *u, void *values, int argc, char **argv, int *first)
{
	struct seep_error *err;
	bool help;

	err = seep_options_parse(u, values, argc, argv, first, &help);
	if (err)
		return seep_cmd_fail(err);
	if (!help)
		return -1;
	seep_options_print(u, stdout);
	return seep_cmd_close_stdout(0);
}
