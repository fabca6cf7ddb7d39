/* SPDX-License-Identifier: MIT */
/* segment.c - a traced process as it reported itself: descriptors and header */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "analyzer/collect/proc.h"
#include "analyzer/collect/segment.h"

#define COMMAND_MAX (128u << 10)

_Static_assert(offsetof(struct seep_ring, tail) == 32, "see empty_ring()");

static int read_segment(void *ctx, uint64_t off, void *buf, size_t len)
{
	const struct seep_segment *seg = ctx;
	char *to = buf;

	while (len) {
		ssize_t n =
		    pread(seg->fds[SEEP_SEGMENT_FD], to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static struct seep_error *check_file(int fd, uint64_t *file_bytes)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int has = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (has < 0 || (has & seals) != seals)
		return seep_error_new(
		    SEEP_ERROR_CORRUPT, "segment: not a sealed memfd");
	if (fstat(fd, &st) < 0)
		return seep_error_errno(errno, "segment");
	if (st.st_size < (off_t)SEEP_PAGE || st.st_size % SEEP_PAGE)
		return seep_error_new(SEEP_ERROR_CORRUPT,
		    "segment: a size of %lld", (long long)st.st_size);
	*file_bytes = (uint64_t)st.st_size;
	return NULL;
}

static bool is_procfs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* A text of the segment; NULL where it is damaged or empty. */
static char *read_text(
    struct seep_reader *r, uint64_t at, uint32_t want, size_t max, size_t *len)
{
	char *text;

	if (!at || !want)
		return NULL;
	if (want > max)
		want = (uint32_t)max;
	text = malloc((size_t)want + 1);
	if (!text)
		return NULL;
	if (seep_read_text(r, at, want, text, want, len) != SEEP_READ_OK) {
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

/* "a\0b\0" -> {"a", "b", NULL}; the strings are copies. */
static char **split(const char *text, size_t len)
{
	size_t nr = 0;
	char **argv;

	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		nr++;
	argv = calloc(nr + 1, sizeof(*argv));
	nr = 0;
	for (size_t at = 0; argv && at < len; at += strlen(text + at) + 1) {
		argv[nr] = strdup(text + at);
		if (argv[nr])
			nr++;
	}
	return argv;
}

static void read_texts(struct seep_segment *seg)
{
	const struct seep_header *h = &seg->reader.head;
	size_t len = 0;
	char *text;

	seg->exe =
	    read_text(&seg->reader, h->exe_at, h->exe_len, PATH_MAX, &len);
	text = read_text(
	    &seg->reader, h->cmdline_at, h->cmdline_len, COMMAND_MAX, &len);
	if (text)
		seg->command = split(text, len);
	free(text);
}

static struct seep_error *open_checked(struct seep_segment *seg)
{
	enum seep_read_status st;
	struct seep_error *err;
	uint64_t file_bytes = 0;

	if (seg->fds[SEEP_SEGMENT_FD] < 0)
		return seep_error_new(
		    SEEP_ERROR_CORRUPT, "segment: no descriptor");
	err = check_file(seg->fds[SEEP_SEGMENT_FD], &file_bytes);
	if (err)
		return err;
	for (int i = SEEP_SEGMENT_MEM; i < SEEP_SEGMENT_FDS; i++) {
		if (seg->fds[i] >= 0 && !is_procfs(seg->fds[i])) {
			close(seg->fds[i]);
			seg->fds[i] = -1;
		}
	}
	st = seep_reader_init(&seg->reader, read_segment, seg, file_bytes);
	if (st == SEEP_READ_VERSION)
		return seep_error_new(SEEP_ERROR_OTHER,
		    "segment: written by another version of seep");
	if (st != SEEP_READ_OK)
		return seep_error_new(
		    SEEP_ERROR_CORRUPT, "segment: header is damaged");
	seg->page = mmap(NULL, SEEP_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
	    seg->fds[SEEP_SEGMENT_FD], 0);
	if (seg->page == MAP_FAILED) {
		seg->page = NULL;
		return seep_error_errno(errno, "segment: mapping its header");
	}
	read_texts(seg);
	return NULL;
}

struct seep_error *seep_segment_open(const struct seep_hello *hello,
    uint32_t pid, uint32_t uid, int pidfd, const int *fds, size_t nr_fds,
    struct seep_segment **ret)
{
	struct seep_segment *seg = calloc(1, sizeof(*seg));
	struct seep_error *err;

	if (!seg) {
		for (size_t i = 0; i < nr_fds; i++)
			close(fds[i]);
		if (pidfd >= 0)
			close(pidfd);
		return seep_error_errno(ENOMEM, "segment");
	}
	for (size_t i = 0; i < SEEP_SEGMENT_FDS; i++)
		seg->fds[i] = i < nr_fds ? fds[i] : -1;
	for (size_t i = SEEP_SEGMENT_FDS; i < nr_fds; i++)
		close(fds[i]);
	seg->pid = pid;
	seg->uid = uid;
	seg->hello = *hello;
	seg->pidfd = pidfd;
	if (seg->pidfd < 0 && pid)
		seg->pidfd = seep_proc_pidfd(pid);
	err = open_checked(seg);
	if (err) {
		seep_segment_close(seg);
		return seep_error_wrap(err, "process %u", pid);
	}
	*ret = seg;
	return NULL;
}

void seep_segment_close(struct seep_segment *seg)
{
	if (!seg)
		return;
	if (seg->page)
		munmap(seg->page, SEEP_PAGE);
	for (int i = 0; i < SEEP_SEGMENT_FDS; i++)
		if (seg->fds[i] >= 0)
			close(seg->fds[i]);
	if (seg->pidfd >= 0)
		close(seg->pidfd);
	for (char **a = seg->command; a && *a; a++)
		free(*a);
	free(seg->command);
	free(seg->exe);
	free(seg);
}

void seep_segment_set_epoch(struct seep_segment *seg, uint32_t epoch)
{
	/* relaxed: the shim loads it for each block, in no order with
	 * anything; a block born meanwhile may carry either epoch */
	atomic_store_explicit(&seg->page->epoch, epoch, memory_order_relaxed);
}

uint32_t seep_segment_epoch(const struct seep_segment *seg)
{
	return atomic_load_explicit(&seg->page->epoch, memory_order_relaxed);
}

void seep_segment_beat(struct seep_segment *seg, uint64_t now_ns)
{
	atomic_store_explicit(
	    &seg->page->heartbeat_ns, now_ns, memory_order_relaxed);
}

enum seep_state seep_segment_state(const struct seep_segment *seg)
{
	/* acquire: what the process wrote before it changed its state */
	return (enum seep_state)atomic_load_explicit(
	    &seg->page->state, memory_order_acquire);
}

bool seep_segment_has_all_histories(const struct seep_segment *seg)
{
	return seg->hello.flags & SEEP_FLAG_EVENTS;
}

bool seep_segment_has_ended(const struct seep_segment *seg)
{
	return seg->pidfd < 0 || seep_proc_has_ended(seg->pidfd);
}

bool seep_segment_is_replaced(const struct seep_segment *seg)
{
	char byte;

	/* The descriptor stands for one address space: 0 bytes once that is
	 * gone, EIO while it is there but not at this address. */
	if (seg->fds[SEEP_SEGMENT_MEM] < 0)
		return false;
	return pread(seg->fds[SEEP_SEGMENT_MEM], &byte, 1, 0x1000) == 0;
}

/* Whatever the size of the kernel's pages is, it divides this. */
#define VIEW_ALIGN 65536u

void *seep_segment_view(struct seep_segment *seg, uint64_t at, size_t bytes)
{
	size_t before = at % VIEW_ALIGN;
	char *p = mmap(NULL, before + bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
	    seg->fds[SEEP_SEGMENT_FD], (off_t)(at - before));

	return p == MAP_FAILED ? NULL : p + before;
}

void seep_segment_unview(void *view, uint64_t at, size_t bytes)
{
	size_t before = at % VIEW_ALIGN;

	munmap((char *)view - before, before + bytes);
}

struct events {
	struct seep_segment *seg;
	seep_segment_event_fn *fn;
	void *ctx;
};

static int empty_ring(void *ctx, uint32_t tid, uint64_t page)
{
	struct events *ev = ctx;
	char text[SEEP_RING_TEXT + 1];
	struct seep_event e;
	struct seep_ring *ring;
	uint64_t pos[8];
	uint64_t at = page * SEEP_PAGE;

	(void)tid;
	/* head and tail are 32 bytes apart; mostly there is nothing. */
	if (!page || page >= ev->seg->reader.file_bytes / SEEP_PAGE ||
	    read_segment(ev->seg, at, pos, sizeof(pos)) || pos[0] == pos[4])
		return 0;
	ring = seep_segment_view(ev->seg, at, SEEP_PAGE);
	if (!ring)
		return 0;
	/* No more than it can hold: the writer may be at work. */
	for (size_t i = 0; i < SEEP_RING_DATA / sizeof(e); i++) {
		enum seep_read_status st = seep_ring_get(ring, &e, text);

		if (st == SEEP_READ_CORRUPT)
			/* Lost, but what comes after it is not. */
			atomic_store(&ring->tail, atomic_load(&ring->head));
		if (st != SEEP_READ_OK)
			break;
		ev->fn(ev->ctx, &e, text);
	}
	seep_segment_unview(ring, at, SEEP_PAGE);
	return 0;
}

void seep_segment_events(
    struct seep_segment *seg, seep_segment_event_fn *fn, void *ctx)
{
	struct events ev = {.seg = seg, .fn = fn, .ctx = ctx};

	/* Damage shows where it matters, in totals and map. */
	(void)!seep_read_rings(&seg->reader, empty_ring, &ev);
}

uint64_t seep_segment_used_bytes(const struct seep_segment *seg)
{
	struct stat st;

	if (fstat(seg->fds[SEEP_SEGMENT_FD], &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

int seep_segment_make(uint64_t bytes)
{
	int fd = memfd_create("seep", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 &&
	    (ftruncate(fd, (off_t)bytes) < 0 ||
		fcntl(fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}
