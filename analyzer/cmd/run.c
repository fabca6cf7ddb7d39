/* SPDX-License-Identifier: MIT */
/*
 * run.c - seep run: traces a program from its start to its end
 *
 * The program is forked first and waits, so that its pid can name the
 * recording; then the collector is started, in a session of its own, and the
 * program let go once the recording is there. While it runs we keep duplicates
 * of the listener and of what processes have sent, to start another collector
 * should the first one die, pass signals on, and wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/cmd/record.h"
#include "analyzer/collect/launch.h"
#include "analyzer/collect/proc.h"
#include "analyzer/collect/session.h"

#define READY_MS     30000
#define DONE_MS	     120000 /* names of big programs take a while */
#define MAX_RESTARTS 5
#define EVERY_MIN_MS 1

enum record { RECORD_STATE, RECORD_EVENTS };

static const char *const records[] = {
    [RECORD_STATE] = "state", [RECORD_EVENTS] = "events", NULL};

struct values {
	const char *output;
	uint64_t every_ms, sample_bytes;
	int record; /* enum record */
	bool quiet;
};

static const struct seep_option options[] = {
    {"output", 'o', SEEP_OPTION_STRING, offsetof(struct values, output), "FILE",
	"the recording; default PROG.PID.seep in this folder", NULL},
    {"every", 0, SEEP_OPTION_TIME, offsetof(struct values, every_ms), "TIME",
	"snapshots with a scan of all blocks, so often", NULL},
    {"record", 0, SEEP_OPTION_CHOICE, offsetof(struct values, record),
	"state|events",
	"histories of a sample of the blocks, or of all (default state)",
	records},
    {"sample", 0, SEEP_OPTION_SIZE, offsetof(struct values, sample_bytes),
	"BYTES", "record a sample: one block in so many bytes, e.g. 512K",
	NULL},
    {"quiet", 'q', SEEP_OPTION_FLAG, offsetof(struct values, quiet), NULL,
	"no report at the end, only errors", NULL},
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

static const struct seep_usage usage = {
    .usage =
	"run [-o FILE] [--every TIME] [--sample BYTES] [--record WHAT] [-q] "
	"[--] PROG "
	"[ARG]...",
    .summary = "Traces a program from its start to its end, with its children.",
    .details =
	"The report is printed on stderr when the program ends. The exit "
	"status is the\nprogram's own, 128+N for signal N; 127 not found, 126 "
	"not executable, 125 cannot\nbe traced; 2 for usage and 3 when seep "
	"itself failed before the program began.",
    .options = options,
    .stop_at_operand = true,
    .min_operands = 1,
    .max_operands = -1,
};

/* A process as it reported to the collector, to be handed to another one. */
struct kept {
	struct kept *next;
	struct seep_session_msg *msg;
	int fds[SEEP_SESSION_FDS];
	size_t nr_fds;
};

struct run {
	const struct values *v;
	char socket[128]; /* NAME:TOKEN, and settings for the shim */
	char *recording;  /* absolute */
	const char *name; /* of the program */
	int listener, session, signals;
	pid_t program, collector;
	bool collector_alive, program_over, done, stop_waiting;
	bool continued; /* SIGCONT was tried */
	int status;	/* wait status of the program */
	unsigned restarts;
	struct kept *kept;
	struct seep_session_msg *msg; /* scratch */
	uint32_t done_flags, done_count;
	char *missing;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the socket of the recording --------------------------------------- */

static struct seep_error *make_listener(struct run *r)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	unsigned char random[24];
	size_t len;
	char *to;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return seep_error_errno(errno, "random numbers");
	to = r->socket + sprintf(r->socket, "seep-");
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i == 8)
			*to++ = ':';
		to += sprintf(to, "%02x", random[i]);
	}
	if (r->v->sample_bytes)
		sprintf(to, ",sample=%" PRIu64, r->v->sample_bytes);
	else if (r->v->record == RECORD_EVENTS)
		strcpy(to, ",events");
	len = strcspn(r->socket, ":");
	memcpy(sun.sun_path + 1, r->socket, len);
	r->listener =
	    socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->listener < 0 ||
	    bind(r->listener, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) <
		0 ||
	    listen(r->listener, 4096) < 0)
		return seep_error_errno(errno, "socket");
	return NULL;
}

