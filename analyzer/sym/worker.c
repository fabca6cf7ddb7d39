/* SPDX-License-Identifier: MIT */
/*
 * worker.c - an engine in a process of its own, that may crash or hang
 *
 * One stream socket, one question at a time. A question is a struct, for a
 * module followed by its path and build-id; an answer is a struct, followed by
 * one struct for each frame, followed by their strings.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "analyzer/sym/dwarf.h"
#include "analyzer/sym/worker.h"

#define MAX_TEXT_BYTES (64u << 10) /* of one path or name */
/* More than any real debug information needs, less than the machine has. */
#define MAX_HEAP_BYTES (3ull << 30)

enum question_kind {
	ASK_MODULE,
	ASK_LOOKUP,
	ASK_JIT,
};

struct question {
	uint32_t kind;
	uint32_t module; /* or pid */
	uint64_t offset;
	uint32_t debuginfod_ms;
	uint32_t level;		       /* of a module; exact, of a lookup */
	uint32_t path_bytes, id_bytes; /* with their NUL; 0: NULL */
	uint32_t unused;
};

struct answer {
	uint32_t nr;
	uint32_t bytes; /* of strings behind the frames */
	uint32_t debuginfod_ms;
};

struct answer_frame {
	uint32_t function_bytes, file_bytes; /* with their NUL; 0: NULL */
	uint32_t line;
	uint32_t inlined;
};

struct seep_worker {
	pid_t pid;
	int fd;
};

/* ---- both sides --------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool send_all(int fd, const void *bytes, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		bytes = (const char *)bytes + sent;
		n -= (size_t)sent;
	}
	return true;
}

/* ---- the child ---------------------------------------------------------- */

struct child {
	int fd;
	struct seep_engine *engine;
	struct seep_engine_module **modules;
	size_t nr_modules;
};

static bool receive_all(int fd, void *bytes, size_t n)
{
	while (n) {
		ssize_t got = recv(fd, bytes, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		bytes = (char *)bytes + got;
		n -= (size_t)got;
	}
	return true;
}

static bool receive_question(int fd, struct question *q, int *passed)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = q, .iov_len = sizeof(*q)};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c;
	ssize_t got;

	*passed = -1;
	do
		got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	c = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(c), sizeof(*passed));
	return got > 0 &&
	       receive_all(fd, (char *)q + got, sizeof(*q) - (size_t)got);
}

static void ignore(struct seep_error *err)
{
	seep_error_destroy(err);
}

static bool child_module(struct child *c, const struct question *q, int fd)
{
	char *path = malloc(q->path_bytes + 1), *id = malloc(q->id_bytes + 1);
	void *p =
	    realloc(c->modules, (c->nr_modules + 1) * sizeof(*c->modules));
	bool is_done = false;

	if (p)
		c->modules = p;
	if (p && path && id && receive_all(c->fd, path, q->path_bytes) &&
	    receive_all(c->fd, id, q->id_bytes)) {
		struct seep_engine_module *m = NULL;

		ignore(seep_engine_module(c->engine, path,
		    q->id_bytes ? id : NULL, fd, q->level, &m));
		c->modules[c->nr_modules] = m;
		c->nr_modules += m != NULL;
		is_done = m;
	}
	free(path);
	free(id);
	return is_done;
}

static uint32_t text_bytes(const char *text)
{
	size_t n = text ? strlen(text) + 1 : 0;

	return n > MAX_TEXT_BYTES ? 0 : (uint32_t)n;
}

static bool send_answer(
    int fd, const struct seep_frame *frames, size_t nr, uint32_t debuginfod_ms)
{
	struct answer a = {.nr = (uint32_t)nr, .debuginfod_ms = debuginfod_ms};
	struct answer_frame *f;
	char *bytes, *p;
	bool is_done;

	for (size_t i = 0; i < nr; i++)
		a.bytes +=
		    text_bytes(frames[i].function) + text_bytes(frames[i].file);
	bytes = calloc(1, sizeof(a) + nr * sizeof(*f) + a.bytes);
	if (!bytes)
		return false;
	memcpy(bytes, &a, sizeof(a));
	f = (struct answer_frame *)(bytes + sizeof(a));
	p = (char *)(f + nr);
	for (size_t i = 0; i < nr; i++, f++) {
		f->function_bytes = text_bytes(frames[i].function);
		f->file_bytes = text_bytes(frames[i].file);
		f->line = frames[i].line;
		f->inlined = frames[i].inlined;
		p = mempcpy(p, frames[i].function ? frames[i].function : "",
		    f->function_bytes);
		p = mempcpy(
		    p, frames[i].file ? frames[i].file : "", f->file_bytes);
	}
	is_done = send_all(fd, bytes, (size_t)(p - bytes));
	free(bytes);
	return is_done;
}

