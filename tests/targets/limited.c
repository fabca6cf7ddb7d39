/* SPDX-License-Identifier: MIT */
/* limited as|fsize|nofile N: goes on under a limit that was there before. */
#include "truth.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	struct rlimit limit;
	int which = RLIMIT_AS;
	int status;
	pid_t pid;

	if (argc == 3) {
		if (!strcmp(argv[1], "fsize"))
			which = RLIMIT_FSIZE;
		if (!strcmp(argv[1], "nofile"))
			which = RLIMIT_NOFILE;
		limit.rlim_cur = limit.rlim_max = atol(argv[2]);
		if (setrlimit(which, &limit))
			truth_die("setrlimit");
		execl(argv[0], argv[0], (char *)NULL);
		truth_die("exec");
	}
	for (int i = 0; i < 2000; i++)
		KEEP(malloc(64), 64);
	for (int i = 0; i < 2000; i++)
		free(CHURN(malloc(2000), 2000));
	pid = fork();
	if (!pid) {
		truth_reset();
		KEEP(malloc(65), 65);
		truth_state();
		_exit(9);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 9)
		truth_die("the child ended badly");
	truth_state();
	return 8;
}
