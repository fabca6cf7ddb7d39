/* SPDX-License-Identifier: MIT */
/*
 * jit.c - names of code made at run time, from /tmp/perf-PID.map
 *
 * Lines of "START SIZE NAME", numbers in hex, appended as code is made; code
 * that is thrown away stays listed, so of overlapping entries the later holds.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "analyzer/sym/jit.h"

#define MAX_FILE_BYTES (256u << 20)
#define MAX_NAME_BYTES 4096
/* An entry may be hidden by this many that start behind it, or more are lost.
 */
#define MAX_OVERLAP 64

struct entry {
	uint64_t start;
	uint32_t size, name, line;
};

struct seep_jit {
	char path[PATH_MAX];
	uint32_t pid;
	struct seep_filemap map;
	struct entry *entries;
	size_t nr, room;
	struct timespec mtime;
	time_t looked_s;
};

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number and the spaces behind it; NULL if there is none. */
static const unsigned char *hex_number(
    const unsigned char *p, const unsigned char *end, uint64_t *ret)
{
	const unsigned char *start;
	uint64_t v = 0;
	int digit;

	if (end - p > 2 && p[0] == '0' && (p[1] | 0x20) == 'x')
		p += 2;
	for (start = p; p < end && (digit = hex_digit(*p)) >= 0; p++) {
		if (v >> 60)
			return NULL;
		v = v << 4 | (unsigned)digit;
	}
	if (p == start || p == end || *p != ' ')
		return NULL;
	while (p < end && *p == ' ')
		p++;
	*ret = v;
	return p;
}

static bool add_line(struct seep_jit *j, const unsigned char *p,
    const unsigned char *end, uint32_t line)
{
	uint64_t start, size;

	p = hex_number(p, end, &start);
	p = p ? hex_number(p, end, &size) : NULL;
	if (!p || p == end || !size || start + size < start)
		return true;
	if (j->nr == j->room) {
		size_t room = j->room ? j->room + j->room / 2 : 256;
		void *q = realloc(j->entries, room * sizeof(*j->entries));

		if (!q)
			return false;
		j->entries = q;
		j->room = room;
	}
	j->entries[j->nr++] = (struct entry){
	    .start = start,
	    .size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
	    .name = (uint32_t)(p - j->map.base),
	    .line = line,
	};
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct entry *e = a, *f = b;

	if (e->start != f->start)
		return e->start < f->start ? -1 : 1;
	return e->line < f->line ? -1 : e->line > f->line;
}

static void parse(struct seep_jit *j)
{
	const unsigned char *p = j->map.base;
	size_t bytes = j->map.size;
	const unsigned char *end;
	uint32_t line = 0;

	if (bytes > MAX_FILE_BYTES)
		bytes = MAX_FILE_BYTES;
	end = p + bytes;
	j->nr = 0;
	while (p < end) {
		const unsigned char *eol = memchr(p, '\n', (size_t)(end - p));

		/* A line without its end is still being written. */
		if (!eol || !add_line(j, p, eol, line++))
			break;
		p = eol + 1;
	}
	qsort(j->entries, j->nr, sizeof(*j->entries), by_start);
}

static bool owner_is_trusted(const struct seep_jit *j, uid_t owner)
{
	char path[32];
	struct stat st;

	if (owner == geteuid() || owner == 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%u", j->pid);
	return !stat(path, &st) && st.st_uid == owner;
}

void seep_jit_refresh(struct seep_jit *j)
{
	struct timespec now;
	_cleanup_(seep_closep) int fd = -1;
	struct stat st;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (j->looked_s == now.tv_sec + 1)
		return;
	j->looked_s = now.tv_sec + 1; /* 0 is never */
	fd = open(
	    j->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    !owner_is_trusted(j, st.st_uid))
		return; /* gone: what was read stays good */
	if (j->map.base && j->map.ino == st.st_ino &&
	    j->map.size == (size_t)st.st_size &&
	    j->mtime.tv_sec == st.st_mtim.tv_sec &&
	    j->mtime.tv_nsec == st.st_mtim.tv_nsec)
		return;
	seep_filemap_close(&j->map);
	j->nr = 0;
	j->mtime = st.st_mtim;
	if (seep_filemap_open_fd(&j->map, fd))
		parse(j);
}

struct seep_jit *seep_jit_create(const char *folder, uint32_t pid)
{
	struct seep_jit *j = calloc(1, sizeof(*j));
	int n;

	if (!j)
		return NULL;
	j->pid = pid;
	n = snprintf(j->path, sizeof(j->path), "%s/perf-%u.map", folder, pid);
	if (n < 0 || (size_t)n >= sizeof(j->path)) {
		free(j);
		return NULL;
	}
	seep_jit_refresh(j);
	return j;
}

void seep_jit_destroy(struct seep_jit *j)
{
	if (!j)
		return;
	seep_filemap_close(&j->map);
	free(j->entries);
	free(j);
}

const char *seep_jit_find(const struct seep_jit *j, uint64_t pc, size_t *length)
{
	size_t lo = 0, hi = j->nr;
	const struct entry *best = NULL;
	const char *name, *eol;
	size_t max;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (j->entries[mid].start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo; i > 0 && lo - i < MAX_OVERLAP; i--) {
		const struct entry *e = &j->entries[i - 1];

		if (pc - e->start < e->size && (!best || e->line > best->line))
			best = e;
	}
	if (!best)
		return NULL;
	name = (const char *)j->map.base + best->name;
	max = j->map.size - best->name;
	eol = memchr(name, '\n', max < MAX_NAME_BYTES ? max : MAX_NAME_BYTES);
	*length = eol			 ? (size_t)(eol - name)
		  : max < MAX_NAME_BYTES ? max
					 : MAX_NAME_BYTES;
	if (*length && name[*length - 1] == '\r')
		--*length;
	return *length ? name : NULL;
}
