/* SPDX-License-Identifier: MIT */
/* collect.c - seep collect: the collector's process, started by run or shim */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/cmd/record.h"
#include "analyzer/collect/collector.h"
#include "analyzer/collect/session.h"

#define LISTENER_FD	 3 /* what the shim leaves us */
#define SETUP_TIMEOUT_MS 10000

struct values {
	bool bare, session;
};

static const struct seep_option options[] = {
    {"bare", 0, SEEP_OPTION_FLAG, offsetof(struct values, bare), NULL,
	"started by libseep.so: descriptor 3 is its socket", NULL},
    {"session", 0, SEEP_OPTION_FLAG, offsetof(struct values, session), NULL,
	"started by seep run: descriptor 3 leads to it", NULL},
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

static const struct seep_usage usage = {
    .usage = "collect --bare | --session [FILE]",
    .summary = "Collects what traced processes record.",
    .details = "The other parts of seep start it; there is no need to do so "
	       "by hand.\nFILE only shows in ps what it works on.",
    .options = options,
    .max_operands = 1,
};

static void lift_limits(void)
{
	static const int which[] = {RLIMIT_AS, RLIMIT_CPU, RLIMIT_DATA,
	    RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS};

	for (size_t i = 0; i < sizeof(which) / sizeof(*which); i++) {
		struct rlimit r;

		if (getrlimit((__rlimit_resource_t)which[i], &r) == 0) {
			r.rlim_cur = r.rlim_max;
			(void)setrlimit((__rlimit_resource_t)which[i], &r);
		}
	}
}

/* TERM and INT are read from a descriptor; nothing else but KILL ends us. */
static void settle_signals(void)
{
	sigset_t set;

	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction sa = {.sa_handler = SIG_IGN};

		if (sig == SIGCHLD || sig == SIGSEGV || sig == SIGBUS ||
		    sig == SIGILL || sig == SIGFPE || sig == SIGABRT ||
		    sig == SIGTRAP || sig == SIGSYS || sig == SIGTERM ||
		    sig == SIGINT)
			sa.sa_handler = SIG_DFL;
		sigaction(sig, &sa, NULL);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static void settle_descriptors(void)
{
	const char *debug = getenv("SEEP_DEBUG");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		if (fd < 2 || !debug || *debug != '1')
			dup2(null, fd);
#ifdef SYS_close_range
	if (syscall(SYS_close_range, LISTENER_FD + 1, ~0u, 0) == 0)
		return;
#endif
	for (int fd = LISTENER_FD + 1; fd < 65536; fd++)
		close(fd);
}

/* Out of the program's way: session, group, terminal, descriptors, limits. */
static void settle(void)
{
	int fd;

	setsid();
	umask(077);
	settle_signals();
	settle_descriptors();
	lift_limits();
	/* Tables grow and go: each on its own, given back when it is freed. A
	 * fixed threshold also keeps glibc from raising it. */
	mallopt(M_MMAP_THRESHOLD, 64 << 10);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	unsetenv("LD_PRELOAD");
	/* The program may have made itself the first to be killed. */
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "0", 1);
		close(fd);
	}
}

static void complain(struct seep_error *err)
{
	fprintf(stderr, "seep: collector: %s\n", seep_error_text(err));
}

