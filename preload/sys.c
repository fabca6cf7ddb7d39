/* SPDX-License-Identifier: MIT */
/* sys.c - the kernel, straight: the only way the shim makes system calls */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "preload/sys.h"

bool seep_sys_debugging;

static int (*vdso_clock)(clockid_t, struct timespec *);

static size_t whole_pages(size_t bytes)
{
	return (bytes + 4095) & ~(size_t)4095;
}

void *seep_sys_grab(size_t bytes)
{
	long p = seep_sys(SYS_mmap, 0, whole_pages(bytes),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p < 0 && p > -4096 ? NULL : (void *)p;
}

void seep_sys_release(void *p, size_t bytes)
{
	seep_sys(SYS_munmap, p, whole_pages(bytes));
}

long seep_sys_read_file(const char *path, char *buf, size_t size)
{
	long fd = seep_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	long n;

	if (fd < 0)
		return -1;
	do {
		n = seep_sys(SYS_read, fd, buf + len, size - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < size);
	seep_sys(SYS_close, fd);
	return n < 0 ? -1 : (long)len;
}

char *seep_sys_decimal(char *buf, uint64_t v)
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*buf++ = digits[--n];
	*buf = '\0';
	return buf;
}

void seep_sys_set_clock(void *fn)
{
	/* ISO C has no conversion from an object to a function pointer. */
	memcpy(&vdso_clock, &fn, sizeof(fn));
}

uint64_t seep_sys_now_ns(void)
{
	struct timespec ts = {0, 0};

	if (!vdso_clock || vdso_clock(CLOCK_MONOTONIC, &ts))
		seep_sys(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void seep_sys_debug(const char *text, long value)
{
	char line[160], *end;
	size_t len = strlen(text);

	if (!seep_sys_debugging || len > 100)
		return;
	memcpy(line, "seep: ", 6);
	memcpy(line + 6, text, len);
	end = line + 6 + len;
	*end++ = ' ';
	if (value < 0)
		*end++ = '-';
	end = seep_sys_decimal(
	    end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
	*end++ = '\n';
	seep_sys(SYS_write, 2, line, end - line);
}
