/* SPDX-License-Identifier: MIT */
/*
 * A vfork child allocates in its parent's memory: the blocks are the parent's.
 * posix_spawn with file actions, popen and system change nothing for it (D7).
 */
#include "truth.h"
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void wait_for(pid_t pid, int wanted)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != wanted)
		truth_die("a child ended badly");
}

static void spawn_one(void)
{
	char *argv[] = {"sh", "-c", "echo to-null; exit 4", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	posix_spawn_file_actions_addclose(&actions, 0);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	if (posix_spawn(&pid, "/bin/sh", &actions, &attr, argv, environ))
		truth_die("posix_spawn");
	wait_for(pid, 4);
	if (posix_spawnp(&pid, "sh", &actions, NULL, argv, environ))
		truth_die("posix_spawnp");
	wait_for(pid, 4);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (!posix_spawn(&pid, "/nowhere/at/all", NULL, NULL, argv, environ))
		truth_die("posix_spawn of nothing succeeded");
}

int main(void)
{
	for (int volatile i = 0; i < 20; i++) {
		pid_t pid = vfork();

		if (!pid) {
			free(CHURN(malloc(71), 71));
			KEEP(malloc(72), 72);
			_exit(3);
		}
		wait_for(pid, 3);
		KEEP(malloc(73), 73);
	}
	for (int volatile i = 0; i < 3; i++) {
		pid_t pid = vfork();

		if (!pid) {
			execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
			_exit(1);
		}
		wait_for(pid, 5);
		KEEP(malloc(74), 74);
	}
	for (int volatile i = 0; i < 3; i++) {
		spawn_one();
		KEEP(malloc(75), 75);
		if (system("exit 6") != 6 << 8)
			truth_die("system");
	}
	truth_state();
	return 0;
}