/* ---- the collector ----------------------------------------------------- */

static _Noreturn void become_collector(const struct run *r, int session)
{
	char *argv[] = {(char *)"seep", (char *)"collect", (char *)"--session",
	    r->recording, NULL};
	const char *debug = getenv("SEEP_DEBUG");
	int null = open("/dev/null", O_RDWR);

	setsid();
	/* Before the exec: a pipe that is ours must not stay open for long. */
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		if (fd < 2 || !debug || *debug != '1')
			dup2(null, fd);
	if (session == 3)
		fcntl(3, F_SETFD, 0);
	else
		dup2(session, 3);
#ifdef SYS_close_range
	syscall(SYS_close_range, 4, ~0u, 0);
#endif
	unsetenv("LD_PRELOAD");
	unsetenv("SEEP_SOCKET");
	/* Past the wrapper of a shim that traces us: it would have the
	 * collector traced, too. */
	syscall(SYS_execve, "/proc/self/exe", argv, environ);
	_exit(127);
}

static void send_kept(struct run *r)
{
	for (struct kept *k = r->kept; k; k = k->next) {
		struct pollfd pfd = {.fd = r->session, .events = POLLOUT};

		k->msg->type = SEEP_SESSION_ADOPT;
		/* Full: the collector is at work and makes room. */
		while (
		    !seep_session_send(r->session, k->msg, k->fds, k->nr_fds) &&
		    errno == EAGAIN && poll(&pfd, 1, READY_MS) == 1)
			;
	}
}

static void send_status(struct run *r)
{
	memset(r->msg, 0, sizeof(*r->msg));
	r->msg->type = SEEP_SESSION_MAIN_OVER;
	r->msg->pid = (uint32_t)r->program;
	r->msg->status = r->status;
	(void)!seep_session_send(r->session, r->msg, NULL, 0);
}

/* Waits until the collector says that the recording is there. */
static struct seep_error *wait_until_ready(struct run *r)
{
	uint64_t end = now_ms() + READY_MS;
	int fds[SEEP_SESSION_FDS];
	size_t nr = 0;

	for (;;) {
		struct pollfd pfd = {.fd = r->session, .events = POLLIN};
		uint64_t now = now_ms();
		int got;

		if (now >= end)
			return seep_error_new(SEEP_ERROR_OTHER,
			    "the collector (pid %d) does not answer",
			    (int)r->collector);
		if (poll(&pfd, 1, (int)(end - now)) <= 0)
			continue;
		got = seep_session_recv(r->session, r->msg, fds, &nr);
		while (nr)
			close(fds[--nr]);
		if (got < 0)
			return seep_error_new(SEEP_ERROR_OTHER,
			    "the collector has ended at once");
		if (got && r->msg->type == SEEP_SESSION_FAILED)
			return seep_error_new(
			    SEEP_ERROR_OTHER, "%s", r->msg->text);
		if (got && r->msg->type == SEEP_SESSION_READY)
			return NULL;
	}
}

static struct seep_error *start_collector(struct run *r, bool append)
{
	int pair[2], size = 1 << 20;
	struct seep_error *err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return seep_error_errno(errno, "socketpair");
	/* What fits without being read: some hundreds of processes. */
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	r->collector = fork();
	if (r->collector == 0)
		become_collector(r, pair[1]);
	close(pair[1]);
	if (r->collector < 0) {
		close(pair[0]);
		return seep_error_errno(errno, "starting the collector");
	}
	r->collector_alive = true;
	if (r->session >= 0)
		close(r->session);
	r->session = pair[0];
	memset(r->msg, 0, sizeof(*r->msg));
	r->msg->type = SEEP_SESSION_SETUP;
	r->msg->flags = append ? SEEP_SESSION_APPEND : 0;
	r->msg->pid = (uint32_t)r->program;
	r->msg->every_ms = r->v->every_ms;
	strcpy(r->msg->socket, r->socket);
	if (strlen(r->recording) >= sizeof(r->msg->text))
		return seep_error_errno(
		    ENAMETOOLONG, "recording '%s'", r->recording);
	strcpy(r->msg->text, r->recording);
	if (!seep_session_send(r->session, r->msg, &r->listener, 1))
		return seep_error_errno(errno, "starting the collector");
	err = wait_until_ready(r);
	if (err)
		return err;
	send_kept(r);
	if (r->program_over)
		send_status(r);
	return NULL;
}

