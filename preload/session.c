/* SPDX-License-Identifier: MIT */
/*
 * session.c - the life of the shim in one process: segment, hello, fork, exit
 *
 * The session starts at the first hook, which may be long before any
 * constructor, or in our constructor. It asks nobody and waits for nobody: the
 * segment is made here, its descriptors are sent in one message that the kernel
 * keeps until the collector looks, and are closed again.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "preload/cfi.h"
#include "preload/frames.h"
#include "preload/objects.h"
#include "preload/real.h"
#include "preload/record.h"
#include "preload/session.h"
#include "preload/sys.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SEGMENT_MAX  (32ull << 30)
#define SEGMENT_GOOD (64ull << 20) /* below it the collector is asked */
#define SEGMENT_MIN  (256ull << 10)
#define CMDLINE_MAX  (16u * SEEP_PAGE)
#define TOKEN_DIGITS 32
#define SOCKET_MAX   (16 + 107 + TOKEN_DIGITS)

struct seep_session seep_session;
struct seep_session_env seep_session_env;

static _Atomic uint32_t first_gate; /* until there is a page of its own */
_Atomic uint32_t *seep_gate = &first_gate;

static char socket_env[SOCKET_MAX] = "SEEP_SOCKET=";
static char preload_path[4096];

extern char **environ;
extern void *__libc_stack_end __attribute__((weak));

/*
 * The environment, also before libc knows it (a constructor of an image that
 * is initialised first): it lies behind the arguments on the first stack.
 */
static char **environment(void)
{
	uint64_t *at = &__libc_stack_end ? __libc_stack_end : NULL;

	if (environ || !at || at[0] > 1u << 20 || at[1 + at[0]])
		return environ;
	return (char **)(at + 2 + at[0]);
}

static const char *env_value(const char *name)
{
	size_t len = strlen(name);

	for (char **e = environment(); e && *e; e++)
		if (!strncmp(*e, name, len) && (*e)[len] == '=')
			return *e + len + 1;
	return NULL;
}

/* ---- the segment ------------------------------------------------------- */

static bool populate_missing; /* a kernel before 5.14 */

static void touch(unsigned char *p, uint64_t len)
{
	/* Other threads may use these pages already: change nothing. */
	for (uint64_t i = 0; i < len; i += SEEP_PAGE)
		atomic_fetch_or_explicit(
		    (_Atomic unsigned char *)p + i, 0, memory_order_relaxed);
}

static int back(struct seep_pool *p, uint64_t first, uint64_t nr)
{
	unsigned char *at = p->base + first * SEEP_PAGE;
	uint64_t len = nr * SEEP_PAGE;
	long err;

	if (seep_session.filtered) { /* all of it is writable already */
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

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* "NAME:32 hex digits" -> abstract address and token; false when malformed. */
static bool parse_socket(
    const char *text, struct sockaddr_un *un, uint32_t *un_len, uint8_t *token)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!len || len > sizeof(un->sun_path) - 1 ||
	    strlen(colon + 1) != TOKEN_DIGITS)
		return false;
	for (int i = 0; i < TOKEN_DIGITS; i += 2) {
		int a = hex(colon[1 + i]), b = hex(colon[2 + i]);

		if (a < 0 || b < 0)
			return false;
		token[i / 2] = (uint8_t)(a << 4 | b);
	}
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path + 1, text, len);
	*un_len = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
	return true;
}

/*
 * Asks the collector for a memfd (layout.h, SEEP_WANT_MAGIC). The only place
 * where the shim waits for anybody, with a deadline.
 */
