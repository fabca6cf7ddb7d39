/* SPDX-License-Identifier: MIT */
/*
 * format.h - sizes, times, names and foreign texts for people
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   callers bring the buffers.
 * Trust:    seep_print_safe() is how a foreign text reaches a terminal.
 * Units:    bytes, milliseconds.
 * Errors:   none; output is cut to the buffer.
 */
#ifndef SEEP_OUT_FORMAT_H
#define SEEP_OUT_FORMAT_H

#include <stdio.h>

#include "analyzer/model/model.h"

#define SEEP_FORMAT_MAX 80

/* "512 bytes", "4096 bytes (4.0 KiB)"; `sign` puts a + in front. */
const char *seep_format_bytes(uint64_t bytes, char buf[SEEP_FORMAT_MAX]);
const char *seep_format_delta(int64_t bytes, char buf[SEEP_FORMAT_MAX]);
/* "1 block", "7 blocks" */
const char *seep_format_blocks(uint64_t blocks, char buf[SEEP_FORMAT_MAX]);
const char *seep_format_delta_blocks(int64_t blocks, char buf[SEEP_FORMAT_MAX]);

/* The same of estimates: "4096 +/- 700 bytes (4.0 KiB)", with the standard
 * error. A variance of 0 makes them exact, as above. */
const char *seep_format_about_bytes(
    uint64_t bytes, double variance, char buf[SEEP_FORMAT_MAX]);
const char *seep_format_about_blocks(
    uint64_t blocks, double variance, char buf[SEEP_FORMAT_MAX]);
const char *seep_format_about_delta(
    int64_t bytes, double variance, char buf[SEEP_FORMAT_MAX]);
const char *seep_format_about_delta_blocks(
    int64_t blocks, double variance, char buf[SEEP_FORMAT_MAX]);
/* "12 ms", "3.4 s", "5 min 10 s", "2 h 3 min", "4 d 5 h" */
const char *seep_format_ms(uint64_t ms, char buf[SEEP_FORMAT_MAX]);

/* "850 ns", "12.3 us", "4.5 ms"; from a second on as seep_format_ms(). */
const char *seep_format_ns(uint64_t ns, char buf[SEEP_FORMAT_MAX]);

/* Without anything that a terminal obeys: control characters as \xNN, also in
 * their UTF-8 forms. */
void seep_print_safe(FILE *f, const char *text);

const char *seep_base_name(const char *path);

/* "function file:line", "function (module)", "module+0x12". */
void seep_print_frame(FILE *f, const struct seep_frame *frame);

/* A copy that is valid UTF-8: what is not becomes U+FFFD. NULL: no memory. */
char *seep_valid_utf8(const char *text);

#endif
