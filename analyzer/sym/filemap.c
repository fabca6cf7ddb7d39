/* SPDX-License-Identifier: MIT */
/* filemap.c - a file mapped for reading that may shrink under our hands */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "analyzer/sym/filemap.h"

static struct seep_filemap *all;
static struct sigaction before;
static unsigned depth;
static uintptr_t page_bytes; /* since the first enter */

/*
 * A shared library that is being copied over, or a map file that is written
 * anew, is shorter than it was when it was mapped. Zeros are put in place of
 * the page that went: the readers above check all they read anyhow.
 */
static void on_bus(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved = errno;

	(void)context;
	for (struct seep_filemap *m = all; m; m = m->next) {
		uintptr_t base = (uintptr_t)m->base;
		void *page = (void *)(at & ~(page_bytes - 1));

		if (at < base || at - base >= m->size)
			continue;
		if (mmap(page, page_bytes, PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			0) != MAP_FAILED) {
			errno = saved;
			return;
		}
	}
	/* Not ours: happens again, with what was in place before. */
	sigaction(sig, &before, NULL);
	errno = saved;
}

void seep_filemap_enter(void)
{
	struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};

	if (depth++)
		return;
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &before);
}

void seep_filemap_leave(void)
{
	if (!--depth)
		sigaction(SIGBUS, &before, NULL);
}

static bool map(struct seep_filemap *m, int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > SIZE_MAX / 4)
		return false;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return false;
	*m = (struct seep_filemap){
	    .base = p,
	    .size = (size_t)st.st_size,
	    .dev = st.st_dev,
	    .ino = st.st_ino,
	    .next = all,
	};
	all = m;
	return true;
}

bool seep_filemap_open(struct seep_filemap *m, const char *path)
{
	/* Non-blocking: a FIFO or a device by that name must not stop us. */
	_cleanup_(seep_closep) int fd =
	    open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd >= 0 && map(m, fd);
}

bool seep_filemap_open_fd(struct seep_filemap *m, int fd)
{
	char path[32];

	if (map(m, fd))
		return true;
	/* O_PATH, or opened for writing only. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return seep_filemap_open(m, path);
}

void seep_filemap_close(struct seep_filemap *m)
{
	if (!m->base)
		return;
	for (struct seep_filemap **p = &all; *p; p = &(*p)->next)
		if (*p == m) {
			*p = m->next;
			break;
		}
	munmap(m->base, m->size);
	*m = (struct seep_filemap){0};
}

bool seep_filemap_unlock(struct seep_filemap *m, size_t offset, size_t bytes)
{
	size_t start = offset & ~(page_bytes - 1);
	size_t end;

	if (!m->base || offset > m->size || bytes > m->size - offset)
		return false;
	end = (offset + bytes + page_bytes - 1) & ~(page_bytes - 1);
	if (mprotect(m->base + start, end - start, PROT_READ | PROT_WRITE))
		return false;
	m->keep_start = start;
	m->keep_end = end;
	return true;
}

void seep_filemap_trim(const struct seep_filemap *m)
{
	/*
	 * A page that on_bus() replaced stays anonymous, and reads as zeros
	 * again after this too.
	 */
	if (!m->base)
		return;
	if (m->keep_start)
		madvise(m->base, m->keep_start, MADV_DONTNEED);
	if (m->keep_end < m->size)
		madvise(m->base + m->keep_end, m->size - m->keep_end,
		    MADV_DONTNEED);
}