static void free_kept(struct kept *k)
{
	for (size_t i = 0; i < k->nr_fds; i++)
		close(k->fds[i]);
	free(k->msg);
	free(k);
}

static void forget(struct run *r, uint64_t serial)
{
	for (struct kept **at = &r->kept; *at; at = &(*at)->next) {
		struct kept *k = *at;

		if (k->msg->serial != serial)
			continue;
		*at = k->next;
		free_kept(k);
		return;
	}
}

static void keep(struct run *r, const int *fds, size_t nr)
{
	struct kept *k;

	/* Known already: it came back from a collector we handed it to. */
	for (k = r->kept; k; k = k->next) {
		if (k->msg->pid == r->msg->pid &&
		    k->msg->hello.start_ns == r->msg->hello.start_ns) {
			k->msg->serial = r->msg->serial;
			while (nr)
				close(fds[--nr]);
			return;
		}
	}
	k = calloc(1, sizeof(*k));
	if (k)
		k->msg = malloc(sizeof(*k->msg));
	if (!k || !k->msg) {
		free(k);
		while (nr)
			close(fds[--nr]);
		return;
	}
	memcpy(k->msg, r->msg, sizeof(*k->msg));
	memcpy(k->fds, fds, nr * sizeof(*fds));
	k->nr_fds = nr;
	k->next = r->kept;
	r->kept = k;
}

/* What the collector says; -1: it is gone. */
static int read_session(struct run *r)
{
	int fds[SEEP_SESSION_FDS], got;
	size_t nr = 0;

	while ((got = seep_session_recv(r->session, r->msg, fds, &nr)) > 0) {
		if (r->msg->type == SEEP_SESSION_HELLO) {
			keep(r, fds, nr);
			continue;
		}
		while (nr)
			close(fds[--nr]);
		if (r->msg->type == SEEP_SESSION_GONE) {
			forget(r, r->msg->serial);
		} else if (r->msg->type == SEEP_SESSION_DONE) {
			r->done = true;
			r->done_flags = r->msg->flags;
			r->done_count = r->msg->count;
			if (r->msg->flags & SEEP_SESSION_LOST) {
				free(r->missing);
				r->missing = strdup(r->msg->text);
			}
		}
	}
	return got;
}

static void on_dead_collector(struct run *r)
{
	struct seep_error *err;

	if (r->done)
		return;
	close(r->session);
	r->session = -1;
	r->collector_alive = false;
	if (r->restarts++ >= MAX_RESTARTS) {
		if (!r->missing)
			r->missing = strdup("its collector died repeatedly");
		return;
	}
	err = start_collector(r, true);
	if (err) {
		free(r->missing);
		r->missing = strdup(seep_error_text(err));
		seep_error_destroy(err);
		if (r->session >= 0)
			close(r->session);
		r->session = -1;
		r->collector_alive = false;
	}
}

/* ---- signals and children ---------------------------------------------- */

static struct seep_error *take_signals(struct run *r)
{
	sigset_t set;

	sigfillset(&set);
	/* Stopping and going on is the terminal's business; faults are ours. */
	sigdelset(&set, SIGTSTP);
	sigdelset(&set, SIGTTIN);
	sigdelset(&set, SIGTTOU);
	sigdelset(&set, SIGCONT);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, SIGTRAP);
	sigdelset(&set, SIGSYS);
	sigprocmask(SIG_SETMASK, &set, NULL);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals < 0)
		return seep_error_errno(errno, "signalfd");
	return NULL;
}

