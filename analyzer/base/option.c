/* SPDX-License-Identifier: MIT */
/* option.c - a command's option table: parsed, and printed by -h */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <string.h>

#include "analyzer/base/option.h"

#define MAX_OPTIONS 48

struct unit {
	const char *name;
	double factor;
};

/* Number with an optional fraction and unit; `units` ends with a NULL name. */
static struct seep_error *parse_scaled(const char *text, const char *what,
    const struct unit *units, const char *example, uint64_t *ret)
{
	double value, factor = -1;
	char *end;

	/* strtod() would also take signs, hex, "inf" and white space. */
	if (!isdigit((unsigned char)text[0]))
		goto bad;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		goto bad;
	errno = 0;
	value = strtod(text, &end);
	if (errno || !isfinite(value))
		goto bad;
	for (; units->name; units++) {
		if (!strcasecmp(end, units->name)) {
			factor = units->factor;
			break;
		}
	}
	if (factor < 0 || value * factor >= 9e18)
		goto bad;
	/* Exact for whole numbers, which a double is not above 2^53. */
	if (!strpbrk(text, ".eE"))
		*ret = strtoull(text, NULL, 10) * (uint64_t)factor;
	else
		*ret = (uint64_t)(value * factor + 0.5);
	return NULL;
bad:
	return seep_error_new(SEEP_ERROR_USAGE,
	    "%s: '%s' is not understood, it takes %s", what, text, example);
}

struct seep_error *seep_parse_size(
    const char *text, const char *what, uint64_t *ret)
{
	static const struct unit units[] = {
	    {"", 1},
	    {"b", 1},
	    {"k", 1024},
	    {"kb", 1024},
	    {"kib", 1024},
	    {"m", 1048576},
	    {"mb", 1048576},
	    {"mib", 1048576},
	    {"g", 1073741824},
	    {"gb", 1073741824},
	    {"gib", 1073741824},
	    {"t", 1099511627776.},
	    {"tb", 1099511627776.},
	    {"tib", 1099511627776.},
	    {NULL, 0},
	};

	return parse_scaled(
	    text, what, units, "bytes, as in 4096, 64k, 1.5M or 2G", ret);
}

struct seep_error *seep_parse_time(
    const char *text, const char *what, uint64_t *ret_ms)
{
	static const struct unit units[] = {
	    {"", 1000},
	    {"ms", 1},
	    {"s", 1000},
	    {"sec", 1000},
	    {"m", 60000},
	    {"min", 60000},
	    {"h", 3600000},
	    {"d", 86400000},
	    {NULL, 0},
	};

	return parse_scaled(text, what, units,
	    "a time, as in 10, 0.5s, 200ms, 5min or 1h", ret_ms);
}

struct seep_error *seep_parse_uint(
    const char *text, const char *what, uint64_t max, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || value > max)
		return seep_error_new(SEEP_ERROR_USAGE,
		    "%s: '%s' is not a number from 0 to %llu", what, text,
		    (unsigned long long)max);
	*ret = value;
	return NULL;
}

static struct seep_error *parse_choice(
    const struct seep_option *o, const char *text, const char *what, int *ret)
{
	for (int i = 0; o->choices[i]; i++) {
		if (!strcmp(o->choices[i], text)) {
			*ret = i;
			return NULL;
		}
	}
	return seep_error_new(
	    SEEP_ERROR_USAGE, "%s: '%s' is not one of %s", what, text, o->arg);
}

static struct seep_error *store(
    const struct seep_option *o, const char *text, void *values)
{
	char what[64];
	void *at = (char *)values + o->at;

	snprintf(what, sizeof(what), "option --%s", o->name);
	switch (o->kind) {
	case SEEP_OPTION_FLAG:
		*(bool *)at = true;
		return NULL;
	case SEEP_OPTION_STRING:
		*(const char **)at = text;
		return NULL;
	case SEEP_OPTION_UINT:
		return seep_parse_uint(text, what, UINT32_MAX, at);
	case SEEP_OPTION_SIZE:
		return seep_parse_size(text, what, at);
	case SEEP_OPTION_TIME:
		return seep_parse_time(text, what, at);
	case SEEP_OPTION_CHOICE:
		return parse_choice(o, text, what, at);
	}
	return NULL;
}

