/* SPDX-License-Identifier: MIT */
/*
 * view.h - the options that report, growth and diff share
 *
 * Threads:  the program has one.
 * Signals:  not for signal handlers.
 * Memory:   plain data; texts point into argv.
 * Trust:    numbers are checked by the option table.
 * Units:    bytes, milliseconds.
 * Errors:   none.
 */
#ifndef SEEP_CMD_VIEW_H
#define SEEP_CMD_VIEW_H

#include "analyzer/base/option.h"
#include "analyzer/cmd/query.h"
#include "analyzer/out/out.h"

enum seep_view_format {
	SEEP_VIEW_TEXT,
	SEEP_VIEW_JSON,
	SEEP_VIEW_FOLDED,
};

struct seep_view {
	int format;
	uint64_t process;
	const char *module;
	uint64_t min_bytes;
	int sort; /* enum seep_sort */
	uint64_t depth, top;
	bool all;
	bool debuginfod;
	uint64_t debuginfod_timeout_ms;
	const char *from, *to; /* growth */
};

#define SEEP_VIEW_INIT                                                         \
	{                                                                      \
		.depth = SEEP_TEXT_DEPTH, .top = UINT64_MAX,                   \
		.debuginfod_timeout_ms = 10000                                 \
	}

extern const char *const seep_view_formats[];	/* text, json */
extern const char *const seep_report_formats[]; /* and folded */
extern const char *const seep_view_sorts[];

#define SEEP_VIEW_AT(field) offsetof(struct seep_view, field)

/* Rows of an option table. */
#define SEEP_VIEW_OPTION_FORMAT                                                \
	{                                                                      \
		"format", 'f', SEEP_OPTION_CHOICE, SEEP_VIEW_AT(format),       \
		    "text|json", "for people or for programs",                 \
		    seep_view_formats                                          \
	}
#define SEEP_VIEW_OPTION_PROCESS                                               \
	{                                                                      \
		"process", 'p', SEEP_OPTION_UINT, SEEP_VIEW_AT(process),       \
		    "PID", "only this process of the recording", NULL          \
	}
#define SEEP_VIEW_OPTIONS_FILTER                                               \
	{"module", 'm', SEEP_OPTION_STRING, SEEP_VIEW_AT(module), "GLOB",      \
	    "only sites whose blame frame is in such a module", NULL},         \
	    {"min-size", 's', SEEP_OPTION_SIZE, SEEP_VIEW_AT(min_bytes),       \
		"SIZE", "only sites with at least so many bytes", NULL},       \
	    {"depth", 'd', SEEP_OPTION_UINT, SEEP_VIEW_AT(depth), "N",         \
		"frames of each site, 0 for all (default 6)", NULL},           \
	{                                                                      \
		"top", 'n', SEEP_OPTION_UINT, SEEP_VIEW_AT(top), "N",          \
		    "at most so many sites, 0 for all (default 10; json: "     \
		    "all)",                                                    \
		    NULL                                                       \
	}
#define SEEP_VIEW_OPTIONS_NAMES                                                \
	{"debuginfod", 0, SEEP_OPTION_FLAG, SEEP_VIEW_AT(debuginfod), NULL,    \
	    "ask the servers of $DEBUGINFOD_URLS for missing names", NULL},    \
	{                                                                      \
		"debuginfod-timeout", 0, SEEP_OPTION_TIME,                     \
		    SEEP_VIEW_AT(debuginfod_timeout_ms), "TIME",               \
		    "for at most so long in all (default 10s)", NULL           \
	}
#define SEEP_VIEW_OPTION_SORT                                                  \
	{                                                                      \
		"sort", 0, SEEP_OPTION_CHOICE, SEEP_VIEW_AT(sort),             \
		    "bytes|blocks|age|allocs|temporary",                       \
		    "what comes first (default bytes)", seep_view_sorts        \
	}

void seep_view_query(const struct seep_view *v, struct seep_query_options *ret);
void seep_view_text(const struct seep_view *v, struct seep_text_options *ret);
/* How many sites a program gets: all, unless told. */
size_t seep_view_json_top(const struct seep_view *v);

#endif
