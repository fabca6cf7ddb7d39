/* SPDX-License-Identifier: MIT */
/*
 * sites.h - counters and blocks of one segment, turned into rows of sites
 *
 * A segment may describe one stack by several node ids (tree.h). Here they
 * become one: the id of the sink's node, which is the site. Only nodes on the
 * paths of sites that have data ever reach the sink.
 *
 * Threads:  one.
 * Signals:  not for signal handlers.
 * Memory:   grows with the number of sites (and of site x size while blocks are
 *           read); freed by _destroy. The reader and the sink outlive it.
 * Trust:    everything read is checked: ids out of range, cycles and paths that
 *           lead nowhere end in a visible truncated frame.
 * Units:    bytes; ms since the start of the recording.
 * Errors:   struct seep_error; SEEP_ERROR_CORRUPT from the segment, anything
 *           else from the sink.
 */
#ifndef SEEP_COLLECT_SITES_H
#define SEEP_COLLECT_SITES_H

#include "analyzer/base/error.h"
#include "analyzer/collect/epochs.h"
#include "analyzer/collect/sink.h"
#include "analyzer/model/model.h"
#include "wire/read.h"

struct seep_sites;

/* Opens the file of a module as it is now, or returns -1. A relative path (of a
 * dlopen) is made absolute where that is possible. */
typedef int seep_sites_open_fn(
    void *ctx, const struct seep_module_rec *rec, char *path, size_t path_size);

/* exe: path of the executable, for seep_sites_has_exe(). */
struct seep_error *seep_sites_create(struct seep_reader *r,
    const struct seep_sink *sink, const char *exe, seep_sites_open_fn *open,
    void *open_ctx, struct seep_sites **ret) SEEP_MUST_CHECK;
void seep_sites_destroy(struct seep_sites *s);

/* Opens the files of modules that are new, before they can be deleted. */
struct seep_error *seep_sites_look_at_modules(
    struct seep_sites *s) SEEP_MUST_CHECK;

/* Forgets all ids of the sink: a transaction was rolled back, or the sink is
 * another collector's. The next rows are those of all sites. */
void seep_sites_forget(struct seep_sites *s);

/*
 * The counts from the counters, ordered by site, of each site that the sink has
 * heard of or that has live blocks; valid until the next call. Needs an open
 * transaction of the sink.
 */
struct seep_error *seep_sites_count(struct seep_sites *s,
    const struct seep_site_row **rows, size_t *nr) SEEP_MUST_CHECK;

/* Scans the live map. *survivors: by site and size, valid until the next scan
 * or trim; `live` (may be NULL) gets the sums. */
struct seep_error *seep_sites_scan(struct seep_sites *s,
    const struct seep_epochs *epochs, uint64_t first_ms,
    const struct seep_survivor_row **survivors, size_t *nr,
    struct seep_counts *live) SEEP_MUST_CHECK;

/*
 * As seep_sites_count(), with the live blocks and bytes of the last scan: at
 * the end it is the map, and not the counters, that says what lives. Sites that
 * allocated and freed, and were never seen alive, are there too, in the order
 * of their bytes up to a bound.
 */
struct seep_error *seep_sites_count_by_scan(struct seep_sites *s,
    const struct seep_site_row **rows, size_t *nr) SEEP_MUST_CHECK;

/* The sink's id of the stack that `node` stands for; needs an open transaction.
 * Nodes that were made since the last read of the segment are there after
 * seep_sites_catch_up(). */
struct seep_error *seep_sites_map(
    struct seep_sites *s, uint32_t node, int64_t *ret) SEEP_MUST_CHECK;
struct seep_error *seep_sites_catch_up(struct seep_sites *s) SEEP_MUST_CHECK;

/* Gives back what the last scan and count took. */
void seep_sites_trim(struct seep_sites *s);

/* True once a site with data had a frame of the executable itself. */
bool seep_sites_has_exe(const struct seep_sites *s);

/* True once an error came from the segment and not from the sink. */
bool seep_sites_is_damaged(const struct seep_sites *s);

#endif
