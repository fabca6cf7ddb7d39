/* SPDX-License-Identifier: MIT */
/* tracked.c - one traced process of a recording, from its hello to its end */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/collect/estimate.h"
#include "analyzer/collect/proc.h"
#include "analyzer/collect/tracked.h"

/* Of a small process the first looks may be all; later ones tell less. */
#define RSS_OF_AGE	8 /* part of its age between two looks */
#define RSS_EVERY_MS	100
#define ROLLUP_EVERY_MS 10000

_Static_assert(SEEP_NR_DROPS <= SEEP_NR_DROP_CAUSES, "drops of the model");

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t seep_trace_at_ms(const struct seep_trace *tr, uint64_t ns)
{
	return ns > tr->start_ns ? (ns - tr->start_ns) / 1000000 : 0;
}

/* Regular files only: anything else could block, or do things when opened. */
static int open_file(const char *path, const struct seep_module_rec *rec)
{
	struct stat st;
	int fd;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -1;
	/* Another file by now: only good if nothing is known of it. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (!rec->ino || rec->ino == st.st_ino))
		return fd;
	close(fd);
	return -1;
}

/* The folder that the relative paths of a process start from: where it is, or,
 * once it is gone, where it was when it began. */
static bool make_absolute(
    const struct seep_tracked *t, char *path, size_t size, int step)
{
	char full[PATH_MAX], link[64];
	const char *name;
	ssize_t n;

	if (step == 0) {
		snprintf(link, sizeof(link), "/proc/%u/cwd", t->seg->pid);
		n = readlink(link, full, sizeof(full) - 1);
	} else {
		n = t->cwd ? snprintf(full, sizeof(full), "%s", t->cwd) : -1;
	}
	if (n <= 0 || n >= (ssize_t)sizeof(full) - 1 || full[0] != '/')
		return false;
	name = path;
	while (!strncmp(name, "./", 2))
		name += 2;
	n += snprintf(
	    full + n, sizeof(full) - (size_t)n, "%s%s", n > 1 ? "/" : "", name);
	if (n >= (ssize_t)sizeof(full) || (size_t)n >= size)
		return false;
	strcpy(path, full);
	return true;
}

/* A process may live in another root (chroot, container): its files are there.
 */
static int open_module(
    void *ctx, const struct seep_module_rec *rec, char *path, size_t size)
{
	const struct seep_tracked *t = ctx;
	char full[PATH_MAX + 64];
	int fd = -1;

	if (path[0] != '/') {
		char was[PATH_MAX];

		snprintf(was, sizeof(was), "%s", path);
		for (int step = 0; step < 2; step++) {
			snprintf(path, size, "%s", was);
			if (!make_absolute(t, path, size, step))
				continue;
			fd = open_file(path, rec);
			if (fd >= 0)
				return fd;
		}
		return -1;
	}
	if (t->seg->pid) {
		snprintf(
		    full, sizeof(full), "/proc/%u/root%s", t->seg->pid, path);
		fd = open_file(full, rec);
	}
	return fd >= 0 ? fd : open_file(path, rec);
}

struct seep_error *seep_tracked_create(
    struct seep_trace *tr, struct seep_segment *seg, struct seep_tracked **ret)
{
	struct seep_tracked *t = calloc(1, sizeof(*t));
	struct seep_proc_stat st;
	struct seep_error *err;
	struct seep_process *p;

	if (!t) {
		seep_segment_close(seg);
		return seep_error_errno(ENOMEM, "process");
	}
	t->seg = seg;
	t->cwd = tr->cwd;
	t->start_ns = seg->hello.start_ns;
	t->identity = seep_proc_identity(seg->pidfd);
	err = seep_sites_create(
	    &seg->reader, tr->sink, seg->exe, open_module, t, &t->sites);
	if (err) {
		seep_tracked_destroy(t);
		return err;
	}
	p = &t->p;
	p->pid = seg->pid ? seg->pid : seg->hello.pid;
	p->ppid = seg->hello.ppid;
	/* In a pid namespace of its own it does not know our numbers. */
	if (seg->pid && seg->pid != seg->hello.pid &&
	    seep_proc_stat(seg->pid, &st))
		p->ppid = st.ppid;
	p->state = SEEP_PROCESS_RUNNING;
	p->sample_bytes = seg->reader.head.sample_bytes;
	p->forked = seg->hello.flags & SEEP_FLAG_FORKED;
	p->exe = seg->exe;
	p->command = seg->command;
	seg->exe = NULL;
	seg->command = NULL;
	p->start_ms = seep_trace_at_ms(tr, seg->hello.start_ns);
	p->start_unix_ms = tr->start_unix_ms + (int64_t)p->start_ms;
	p->end_ms = p->start_ms;
	p->exit_code = p->exit_signal = -1;
	/* Small and soon over: then this is the only look there will be. */
	p->rss_bytes = seep_proc_rss(seg->pid);
	p->seep_bytes = seep_segment_used_bytes(seg);
	*ret = t;
	return NULL;
}

void seep_tracked_destroy(struct seep_tracked *t)
{
	if (!t)
		return;
	seep_events_deinit(&t->events);
	seep_watched_deinit(&t->histories);
	seep_sites_destroy(t->sites);
	seep_segment_close(t->seg);
	seep_process_deinit(&t->p);
	free(t);
}

static void take_events(struct seep_tracked *t, const struct seep_trace *tr)
{
	if (!t->damaged && seep_events_take(&t->events, t->seg, tr->start_ns))
		t->changed = true;
}

static void read_histories(
    struct seep_tracked *t, const struct seep_trace *tr, bool over)
{
	if (t->damaged)
		return;
	seep_watched_poll(&t->histories, tr->drain, t->seg);
	seep_watched_read(&t->histories, over);
}

static struct seep_error *put_process(
    struct seep_tracked *t, struct seep_trace *tr)
{
	struct seep_error *err = tr->sink->put_process(tr->sink->ctx, &t->p);

	if (!err && !t->damaged)
		err = seep_watched_put(&t->histories, t->sites, tr->sink,
		    t->p.id, t->p.drops[SEEP_DROP_HISTORY]);
	return err ? err : seep_events_put(&t->events, tr->sink, t->p.id);
}

static void look_at_memory(struct seep_tracked *t, uint64_t now_ms)
{
	uint64_t rss, age_ms;

	if (now_ms >= t->next_rss_ms) {
		rss = seep_proc_rss(t->seg->pid);
		if (rss)
			t->p.rss_bytes = rss;
		t->p.seep_bytes = seep_segment_used_bytes(t->seg);
		age_ms = now_ms - t->p.start_ms;
		t->next_rss_ms = now_ms + (age_ms / RSS_OF_AGE < RSS_EVERY_MS
						  ? age_ms / RSS_OF_AGE
						  : RSS_EVERY_MS);
	}
	/* Walks the process's page tables under its lock: rarely. */
	if (now_ms >= t->next_rollup_ms) {
		uint64_t uss, pss;

		if (seep_proc_rollup(t->seg->pid, &rss, &uss, &pss)) {
			t->p.rss_bytes = rss;
			t->p.uss_bytes = uss;
			t->p.pss_bytes = pss;
		}
		t->next_rollup_ms = now_ms + ROLLUP_EVERY_MS;
	}
}

static void take_totals(struct seep_tracked *t, uint64_t now_ms)
{
	const struct seep_totals *s = &t->polled;
	struct seep_counts *c = &t->p.totals;

	*c = seep_counts_of(&s->sums, &s->spread, t->p.sample_bytes);
	t->p.unknown_frees = s->unknown_frees;
	if (c->live_bytes > t->p.peak_live_bytes) {
		t->p.peak_live_bytes = c->live_bytes;
		t->p.peak_ms = now_ms;
	}
}

/* Header and totals as they are now; false: the segment cannot be read. */
static bool refresh(struct seep_tracked *t, uint64_t now_ms)
{
	struct seep_totals totals;

	if (t->damaged)
		return false;
	if (seep_reader_refresh(&t->seg->reader) != SEEP_READ_OK ||
	    seep_read_totals(&t->seg->reader, &totals) != SEEP_READ_OK) {
		t->damaged = t->changed = true;
		return false;
	}
	t->polled = totals;
	take_totals(t, now_ms);
	t->nr_children = t->seg->reader.head.children;
	for (unsigned i = 0; i < SEEP_NR_DROPS; i++)
		if (i != SEEP_DROP_EXEC_UNTRACED)
			t->p.drops[i] = t->seg->reader.head.drops[i];
	t->p.drops[SEEP_DROP_HISTORY] += seep_watched_lost(&t->histories);
	t->p.end_ms = now_ms;
	return true;
}

bool seep_tracked_poll(struct seep_tracked *t, struct seep_trace *tr)
{
	uint64_t ns = now_ns(), now = seep_trace_at_ms(tr, ns);
	struct seep_totals before = t->polled;

	if (!t->seg || t->is_over)
		return false;
	seep_segment_beat(t->seg, ns);
	if (!t->damaged)
		seep_watched_poll(&t->histories, tr->drain, t->seg);
	if (!refresh(t, now))
		return false;
	look_at_memory(t, now);
	take_events(t, tr);
	if (!memcmp(&before, &t->polled, sizeof(before)))
		return false;
	t->changed = true;
	return true;
}

static void note_damage(struct seep_tracked *t)
{
	if (seep_sites_is_damaged(t->sites))
		t->damaged = true;
}

static struct seep_error *put_snapshot(struct seep_tracked *t,
    struct seep_trace *tr, struct seep_snapshot *s,
    const struct seep_site_row *rows, size_t nr)
{
	s->process_id = t->p.id;
	s->at_ms = t->p.end_ms;
	s->totals = t->p.totals;
	s->rss_bytes = t->p.rss_bytes;
	return tr->sink->put_snapshot(tr->sink->ctx, s, rows, nr);
}

/* The epoch of a snapshot that is taken now; what is born from here on belongs
 * to a later one. */
static uint32_t snapshot_epoch(const struct seep_trace *tr)
{
	uint32_t now = seep_epochs_now(&tr->epochs);

	return now ? now - 1 : 0;
}

struct seep_error *seep_tracked_checkpoint(
    struct seep_tracked *t, struct seep_trace *tr)
{
	struct seep_snapshot s = {.kind = SEEP_SNAPSHOT_PERIODIC};
	uint64_t now = seep_trace_at_ms(tr, now_ns());
	const struct seep_site_row *rows;
	struct seep_error *err;
	size_t nr;

	if (!refresh(t, now))
		return put_process(t, tr);
	s.epoch = snapshot_epoch(tr);
	err = seep_sites_look_at_modules(t->sites);
	if (!err)
		err = seep_sites_count(t->sites, &rows, &nr);
	if (!err)
		err = put_process(t, tr);
	if (!err)
		err = put_snapshot(t, tr, &s, rows, nr);
	note_damage(t);
	return err;
}

struct seep_error *seep_tracked_snapshot(
    struct seep_tracked *t, struct seep_trace *tr, struct seep_snapshot *s)
{
	uint64_t now = seep_trace_at_ms(tr, now_ns());
	const struct seep_survivor_row *survivors;
	const struct seep_site_row *rows;
	size_t nr_survivors, nr;
	struct seep_error *err;

	read_histories(t, tr, false);
	if (!refresh(t, now))
		return seep_error_new(
		    SEEP_ERROR_CORRUPT, "the process's segment is damaged");
	t->next_rss_ms = t->next_rollup_ms = 0;
	look_at_memory(t, now);
	s->epoch = snapshot_epoch(tr);
	err = seep_sites_look_at_modules(t->sites);
	if (!err)
		err = seep_sites_scan(t->sites, &tr->epochs, t->p.start_ms,
		    &survivors, &nr_survivors, NULL);
	if (!err)
		err = put_process(t, tr);
	if (!err)
		err = tr->sink->put_survivors(
		    tr->sink->ctx, t->p.id, survivors, nr_survivors);
	if (!err)
		err = seep_sites_count(t->sites, &rows, &nr);
	if (!err)
		err = put_snapshot(t, tr, s, rows, nr);
	seep_sites_trim(t->sites);
	note_damage(t);
	return err;
}

static struct seep_error *finish_damaged(
    struct seep_tracked *t, struct seep_trace *tr)
{
	struct seep_error *err = put_process(t, tr);

	if (!err)
		err = tr->sink->put_event(tr->sink->ctx, t->p.id, t->p.end_ms,
		    "damaged",
		    "the segment contradicts itself: the figures are those of "
		    "the last checkpoint before");
	return err;
}

struct seep_error *seep_tracked_finish(
    struct seep_tracked *t, struct seep_trace *tr)
{
	struct seep_snapshot s = {.kind = SEEP_SNAPSHOT_END};
	uint64_t now = seep_trace_at_ms(tr, now_ns());
	const struct seep_survivor_row *survivors;
	const struct seep_site_row *rows;
	size_t nr_survivors, nr;
	struct seep_error *err;

	read_histories(t, tr, true);
	if (!refresh(t, now))
		return finish_damaged(t, tr);
	take_events(t, tr);
	s.epoch = snapshot_epoch(tr);
	err = seep_sites_look_at_modules(t->sites);
	if (!err)
		err = seep_sites_scan(t->sites, &tr->epochs, t->p.start_ms,
		    &survivors, &nr_survivors, &t->p.totals);
	if (!err)
		err = put_process(t, tr);
	if (!err)
		err = tr->sink->put_survivors(
		    tr->sink->ctx, t->p.id, survivors, nr_survivors);
	if (!err)
		err = seep_sites_count_by_scan(t->sites, &rows, &nr);
	if (!err)
		err = put_snapshot(t, tr, &s, rows, nr);
	t->has_exe = seep_sites_has_exe(t->sites);
	note_damage(t);
	return err;
}

void seep_tracked_release(struct seep_tracked *t)
{
	seep_watched_deinit(&t->histories);
	seep_sites_destroy(t->sites);
	t->sites = NULL;
	seep_segment_close(t->seg);
	t->seg = NULL;
}

void seep_tracked_committed(struct seep_tracked *t)
{
	seep_events_committed(&t->events);
	seep_watched_committed(&t->histories);
	t->committed_id = t->p.id;
}

void seep_tracked_rolled_back(struct seep_tracked *t)
{
	t->p.id = t->committed_id;
	seep_events_rolled_back(&t->events);
	seep_watched_rolled_back(&t->histories);
	if (t->sites)
		seep_sites_forget(t->sites);
}
