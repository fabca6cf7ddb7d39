/* SPDX-License-Identifier: MIT */
/*
 * exec_chain N: becomes itself N times, through all functions of the family;
 * each image leaks N blocks, and all of them are in the recording.
 */
#include "truth.h"
#include <sys/syscall.h>

extern char **environ;

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 0;
	char number[16];
	char *arguments[] = {argv[0], number, NULL};
	char *bare[] = {"PATH=/bin", NULL};
	const char *truth = getenv("SEEP_TRUTH");
	char kept[300];

	snprintf(kept, sizeof(kept), "SEEP_TRUTH=%s", truth ? truth : "");
	bare[0] = kept;
	for (int i = 0; i <= left; i++)
		KEEP(malloc(900), 900);
	free(CHURN(malloc(901), 901));
	truth_state();
	if (!left)
		return 42;
	snprintf(number, sizeof(number), "%d", left - 1);
	switch (left % 7) {
	case 0:
		execv(argv[0], arguments);
		break;
	case 1:
		execve(argv[0], arguments, bare);
		break;
	case 2:
		execl(argv[0], argv[0], number, (char *)NULL);
		break;
	case 3:
		execle(argv[0], argv[0], number, (char *)NULL, environ);
		break;
	case 4:
		execvp(argv[0], arguments);
		break;
	case 5:
		execlp(argv[0], argv[0], number, (char *)NULL);
		break;
	case 6:
		fexecve(open(argv[0], O_RDONLY), arguments, bare);
		break;
	}
	truth_die("exec");
}