static long ask_for_memfd(uint64_t wanted, uint64_t *bytes)
{
	union {
		struct cmsghdr hdr;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct seep_hello want = {
	    .magic = SEEP_WANT_MAGIC,
	    .version = SEEP_WIRE_VERSION,
	    .pid = (uint32_t)seep_sys(SYS_getpid),
	    .segment_bytes = wanted,
	};
	uint64_t size = 0;
	struct iovec iov = {&size, sizeof(size)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct timespec deadline = {
	    SEEP_WANT_MS / 1000, SEEP_WANT_MS % 1000 * 1000000};
	struct pollfd pfd = {.events = POLLIN};
	struct sockaddr_un un;
	uint32_t un_len;
	long s, ret = -1;
	int fd;

	if (!seep_session_env.socket ||
	    !parse_socket(seep_session_env.socket + sizeof("SEEP_SOCKET=") - 1,
		&un, &un_len, want.token))
		return -1;
	s = seep_sys(SYS_socket, AF_UNIX,
	    SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return s;
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	pfd.fd = (int)s;
	if (!seep_sys(SYS_connect, s, &un, un_len) &&
	    seep_sys(SYS_sendto, s, &want, sizeof(want), MSG_NOSIGNAL) ==
		(long)sizeof(want) &&
	    seep_sys(SYS_ppoll, &pfd, 1, &deadline) == 1 &&
	    seep_sys(SYS_recvmsg, s, &msg, MSG_CMSG_CLOEXEC) ==
		(long)sizeof(size) &&
	    msg.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.hdr.cmsg_level == SOL_SOCKET &&
	    control.hdr.cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(&control.hdr), sizeof(fd));
		*bytes = size;
		ret = fd;
	}
	seep_sys(SYS_close, s);
	return ret;
}

static bool is_error(long p)
{
	return p < 0 && p > -4096;
}

/* Maps a new segment; its descriptor, or a negative error. */
static long make_segment(struct seep_pool *pool)
{
	uint64_t bytes = SEGMENT_MAX, as = limit_of(RLIMIT_AS), wanted;
	long fd, p;

	if (as != RLIM_INFINITY && as / 4 < bytes)
		bytes = as / 4 & ~(uint64_t)(SEEP_PAGE - 1);
	wanted = bytes;
	fd = make_memfd(&bytes);
	if (fd < 0 || (bytes < wanted && bytes < SEGMENT_GOOD)) {
		long given = ask_for_memfd(wanted, &bytes);

		if (given >= 0 && fd >= 0)
			seep_sys(SYS_close, fd);
		fd = given >= 0 ? given : fd;
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

/* exe and command line: of /proc, or what a parent left to its child. */
struct texts {
	char *room; /* exe, then the command line */
	uint32_t exe_len, cmdline_len;
};
#define TEXTS_ROOM (SEEP_PAGE + CMDLINE_MAX)

static void read_texts(struct texts *t)
{
	long n;

	if (!t->room)
		return;
	n = seep_sys(
	    SYS_readlinkat, AT_FDCWD, "/proc/self/exe", t->room, SEEP_PAGE - 1);
	t->exe_len = n > 0 ? (uint32_t)n : 0;
	n = seep_sys_read_file(
	    "/proc/self/cmdline", t->room + t->exe_len, CMDLINE_MAX);
	t->cmdline_len = n > 0 ? (uint32_t)n : 0;
}

/* A child may see no /proc any more: it is its parent's program. */
static void inherit_texts(struct texts *t, const struct seep_pool *parent)
{
	const struct seep_header *h = parent->head;

	if (!t->room || h->exe_len > SEEP_PAGE || h->cmdline_len > CMDLINE_MAX)
		return;
	t->exe_len = h->exe_len;
	t->cmdline_len = h->cmdline_len;
	memcpy(t->room, parent->base + h->exe_at, h->exe_len);
	memcpy(
	    t->room + h->exe_len, parent->base + h->cmdline_at, h->cmdline_len);
}

static void put_texts(struct seep_pool *pool, const struct texts *t)
{
	struct seep_header *h = pool->head;
	uint32_t len = t->exe_len + t->cmdline_len, page;
	enum seep_drop cause;

	if (!len ||
	    !(page = seep_pool_alloc(pool, len / SEEP_PAGE + 1, &cause)))
		return;
	memcpy(seep_pool_page(pool, page), t->room, len);
	h->exe_at = (uint64_t)page * SEEP_PAGE;
	h->exe_len = t->exe_len;
	h->cmdline_at = h->exe_at + t->exe_len;
	h->cmdline_len = t->cmdline_len;
}

/* ---- the collector ----------------------------------------------------- */

/* Sends the hello with its descriptors; a negative error if it cannot. */
static long send_hello(
    const char *where, const struct seep_header *h, const int *fds, int nr_fds)
{
	union {
		struct cmsghdr hdr;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control;
	struct seep_hello hello = {
	    .magic = SEEP_HELLO_MAGIC,
	    .version = SEEP_WIRE_VERSION,
	    .pid = h->pid,
	    .ppid = h->ppid,
	    .flags = atomic_load(&h->flags),
	    .start_ns = h->start_ns,
	    .segment_bytes = h->segment_bytes,
	};
	struct iovec iov = {&hello, sizeof(hello)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct sockaddr_un un;
	uint32_t un_len;
	long s, err;

	if (!parse_socket(where, &un, &un_len, hello.token))
		return -22;
	memset(&control, 0, sizeof(control));
	msg.msg_control = &control;
	msg.msg_controllen = CMSG_SPACE((size_t)nr_fds * sizeof(int));
	control.hdr.cmsg_level = SOL_SOCKET;
	control.hdr.cmsg_type = SCM_RIGHTS;
	control.hdr.cmsg_len = CMSG_LEN((size_t)nr_fds * sizeof(int));
	memcpy(CMSG_DATA(&control.hdr), fds, (size_t)nr_fds * sizeof(int));
	s = seep_sys(SYS_socket, AF_UNIX,
	    SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0)
		return s;
	err = seep_sys(SYS_connect, s, &un, un_len);
	if (!err) {
		err = seep_sys(SYS_sendmsg, s, &msg, MSG_NOSIGNAL);
		if (err > 0)
			err = 0;
	}
	seep_sys(SYS_close, s);
	return err;
}

/*
 * A new image whose environment lost the address: the collector keeps a file
 * per traced pid whose first line is the address (GROUND 7). Looks for our own
 * pid, then for our ancestors'.
 */
static bool find_by_pid(char *socket, size_t size)
{
	static const char tmp[] = "/tmp/seep-";
	const char *run = env_value("XDG_RUNTIME_DIR");
	char path[512], text[512], *end;
	uint64_t pid = (uint64_t)seep_sys(SYS_getpid);

	for (int up = 0; up < 6 && pid > 1; up++) {
		long n;

		if (run && strlen(run) < 300) {
			size_t len = strlen(run);

			memcpy(path, run, len);
			memcpy(path + len, "/seep/", 6);
			end = path + len + 6;
		} else {
			memcpy(path, tmp, sizeof(tmp) - 1);
			end = seep_sys_decimal(path + sizeof(tmp) - 1,
			    (uint64_t)seep_sys(SYS_geteuid));
			*end++ = '/';
		}
		seep_sys_decimal(end, pid);
		n = seep_sys_read_file(path, text, sizeof(text) - 1);
		if (n > 0) {
			text[n] = '\0';
			text[strcspn(text, "\n")] = '\0';
			if (strlen(text) < size) {
				strcpy(socket, text);
				return true;
			}
		}
		memcpy(path, "/proc/", 6);
		end = seep_sys_decimal(path + 6, pid);
		memcpy(end, "/stat", 6);
		n = seep_sys_read_file(path, text, sizeof(text) - 1);
		if (n <= 0)
			return false;
		text[n] = '\0';
		end = strrchr(text, ')');
		if (!end || strlen(end) < 5)
			return false;
		for (pid = 0, end += 4; *end >= '0' && *end <= '9'; end++)
			pid = pid * 10 + (uint64_t)(*end - '0');
	}
	return false;
}

static void put_hex(char *to, const uint8_t *bytes, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		*to++ = "0123456789abcdef"[bytes[i] >> 4];
		*to++ = "0123456789abcdef"[bytes[i] & 15];
	}
	*to = '\0';
}

/* May a collector become our child without the program seeing it? (GROUND 10)
 */
static bool may_have_child(void)
{
	int subreaper = 0;

	seep_sys(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper);
	return seep_sys(SYS_getpid) != 1 && !subreaper;
}

/* In the collector-to-be: a copy of this process, before anything else ran. */
static void become_collector(int listener, const char *bin)
{
	static const char *const fallback = SEEP_BINDIR "/seep";
	const char *argv[] = {"seep", "collect", "--bare", NULL};
	char *envp[64];
	int n = 0;

	for (char **e = environment(); e && *e && n < 63; e++)
		if (strncmp(*e, "LD_PRELOAD=", 11) &&
		    strncmp(*e, "LD_AUDIT=", 9))
			envp[n++] = *e;
	if (n == 63) /* rather without the user's than with half of it */
		n = 0;
	envp[n++] = socket_env;
	envp[n] = NULL;
	if (listener == 3)
		seep_sys(SYS_fcntl, 3, F_SETFD, 0);
	else
		seep_sys(SYS_dup3, listener, 3, 0);
	seep_sys(SYS_execve, bin ? bin : fallback, argv, envp);
	seep_sys(SYS_exit_group, 127);
}

/*
 * A bare LD_PRELOAD: makes the listening socket, so that our own hello and
 * those of our children have somewhere to go at once, and starts the collector
 * on it. It is nobody's child that the program could wait for (GROUND 10): an
 * exec would make it one again, so a child with the exit signal 0, which only
 * __WCLONE sees, starts it and is gone before we go on.
 */
static bool start_collector(void)
{
	uint8_t random[24];
	struct sockaddr_un un;
	uint32_t un_len;
	char *text = socket_env + sizeof("SEEP_SOCKET=") - 1;
	long s, pid;

	if (!may_have_child())
		return false;
	if (seep_sys(SYS_getrandom, random, sizeof(random), 0) !=
	    (long)sizeof(random))
		return false;
	memcpy(text, "seep-", 5);
	put_hex(text + 5, random, 8);
	text[21] = ':';
	put_hex(text + 22, random + 8, 16);
	if (!parse_socket(text, &un, &un_len, random))
		return false;
	s = seep_sys(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s < 0)
		return false;
	if (seep_sys(SYS_bind, s, &un, un_len) < 0 ||
	    seep_sys(SYS_listen, s, 4096) < 0) {
		seep_sys(SYS_close, s);
		return false;
	}
	seep_session_env.socket = socket_env;
	pid = seep_sys(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0) {
		seep_sys(SYS_setsid);
		if (seep_sys(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
			become_collector((int)s, env_value("SEEP_BIN"));
		seep_sys(SYS_exit_group, 0);
	}
	if (pid > 0)
		seep_sys(SYS_wait4, pid, NULL, __WCLONE, NULL);
	seep_sys(SYS_close, s);
	return pid > 0;
}

static void find_collector(void)
{
	const char *given = env_value("SEEP_SOCKET");
	char *text = socket_env + sizeof("SEEP_SOCKET=") - 1;
	size_t room = sizeof(socket_env) - sizeof("SEEP_SOCKET=");

	if (given && strlen(given) <= room) {
		strcpy(text, given);
		seep_session_env.socket = socket_env;
	} else if (find_by_pid(text, room)) {
		seep_session_env.socket = socket_env;
	}
}

static void tell_collector(struct seep_session *s, int memfd)
{
	int fds[3] = {memfd, -1, -1}, nr = 1;
	const char *where;
	long err;

	fds[1] = (int)seep_sys(
	    SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDONLY | O_CLOEXEC);
	fds[2] = (int)seep_sys(
	    SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fds[1] >= 0 && fds[2] >= 0)
		nr = 3;
	else
		atomic_fetch_or(&s->head->flags, SEEP_FLAG_NO_MEM);
	if (!seep_session_env.socket && !start_collector()) {
		/* Nor shall our children start one: it could become ours. */
		strcpy(socket_env, "SEEP_SOCKET=none");
		seep_session_env.socket = socket_env;
	}
	where = seep_session_env.socket
		    ? seep_session_env.socket + sizeof("SEEP_SOCKET=") - 1
		    : "";
	err = send_hello(where, s->head, fds, nr);
	if (err) {
		seep_session_drop(SEEP_DROP_SEND);
		seep_sys_debug("hello failed:", err);
	}
	for (int i = 1; i < 3; i++)
		if (fds[i] >= 0)
			seep_sys(SYS_close, fds[i]);
}

/* ---- start ------------------------------------------------------------- */

/* Our own path, for the environment of programs that this one starts. */
static void find_own_path(void)
{
	const char *list = env_value("LD_PRELOAD"), *end;
	struct seep_object o;

	if (!seep_object_find((uint64_t)(uintptr_t)&seep_session_start, &o))
		return;
	/* As LD_PRELOAD names it, if it does: that may be a link. */
	while (list && *list) {
		size_t len = strcspn(list, ": ");

		end = list + len;
		if (len >= 10 && len < sizeof(preload_path) &&
		    !memcmp(end - 10, "libseep.so", 10)) {
			memcpy(preload_path, list, len);
			preload_path[len] = '\0';
			seep_session_env.preload = preload_path;
			return;
		}
		list = *end ? end + 1 : end;
	}
	if (strlen(o.name) < sizeof(preload_path)) {
		strcpy(preload_path, o.name);
		seep_session_env.preload = preload_path;
	}
}

static bool make_gate(void)
{
	_Atomic uint32_t *page = seep_sys_grab(SEEP_PAGE);

	if (!page)
		return false;
	if (seep_sys(SYS_madvise, page, SEEP_PAGE, MADV_WIPEONFORK) < 0)
		seep_session.compare_pids = true;
	atomic_store(page, SEEP_GATE_BUSY);
	seep_gate = page;
	return true;
}

static bool start(bool forked)
{
	struct seep_session *s = &seep_session;
	struct texts texts = {seep_sys_grab(TEXTS_ROOM), 0, 0};
	struct seep_header *h;
	long fd;

	if (forked) {
		if (!s->pool.base)
			return false; /* the parent could not start either */
		inherit_texts(&texts, &s->pool);
		/* The parent's segment: never again from here. */
		s->head = NULL;
		seep_sys(
		    SYS_munmap, s->pool.base, s->pool.nr_pages * SEEP_PAGE);
		s->pool.base = NULL;
	} else {
		const char *debug = env_value("SEEP_DEBUG");

		read_texts(&texts);
		seep_sys_debugging = debug && *debug == '1';
		if (!seep_objects_available() || !seep_cfi_init())
			return false;
		find_own_path();
		find_collector();
		if (&__libc_stack_end)
			seep_capture.main_stack_end =
			    (uint64_t)(uintptr_t)__libc_stack_end;
	}
	fd = make_segment(&s->pool);
	if (fd < 0) {
		seep_sys_debug("no segment:", fd);
		return false;
	}
	h = s->pool.head;
	h->magic = SEEP_MAGIC;
	h->version = SEEP_WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->segment_bytes = s->pool.nr_pages * SEEP_PAGE;
	h->pid = s->pid = (uint32_t)seep_sys(SYS_getpid);
	h->ppid = (uint32_t)seep_sys(SYS_getppid);
	h->uid = (uint32_t)seep_sys(SYS_geteuid);
	h->start_ns = seep_sys_now_ns();
	s->map.pool = &s->pool;
	s->map.glibc = seep_real_is_glibc();
	atomic_store(&h->flags, (s->map.glibc ? SEEP_FLAG_GLIBC : 0) |
				    (forked ? SEEP_FLAG_FORKED : 0));
	atomic_store(&h->state, SEEP_STATE_RUNNING);
	put_texts(&s->pool, &texts);
	if (texts.room)
		seep_sys_release(texts.room, TEXTS_ROOM);
	if (!seep_tree_init(&s->tree, &s->pool, seep_sys_grab)) {
		seep_sys(SYS_close, fd);
		return false;
	}
	seep_capture.tree = &s->tree;
	seep_capture.pool = &s->pool;
	seep_record_reset();
	s->head = h;
	tell_collector(s, (int)fd);
	seep_sys(SYS_close, fd);
	return true;
}

void seep_session_filter(void)
{
	struct seep_session *s = &seep_session;

	if (s->filtered || !seep_session_is_ours())
		return;
	seep_sys(SYS_mprotect, s->pool.base, s->pool.nr_pages * SEEP_PAGE,
	    PROT_READ | PROT_WRITE);
	s->filtered = seep_objects_no_kernel = true;
}

bool seep_session_is_ours(void)
{
	return seep_session.head &&
	       (uint32_t)seep_sys(SYS_getpid) == seep_session.pid;
}

bool seep_session_start(void)
{
	uint32_t gate = atomic_load(seep_gate), expected = SEEP_GATE_NEW;
	bool forked = seep_gate != &first_gate;
	bool on;

	if (gate == SEEP_GATE_ON && seep_session.compare_pids &&
	    !seep_session_is_ours())
		atomic_compare_exchange_strong(seep_gate, &gate, SEEP_GATE_NEW);
	if (atomic_load(seep_gate) == SEEP_GATE_ON)
		return true;
	if (!atomic_compare_exchange_strong(
		seep_gate, &expected, SEEP_GATE_BUSY))
		return false;
	if (!forked && !make_gate()) {
		atomic_store(seep_gate, SEEP_GATE_OFF);
		return false;
	}
	on = !seep_session.filtered && start(forked);
	/* release: pairs with the load in the hooks. */
	atomic_store(seep_gate, on ? SEEP_GATE_ON : SEEP_GATE_OFF);
	return on;
}
