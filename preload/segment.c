/* SPDX-License-Identifier: MIT */
/* segment.c - making the segment: a sealed memfd, mapped, backed as it grows */
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "preload/collector.h"
#include "preload/segment.h"
#include "preload/sys.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SEGMENT_MAX  (32ull << 30)
#define SEGMENT_GOOD (64ull << 20) /* below it the collector is asked */
#define SEGMENT_MIN  (256ull << 10)

_Static_assert(SEGMENT_MAX / SEEP_PAGE <= SEEP_PAGES_MAX, "page numbers");

static bool populate_missing; /* a kernel before 5.14 */
static bool quiet;	      /* all of it is writable, make no calls */
static uint64_t page_bytes;   /* of the kernel: 4, 16 or 64 KiB */

static void touch(unsigned char *p, uint64_t len)
{
	/* Other threads may use these pages already: change nothing. */
	for (uint64_t i = 0; i < len; i += SEEP_PAGE)
		atomic_fetch_or_explicit(
		    (_Atomic unsigned char *)p + i, 0, memory_order_relaxed);
}

/* Outwards to pages of the kernel's, which may be larger than the segment's:
 * that part of them which is backed already does not mind. */
static int back(struct seep_pool *p, uint64_t first, uint64_t nr)
{
	uint64_t from = first * SEEP_PAGE & ~(page_bytes - 1);
	uint64_t len = (first + nr) * SEEP_PAGE - from;
	unsigned char *at = p->base + from;
	long err;

	if (quiet) { /* all of it is writable already */
		touch(at, len);
		return 0;
	}
	if (seep_sys(SYS_mprotect, at, len, PROT_READ | PROT_WRITE) < 0)
		return -1;
	if (!populate_missing) {
		do
			err =
			    seep_sys(SYS_madvise, at, len, MADV_POPULATE_WRITE);
		while (err == -4); /* EINTR */
		if (err == 0)
			return 0;
		if (err != -22) /* EINVAL: not known */
			return -1;
		populate_missing = true;
	}
	touch(at, len);
	return 0;
}

static uint64_t limit_of(int resource)
{
	struct rlimit r;

	if (seep_sys(SYS_prlimit64, 0, resource, NULL, &r) < 0)
		return RLIM_INFINITY;
	return r.rlim_cur;
}

/*
 * Lifts RLIMIT_FSIZE as far as we may: ftruncate() beyond it would raise
 * SIGXFSZ, which kills. Returns what it is then; *old is for putting it back.
 */
static uint64_t lift_fsize(struct rlimit *old)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}, soft;

	if (seep_sys(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, old) < 0)
		return RLIM_INFINITY;
	if (old->rlim_cur >= SEGMENT_MAX ||
	    !seep_sys(SYS_prlimit64, 0, RLIMIT_FSIZE, &all, NULL))
		return RLIM_INFINITY;
	soft.rlim_cur = soft.rlim_max = old->rlim_max;
	if (!seep_sys(SYS_prlimit64, 0, RLIMIT_FSIZE, &soft, NULL))
		return soft.rlim_cur;
	return old->rlim_cur;
}

/* A sealed memfd of *bytes, or of what can be had: at least SEGMENT_MIN. */
static long make_memfd(uint64_t *bytes)
{
	struct rlimit old;
	uint64_t limit;
	long fd, err;

	fd = seep_sys(SYS_memfd_create, "seep",
	    MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd == -22) /* EINVAL: a kernel before 6.3 */
		fd = seep_sys(
		    SYS_memfd_create, "seep", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fd;
	limit = lift_fsize(&old);
	if (limit < *bytes)
		*bytes = limit & ~(uint64_t)(SEEP_PAGE - 1);
	err = *bytes < SEGMENT_MIN ? -27 /* EFBIG */
				   : seep_sys(SYS_ftruncate, fd, *bytes);
	if (old.rlim_cur < SEGMENT_MAX)
		seep_sys(SYS_prlimit64, 0, RLIMIT_FSIZE, &old, NULL);
	if (!err)
		err = seep_sys(SYS_fcntl, fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (err) {
		seep_sys(SYS_close, fd);
		return err;
	}
	return fd;
}

static bool is_error(long p)
{
	return p < 0 && p > -4096;
}

/* Maps a new segment; its descriptor, or a negative error. */
long seep_segment_map(struct seep_pool *pool)
{
	uint64_t bytes = SEGMENT_MAX, as = limit_of(RLIMIT_AS), wanted;
	long fd, p;

	page_bytes = getauxval(AT_PAGESZ);
	if (as != RLIM_INFINITY && as / 4 < bytes)
		bytes = as / 4 & ~(uint64_t)(SEEP_PAGE - 1);
	wanted = bytes;
	fd = make_memfd(&bytes);
	if (fd < 0 || (bytes < wanted && bytes < SEGMENT_GOOD)) {
		long given = seep_collector_ask_memfd(wanted, &bytes);

		if (given >= 0 && fd >= 0)
			seep_sys(SYS_close, fd);
		fd = given >= 0 ? given : fd;
		if (bytes > wanted)
			bytes = wanted;
	}
	if (fd < 0)
		return fd;
	p = seep_sys(
	    SYS_mmap, 0, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (is_error(p)) {
		seep_sys(SYS_close, fd);
		return p;
	}
	seep_sys(SYS_madvise, p, bytes, MADV_DONTDUMP);
	seep_sys(SYS_madvise, p, bytes, MADV_NOHUGEPAGE);
	pool->base = (unsigned char *)p;
	pool->nr_pages = bytes / SEEP_PAGE;
	pool->head = (struct seep_header *)p;
	pool->back = back;
	atomic_store(&pool->backed, 0);
	if (back(pool, 0, 1)) {
		seep_sys(SYS_munmap, p, bytes);
		seep_sys(SYS_close, fd);
		return -12;
	}
	atomic_store(&pool->backed, 1);
	atomic_store(&pool->head->next_page, 1);
	return fd;
}

void seep_segment_unmap(struct seep_pool *pool)
{
	seep_sys(SYS_munmap, pool->base, pool->nr_pages * SEEP_PAGE);
	pool->base = NULL;
}

void seep_segment_make_quiet(struct seep_pool *pool)
{
	seep_sys(SYS_mprotect, pool->base, pool->nr_pages * SEEP_PAGE,
	    PROT_READ | PROT_WRITE);
	quiet = true;
}
