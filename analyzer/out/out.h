/* SPDX-License-Identifier: MIT */
/*
 * out.h - exporters: a report, growth or difference in, bytes out
 *
 * Threads:  a model is printed by one thread at a time.
 * Signals:  not for signal handlers.
 * Memory:   what an exporter allocates it frees.
 * Trust:    texts may hold anything: terminals get no control characters, JSON
 *           gets valid UTF-8.
 * Units:    bytes and blocks in full digits; people get a second, human figure.
 * Errors:   only a lack of memory; whether writing worked is for the owner of
 *           the stream to ask with ferror().
 */
#ifndef SEEP_OUT_OUT_H
#define SEEP_OUT_OUT_H

#include <stdio.h>

#include "analyzer/base/error.h"
#include "analyzer/model/report.h"

struct seep_text_options {
	size_t top;   /* sites of a process; 0: all */
	size_t depth; /* frames of a site from the blame frame on; 0: all */
	bool all_processes; /* each in full */
	bool idle_sites;    /* also sites with nothing alive */
};

#define SEEP_TEXT_TOP	10
#define SEEP_TEXT_DEPTH 6

struct seep_error *seep_text_report(const struct seep_report *r,
    const struct seep_text_options *opt, FILE *f) SEEP_MUST_CHECK;
struct seep_error *seep_text_growth(const struct seep_growth *g,
    const struct seep_text_options *opt, FILE *f) SEEP_MUST_CHECK;
struct seep_error *seep_text_diff(const struct seep_diff *d,
    const struct seep_text_options *opt, FILE *f) SEEP_MUST_CHECK;

/* The first call of `seep growth PID`: there is nothing to compare with. */
void seep_text_growth_begins(
    const struct seep_process *p, const struct seep_snapshot *to, FILE *f);

/* seep-report/1, seep-growth/1, seep-diff/1. top as above. */
struct seep_error *seep_json_report(
    const struct seep_report *r, size_t top, FILE *f) SEEP_MUST_CHECK;
struct seep_error *seep_json_growth(
    const struct seep_growth *g, size_t top, FILE *f) SEEP_MUST_CHECK;
struct seep_error *seep_json_diff(
    const struct seep_diff *d, size_t top, FILE *f) SEEP_MUST_CHECK;
struct seep_error *seep_json_growth_begins(const struct seep_process *p,
    const struct seep_snapshot *to, FILE *f) SEEP_MUST_CHECK;

/* "main;f;g BYTES" a line, outermost frame first: input of flame graphs. */
struct seep_error *seep_folded_report(
    const struct seep_report *r, FILE *f) SEEP_MUST_CHECK;

#endif