static void pass_on(struct run *r, const struct signalfd_siginfo *si)
{
	int sig = (int)si->ssi_signo;

	if (r->program_over) {
		/* Somebody is tired of waiting for the report. */
		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP ||
		    sig == SIGQUIT)
			r->stop_waiting = true;
		return;
	}
	/* The terminal has told the whole group; so has a program that means
	 * its own group. */
	if (si->ssi_code == SI_KERNEL || sig == SIGPIPE ||
	    seep_proc_descends(si->ssi_pid, (uint32_t)r->program))
		return;
	if (si->ssi_code == SI_QUEUE) {
		union sigval value = {.sival_ptr = (void *)si->ssi_ptr};

		sigqueue(r->program, sig, value);
	} else {
		kill(r->program, sig);
	}
}

static void reap(struct run *r)
{
	int status;
	pid_t pid;

	/* As pid 1, or a subreaper, we may have children we did not make. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == r->program) {
			r->program_over = true;
			r->status = status;
			if (r->session >= 0)
				send_status(r);
		}
	}
}

static void read_signals(struct run *r)
{
	struct signalfd_siginfo si;

	while (read(r->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			reap(r);
		else
			pass_on(r, &si);
	}
}

/* Whoever has stopped our collector: it has to go on for us to end. */
static void wake_collector(struct run *r)
{
	struct seep_proc_stat st;

	if (r->continued || !r->collector_alive ||
	    !seep_proc_stat((uint32_t)r->collector, &st) || st.state != 'T')
		return;
	r->continued = true;
	kill(r->collector, SIGCONT);
}

/* Until the program is over and all of it in the recording, or nothing more is
 * to be expected. */
static void watch(struct run *r)
{
	uint64_t end = 0;

	for (;;) {
		struct pollfd pfd[2] = {{.fd = r->signals, .events = POLLIN},
		    {.fd = r->session, .events = POLLIN}};
		int timeout = -1;

		if (r->program_over) {
			uint64_t now = now_ms();

			if (!end)
				end = now + DONE_MS;
			if (r->done || r->stop_waiting || r->session < 0 ||
			    now >= end)
				return;
			wake_collector(r);
			timeout = 500;
		}
		if (poll(pfd, 2, timeout) < 0 && errno != EINTR)
			return;
		read_signals(r);
		if (r->session >= 0 && read_session(r) < 0)
			on_dead_collector(r);
	}
}

/* ---- the end ----------------------------------------------------------- */

static void say_what_is_missing(struct run *r)
{
	if (r->missing)
		seep_cmd_warn("the recording '%s' is not complete: %s",
		    r->recording, r->missing);
	else if (!r->done)
		seep_cmd_warn("the collector (pid %d) did not answer: the "
			      "recording '%s' is as of its last checkpoint",
		    (int)r->collector, r->recording);
	if (!r->done || r->v->quiet)
		return;
	if (!(r->done_flags & SEEP_SESSION_HAS_MAIN))
		seep_cmd_warn("'%s' never reported: not measured; libseep.so "
			      "could not start in it (SEEP_DEBUG=1 says why)",
		    r->name);
	else if (!(r->done_flags & SEEP_SESSION_HAS_EXE))
		seep_cmd_warn("no allocation by the code of '%s' itself was "
			      "seen: not measured if it allocates, with a "
			      "malloc of its own",
		    r->name);
	if (r->done_count)
		fprintf(stderr,
		    "seep: %u of its processes run on and are still traced, "
		    "see 'seep ps'\n",
		    r->done_count);
}

static int end(struct run *r)
{
	struct seep_error *err = NULL;

	say_what_is_missing(r);
	if (!r->v->quiet && !r->stop_waiting) {
		err = seep_cmd_print_report(r->recording, stderr);
		if (err)
			seep_cmd_fail(err);
		fprintf(stderr, "seep: recording '%s'\n", r->recording);
	}
	return WIFSIGNALED(r->status) ? 128 + WTERMSIG(r->status)
				      : WEXITSTATUS(r->status);
}

static void discard(struct run *r)
{
	uint64_t end = now_ms() + READY_MS;

	if (!r->collector_alive)
		return;
	memset(r->msg, 0, sizeof(*r->msg));
	r->msg->type = SEEP_SESSION_DISCARD;
	if (!seep_session_send(r->session, r->msg, NULL, 0))
		return;
	/* The file is gone when the collector is. */
	while (now_ms() < end) {
		struct pollfd pfd = {.fd = r->session, .events = POLLIN};

		if (poll(&pfd, 1, 100) > 0 && read_session(r) < 0)
			return;
	}
}

static void deinit(struct run *r)
{
	while (r->kept) {
		struct kept *k = r->kept;

		r->kept = k->next;
		free_kept(k);
	}
	if (r->session >= 0)
		close(r->session);
	if (r->listener >= 0)
		close(r->listener);
	if (r->signals >= 0)
		close(r->signals);
	free(r->missing);
	free(r->msg);
	free(r->recording);
}

static struct seep_error *name_recording(struct run *r)
{
	char name[NAME_MAX + 1];

	snprintf(
	    name, sizeof(name), "%.200s.%d.seep", r->name, (int)r->program);
	r->recording = seep_record_absolute(r->v->output ? r->v->output : name);
	return r->recording ? NULL : seep_error_errno(ENOMEM, "recording");
}

/* For the spare descriptors; the program has its own limits already. */
static void raise_descriptor_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
}

