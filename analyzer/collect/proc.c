/* SPDX-License-Identifier: MIT */
/* proc.c - what the kernel says of a process: /proc and pidfd */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "analyzer/base/cleanup.h"
#include "analyzer/collect/proc.h"

/*
 * PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15: the status of a process that
 * somebody else has reaped. By ourselves because distributions ship older
 * kernel headers (Debian 12: 6.1).
 */
struct pidfd_exit_info {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};

#define PIDFS_MAGIC 0x50494446

#define PIDFD_EXIT_MASK	    (1ull << 3)
#define PIDFD_EXIT_GET_INFO _IOWR(0xff, 11, struct pidfd_exit_info)

/* Reads a small file of /proc/PID; the text ends in a NUL. -1: gone. */
static ssize_t read_file(uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	_cleanup_(seep_closep) int fd = -1;
	size_t len = 0;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -1;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}

bool seep_proc_stat(uint32_t pid, struct seep_proc_stat *ret)
{
	char buf[2048];
	char *p;
	char *save = NULL;
	int field = 3;

	if (!pid || read_file(pid, "stat", buf, sizeof(buf)) <= 0)
		return false;
	/* The name may hold blanks and parentheses: the last one counts. */
	p = strrchr(buf, ')');
	if (!p)
		return false;
	memset(ret, 0, sizeof(*ret));
	for (p = strtok_r(p + 1, " \n", &save); p;
	     p = strtok_r(NULL, " \n", &save), field++) {
		if (field == 3)
			ret->state = *p;
		else if (field == 4)
			ret->ppid = (uint32_t)strtoul(p, NULL, 10);
		else if (field == 22)
			ret->start_ticks = strtoull(p, NULL, 10);
		else if (field == 52)
			ret->exit_code = atoi(p);
	}
	return field > 22;
}

bool seep_proc_uid(uint32_t pid, uid_t *ret)
{
	char path[64];
	struct stat st;

	/* The folder itself has the effective uid, also of a zombie. */
	snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &st) < 0)
		return false;
	*ret = st.st_uid;
	return true;
}

uint64_t seep_proc_rss(uint32_t pid)
{
	char buf[256];
	unsigned long long total, rss;

	if (read_file(pid, "statm", buf, sizeof(buf)) <= 0 ||
	    sscanf(buf, "%llu %llu", &total, &rss) != 2)
		return 0;
	return rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool seep_proc_rollup(uint32_t pid, uint64_t *rss, uint64_t *uss, uint64_t *pss)
{
	char buf[4096];
	char *save = NULL;
	uint64_t r = 0, u = 0, p = 0;

	if (read_file(pid, "smaps_rollup", buf, sizeof(buf)) <= 0)
		return false;
	for (char *line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned long long kb;

		if (sscanf(line, "Rss: %llu", &kb) == 1)
			r = kb * 1024;
		else if (sscanf(line, "Pss: %llu", &kb) == 1)
			p = kb * 1024;
		else if (sscanf(line, "Private_Clean: %llu", &kb) == 1 ||
			 sscanf(line, "Private_Dirty: %llu", &kb) == 1)
			u += kb * 1024;
	}
	if (!r)
		return false;
	*rss = r;
	*uss = u;
	*pss = p;
	return true;
}

bool seep_proc_command(uint32_t pid, char *buf, size_t size)
{
	ssize_t n = read_file(pid, "cmdline", buf, size);

	if (n <= 0)
		return false;
	while (n > 0 && buf[n - 1] == '\0')
		n--;
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\0')
			buf[i] = ' ';
		else if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
			buf[i] = '?';
	}
	buf[n] = '\0';
	return n > 0;
}

bool seep_proc_any_with_environment(const char *text)
{
	size_t size = 256u << 10;
	struct dirent *d;
	bool found = false;
	char *buf = malloc(size);
	DIR *dir = buf ? opendir("/proc") : NULL;

	while (dir && !found && (d = readdir(dir))) {
		unsigned long pid = strtoul(d->d_name, NULL, 10);
		ssize_t n;

		if (!pid || pid == (unsigned long)getpid())
			continue;
		n = read_file((uint32_t)pid, "environ", buf, size);
		found = n > 0 && memmem(buf, (size_t)n, text, strlen(text));
	}
	if (dir)
		closedir(dir);
	free(buf);
	return found;
}

bool seep_proc_descends(uint32_t pid, uint32_t ancestor)
{
	struct seep_proc_stat st;

	/* A bound, because pids may be reused while we climb. */
	for (int depth = 0; depth < 256 && pid > 1; depth++) {
		if (pid == ancestor)
			return true;
		if (!seep_proc_stat(pid, &st))
			return false;
		pid = st.ppid;
	}
	return pid == ancestor;
}

int seep_proc_pidfd(uint32_t pid)
{
#ifdef SYS_pidfd_open
	/* Close-on-exec by itself. */
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
#else
	errno = ENOSYS;
	return -1;
#endif
}

bool seep_proc_has_ended(int pidfd)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLIN | POLLHUP));
}

uint64_t seep_proc_identity(int pidfd)
{
	struct statfs fs;
	struct stat st;

	/* Before Linux 6.9 all pidfds share one inode. */
	if (pidfd < 0 || fstatfs(pidfd, &fs) < 0 || fs.f_type != PIDFS_MAGIC ||
	    fstat(pidfd, &st) < 0)
		return 0;
	return st.st_ino;
}

bool seep_proc_exit_status(int pidfd, uint32_t pid, int *status)
{
	struct pidfd_exit_info info = {.mask = PIDFD_EXIT_MASK};
	struct seep_proc_stat st;

	uid_t uid;

	/*
	 * A zombie tells by itself; once reaped, its pidfd does. To strangers
	 * /proc shows 0 for every status.
	 */
	if (seep_proc_stat(pid, &st) && st.state == 'Z' &&
	    seep_proc_uid(pid, &uid) && (uid == geteuid() || !geteuid()) &&
	    seep_proc_has_ended(pidfd)) {
		*status = st.exit_code;
		return true;
	}
	if (ioctl(pidfd, PIDFD_EXIT_GET_INFO, &info) == 0 &&
	    (info.mask & PIDFD_EXIT_MASK)) {
		*status = info.exit_code;
		return true;
	}
	return false;
}
