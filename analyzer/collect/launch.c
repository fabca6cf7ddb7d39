/* SPDX-License-Identifier: MIT */
/* launch.c - finds a program and starts it with the shim in it */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/collect/control.h"
#include "analyzer/collect/launch.h"

#ifndef SEEP_PKGLIBDIR
#define SEEP_PKGLIBDIR "/usr/local/lib/seep"
#endif

#define SHIM_NAME "libseep.so"

extern char **environ;

struct seep_launch {
	char *path;  /* what execve gets */
	char *name;  /* last component of what was asked for */
	char **argv; /* ours only if sh_argv */
	char **sh_argv;
	char *preload; /* path of the shim, without blanks and colons */
	char **env;
	sigset_t mask;
	struct sigaction chld;
	int gate, report; /* to the child, from the child; -1 */
	pid_t pid;
};

/* ---- finding ----------------------------------------------------------- */

static bool is_executable_file(const char *path, int *why)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		*why = errno;
		return false;
	}
	if (S_ISDIR(st.st_mode)) {
		*why = EISDIR;
		return false;
	}
	if (!S_ISREG(st.st_mode) ||
	    faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0) {
		*why = EACCES;
		return false;
	}
	return true;
}

static struct seep_error *not_runnable(const char *name, int why)
{
	switch (why) {
	case ENOENT:
	case ENOTDIR:
		return seep_error_new(SEEP_ERROR_NOT_FOUND,
		    strchr(name, '/') ? "there is no program '%s'"
				      : "there is no program '%s' in PATH",
		    name);
	case EISDIR:
		return seep_error_new(SEEP_ERROR_NOT_EXEC,
		    "'%s' is a folder, not a program", name);
	case EACCES:
		return seep_error_new(SEEP_ERROR_NOT_EXEC,
		    "'%s' is not executable; chmod +x, or name its "
		    "interpreter",
		    name);
	default:
		return seep_error_new(SEEP_ERROR_NOT_EXEC,
		    "'%s' cannot be run: %s", name, strerror(why));
	}
}

static struct seep_error *find_program(const char *name, char **ret)
{
	const char *dirs = getenv("PATH");
	int why = ENOENT, this_why = 0;

	if (!*name)
		return not_runnable(name, ENOENT);
	if (strchr(name, '/')) {
		if (!is_executable_file(name, &why))
			return not_runnable(name, why);
		*ret = strdup(name);
		return *ret ? NULL : seep_error_errno(ENOMEM, "launching");
	}
	if (!dirs)
		dirs = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(dirs, ":");
		char *path;

		if (asprintf(&path, "%.*s%s%s", (int)len, dirs,
			len ? "/" : "./", name) < 0)
			return seep_error_errno(ENOMEM, "launching");
		if (is_executable_file(path, &this_why)) {
			*ret = path;
			return NULL;
		}
		free(path);
		/* As shells do: one that may not be run is remembered. */
		if (this_why == EACCES || (this_why == EISDIR && why == ENOENT))
			why = this_why;
		if (!dirs[len])
			return not_runnable(name, why);
		dirs += len + 1;
	}
}

static bool try_shim(char *path, size_t size, const char *dir, const char *sub)
{
	char full[PATH_MAX], *resolved;
	int n;

	if (snprintf(full, sizeof(full), "%s%s/%s", dir, sub, SHIM_NAME) >=
	    (int)sizeof(full))
		return false;
	resolved = realpath(full, NULL);
	if (!resolved)
		return false;
	n = snprintf(path, size, "%s", resolved);
	free(resolved);
	return n < (int)size;
}

struct seep_error *seep_launch_find_shim(char *path, size_t path_size)
{
	static const char *const subs[] = {"/.libs", "/preload/.libs", ""};
	const char *env = getenv("SEEP_SHIM");
	char exe[PATH_MAX], *resolved;
	ssize_t n;

	if (env && *env) {
		resolved = realpath(env, NULL);
		if (!resolved)
			return seep_error_errno(errno, "SEEP_SHIM '%s'", env);
		n = snprintf(path, path_size, "%s", resolved);
		free(resolved);
		if (n >= (ssize_t)path_size)
			return seep_error_errno(
			    ENAMETOOLONG, "SEEP_SHIM '%s'", env);
		return NULL;
	}
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		char *slash;