/* Started without stdin, stdout or stderr: what we open must not take their
 * places. The program gets none of it. */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", O_RDWR | O_CLOEXEC);
}

static struct seep_error *start(struct run *r, struct seep_launch *l)
{
	struct seep_error *err;

	r->msg = calloc(1, sizeof(*r->msg));
	if (!r->msg)
		return seep_error_errno(ENOMEM, "starting");
	r->name = seep_launch_name(l);
	err = make_listener(r);
	if (!err)
		err = take_signals(r);
	if (!err)
		err = seep_launch_fork(l, r->socket, &r->program);
	if (!err)
		err = name_recording(r);
	raise_descriptor_limit();
	if (!err)
		err = start_collector(r, false);
	if (err)
		return err;
	err = seep_launch_release(l);
	if (err)
		discard(r);
	return err;
}

int seep_cmd_run(int argc, char **argv)
{
	_cleanup_(seep_launch_destroyp) struct seep_launch *l = NULL;
	struct values v = {.every_ms = UINT64_MAX, .sample_bytes = UINT64_MAX};
	struct run r = {.v = &v, .listener = -1, .session = -1, .signals = -1};
	char shim[PATH_MAX];
	struct seep_error *err;
	int first, status;

	status = seep_cmd_options(&usage, &v, argc, argv, &first);
	if (status >= 0)
		return status;
	if (v.every_ms < EVERY_MIN_MS)
		return seep_cmd_fail(seep_error_new(SEEP_ERROR_USAGE,
		    "option --every: the shortest time is 1ms"));
	if (v.every_ms == UINT64_MAX)
		v.every_ms = 0;
	if (v.sample_bytes == UINT64_MAX)
		v.sample_bytes = 0;
	else if (v.sample_bytes < SEEP_SAMPLE_MIN ||
		 v.sample_bytes > SEEP_SAMPLE_MAX)
		return seep_cmd_fail(seep_error_new(SEEP_ERROR_USAGE,
		    "option --sample: an interval of 1K to 256M"));
	if (v.sample_bytes && v.record == RECORD_EVENTS)
		return seep_cmd_fail(seep_error_new(SEEP_ERROR_USAGE,
		    "options --sample and --record=events: one of them"));
	fill_standard_descriptors();
	err = seep_launch_find_shim(shim, sizeof(shim));
	if (!err)
		err = seep_launch_prepare(argv + first, shim, &l);
	if (!err)
		err = start(&r, l);
	if (err) {
		status = seep_cmd_fail(err);
	} else {
		watch(&r);
		status = end(&r);
	}
	deinit(&r);
	return status;
}