static bool child_lookup(struct child *c, const struct question *q)
{
	struct seep_frame *frames = NULL;
	struct seep_error *err = NULL;
	uint32_t left_ms = q->debuginfod_ms;
	size_t nr = 0;
	bool is_done;

	if (q->kind == ASK_JIT)
		err = seep_engine_lookup_jit(
		    c->engine, q->module, q->offset, &frames, &nr);
	else if (q->module < c->nr_modules)
		err = seep_engine_lookup(c->engine, c->modules[q->module],
		    q->offset, q->level, &left_ms, &frames, &nr);
	ignore(err);
	is_done = !err && send_answer(c->fd, frames, nr, left_ms);
	for (size_t i = 0; i < nr; i++)
		seep_frame_deinit(&frames[i]);
	free(frames);
	return is_done;
}

/* Nothing of the parent's is left to a file that takes this process over. */
static void leave_parent(int fd)
{
	struct rlimit core = {0, 0};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "seep-names");
	setrlimit(RLIMIT_CORE, &core);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	signal(SIGINT, SIG_IGN); /* our end is our parent's */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, 0);
	dup2(null, 1);
#ifndef __SANITIZE_ADDRESS__
	struct rlimit heap = {MAX_HEAP_BYTES, MAX_HEAP_BYTES};

	setrlimit(RLIMIT_DATA, &heap);
	dup2(null, 2);
#endif
	if (fd != 3)
		dup2(fd, 3);
	syscall(SYS_close_range, 4u, ~0u, 0u);
}

static void child_run(
    int fd, pid_t parent, const struct seep_engine_options *opt)
{
	struct child c = {.fd = 3};
	struct question q;
	bool is_fine = true;
	int passed;

	leave_parent(fd);
	if (getppid() != parent)
		return; /* it ended before PR_SET_PDEATHSIG */
	ignore(seep_engine_create(opt, &c.engine));
	while (c.engine && is_fine && receive_question(c.fd, &q, &passed)) {
		if (q.kind == ASK_MODULE)
			is_fine = child_module(&c, &q, passed);
		else
			is_fine = child_lookup(&c, &q);
	}
}

/* ---- the parent --------------------------------------------------------- */

struct seep_worker *seep_worker_create(const struct seep_engine_options *opt)
{
	struct seep_worker *w = malloc(sizeof(*w));
	pid_t parent = getpid();
	int fds[2];

	if (!w)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		free(w);
		return NULL;
	}
	w->fd = fds[0];
	w->pid = fork();
	if (!w->pid) {
		child_run(fds[1], parent, opt);
		_exit(0);
	}
	close(fds[1]);
	if (w->pid < 0) {
		close(fds[0]);
		free(w);
		return NULL;
	}
	return w;
}

void seep_worker_destroy(struct seep_worker *w)
{
	if (!w)
		return;
	close(w->fd);
	kill(w->pid, SIGKILL);
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(w);
}

static bool receive_until(int fd, void *bytes, size_t n, uint64_t end_ms)
{
	while (n) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = now_ms();
		ssize_t got;

		if (now >= end_ms)
			return false;
		if (poll(&p, 1, (int)(end_ms - now)) < 0 && errno != EINTR)
			return false;
		if (!p.revents)
			continue;
		got = recv(fd, bytes, n, MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return false;
		bytes = (char *)bytes + got;
		n -= (size_t)got;
	}
	return true;
}

