/* SPDX-License-Identifier: MIT */
/* Closes every descriptor, ours too, then goes on: fork and exec (D8). */
#include "truth.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	KEEP(malloc(1000), 1000);
	if (close_range(3, ~0u, 0))
		truth_die("close_range");
	for (int i = 0; i < 2000; i++)
		KEEP(malloc(3000), 3000);
	/* Descriptors that reuse our numbers are the program's own. */
	for (int i = 3; i < 40; i++) {
		if (open("/dev/null", O_RDWR | O_CLOEXEC) != i)
			truth_die("a descriptor is in the way");
	}
	for (int i = 0; i < 100; i++)
		free(CHURN(malloc(50000), 50000));
	if (close_range(3, ~0u, 0))
		truth_die("close_range");
	if (argc > 1) {
		truth_state();
		return 0;
	}
	pid = fork();
	if (!pid) {
		truth_reset();
		KEEP(malloc(11), 11);
		close_range(3, ~0u, 0);
		KEEP(malloc(12), 12);
		truth_state();
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		truth_die("the child ended badly");
	truth_state();
	execl(argv[0], argv[0], "again", (char *)NULL);
	truth_die("exec");
}
