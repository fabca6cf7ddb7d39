/* SPDX-License-Identifier: MIT */
/*
 * process.c - beginnings and ends: constructor, fork, exec, spawn, dlclose
 *
 * fork: the child opens its own segment before program code runs in it. A child
 * of a raw clone() does so at its first allocation: the gate's page is wiped.
 * exec and spawn: the new program's environment gets the preload and the
 * collector's address back where the program took them out, and loses them
 * where they would do harm. Nothing here allocates; all of it may run in a
 * vfork child, which shares its parent's memory.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include "preload/collector.h"
#include "preload/frames.h"
#include "preload/hooks.h"
#include "preload/session.h"
#include "preload/suit.h"
#include "preload/sys.h"

/* ---- begin and end ----------------------------------------------------- */

extern int __cxa_atexit(void (*fn)(void *), void *arg, void *dso);

static void at_end(void *arg)
{
	(void)arg;
	if (seep_session_is_ours())
		atomic_store(&seep_session.head->state, SEEP_STATE_EXITED);
}

/*
 * With no image to belong to, at_end() runs after the destructors of all
 * images (GROUND 5). The C library keeps the first 32 registrations in static
 * memory, so this one, made before main, allocates nothing.
 */
static __attribute__((constructor)) void begin(void)
{
	seep_session_start();
	__cxa_atexit(at_end, NULL, NULL);
}

/* ---- fork -------------------------------------------------------------- */

static pid_t after_fork(pid_t pid, void **frame)
{
	if (pid == 0)
		seep_session_start();
	if (pid <= 0 || !seep_session_is_ours())
		return pid;
	if (seep_session.filtered)
		seep_session_drop(SEEP_DROP_CHILD_UNTRACED);
	else
		atomic_fetch_add(&seep_session.head->children, 1);
	seep_record_event(SEEP_EVENT_FORK, (uint64_t)pid, NULL, frame);
	return pid;
}