enum seep_worker_status seep_worker_module(struct seep_worker *w,
    const char *path, const char *build_id, int fd,
    enum seep_engine_level level)
{
	struct question q = {
	    .kind = ASK_MODULE,
	    .level = level,
	    .path_bytes = (uint32_t)strlen(path) + 1,
	    .id_bytes = build_id ? (uint32_t)strlen(build_id) + 1 : 0,
	};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {.iov_base = &q, .iov_len = sizeof(q)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		sent = sendmsg(w->fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent != sizeof(q) || !send_all(w->fd, path, q.path_bytes) ||
	    (build_id && !send_all(w->fd, build_id, q.id_bytes)))
		return SEEP_WORKER_GONE;
	return SEEP_WORKER_OK;
}

/* A string of an answer: ends where it says, and nowhere before. */
static bool take_text(const char **p, size_t *left, uint32_t bytes, char **ret)
{
	*ret = NULL;
	if (!bytes)
		return true;
	if (bytes > *left || memchr(*p, 0, bytes) != *p + bytes - 1)
		return false;
	*ret = strdup(*p);
	*p += bytes;
	*left -= bytes;
	return *ret;
}

static bool take_frames(
    const char *bytes, const struct answer *a, struct seep_frame *frames)
{
	const struct answer_frame *f = (const void *)bytes;
	const char *p = (const char *)(f + a->nr);
	size_t left = a->bytes;

	for (size_t i = 0; i < a->nr; i++, f++) {
		if (!take_text(
			&p, &left, f->function_bytes, &frames[i].function) ||
		    !take_text(&p, &left, f->file_bytes, &frames[i].file))
			return false;
		frames[i].line = f->line;
		frames[i].inlined = f->inlined && i + 1 < a->nr;
	}
	return true;
}

static enum seep_worker_status receive_answer(struct seep_worker *w,
    uint64_t end_ms, uint32_t *debuginfod_ms, struct seep_frame **ret,
    size_t *nr)
{
	enum seep_worker_status status = SEEP_WORKER_GONE;
	struct seep_frame *frames;
	struct answer a;
	size_t n;
	char *bytes;

	if (!receive_until(w->fd, &a, sizeof(a), end_ms) || !a.nr ||
	    a.nr > SEEP_DWARF_DEPTH || a.bytes > 2 * a.nr * MAX_TEXT_BYTES)
		return status;
	n = a.nr * sizeof(struct answer_frame) + a.bytes;
	bytes = malloc(n);
	frames = calloc(a.nr, sizeof(*frames));
	if (!bytes || !frames)
		status = SEEP_WORKER_NO_MEMORY;
	else if (receive_until(w->fd, bytes, n, end_ms) &&
		 take_frames(bytes, &a, frames))
		status = SEEP_WORKER_OK;
	free(bytes);
	if (status != SEEP_WORKER_OK) {
		for (size_t i = 0; frames && i < a.nr; i++)
			seep_frame_deinit(&frames[i]);
		free(frames);
		return status;
	}
	if (a.debuginfod_ms < *debuginfod_ms)
		*debuginfod_ms = a.debuginfod_ms;
	*ret = frames;
	*nr = a.nr;
	return SEEP_WORKER_OK;
}

enum seep_worker_status seep_worker_lookup(struct seep_worker *w,
    uint32_t module, uint64_t offset, bool exact, uint32_t limit_ms,
    uint32_t *debuginfod_ms, struct seep_frame **ret, size_t *nr)
{
	struct question q = {
	    .kind = ASK_LOOKUP,
	    .module = module,
	    .offset = offset,
	    .level = exact,
	    .debuginfod_ms = *debuginfod_ms,
	};
	/* The client ends up to a second late. */
	uint64_t end_ms =
	    now_ms() + limit_ms + (*debuginfod_ms ? *debuginfod_ms + 2000 : 0);

	if (!send_all(w->fd, &q, sizeof(q)))
		return SEEP_WORKER_GONE;
	return receive_answer(w, end_ms, debuginfod_ms, ret, nr);
}

enum seep_worker_status seep_worker_lookup_jit(struct seep_worker *w,
    uint32_t pid, uint64_t pc, uint32_t limit_ms, struct seep_frame **ret,
    size_t *nr)
{
	struct question q = {.kind = ASK_JIT, .module = pid, .offset = pc};
	uint32_t none = 0;

	if (!send_all(w->fd, &q, sizeof(q)))
		return SEEP_WORKER_GONE;
	return receive_answer(w, now_ms() + limit_ms, &none, ret, nr);
}
