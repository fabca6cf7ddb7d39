/* SPDX-License-Identifier: MIT */
/*
 * worker_uid FOLDER: as servers do, forks workers that chroot, drop to another
 * user and are not dumpable, then allocate and fork on (D52). Needs root.
 */
#include "truth.h"
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		truth_die("a child ended badly");
	return WEXITSTATUS(status);
}

static void work(const char *folder)
{
	pid_t pid;

	truth_reset();
	KEEP(malloc(300), 300);
	if (chroot(folder) || chdir("/") || setgroups(0, NULL) ||
	    setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 0))
		truth_die("cannot drop rights");
	for (int i = 0; i < 300; i++)
		KEEP(malloc(i * 10), i * 10);
	pid = fork();
	if (!pid) {
		truth_reset();
		KEEP(malloc(301), 301);
		truth_state();
		_exit(4);
	}
	if (wait_for(pid) != 4)
		truth_die("the worker's child");
	pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		truth_reset();
		KEEP(malloc(302), 302);
		truth_state();
		_exit(5);
	}
	if (wait_for(pid) != 5)
		truth_die("the worker's clone");
	KEEP(malloc(303), 303);
	truth_state();
	_exit(6);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (!pid)
			work(argv[1]);
		if (wait_for(pid) != 6)
			truth_die("a worker");
	}
	KEEP(malloc(304), 304);
	truth_state();
	return 0;
}
