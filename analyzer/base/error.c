/* SPDX-License-Identifier: MIT */
/* error.c - errors as values: a message that grows on its way up */
#include <stdio.h>
#include <string.h>

#include "analyzer/base/error.h"

struct seep_error {
	enum seep_error_code code;
	char *text;
};

/* Returned when there is no memory to describe anything better. */
static struct seep_error out_of_memory = {
    .code = SEEP_ERROR_OTHER,
    .text = (char *)"out of memory",
};

static struct seep_error *make(enum seep_error_code code, char *text)
{
	struct seep_error *err = text ? malloc(sizeof(*err)) : NULL;

	if (!err) {
		free(text);
		return &out_of_memory;
	}
	err->code = code;
	err->text = text;
	return err;
}

static char *format(const char *fmt, va_list ap)
{
	char *text = NULL;

	return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

struct seep_error *seep_error_new(
    enum seep_error_code code, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	return make(code, text);
}

static struct seep_error *join(
    enum seep_error_code code, char *head, const char *tail)
{
	char *text = NULL;

	if (head && asprintf(&text, "%s: %s", head, tail) < 0)
		text = NULL;
	free(head);
	return make(code, text);
}

struct seep_error *seep_error_errno(int err, const char *fmt, ...)
{
	va_list ap;
	char *head;

	va_start(ap, fmt);
	head = format(fmt, ap);
	va_end(ap);
	return join(SEEP_ERROR_OTHER, head, strerror(err));
}

struct seep_error *seep_error_wrap(struct seep_error *err, const char *fmt, ...)
{
	struct seep_error *ret;
	va_list ap;
	char *head;

	va_start(ap, fmt);
	head = format(fmt, ap);
	va_end(ap);
	ret = join(err->code, head, err->text);
	seep_error_destroy(err);
	return ret;
}

const char *seep_error_text(const struct seep_error *err)
{
	return err->text;
}

enum seep_error_code seep_error_code(const struct seep_error *err)
{
	return err->code;
}

int seep_error_status(const struct seep_error *err)
{
	switch (err->code) {
	case SEEP_ERROR_USAGE:
		return 2;
	case SEEP_ERROR_NOT_FOUND:
		return 127;
	case SEEP_ERROR_NOT_EXEC:
		return 126;
	case SEEP_ERROR_NOT_MEASURED:
		return 125;
	case SEEP_ERROR_CORRUPT:
	case SEEP_ERROR_OTHER:
		break;
	}
	return 3;
}

void seep_error_destroy(struct seep_error *err)
{
	if (!err || err == &out_of_memory)
		return;
	free(err->text);
	free(err);
}
