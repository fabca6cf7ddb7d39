/* SPDX-License-Identifier: MIT */
/* collector.c - reaching the collector: its address, the hello, a bare start */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "preload/collector.h"
#include "preload/env.h"
#include "preload/sys.h"
#include "wire/sample.h"

#define TOKEN_DIGITS 32
#define SETTINGS_MAX 64
#define SOCKET_MAX   (16 + 107 + TOKEN_DIGITS + SETTINGS_MAX)

static char socket_env[SOCKET_MAX] = "SEEP_SOCKET=";
const char *seep_collector_env;
static char settings[SETTINGS_MAX]; /* of an address yet to be made */

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* "NAME:32 hex digits", perhaps with settings behind -> abstract address and
 * token; false when malformed. */
static bool parse_socket(
    const char *text, struct sockaddr_un *un, uint32_t *un_len, uint8_t *token)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!len || len > sizeof(un->sun_path) - 1 ||
	    strcspn(colon + 1, ",") != TOKEN_DIGITS)
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

/* "512K", "1M", "65536", up to a comma; what is out of range becomes the limit.
 * 0: none. */
static uint32_t parse_bytes(const char *text)
{
	static const char units[] = "kmg";
	uint64_t v = 0;
	const char *unit;

	if (*text < '0' || *text > '9')
		return 0;
	for (; *text >= '0' && *text <= '9'; text++)
		if (v <= SEEP_SAMPLE_MAX)
			v = v * 10 + (uint64_t)(*text - '0');
	unit = *text ? strchr(units, *text | 32) : NULL;
	if (unit) {
		v <<= 10 * (unit - units + 1);
		text += !strncmp(text + 1, "iB", 2) ? 3 : 1;
	}
	if ((*text && *text != ',') || !v)
		return 0;
	return (uint32_t)(v < SEEP_SAMPLE_MIN	? SEEP_SAMPLE_MIN
			  : v > SEEP_SAMPLE_MAX ? SEEP_SAMPLE_MAX
						: v);
}

/*
 * Asks the collector for a memfd (layout.h, SEEP_WANT_MAGIC). The only place
 * where the shim waits for anybody, with a deadline.
 */
long seep_collector_ask_memfd(uint64_t wanted, uint64_t *bytes)
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

	if (!seep_collector_env ||
	    !parse_socket(seep_collector_env + sizeof("SEEP_SOCKET=") - 1, &un,
		&un_len, want.token))
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
	const char *run = seep_env_value("XDG_RUNTIME_DIR");
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
	char *only_ours[2] = {socket_env, NULL}, **envp = only_ours;
	size_t n = 0, nr = 0;

	for (char **e = seep_env(); e && *e; e++)
		nr++;
	if (nr)
		envp = seep_sys_grab((nr + 2) * sizeof(*envp));
	if (!envp)
		seep_sys(SYS_exit_group, 127);
	for (char **e = seep_env(); nr; nr--, e++)
		if (strncmp(*e, "LD_PRELOAD=", 11) &&
		    strncmp(*e, "LD_AUDIT=", 9))
			envp[n++] = *e;
	envp[n] = socket_env;
	if (listener == 3)
		seep_sys(SYS_fcntl, 3, F_SETFD, 0);
	else
		seep_sys(SYS_dup3, listener, 3, 0);
	seep_sys(SYS_execve, bin ? bin : fallback, argv, envp);
	seep_sys(SYS_exit_group, 127);
}

/* What `seep run` has options for, where the environment alone decides. */
static void find_settings(void)
{
	const char *sample = seep_env_value("SEEP_SAMPLE");
	const char *record = seep_env_value("SEEP_RECORD");
	uint32_t bytes = sample ? parse_bytes(sample) : 0;

	if (bytes) {
		memcpy(settings, ",sample=", 9);
		*seep_sys_decimal(settings + 8, bytes) = '\0';
	} else if (record && !strcmp(record, "events")) {
		strcpy(settings, ",events");
	}
}

const char *seep_collector_setting(const char *name)
{
	/* Without a token it is no address. */
	const char *at = strrchr(socket_env, ':');
	size_t len = strlen(name);

	for (at = strchr(at ? at : settings, ','); at; at = strchr(at + 1, ','))
		if (!strncmp(at + 1, name, len) &&
		    (!at[1 + len] || strchr(",=", at[1 + len])))
			return at + 1 + len;
	return NULL;
}

uint32_t seep_collector_sample_bytes(void)
{
	const char *value = seep_collector_setting("sample");

	return value && *value == '=' ? parse_bytes(value + 1) : 0;
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
	strcpy(text + 54, settings);
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
	seep_collector_env = socket_env;
	pid = seep_sys(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0) {
		seep_sys(SYS_setsid);
		if (seep_sys(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
			become_collector((int)s, seep_env_value("SEEP_BIN"));
		seep_sys(SYS_exit_group, 0);
	}
	if (pid > 0)
		seep_sys(SYS_wait4, pid, NULL, __WCLONE, NULL);
	seep_sys(SYS_close, s);
	return pid > 0;
}

void seep_collector_find(void)
{
	const char *given = seep_env_value("SEEP_SOCKET");
	char *text = socket_env + sizeof("SEEP_SOCKET=") - 1;
	size_t room = sizeof(socket_env) - sizeof("SEEP_SOCKET=");

	if (given && strlen(given) <= room) {
		strcpy(text, given);
		seep_collector_env = socket_env;
	} else if (find_by_pid(text, room)) {
		seep_collector_env = socket_env;
	}
	if (!strchr(socket_env, ':'))
		find_settings();
}

void seep_collector_tell(struct seep_header *h, int memfd)
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
		atomic_fetch_or(&h->flags, SEEP_FLAG_NO_MEM);
	if (!seep_collector_env && !start_collector()) {
		/* Nor shall our children start one: it could become ours. */
		strcpy(socket_env, "SEEP_SOCKET=none");
		seep_collector_env = socket_env;
	}
	where = seep_collector_env
		    ? seep_collector_env + sizeof("SEEP_SOCKET=") - 1
		    : "";
	err = send_hello(where, h, fds, nr);
	if (err) {
		atomic_fetch_add(&h->drops[SEEP_DROP_SEND], 1);
		seep_sys_debug("hello failed:", err);
	}
	for (int i = 1; i < 3; i++)
		if (fds[i] >= 0)
			seep_sys(SYS_close, fds[i]);
}