		exe[n] = '\0';
		slash = strrchr(exe, '/');
		if (slash)
			*slash = '\0';
		for (size_t i = 0; i < sizeof(subs) / sizeof(*subs); i++)
			if (try_shim(path, path_size, exe, subs[i]))
				return NULL;
	}
	if (try_shim(path, path_size, SEEP_PKGLIBDIR, ""))
		return NULL;
	return seep_error_new(SEEP_ERROR_OTHER,
	    "%s is neither beside the program nor in '%s'; run `make install` "
	    "or set SEEP_SHIM",
	    SHIM_NAME, SEEP_PKGLIBDIR);
}

/* LD_PRELOAD takes blanks and colons for separators: such a path goes through
 * a link in the runtime folder. */
static struct seep_error *plain_path(const char *shim, char **ret)
{
	char folder[PATH_MAX], name[64];
	_cleanup_(seep_closep) int fd = -1;
	struct seep_error *err;
	uint32_t hash = 2166136261u;

	if (!strpbrk(shim, " :\t\n")) {
		*ret = strdup(shim);
		return *ret ? NULL : seep_error_errno(ENOMEM, "launching");
	}
	err = seep_control_folder(folder, sizeof(folder), &fd);
	if (err)
		return err;
	if (strpbrk(folder, " :\t\n"))
		return seep_error_new(SEEP_ERROR_OTHER,
		    "neither '%s' nor the runtime folder '%s' can stand in "
		    "LD_PRELOAD (blank or colon); set XDG_RUNTIME_DIR",
		    shim, folder);
	for (const char *p = shim; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	snprintf(name, sizeof(name), "libseep-%08x.so", hash);
	/* One that is there already leads to the same path, or is stale. */
	unlinkat(fd, name, 0);
	if (symlinkat(shim, fd, name) < 0 && errno != EEXIST)
		return seep_error_errno(errno, "linking '%s/%s'", folder, name);
	if (asprintf(ret, "%s/%s", folder, name) < 0)
		return seep_error_errno(ENOMEM, "launching");
	return NULL;
}

/* ---- preparing --------------------------------------------------------- */

/* A file without #! is for the shell, as execvp has it. */
static struct seep_error *prepare_text(struct seep_launch *l)
{
	unsigned char head[256];
	_cleanup_(seep_closep) int fd =
	    open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof(head));
	size_t argc = 0;

	if (n >= 2 && head[0] == '#' && head[1] == '!')
		return NULL;
	/* Not readable but executable: all we know is that it is no script. */
	if (fd < 0 || (n >= 4 && !memcmp(head, "\177ELF", 4)))
		return NULL;
	for (ssize_t i = 0; i < n && head[i] != '\n'; i++)
		if (!head[i])
			return seep_error_new(SEEP_ERROR_NOT_EXEC,
			    "'%s' is a binary file of no known format",
			    l->path);
	while (l->argv[argc])
		argc++;
	l->sh_argv = calloc(argc + 2, sizeof(char *));
	if (!l->sh_argv)
		return seep_error_errno(ENOMEM, "launching");
	l->sh_argv[0] = (char *)"/bin/sh";
	l->sh_argv[1] = l->path;
	for (size_t i = 1; i < argc; i++)
		l->sh_argv[i + 1] = l->argv[i];
	l->argv = l->sh_argv;
	return seep_launch_check("/bin/sh", 1);
}

struct seep_error *seep_launch_prepare(
    char **argv, const char *shim, struct seep_launch **ret)
{
	struct seep_launch *l = calloc(1, sizeof(*l));
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	struct seep_error *err;
	const char *slash;

	if (!l)
		return seep_error_errno(ENOMEM, "launching");
	l->gate = l->report = -1;
	l->argv = argv;
	sigprocmask(SIG_SETMASK, NULL, &l->mask);
	/* Ignored, a child's status would be lost to us. */
	sigaction(SIGCHLD, &dfl, &l->chld);
	err = find_program(argv[0], &l->path);
	if (!err)
		err = prepare_text(l);
	if (!err && !l->sh_argv)
		err = seep_launch_check(l->path, 0);
	if (!err)
		err = plain_path(shim, &l->preload);
	if (!err) {
		slash = strrchr(argv[0], '/');
		l->name = strdup(slash && slash[1] ? slash + 1 : argv[0]);
		if (!l->name)
			err = seep_error_errno(ENOMEM, "launching");
	}
	if (err) {
		seep_launch_destroy(l);
		return err;
	}
	*ret = l;
	return NULL;
}

