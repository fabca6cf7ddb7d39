/* SPDX-License-Identifier: MIT */
/*
 * map_bytes.c - how many bytes the live map of a traced program takes
 *
 *	map_bytes SHIM PROG [ARG]...
 *
 * Runs PROG with the shim, is its collector as far as taking its segment goes,
 * and reads that when PROG has ended. The size of the live map is the number
 * of different pages that reading all live blocks touches: every page of
 * directory and of words that there is, used or not, and of slots that are in a
 * list.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/collect/fdmsg.h"
#include "wire/read.h"

#define HELLO_FDS 3

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "map_bytes: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* A socket as SEEP_SOCKET names it; the recording's token is all zeros. */
static int listen_at(char *env, size_t size)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char name[32];
	int len = snprintf(name, sizeof(name), "seep-bench-%d", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(un.sun_path + 1, name, (size_t)len);

	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&un,
		offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len) ||
	    listen(fd, 64))
		die("socket");
	snprintf(env, size, "%s:%032d", name, 0);
	return fd;
}

/* The segment of the first process that says hello, which is PROG. */
static int receive_segment(int listener)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};
	struct seep_hello hello = {0};
	int fds[HELLO_FDS], conn;
	size_t nr_fds = 0;

	if (poll(&pfd, 1, 0) != 1) {
		fprintf(stderr, "map_bytes: the program was not traced\n");
		exit(3);
	}
	conn = accept(listener, NULL, NULL);
	if (conn < 0 ||
	    seep_fdmsg_recv(conn, &hello, sizeof(hello), fds, HELLO_FDS,
		&nr_fds) != sizeof(hello) ||
	    hello.magic != SEEP_HELLO_MAGIC || nr_fds < 1)
		die("hello");
	return fds[0];
}

struct pages {
	int fd;
	uint8_t *seen;
	uint64_t nr;
};

static int read_at(void *ctx, uint64_t off, void *buf, size_t len)
{
	struct pages *p = ctx;

	for (uint64_t i = off / SEEP_PAGE; i <= (off + len - 1) / SEEP_PAGE;
	     i++) {
		p->nr += !p->seen[i];
		p->seen[i] = 1;
	}
	return pread(p->fd, buf, len, (off_t)off) == (ssize_t)len ? 0 : -1;
}

struct blocks {
	uint64_t nr, bytes;
};

static int count_block(void *ctx, const struct seep_block *b)
{
	struct blocks *all = ctx;

	all->nr++;
	all->bytes += b->size_bytes;
	return 0;
}

static void measure(int fd)
{
	struct blocks all = {0};
	struct seep_reader r;
	struct pages p = {.fd = fd};
	struct stat st;
	uint64_t before;

	if (fstat(fd, &st))
		die("segment");
	p.seen = calloc((uint64_t)st.st_size / SEEP_PAGE + 1, 1);
	if (!p.seen)
		die("memory");
	if (seep_reader_init(&r, read_at, &p, (uint64_t)st.st_size))
		die("segment of another version");
	before = p.nr;
	if (seep_read_blocks(&r, count_block, &all))
		die("live map");
	printf("@live_blocks %llu\n@live_bytes %llu\n@map_bytes %llu\n"
	       "@segment_bytes %llu\n",
	    (unsigned long long)all.nr, (unsigned long long)all.bytes,
	    (unsigned long long)(p.nr - before) * SEEP_PAGE,
	    (unsigned long long)st.st_blocks * 512);
	free(p.seen);
}

int main(int argc, char **argv)
{
	char where[128];
	int listener, status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: map_bytes SHIM PROG [ARG]...\n");
		return 2;
	}
	listener = listen_at(where, sizeof(where));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setenv("LD_PRELOAD", argv[1], 1);
		setenv("SEEP_SOCKET", where, 1);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("program");
	if (status) {
		fprintf(stderr, "map_bytes: the program failed\n");
		return 3;
	}
	measure(receive_segment(listener));
	return 0;
}
