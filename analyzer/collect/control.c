/* SPDX-License-Identifier: MIT */
/* control.c - which processes are traced, and asking their collector */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/collect/control.h"
#include "analyzer/collect/fdmsg.h"
#include "analyzer/collect/proc.h"
#include "analyzer/collect/protocol.h"

/*
 * An entry, named after the pid, is text: NAME:TOKEN in the first line, which
 * is all that the shim of a new image reads, then "key value" lines:
 *   seep 1 | collector PID | start TICKS | recording PATH
 * It is written under another name and renamed: never seen half-written.
 */
#define ENTRY_MAX (PATH_MAX + 512)

/* Snapshots of big programs take a while; a status does not. */
#define STATUS_DEADLINE_MS  1000
#define REQUEST_DEADLINE_MS 15000
#define LOOK_MS		    300 /* at the state of a silent collector */

struct entry {
	uint32_t pid;
	uint32_t collector_pid;
	uint64_t start_ticks;
	char socket[160]; /* NAME:TOKEN */
	char recording[PATH_MAX];
};

struct seep_control {
	struct entry entry;
};

uint64_t seep_control_start_ticks(uint32_t pid)
{
	struct seep_proc_stat st;

	return seep_proc_stat(pid, &st) ? st.start_ticks : 0;
}

/* ---- the folder -------------------------------------------------------- */

/* Opens a folder that is real, its owner's alone, and returns the owner. */
static int open_folder(const char *path, uid_t owner)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || st.st_uid != owner ||
	    (st.st_mode & (S_IWGRP | S_IWOTH))) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

