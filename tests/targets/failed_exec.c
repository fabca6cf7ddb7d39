/* SPDX-License-Identifier: MIT */
/*
 * Calls of the exec family that fail: the process runs on and stays traced.
 * Then one that does not, while threads allocate.
 */
#include "truth.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#define THREADS 6

extern char **environ;

static void *allocate(void *unused);

static void fail_all(char **argv)
{
	pid_t pid;

	if (execv("/nowhere", argv) != -1 || errno != ENOENT)
		truth_die("execv");
	KEEP(malloc(11), 11);
	if (execvp("no-such-program-anywhere", argv) != -1)
		truth_die("execvp");
	KEEP(malloc(12), 12);
	if (execve("/", argv, environ) != -1 || errno != EACCES)
		truth_die("execve of a folder");
	KEEP(malloc(13), 13);
	if (execl("/proc/self/maps", "maps", (char *)NULL) != -1)
		truth_die("execl of a text");
	KEEP(malloc(14), 14);
	if (fexecve(-1, argv, environ) != -1)
		truth_die("fexecve of nothing");
	if (!posix_spawn(&pid, "/nowhere", NULL, NULL, argv, environ))
		truth_die("posix_spawn");
	KEEP(malloc(15), 15);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int status;
	pid_t pid;

	if (argc > 1) {
		KEEP(malloc(16), 16);
		truth_state();
		return 33;
	}
	fail_all(argv);
	pid = fork();
	if (!pid) {
		truth_reset();
		fail_all(argv);
		truth_state();
		_exit(34);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 34)
		truth_die("the child ended badly");
	pid = vfork();
	if (!pid) {
		execv("/nowhere", argv);
		_exit(35);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 35)
		truth_die("the vfork child ended badly");
	KEEP(malloc(17), 17);
	truth_state();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, allocate, NULL);
	execl("/proc/self/exe", argv[0], "again", (char *)NULL);
	truth_die("exec");
}

/* What is in flight at the exec lives: not to be counted with this file. */
#line 1 "in_flight.c"
static void *allocate(void *unused)
{
	void *volatile p;

	(void)unused;
	for (;;) {
		for (int i = 0; i < 100; i++) {
			p = malloc(20 + i * 10);
			free(p);
		}
	}
	return NULL;
}
