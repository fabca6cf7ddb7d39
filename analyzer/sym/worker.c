/* SPDX-License-Identifier: MIT */
/*
 * worker.c - an engine in a process of its own, that may crash or hang
 *
 * One stream socket, one question at a time. A question is a struct, for a
 * module followed by its path and build-id, for a lookup by its addresses. Each
 * address gets an answer: a struct, followed by one struct for each frame,
 * followed by their strings. Both sides read and write many at a time, because
 * a change of process costs more than a lookup.
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
	uint64_t pc;	 /* of ASK_JIT */
	uint32_t debuginfod_ms;
	uint32_t level;		       /* of a module */
	uint32_t path_bytes, id_bytes; /* with their NUL; 0: NULL */
	uint32_t nr;		       /* addresses that follow */
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

#define BUFFER_BYTES (64u << 10)

struct seep_worker {
	pid_t pid;
	int fd;
	size_t at, nr; /* of what lies in the buffer: begin, bytes */
	char buffer[BUFFER_BYTES];
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

/* An answer waits for others this long. */
#define HOLD_MS 20

struct child {
	int fd;
	struct seep_engine *engine;
	struct seep_engine_module **modules;
	size_t nr_modules;
	struct seep_sym_address asked[SEEP_WORKER_BATCH];
	size_t nr_held; /* bytes of answers not yet sent */
	uint64_t held_ms;
	char held[BUFFER_BYTES];
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

static bool flush(struct child *c)
{
	bool is_sent = send_all(c->fd, c->held, c->nr_held);

	c->nr_held = 0;
	return is_sent;
}

/* In front of a lookup that may never come back. */
static bool flush_old(struct child *c)
{
	return !c->nr_held || now_ms() - c->held_ms < HOLD_MS || flush(c);
}

static bool send_bytes(struct child *c, const void *bytes, size_t n)
{
	if (n > sizeof(c->held) - c->nr_held && !flush(c))
		return false;
	if (n > sizeof(c->held))
		return send_all(c->fd, bytes, n);
	if (!c->nr_held)
		c->held_ms = now_ms();
	if (n) /* else bytes may be NULL */
		memcpy(c->held + c->nr_held, bytes, n);
	c->nr_held += n;
	return true;
}

static bool send_answer(struct child *c, const struct seep_frame *frames,
    size_t nr, uint32_t debuginfod_ms)
{
	struct answer a = {.nr = (uint32_t)nr, .debuginfod_ms = debuginfod_ms};
	bool is_fine;

	for (size_t i = 0; i < nr; i++)
		a.bytes +=
		    text_bytes(frames[i].function) + text_bytes(frames[i].file);
	is_fine = send_bytes(c, &a, sizeof(a));
	for (size_t i = 0; i < nr && is_fine; i++) {
		struct answer_frame f = {
		    .function_bytes = text_bytes(frames[i].function),
		    .file_bytes = text_bytes(frames[i].file),
		    .line = frames[i].line,
		    .inlined = frames[i].inlined,
		};

		is_fine = send_bytes(c, &f, sizeof(f));
	}
	for (size_t i = 0; i < nr && is_fine; i++)
		is_fine =
		    send_bytes(c, frames[i].function,
			text_bytes(frames[i].function)) &&
		    send_bytes(c, frames[i].file, text_bytes(frames[i].file));
	return is_fine;
}

static void free_frames(struct seep_frame *frames, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		seep_frame_deinit(&frames[i]);
	free(frames);
}

static bool child_lookup(struct child *c, const struct question *q)
{
	uint32_t left_ms = q->debuginfod_ms;
	bool is_fine = q->module < c->nr_modules &&
		       q->nr <= SEEP_WORKER_BATCH &&
		       receive_all(c->fd, c->asked, q->nr * sizeof(*c->asked));

	for (uint32_t i = 0; i < q->nr && is_fine; i++) {
		struct seep_frame *frames = NULL;
		struct seep_error *err;
		size_t nr = 0;

		is_fine = flush_old(c);
		err = seep_engine_lookup(c->engine, c->modules[q->module],
		    c->asked[i].offset, c->asked[i].exact, &left_ms, &frames,
		    &nr);
		is_fine =
		    is_fine && !err && send_answer(c, frames, nr, left_ms);
		ignore(err);
		free_frames(frames, nr);
	}
	return flush(c) && is_fine;
}

static bool child_lookup_jit(struct child *c, const struct question *q)
{
	struct seep_frame *frames = NULL;
	size_t nr = 0;
	struct seep_error *err =
	    seep_engine_lookup_jit(c->engine, q->module, q->pc, &frames, &nr);
	bool is_fine = !err && send_answer(c, frames, nr, 0);

	ignore(err);
	free_frames(frames, nr);
	return flush(c) && is_fine;
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

static bool child_answer(struct child *c, const struct question *q, int fd)
{
	switch (q->kind) {
	case ASK_MODULE:
		return child_module(c, q, fd);
	case ASK_LOOKUP:
		return child_lookup(c, q);
	default:
		return child_lookup_jit(c, q);
	}
}

static void child_run(
    int fd, pid_t parent, const struct seep_engine_options *opt)
{
	struct child *c = calloc(1, sizeof(*c));
	struct question q;
	int passed;

	leave_parent(fd);
	if (!c || getppid() != parent)
		return; /* it ended before PR_SET_PDEATHSIG */
	c->fd = 3;
	ignore(seep_engine_create(opt, &c->engine));
	while (c->engine && receive_question(c->fd, &q, &passed) &&
	       child_answer(c, &q, passed))
		;
}

/* ---- the parent --------------------------------------------------------- */

struct seep_worker *seep_worker_create(const struct seep_engine_options *opt)
{
	struct seep_worker *w = calloc(1, sizeof(*w));
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

/* More of what the child has sent; false: nothing comes. */
static bool refill(struct seep_worker *w, uint64_t end_ms)
{
	for (;;) {
		struct pollfd p = {.fd = w->fd, .events = POLLIN};
		ssize_t got =
		    recv(w->fd, w->buffer, sizeof(w->buffer), MSG_DONTWAIT);
		uint64_t now;

		if (got > 0) {
			w->at = 0;
			w->nr = (size_t)got;
			return true;
		}
		if (!got || (errno != EAGAIN && errno != EINTR))
			return false;
		now = now_ms();
		if (now >= end_ms ||
		    (poll(&p, 1, (int)(end_ms - now)) < 0 && errno != EINTR))
			return false;
	}
}

static bool receive_until(
    struct seep_worker *w, void *bytes, size_t n, uint64_t end_ms)
{
	while (n) {
		size_t take = n < w->nr ? n : w->nr;

		memcpy(bytes, w->buffer + w->at, take);
		bytes = (char *)bytes + take;
		w->at += take;
		w->nr -= take;
		n -= take;
		if (n && !refill(w, end_ms))
			return false;
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

	if (!receive_until(w, &a, sizeof(a), end_ms) || !a.nr ||
	    a.nr > SEEP_DWARF_DEPTH || a.bytes > 2 * a.nr * MAX_TEXT_BYTES)
		return status;
	n = a.nr * sizeof(struct answer_frame) + a.bytes;
	bytes = malloc(n);
	frames = calloc(a.nr, sizeof(*frames));
	if (!bytes || !frames)
		status = SEEP_WORKER_NO_MEMORY;
	else if (receive_until(w, bytes, n, end_ms) &&
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

enum seep_worker_status seep_worker_ask(struct seep_worker *w, uint32_t module,
    const struct seep_sym_address *addresses, uint32_t nr,
    uint32_t debuginfod_ms)
{
	struct question q = {
	    .kind = ASK_LOOKUP,
	    .module = module,
	    .debuginfod_ms = debuginfod_ms,
	    .nr = nr,
	};

	if (!send_all(w->fd, &q, sizeof(q)) ||
	    !send_all(w->fd, addresses, nr * sizeof(*addresses)))
		return SEEP_WORKER_GONE;
	return SEEP_WORKER_OK;
}

enum seep_worker_status seep_worker_answer(struct seep_worker *w,
    uint32_t limit_ms, uint32_t *debuginfod_ms, struct seep_frame **ret,
    size_t *nr)
{
	/* A client of servers ends up to a second late. */
	uint64_t end_ms =
	    now_ms() + limit_ms + (*debuginfod_ms ? *debuginfod_ms + 2000 : 0);

	return receive_answer(w, end_ms, debuginfod_ms, ret, nr);
}

enum seep_worker_status seep_worker_lookup_jit(struct seep_worker *w,
    uint32_t pid, uint64_t pc, uint32_t limit_ms, struct seep_frame **ret,
    size_t *nr)
{
	struct question q = {.kind = ASK_JIT, .module = pid, .pc = pc};
	uint32_t none = 0;

	if (!send_all(w->fd, &q, sizeof(q)))
		return SEEP_WORKER_GONE;
	return receive_answer(w, now_ms() + limit_ms, &none, ret, nr);
}
