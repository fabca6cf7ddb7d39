/* SPDX-License-Identifier: MIT */
/* Becomes a daemon: two forks, a session of its own, no descriptors. */
#include "truth.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
	char buffer[16];
	int gate = -1;

	/* The daemon goes on when its starter is gone: end of file here. */
	if (argc > 1)
		gate = open(argv[1], O_RDONLY);
	KEEP(malloc(610), 610);
	if (fork()) {
		truth_state();
		return 0;
	}
	setsid();
	if (fork())
		_exit(0);
	truth_reset();
	if (chdir("/"))
		truth_die("chdir");
	if (gate >= 0 && read(gate, buffer, sizeof(buffer)) < 0)
		truth_die("read");
	close_range(0, ~0u, 0);
	for (int i = 0; i < 500; i++)
		KEEP(malloc(611 + i), 611 + i);
	free(CHURN(malloc(61100), 61100));
	truth_state();
	return 0;
}