static int make_folder(const char *path)
{
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = open_folder(path, geteuid());
	if (fd >= 0 && fchmod(fd, 0700) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct seep_error *seep_control_folder(
    char *path, size_t path_size, int *ret_fd)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int fd;

	/* Under su the variable may still name another user's folder. */
	if (runtime && runtime[0] == '/' && stat(runtime, &st) == 0 &&
	    st.st_uid == geteuid()) {
		snprintf(path, path_size, "%s/seep", runtime);
		fd = make_folder(path);
		if (fd >= 0) {
			*ret_fd = fd;
			return NULL;
		}
	}
	snprintf(path, path_size, "/tmp/seep-%u", (unsigned)geteuid());
	fd = make_folder(path);
	if (fd < 0)
		return seep_error_errno(errno, "runtime folder '%s'", path);
	*ret_fd = fd;
	return NULL;
}

struct seep_error *seep_control_announce(int folder_fd, uint32_t pid,
    const char *socket_and_token, const char *recording)
{
	char name[32], tmp[64], text[ENTRY_MAX];
	int len, fd;

	len = snprintf(text, sizeof(text),
	    "%s\nseep 1\ncollector %d\nstart %llu\nrecording %s\n",
	    socket_and_token, (int)getpid(),
	    (unsigned long long)seep_control_start_ticks(pid), recording);
	if (len < 0 || (size_t)len >= sizeof(text))
		return seep_error_new(
		    SEEP_ERROR_OTHER, "the recording's path is too long");
	snprintf(name, sizeof(name), "%u", pid);
	snprintf(tmp, sizeof(tmp), "%u.%d.new", pid, (int)getpid());
	unlinkat(folder_fd, tmp, 0);
	fd = openat(folder_fd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return seep_error_errno(errno, "runtime entry '%s'", tmp);
	if (write(fd, text, (size_t)len) != len ||
	    renameat(folder_fd, tmp, folder_fd, name) < 0) {
		int e = errno;

		close(fd);
		unlinkat(folder_fd, tmp, 0);
		return seep_error_errno(e, "runtime entry '%s'", name);
	}
	close(fd);
	return NULL;
}

/* A line "key value" of the text (key NULL: all of it is the value); the value
 * is copied, without its end. */
static bool take_line(char **at, const char *key, char *value, size_t size)
{
	size_t skip = key ? strlen(key) + 1 : 0;
	char *end = strchr(*at, '\n');

	if (!end)
		return false;
	*end = '\0';
	if (key && (strncmp(*at, key, skip - 1) || (*at)[skip - 1] != ' '))
		return false;
	if (strlen(*at + skip) >= size)
		return false;
	strcpy(value, *at + skip);
	*at = end + 1;
	return true;
}

/* Reads an entry as it is, current or stale. */
static bool read_entry(int folder_fd, uint32_t pid, struct entry *ret)
{
	char name[32], text[ENTRY_MAX], value[64];
	_cleanup_(seep_closep) int fd = -1;
	struct stat st;
	char *at = text;
	ssize_t n;

	snprintf(name, sizeof(name), "%u", pid);
	fd = openat(
	    folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	if (!take_line(&at, NULL, ret->socket, sizeof(ret->socket)) ||
	    !take_line(&at, "seep", value, sizeof(value)) ||
	    strcmp(value, "1") ||
	    !take_line(&at, "collector", value, sizeof(value)))
		return false;
	ret->collector_pid = (uint32_t)strtoul(value, NULL, 10);
	if (!take_line(&at, "start", value, sizeof(value)))
		return false;
	ret->start_ticks = strtoull(value, NULL, 10);
	return take_line(
	    &at, "recording", ret->recording, sizeof(ret->recording));
}

static bool is_current(const struct entry *e)
{
	struct seep_proc_stat st;

	return seep_proc_stat(e->pid, &st) && st.state != 'Z' &&
	       st.start_ticks == e->start_ticks;
}

void seep_control_withdraw(
    int folder_fd, uint32_t pid, const char *socket_and_token)
{
	char name[32];
	struct entry e;

	/* Not another recording's: a pid is reused sooner or later. One of a
	 * collector that died before us is ours. */
	if (!read_entry(folder_fd, pid, &e) ||
	    strcmp(e.socket, socket_and_token))
		return;
	snprintf(name, sizeof(name), "%u", pid);
	unlinkat(folder_fd, name, 0);
}

/* The folders where entries of this user may be, one per call; -1: no more.
 * Another shell of the user may have another environment. */
static int next_folder(unsigned *step, uid_t uid, char *path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	while (*step < 3) {
		int fd;

		switch ((*step)++) {
		case 0:
			if (!runtime || runtime[0] != '/')
				continue;
			snprintf(path, size, "%s/seep", runtime);
			break;
		case 1:
			snprintf(
			    path, size, "/run/user/%u/seep", (unsigned)uid);
			break;
		default:
			snprintf(path, size, "/tmp/seep-%u", (unsigned)uid);
			break;
		}
		fd = open_folder(path, uid);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* ---- requests ---------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool is_alive(uint32_t pid)
{
	struct seep_proc_stat st;

	return seep_proc_stat(pid, &st) && st.state != 'Z';
}

static bool is_stopped(uint32_t pid)
{
	struct seep_proc_stat st;

	return seep_proc_stat(pid, &st) && (st.state == 'T' || st.state == 't');
}

static const char *collector_state(uint32_t pid)
{
	if (!is_alive(pid))
		return "is gone";
	if (is_stopped(pid))
		return "is stopped (kill -CONT lets it go on)";
	return "does not answer";
}

static struct seep_error *no_answer(const struct entry *e)
{
	return seep_error_new(SEEP_ERROR_OTHER,
	    "the collector of process %u (pid %u) %s; what it has recorded so "
	    "far is in '%s'",
	    e->pid, e->collector_pid, collector_state(e->collector_pid),
	    e->recording);
}

static bool is_text(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* Asks, and waits for the answer until the deadline. */
static struct seep_error *ask(const struct entry *e,
    const struct seep_request *req, int deadline_ms, struct seep_answer *ret)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	_cleanup_(seep_closep) int fd = -1;
	const char *colon = strchr(e->socket, ':');
	size_t len = colon ? (size_t)(colon - e->socket) : strlen(e->socket);
	uint64_t end = now_ms() + (uint64_t)deadline_ms;
	struct ucred peer;
	socklen_t peer_len = sizeof(peer);
	struct pollfd pfd;
	ssize_t n;

	if (!len || len > sizeof(sun.sun_path) - 1)
		return seep_error_new(SEEP_ERROR_CORRUPT,
		    "the runtime entry of process %u is damaged", e->pid);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return seep_error_errno(errno, "socket");
	memcpy(sun.sun_path + 1, e->socket, len);
	/* Never waits: a full backlog is EAGAIN. */
	if (connect(fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) <
	    0)
		return no_answer(e);
	/* Anyone can take an abstract name whose owner is gone. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0 ||
	    (geteuid() && peer.uid != geteuid() && peer.uid != 0))
		return seep_error_new(SEEP_ERROR_OTHER,
		    "the collector's socket of process %u belongs to another "
		    "user now",
		    e->pid);
	if (seep_fdmsg_send(fd, req, sizeof(*req), NULL, 0) < 0)
		return no_answer(e);
	pfd = (struct pollfd){.fd = fd, .events = POLLIN};
	for (;;) {
		uint64_t now = now_ms();
		int r;

		if (now >= end)
			return no_answer(e);
		r = poll(
		    &pfd, 1, end - now < LOOK_MS ? (int)(end - now) : LOOK_MS);
		if (r == 0 && is_stopped(e->collector_pid))
			return no_answer(e);
		if (r < 0 && errno != EINTR)
			return seep_error_errno(errno, "poll");
		if (r > 0)
			break;
	}
	do {
		n = recv(fd, ret, sizeof(*ret), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(*ret))
		return no_answer(e);
	if (ret->magic != SEEP_ANSWER_MAGIC ||
	    ret->version != SEEP_CONTROL_VERSION ||
	    !is_text(ret->recording, sizeof(ret->recording)) ||
	    !is_text(ret->text, sizeof(ret->text)))
		return seep_error_new(SEEP_ERROR_OTHER,
		    "the collector of process %u is another version of seep",
		    e->pid);
	if (ret->failed)
		return seep_error_new(SEEP_ERROR_OTHER,
		    "the collector of process %u: %s", e->pid, ret->text);
	return NULL;
}

static struct seep_request request(uint32_t op, uint32_t pid)
{
	return (struct seep_request){.magic = SEEP_REQUEST_MAGIC,
	    .version = SEEP_CONTROL_VERSION,
	    .op = op,
	    .pid = pid};
}

/* ---- finding ----------------------------------------------------------- */

struct seep_error *seep_control_find(uint32_t pid, struct seep_control **ret)
{
	char path[PATH_MAX];
	struct seep_control *ctl;
	unsigned step = 0;
	uid_t owner;
	int folder;

	if (!seep_proc_uid(pid, &owner))
		return seep_error_new(SEEP_ERROR_OTHER,
		    "there is no process %u; for a finished run name its "
		    "recording",
		    pid);
	ctl = calloc(1, sizeof(*ctl));
	if (!ctl)
		return seep_error_errno(ENOMEM, "process %u", pid);
	/* A worker may have changed its uid: our own folder comes first. */
	for (int own = 1; own >= 0; own--) {
		uid_t uid = own ? geteuid() : owner;

		if (!own && (geteuid() != 0 || owner == geteuid()))
			break;
		for (step = 0; (folder = next_folder(
				    &step, uid, path, sizeof(path))) >= 0;) {
			bool found = read_entry(folder, pid, &ctl->entry) &&
				     is_current(&ctl->entry);

			close(folder);
			if (found) {
				*ret = ctl;
				return NULL;
			}
		}
	}
	free(ctl);
	if (owner != geteuid() && geteuid())
		return seep_error_new(SEEP_ERROR_OTHER,
		    "process %u belongs to another user (uid %u); ask as that "
		    "user or as root",
		    pid, (unsigned)owner);
	return seep_error_new(SEEP_ERROR_OTHER,
	    "process %u is not traced; start the program with `seep run`, see "
	    "`seep ps` for what is traced",
	    pid);
}

void seep_control_destroy(struct seep_control *ctl)
{
	free(ctl);
}

const char *seep_control_recording(const struct seep_control *ctl)
{
	return ctl->entry.recording;
}

static char *copy_recording(
    const struct seep_control *ctl, const struct seep_answer *a)
{
	return strdup(a->recording[0] ? a->recording : ctl->entry.recording);
}

struct seep_error *seep_control_snapshot(struct seep_control *ctl,
    const char *label, struct seep_control_snapshot *ret)
{
	struct seep_request req =
	    request(SEEP_REQUEST_SNAPSHOT, ctl->entry.pid);
	struct seep_answer answer;
	struct seep_error *err;
	char *recording;

	if (label && strlen(label) >= sizeof(req.label))
		return seep_error_new(SEEP_ERROR_USAGE,
		    "a label has at most %zu bytes", sizeof(req.label) - 1);
	if (label)
		strcpy(req.label, label);
	err = ask(&ctl->entry, &req, REQUEST_DEADLINE_MS, &answer);
	if (err)
		return err;
	recording = copy_recording(ctl, &answer);
	if (!recording)
		return seep_error_errno(ENOMEM, "snapshot");
	*ret = (struct seep_control_snapshot){
	    .recording = recording,
	    .process_id = answer.process_id,
	    .snapshot = answer.snapshot,
	    .live_blocks = answer.live_blocks,
	    .live_bytes = answer.live_bytes,
	    .live_blocks_stderr = answer.live_blocks_stderr,
	    .live_bytes_stderr = answer.live_bytes_stderr,
	};
	return NULL;
}

void seep_control_snapshot_deinit(struct seep_control_snapshot *s)
{
	free(s->recording);
	s->recording = NULL;
}

struct seep_error *seep_control_growth(
    struct seep_control *ctl, struct seep_control_growth *ret)
{
	struct seep_request req = request(SEEP_REQUEST_GROWTH, ctl->entry.pid);
	struct seep_answer answer;
	struct seep_error *err;
	char *recording;

	err = ask(&ctl->entry, &req, REQUEST_DEADLINE_MS, &answer);
	if (err)
		return err;
	recording = copy_recording(ctl, &answer);
	if (!recording)
		return seep_error_errno(ENOMEM, "snapshot");
	*ret = (struct seep_control_growth){
	    .recording = recording,
	    .process_id = answer.process_id,
	    .from = answer.from,
	    .to = answer.snapshot,
	};
	return NULL;
}

void seep_control_growth_deinit(struct seep_control_growth *g)
{
	free(g->recording);
	g->recording = NULL;
}

/* ---- listing ----------------------------------------------------------- */

struct listing {
	struct seep_control_process *procs;
	size_t nr, room;
	/* One silent collector must not cost a deadline per process. */
	char silent[160];
};

static struct seep_error *add_process(struct listing *l, const struct entry *e)
{
	struct seep_request req = request(SEEP_REQUEST_STATUS, e->pid);
	struct seep_control_process *p;
	struct seep_answer answer;
	char command[4096];

	for (size_t i = 0; i < l->nr; i++)
		if (l->procs[i].pid == e->pid)
			return NULL;
	if (l->nr == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		void *procs = realloc(l->procs, room * sizeof(*l->procs));

		if (!procs)
			return seep_error_errno(ENOMEM, "listing processes");
		l->procs = procs;
		l->room = room;
	}
	p = &l->procs[l->nr];
	memset(p, 0, sizeof(*p));
	p->pid = e->pid;
	p->collector_pid = e->collector_pid;
	if (!seep_proc_command(e->pid, command, sizeof(command)))
		strcpy(command, "?");
	p->command = strdup(command);
	p->recording = strdup(e->recording);
	if (!p->command || !p->recording) {
		seep_control_process_deinit(p);
		return seep_error_errno(ENOMEM, "listing processes");
	}
	l->nr++;
	if (strcmp(l->silent, e->socket)) {
		struct seep_error *err =
		    ask(e, &req, STATUS_DEADLINE_MS, &answer);

		if (err) {
			strcpy(l->silent, e->socket);
			seep_error_destroy(err);
		} else {
			p->answers = 1;
			p->traced_ms = answer.traced_ms;
			p->live_blocks = answer.live_blocks;
			p->live_bytes = answer.live_bytes;
			p->live_blocks_stderr = answer.live_blocks_stderr;
			p->live_bytes_stderr = answer.live_bytes_stderr;
		}
	}
	return NULL;
}

static struct seep_error *list_folder(struct listing *l, int folder)
{
	struct seep_error *err = NULL;
	struct dirent *d;
	DIR *dir = fdopendir(folder);

	if (!dir) {
		close(folder);
		return NULL;
	}
	while (!err && (d = readdir(dir))) {
		struct entry e;
		char *end;
		unsigned long pid;

		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		pid = strtoul(d->d_name, &end, 10);
		if (*end || pid > INT_MAX)
			continue;
		if (!read_entry(dirfd(dir), (uint32_t)pid, &e))
			continue;
		if (is_current(&e))
			err = add_process(l, &e);
		else if (!is_alive(e.collector_pid))
			/* Nobody else will tidy up after a dead collector. */
			unlinkat(dirfd(dir), d->d_name, 0);
	}
	closedir(dir);
	return err;
}

static int by_pid(const void *a, const void *b)
{
	const struct seep_control_process *pa = a, *pb = b;

	return pa->pid < pb->pid ? -1 : pa->pid > pb->pid;
}

/* Root sees everybody's: the folders of all users that have one. */
static struct seep_error *list_everybody(struct listing *l)
{
	static const char *const parents[] = {"/tmp", "/run/user"};
	struct seep_error *err = NULL;

	for (size_t i = 0; i < 2; i++) {
		DIR *dir = opendir(parents[i]);
		struct dirent *d;

		while (!err && dir && (d = readdir(dir))) {
			char path[PATH_MAX];
			unsigned uid;
			int end = 0, fd;

			if (sscanf(d->d_name, i ? "%u%n" : "seep-%u%n", &uid,
				&end) != 1 ||
			    d->d_name[end] || uid == geteuid())
				continue;
			snprintf(path, sizeof(path), "%s/%s%s", parents[i],
			    d->d_name, i ? "/seep" : "");
			fd = open_folder(path, uid);
			if (fd >= 0)
				err = list_folder(l, fd);
		}
		if (dir)
			closedir(dir);
	}
	return err;
}

struct seep_error *seep_control_list(
    struct seep_control_process **ret, size_t *nr)
{
	struct listing l = {0};
	struct seep_error *err = NULL;
	char path[PATH_MAX];
	unsigned step = 0;
	int folder;

	while (!err && (folder = next_folder(
			    &step, geteuid(), path, sizeof(path))) >= 0)
		err = list_folder(&l, folder);
	if (!err && geteuid() == 0)
		err = list_everybody(&l);
	if (err) {
		for (size_t i = 0; i < l.nr; i++)
			seep_control_process_deinit(&l.procs[i]);
		free(l.procs);
		return err;
	}
	if (l.nr)
		qsort(l.procs, l.nr, sizeof(*l.procs), by_pid);
	*ret = l.procs;
	*nr = l.nr;
	return NULL;
}

void seep_control_process_deinit(struct seep_control_process *p)
{
	free(p->recording);
	free(p->command);
	p->recording = p->command = NULL;
}