static void free_env(struct seep_launch *l)
{
	/* The first two are ours, the rest is environ's. */
	for (char **e = l->env; e && *e; e++)
		if (!strncmp(*e, "LD_PRELOAD=", 11) ||
		    !strncmp(*e, "SEEP_SOCKET=", 12))
			free(*e);
	free(l->env);
	l->env = NULL;
}

void seep_launch_destroy(struct seep_launch *l)
{
	if (!l)
		return;
	if (l->gate >= 0)
		close(l->gate);
	if (l->report >= 0)
		close(l->report);
	free_env(l);
	free(l->sh_argv);
	free(l->preload);
	free(l->name);
	free(l->path);
	free(l);
}

const char *seep_launch_name(const struct seep_launch *l)
{
	return l->name;
}

/* ---- starting ---------------------------------------------------------- */

/* The environment in its order, ours changed in place or at the end: programs
 * that print theirs, and stack layouts, differ as little as can be. */
static struct seep_error *make_env(struct seep_launch *l, const char *socket)
{
	const char *users = getenv("LD_PRELOAD");
	char *preload = NULL, *sock = NULL, **to;
	bool has_preload = false, has_socket = false;
	size_t nr = 0;

	if (users && !strncmp(users, l->preload, strlen(l->preload)))
		users = ""; /* it is in front already: nested runs */
	if (asprintf(&preload, "LD_PRELOAD=%s%s%s", l->preload,
		users && *users ? ":" : "", users ? users : "") < 0 ||
	    asprintf(&sock, "SEEP_SOCKET=%s", socket) < 0) {
		free(preload);
		return seep_error_errno(ENOMEM, "launching");
	}
	while (environ[nr])
		nr++;
	l->env = to = calloc(nr + 3, sizeof(*to));
	if (!to) {
		free(preload);
		free(sock);
		return seep_error_errno(ENOMEM, "launching");
	}
	for (char **e = environ; *e; e++) {
		if (!strncmp(*e, "LD_PRELOAD=", 11)) {
			if (!has_preload)
				*to++ = preload;
			has_preload = true;
		} else if (!strncmp(*e, "SEEP_SOCKET=", 12)) {
			if (!has_socket)
				*to++ = sock;
			has_socket = true;
		} else {
			*to++ = *e;
		}
	}
	if (!has_preload)
		*to++ = preload;
	if (!has_socket)
		*to++ = sock;
	return NULL;
}

static _Noreturn void become_program(
    struct seep_launch *l, int gate, int report)
{
	char go;
	ssize_t n;
	int e;

	do {
		n = read(gate, &go, 1);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(125);
	sigaction(SIGCHLD, &l->chld, NULL);
	sigprocmask(SIG_SETMASK, &l->mask, NULL);
	/* Past the wrapper of a shim that traces us: the program is ours. */
	syscall(SYS_execve, l->sh_argv ? "/bin/sh" : l->path, l->argv, l->env);
	e = errno;
	(void)!write(report, &e, sizeof(e));
	_exit(127);
}

struct seep_error *seep_launch_fork(
    struct seep_launch *l, const char *socket, pid_t *ret_pid)
{
	int gate[2], report[2];
	struct seep_error *err = make_env(l, socket);

	if (err)
		return err;
	if (pipe2(gate, O_CLOEXEC) < 0)
		return seep_error_errno(errno, "pipe");
	if (pipe2(report, O_CLOEXEC) < 0) {
		close(gate[0]);
		close(gate[1]);
		return seep_error_errno(errno, "pipe");
	}
	l->pid = fork();
	if (l->pid == 0) {
		close(gate[1]);
		close(report[0]);
		become_program(l, gate[0], report[1]);
	}
	close(gate[0]);
	close(report[1]);
	l->gate = gate[1];
	l->report = report[0];
	if (l->pid < 0)
		return seep_error_errno(errno, "fork");
	*ret_pid = l->pid;
	return NULL;
}

struct seep_error *seep_launch_release(struct seep_launch *l)
{
	int e = 0;
	ssize_t n;

	do {
		n = write(l->gate, "", 1);
	} while (n < 0 && errno == EINTR);
	close(l->gate);
	l->gate = -1;
	/* End of file: the exec has closed it. */
	do {
		n = read(l->report, &e, sizeof(e));
	} while (n < 0 && errno == EINTR);
	close(l->report);
	l->report = -1;
	if (n != sizeof(e))
		return NULL;
	return not_runnable(l->path, e == ENOEXEC ? ENOEXEC : e);
}