/* The word of an option that getopt refused, as the person typed it. */
static const char *refused(char **argv, char *buf)
{
	if (optopt && optopt < 256 && isprint(optopt)) {
		buf[0] = '-';
		buf[1] = (char)optopt;
		buf[2] = '\0';
		return buf;
	}
	return argv[optind - 1];
}

static struct seep_error *check_operands(
    const struct seep_usage *u, int argc, char **argv)
{
	int nr = argc - optind;

	if (nr < u->min_operands)
		return seep_error_new(SEEP_ERROR_USAGE,
		    "too few arguments, usage: seep %s", u->usage);
	if (u->max_operands >= 0 && nr > u->max_operands)
		return seep_error_new(SEEP_ERROR_USAGE,
		    "unexpected argument '%s', usage: seep %s",
		    argv[optind + u->max_operands], u->usage);
	return NULL;
}

struct seep_error *seep_options_parse(const struct seep_usage *u, void *values,
    int argc, char **argv, int *first, bool *help)
{
	struct option longs[MAX_OPTIONS + 2] = {{0}};
	char shorts[2 * MAX_OPTIONS + 4], *s = shorts, buf[4];
	int nr = 0, c;

	*help = false;
	*s++ = u->stop_at_operand ? '+' : ':';
	if (u->stop_at_operand)
		*s++ = ':';
	for (const struct seep_option *o = u->options; o && o->name; o++) {
		if (nr == MAX_OPTIONS)
			break;
		longs[nr].name = o->name;
		longs[nr].has_arg = o->kind == SEEP_OPTION_FLAG
					? no_argument
					: required_argument;
		longs[nr].val = 256 + nr;
		nr++;
		if (o->letter) {
			*s++ = o->letter;
			if (o->kind != SEEP_OPTION_FLAG)
				*s++ = ':';
		}
	}
	longs[nr].name = "help";
	longs[nr].val = 'h';
	*s++ = 'h';
	*s = '\0';

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct seep_option *o = u->options;
		struct seep_error *err;

		if (c == 'h') {
			*help = true;
			return NULL;
		}
		if (c == ':')
			return seep_error_new(SEEP_ERROR_USAGE,
			    "option '%s' needs an argument", argv[optind - 1]);
		if (c == '?')
			return seep_error_new(SEEP_ERROR_USAGE,
			    "option '%s' is not known, 'seep %.*s -h' lists "
			    "them",
			    refused(argv, buf), (int)strcspn(u->usage, " "),
			    u->usage);
		if (c >= 256)
			o += c - 256;
		else
			while (o->letter != c)
				o++;
		err = store(o, optarg, values);
		if (err)
			return err;
	}
	*first = optind;
	return check_operands(u, argc, argv);
}

static void print_option(
    const char *name, char letter, const char *arg, const char *help, FILE *f)
{
	int width;

	width = letter ? fprintf(f, "  -%c, --%s", letter, name)
		       : fprintf(f, "      --%s", name);
	if (arg)
		width += fprintf(f, " %s", arg);
	if (width > 29)
		fprintf(f, "\n%30s%s\n", "", help);
	else
		fprintf(f, "%*s%s\n", 30 - width, "", help);
}

void seep_options_print(const struct seep_usage *u, FILE *f)
{
	fprintf(f, "usage: seep %s\n\n%s\n\noptions:\n", u->usage, u->summary);
	for (const struct seep_option *o = u->options; o && o->name; o++)
		print_option(o->name, o->letter, o->arg, o->help, f);
	print_option("help", 'h', NULL, "print this text and exit", f);
	if (u->details)
		fprintf(f, "\n%s\n", u->details);
}
