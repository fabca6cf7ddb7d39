/* SPDX-License-Identifier: MIT */
/* format.c - sizes, times, names and foreign texts for people */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/model/sample.h"
#include "analyzer/out/format.h"

#define MAX_PATH_SHOWN 48

static void human(uint64_t bytes, const char *sign, char *buf, size_t size)
{
	static const char *const units[] = {
	    "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t i = 0;

	while (value >= 1023.95 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		i++;
	}
	snprintf(buf, size, " (%s%.1f %s)", sign, value, units[i]);
}

const char *seep_format_bytes(uint64_t bytes, char buf[SEEP_FORMAT_MAX])
{
	char more[24] = "";

	if (bytes >= 1024)
		human(bytes, "", more, sizeof(more));
	snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 " byte%s%s", bytes,
	    bytes == 1 ? "" : "s", more);
	return buf;
}

const char *seep_format_delta(int64_t bytes, char buf[SEEP_FORMAT_MAX])
{
	uint64_t size = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
	char more[24] = "";

	if (size >= 1024)
		human(size, bytes < 0 ? "-" : "+", more, sizeof(more));
	snprintf(buf, SEEP_FORMAT_MAX, "%+" PRId64 " byte%s%s", bytes,
	    size == 1 ? "" : "s", more);
	return buf;
}

const char *seep_format_blocks(uint64_t blocks, char buf[SEEP_FORMAT_MAX])
{
	snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 " block%s", blocks,
	    blocks == 1 ? "" : "s");
	return buf;
}

const char *seep_format_delta_blocks(int64_t blocks, char buf[SEEP_FORMAT_MAX])
{
	snprintf(buf, SEEP_FORMAT_MAX, "%+" PRId64 " blocks", blocks);
	return buf;
}

/* Puts the error behind the number that the text begins with. */
static const char *about(double variance, char buf[SEEP_FORMAT_MAX])
{
	char rest[SEEP_FORMAT_MAX];
	char *at = strchr(buf, ' ');
	uint64_t error = seep_standard_error(variance);

	if (!at || !error)
		return buf;
	strcpy(rest, at);
	snprintf(at, SEEP_FORMAT_MAX - (size_t)(at - buf), " +/- %" PRIu64 "%s",
	    error, rest);
	return buf;
}

const char *seep_format_about_bytes(
    uint64_t bytes, double variance, char buf[SEEP_FORMAT_MAX])
{
	seep_format_bytes(bytes, buf);
	return about(variance, buf);
}

const char *seep_format_about_blocks(
    uint64_t blocks, double variance, char buf[SEEP_FORMAT_MAX])
{
	seep_format_blocks(blocks, buf);
	return about(variance, buf);
}

const char *seep_format_about_delta(
    int64_t bytes, double variance, char buf[SEEP_FORMAT_MAX])
{
	seep_format_delta(bytes, buf);
	return about(variance, buf);
}

const char *seep_format_about_delta_blocks(
    int64_t blocks, double variance, char buf[SEEP_FORMAT_MAX])
{
	seep_format_delta_blocks(blocks, buf);
	return about(variance, buf);
}

const char *seep_format_ms(uint64_t ms, char buf[SEEP_FORMAT_MAX])
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 " ms", ms);
	else if (s < 120)
		snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 ".%" PRIu64 " s", s,
		    ms % 1000 / 100);
	else if (s < 7200)
		snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 " min %" PRIu64 " s",
		    s / 60, s % 60);
	else if (s < 172800)
		snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 " h %" PRIu64 " min",
		    s / 3600, s / 60 % 60);
	else
		snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 " d %" PRIu64 " h",
		    s / 86400, s / 3600 % 24);
	return buf;
}

const char *seep_format_ns(uint64_t ns, char buf[SEEP_FORMAT_MAX])
{
	if (ns >= 1000000000)
		return seep_format_ms(ns / 1000000, buf);
	if (ns >= 1000000)
		snprintf(buf, SEEP_FORMAT_MAX, "%.1f ms", (double)ns / 1e6);
	else if (ns >= 1000)
		snprintf(buf, SEEP_FORMAT_MAX, "%.1f us", (double)ns / 1e3);
	else
		snprintf(buf, SEEP_FORMAT_MAX, "%" PRIu64 " ns", ns);
	return buf;
}

/* Length of the UTF-8 character at s, 0 when it is none. */
static int utf8_length(const unsigned char *s)
{
	int len;
	uint32_t c;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	c = s[0] & (0xff >> (len + 1));
	for (int i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) ||
	    c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return len;
}

/* C0, DEL, C1, and the marks that turn the direction of writing around. */
static bool is_obeyed(const unsigned char *s, int len)
{
	if (len == 1)
		return s[0] < 0x20 || s[0] == 0x7f;
	if (len == 2)
		return s[0] == 0xc2 && s[1] < 0xa0;
	if (len == 3 && s[0] == 0xe2 && s[1] == 0x80)
		return (s[2] >= 0x8e && s[2] <= 0x8f) ||
		       (s[2] >= 0xa8 && s[2] <= 0xae);
	return len == 3 && s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 &&
	       s[2] <= 0xa9;
}

void seep_print_safe(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		int len = utf8_length(s);

		if (len && !is_obeyed(s, len)) {
			fwrite(s, 1, (size_t)len, f);
		} else {
			if (!len)
				len = 1;
			for (int i = 0; i < len; i++)
				fprintf(f, "\\x%02x", s[i]);
		}
		s += len;
	}
}

char *seep_valid_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	char *copy = malloc(3 * strlen(text) + 1), *out = copy;

	if (!copy)
		return NULL;
	while (*s) {
		int len = utf8_length(s);

		if (len) {
			memcpy(out, s, (size_t)len);
			out += len;
			s += len;
		} else {
			memcpy(out, "\xef\xbf\xbd", 3);
			out += 3;
			s++;
		}
	}
	*out = '\0';
	return copy;
}

const char *seep_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The path of a build machine says nothing and fills the line: of a long one
 * the last folder and the file are left. */
static void print_path(FILE *f, const char *path)
{
	const char *s = path + strlen(path);
	int slashes = 0;

	if (s - path > MAX_PATH_SHOWN) {
		while (s > path && slashes < 2)
			slashes += *--s == '/';
		if (s > path) {
			fputs("...", f);
			path = s;
		}
	}
	seep_print_safe(f, path);
}

void seep_print_frame(FILE *f, const struct seep_frame *frame)
{
	if (frame->truncated) {
		fputs("(the stack was cut here)", f);
		return;
	}
	if (!frame->function) {
		if (frame->module)
			seep_print_safe(f, seep_base_name(frame->module));
		fprintf(
		    f, "%s0x%" PRIx64, frame->module ? "+" : "", frame->offset);
		return;
	}
	seep_print_safe(f, frame->function);
	if (frame->file) {
		fputc(' ', f);
		print_path(f, frame->file);
		if (frame->line)
			fprintf(f, ":%" PRIu32, frame->line);
	} else if (frame->module) {
		fputs(" (", f);
		seep_print_safe(f, seep_base_name(frame->module));
		fputc(')', f);
	}
	if (frame->inlined)
		fputs(" [inlined]", f);
}