#define FORK_LIKE(name)                                                        \
	SEEP_EXPORT pid_t name(void);                                          \
	SEEP_EXPORT pid_t name(void)                                           \
	{                                                                      \
		static struct seep_later l = {#name, NULL, 0};                 \
		void *fn;                                                      \
                                                                               \
		seep_later_get(&l, &fn);                                       \
		return after_fork(((pid_t(*)(void))fn)(), SEEP_FRAME);         \
	}

FORK_LIKE(fork)
FORK_LIKE(__fork)

SEEP_EXPORT pid_t _Fork(void);
SEEP_EXPORT pid_t _Fork(void)
{
	static struct seep_later l = {"_Fork", NULL, 0};
	void *fn;

	seep_later_get(&l, &fn);
	if (!fn) { /* glibc before 2.34 */
		errno = ENOSYS;
		return -1;
	}
	return after_fork(((pid_t(*)(void))fn)(), SEEP_FRAME);
}

/* The parent ends inside: count the child first. */
SEEP_EXPORT int daemon(int nochdir, int noclose)
{
	static struct seep_later l = {"daemon", NULL, 0};
	bool ours = seep_session_is_ours();
	void *fn;
	int ret;

	seep_later_get(&l, &fn);
	if (ours)
		atomic_fetch_add(&seep_session.head->children, 1);
	ret = ((int (*)(int, int))fn)(nochdir, noclose);
	if (!seep_session_is_ours())
		seep_session_start();
	else if (ret < 0 && ours)
		atomic_fetch_sub(&seep_session.head->children, 1);
	return ret;
}

/* ---- environments ------------------------------------------------------ */

#define PRELOAD	    "LD_PRELOAD="
#define PRELOAD_LEN (sizeof(PRELOAD) - 1)
#define SOCKET	    "SEEP_SOCKET="
#define SOCKET_LEN  (sizeof(SOCKET) - 1)
#define STACK_ENV   (32u << 10) /* bytes; larger environments are mapped */

/* The entry of our library in a list like LD_PRELOAD's; its length in *len. */
static const char *find_ours(const char *list, size_t *len)
{
	const char *ours = seep_session_preload;
	size_t n = strlen(ours);

	while (*list) {
		*len = strcspn(list, ": ");
		if (*len == n && !memcmp(list, ours, n))
			return list;
		list += *len;
		list += *list != '\0';
	}
	return NULL;
}

struct new_env {
	char *const *given;
	bool suits;		      /* the new program can take the preload */
	const char *preload, *socket; /* what `given` has */
	size_t nr;
};

/* Does it have to change at all? */
static bool must_change(struct new_env *e)
{
	size_t len;

	e->preload = e->socket = NULL;
	for (e->nr = 0; e->given && e->given[e->nr]; e->nr++) {
		const char *v = e->given[e->nr];

		if (!strncmp(v, PRELOAD, PRELOAD_LEN))
			e->preload = v + PRELOAD_LEN;
		else if (!strncmp(v, SOCKET, SOCKET_LEN))
			e->socket = v + SOCKET_LEN;
	}
	if (!seep_session_preload)
		return false;
	if (!e->suits)
		return e->preload && find_ours(e->preload, &len);
	return !e->preload || !find_ours(e->preload, &len) ||
	       (seep_collector_env &&
		   (!e->socket ||
		       strcmp(e->socket, seep_collector_env + SOCKET_LEN)));
}

static size_t bytes_needed(const struct new_env *e)
{
	return (e->nr + 3) * sizeof(char *) + PRELOAD_LEN +
	       strlen(seep_session_preload) + 2 +
	       (e->preload ? strlen(e->preload) : 0);
}

/* The LD_PRELOAD entry with us in front of the user's, or without us. */
static char *put_preload(const struct new_env *e, char *at)
{
	const char *user = e->preload ? e->preload : "", *ours;
	char *start = at;
	size_t len;

	memcpy(at, PRELOAD, PRELOAD_LEN);
	at += PRELOAD_LEN;
	ours = find_ours(user, &len);
	if (e->suits && !ours) {
		at = stpcpy(at, seep_session_preload);
		if (*user)
			*at++ = ':';
		strcpy(at, user);
	} else if (!e->suits && ours) {
		memcpy(at, user, (size_t)(ours - user));
		strcpy(at + (ours - user), ours + len + (ours[len] != '\0'));
		if (!*at)
			return NULL;
	} else {
		strcpy(at, user);
	}
	return start;
}

static char **build(const struct new_env *e, void *room)
{
	char **env = room, **to = env;
	char *preload = put_preload(e, (char *)(env + e->nr + 3));

	for (size_t i = 0; i < e->nr; i++)
		if (strncmp(e->given[i], PRELOAD, PRELOAD_LEN) &&
		    strncmp(e->given[i], SOCKET, SOCKET_LEN))
			*to++ = e->given[i];
	if (preload)
		*to++ = preload;
	if (e->suits && seep_collector_env)
		*to++ = (char *)(uintptr_t)seep_collector_env;
	*to = NULL;
	return env;
}

static const char *path_list(char *const *env)
{
	for (; env && *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			return *env + 5;
	return NULL;
}

/*
 * `env` becomes the environment to pass on: the given one, or a changed copy on
 * the caller's stack (it must outlive the call, and a vfork child must not
 * leave mappings behind in its parent).
 */
#define SEEP_WITH_ENV(env, given_env, suits_it)                                \
	struct new_env e_ = {.given = (given_env),                             \
	    .suits = !seep_session.filtered && (suits_it)};                    \
	char **env = (char **)(uintptr_t)e_.given;                             \
	size_t mapped_ = 0;                                                    \
	if (must_change(&e_)) {                                                \
		size_t n_ = bytes_needed(&e_);                                 \
		void *room_;                                                   \
		if (n_ <= STACK_ENV)                                           \
			room_ = alloca(n_);                                    \
		else                                                           \
			room_ = seep_sys_grab(mapped_ = n_);                   \
		if (room_)                                                     \
			env = build(&e_, room_);                               \
	}

#define SEEP_DONE_ENV(env)                                                     \
	do {                                                                   \
		if (mapped_ && env != e_.given)                                \
			seep_sys_release(env, mapped_);                        \
	} while (0)

/* ---- exec -------------------------------------------------------------- */

/* In a vfork child the segment is its parent's: it counts as one more child. */
static bool exec_begins(const char *path, void **frame)
{
	if (!seep_session.head)
		return false;
	if (!seep_session_is_ours()) {
		atomic_fetch_add(&seep_session.head->children, 1);
		return false;
	}
	seep_record_event(SEEP_EVENT_EXEC, 0, path, frame);
	atomic_store(&seep_session.head->state, SEEP_STATE_EXEC);
	return true;
}

static void exec_failed(bool was_ours)
{
	if (was_ours)
		atomic_store(&seep_session.head->state, SEEP_STATE_RUNNING);
	else if (seep_session.head)
		atomic_fetch_sub(&seep_session.head->children, 1);
}

static int do_execve(
    const char *path, char *const *argv, char *const *given, bool suits)
{
	static struct seep_later l = {"execve", NULL, 0};
	SEEP_WITH_ENV(env, given, suits)
	bool ours = exec_begins(path, SEEP_FRAME);
	void *fn;
	int ret;

	seep_later_get(&l, &fn);
	ret = ((int (*)(const char *, char *const *, char *const *))fn)(
	    path, argv, env);
	exec_failed(ours);
	SEEP_DONE_ENV(env);
	return ret;
}

SEEP_EXPORT int execve(const char *path, char *const argv[], char *const env[])
{
	return do_execve(path, argv, env, seep_suits_path(path));
}

SEEP_EXPORT int execv(const char *path, char *const argv[])
{
	return do_execve(path, argv, environ, seep_suits_path(path));
}

static int do_execvpe(const char *name, char *const *argv, char *const *given)
{
	static struct seep_later l = {"execvpe", NULL, 0};
	SEEP_WITH_ENV(env, given,
	    seep_suits_name(name, path_list((char *const *)environ)))
	bool ours = exec_begins(name, SEEP_FRAME);
	void *fn;
	int ret;

	seep_later_get(&l, &fn);
	ret = ((int (*)(const char *, char *const *, char *const *))fn)(
	    name, argv, env);
	exec_failed(ours);
	SEEP_DONE_ENV(env);
	return ret;
}

SEEP_EXPORT int execvpe(const char *name, char *const argv[], char *const env[])
{
	return do_execvpe(name, argv, env);
}

SEEP_EXPORT int execvp(const char *name, char *const argv[])
{
	return do_execvpe(name, argv, environ);
}

/* The arguments of the execl forms as an array on the stack. */
#define SEEP_ARGV(argv, first, last_arg)                                       \
	char **argv;                                                           \
	do {                                                                   \
		va_list ap_;                                                   \
		size_t n_ = 1, i_;                                             \
		va_start(ap_, last_arg);                                       \
		while (va_arg(ap_, char *))                                    \
			n_++;                                                  \
		va_end(ap_);                                                   \
		argv = alloca((n_ + 1) * sizeof(char *));                      \
		argv[0] = (char *)(uintptr_t)(first);                          \
		va_start(ap_, last_arg);                                       \
		for (i_ = 1; i_ <= n_; i_++)                                   \
			argv[i_] = va_arg(ap_, char *);                        \
		va_end(ap_);                                                   \
	} while (0)

SEEP_EXPORT int execl(const char *path, const char *arg, ...)
{
	SEEP_ARGV(argv, arg, arg);
	return execv(path, argv);
}

SEEP_EXPORT int execlp(const char *name, const char *arg, ...)
{
	SEEP_ARGV(argv, arg, arg);
	return execvp(name, argv);
}

SEEP_EXPORT int execle(const char *path, const char *arg, ...)
{
	char *const *env;
	va_list ap;

	SEEP_ARGV(argv, arg, arg);
	va_start(ap, arg);
	while (va_arg(ap, char *))
		;
	env = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, env);
}

SEEP_EXPORT int fexecve(int fd, char *const argv[], char *const given[])
{
	static struct seep_later l = {"fexecve", NULL, 0};
	SEEP_WITH_ENV(env, given, seep_suits_fd(fd))
	bool ours = exec_begins(NULL, SEEP_FRAME);
	void *fn;
	int ret;

	seep_later_get(&l, &fn);
	ret = ((int (*)(int, char *const *, char *const *))fn)(fd, argv, env);
	exec_failed(ours);
	SEEP_DONE_ENV(env);
	return ret;
}

/* ---- spawn ------------------------------------------------------------- */

typedef int spawn_fn(pid_t *, const char *, const posix_spawn_file_actions_t *,
    const posix_spawnattr_t *, char *const *, char *const *);

static int do_spawn(struct seep_later *l, bool suits, pid_t *pid,
    const char *path, const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attr, char *const *argv, char *const *given)
{
	SEEP_WITH_ENV(env, given, suits)
	void *fn;
	int ret;

	seep_later_get(l, &fn);
	ret = ((spawn_fn *)fn)(pid, path, actions, attr, argv, env);
	if (!ret && seep_session_is_ours()) {
		seep_record_event(SEEP_EVENT_SPAWN, pid ? (uint64_t)*pid : 0,
		    path, SEEP_FRAME);
		if (suits && !seep_session.filtered)
			atomic_fetch_add(&seep_session.head->children, 1);
		else
			seep_session_drop(SEEP_DROP_CHILD_UNTRACED);
	}
	SEEP_DONE_ENV(env);
	return ret;
}

SEEP_EXPORT int posix_spawn(pid_t *pid, const char *path,
    const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
    char *const argv[], char *const env[])
{
	static struct seep_later l = {"posix_spawn", NULL, 0};

	return do_spawn(&l, seep_suits_path(path), pid, path, actions, attr,
	    argv, env ? env : environ);
}

SEEP_EXPORT int posix_spawnp(pid_t *pid, const char *name,
    const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
    char *const argv[], char *const env[])
{
	static struct seep_later l = {"posix_spawnp", NULL, 0};

	return do_spawn(&l,
	    seep_suits_name(name, path_list((char *const *)environ)), pid, name,
	    actions, attr, argv, env ? env : environ);
}

/* ---- seccomp ----------------------------------------------------------- */

static void filter_begins(void **frame)
{
	if (seep_session.filtered || !seep_session_is_ours())
		return;
	seep_record_event(SEEP_EVENT_FILTER, 0, NULL, frame);
	seep_session_filter();
}

/* Both ways into a filter that programs have: prctl() and the raw call. */
SEEP_EXPORT int prctl(int op, ...)
{
	long a[4], ret;
	va_list ap;

	va_start(ap, op);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (op == PR_SET_SECCOMP)
		filter_begins(SEEP_FRAME);
	ret = seep_sys(SYS_prctl, op, a[0], a[1], a[2], a[3]);
	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return (int)ret;
}

SEEP_EXPORT long syscall(long nr, ...)
{
	long a[6], ret;
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (nr == SYS_seccomp && a[0] <= SECCOMP_SET_MODE_FILTER)
		filter_begins(SEEP_FRAME);
	ret = seep_sys6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (ret < 0 && ret > -4096) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}

/* ---- dlclose ----------------------------------------------------------- */

SEEP_EXPORT int dlclose(void *handle)
{
	static struct seep_later l = {"dlclose", NULL, 0};
	void *fn;
	int ret;

	seep_later_get(&l, &fn);
	if (!fn)
		return -1;
	seep_record_event(SEEP_EVENT_UNLOAD, 0, NULL, SEEP_FRAME);
	seep_frames_unload_begin();
	ret = ((int (*)(void *))fn)(handle);
	seep_frames_unload_end();
	return ret;
}