static int run_bare(void)
{
	_cleanup_(seep_record_destroyp) struct seep_record *rec = NULL;
	struct seep_collector_result result = {0};
	struct seep_collector_options opt = {
	    .listener = LISTENER_FD, .session = -1};
	_cleanup_(seep_freep) char *cwd = getcwd(NULL, 0);
	struct seep_error *err;
	int listening = 0;
	socklen_t len = sizeof(listening);

	opt.cwd = cwd;
	opt.socket = getenv("SEEP_SOCKET");
	if (!opt.socket ||
	    getsockopt(
		LISTENER_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 ||
	    !listening)
		return seep_cmd_fail(seep_error_new(SEEP_ERROR_USAGE,
		    "collect --bare is for libseep.so to call"));
	settle();
	fcntl(LISTENER_FD, F_SETFL, O_NONBLOCK);
	fcntl(LISTENER_FD, F_SETFD, FD_CLOEXEC);
	err = seep_record_create_later(getenv("SEEP_OUTPUT"), &rec);
	if (!err) {
		opt.sink = seep_record_sink(rec);
		err = seep_collector_run(&opt, &result);
	}
	if (!err && result.missing)
		fprintf(stderr, "seep: collector: %s\n", result.missing);
	free(result.missing);
	if (!err)
		return 0;
	complain(err);
	seep_error_destroy(err);
	return 3;
}

static void answer(int sock, uint32_t type, const char *text)
{
	struct seep_session_msg *msg = calloc(1, sizeof(*msg));

	if (!msg)
		return;
	msg->type = type;
	snprintf(msg->text, sizeof(msg->text), "%s", text);
	(void)!seep_session_send(sock, msg, NULL, 0);
	free(msg);
}

/* The first message of run: what to do, and the listener. */
static bool receive_setup(struct seep_session_msg *msg, int *listener)
{
	struct pollfd pfd = {.fd = LISTENER_FD, .events = POLLIN};
	int fds[SEEP_SESSION_FDS];
	size_t nr = 0;

	if (poll(&pfd, 1, SETUP_TIMEOUT_MS) != 1 ||
	    seep_session_recv(LISTENER_FD, msg, fds, &nr) != 1)
		return false;
	if (msg->type != SEEP_SESSION_SETUP || nr != 1) {
		while (nr)
			close(fds[--nr]);
		return false;
	}
	*listener = fds[0];
	return true;
}

static int run_session(void)
{
	_cleanup_(seep_freep) struct seep_session_msg *msg =
	    calloc(1, sizeof(*msg));
	_cleanup_(seep_record_destroyp) struct seep_record *rec = NULL;
	struct seep_collector_result result = {0};
	struct seep_collector_options opt = {.session = LISTENER_FD};
	_cleanup_(seep_freep) char *cwd = getcwd(NULL, 0);
	struct seep_error *err;
	struct stat st;

	if (!msg || fstat(LISTENER_FD, &st) < 0 || !S_ISSOCK(st.st_mode))
		return seep_cmd_fail(seep_error_new(SEEP_ERROR_USAGE,
		    "collect --session is for seep run to call"));
	settle();
	fcntl(LISTENER_FD, F_SETFD, FD_CLOEXEC);
	if (!receive_setup(msg, &opt.listener))
		return 3;
	opt.cwd = cwd;
	opt.socket = msg->socket;
	opt.main_pid = msg->pid;
	opt.every_ms = msg->every_ms;
	opt.append = msg->flags & SEEP_SESSION_APPEND;
	err = seep_record_create(msg->text, opt.append, &rec);
	if (!err && chdir("/") < 0)
		err = seep_error_errno(errno, "leaving the folder");
	if (err) {
		answer(LISTENER_FD, SEEP_SESSION_FAILED, seep_error_text(err));
		seep_error_destroy(err);
		return 3;
	}
	answer(LISTENER_FD, SEEP_SESSION_READY, "");
	opt.sink = seep_record_sink(rec);
	err = seep_collector_run(&opt, &result);
	free(result.missing);
	if (!err)
		return 0;
	complain(err);
	seep_error_destroy(err);
	return 3;
}

int seep_cmd_collect(int argc, char **argv)
{
	struct values v = {0};
	int first, status;

	status = seep_cmd_options(&usage, &v, argc, argv, &first);
	if (status >= 0)
		return status;
	if (v.bare == v.session)
		return seep_cmd_fail(seep_error_new(SEEP_ERROR_USAGE,
		    "collect takes --bare or --session; other parts of seep "
		    "call it"));
	return v.bare ? run_bare() : run_session();
}
