/* SPDX-License-Identifier: MIT */
/* Children of the clone system call itself: no atfork handler runs (D5). */
#include "truth.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main(void)
{
	void *old = KEEP(malloc(4000), 4000);

	for (int i = 0; i < 5; i++) {
		pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		int status;

		if (!pid) {
			truth_reset();
			free(old);
			for (int k = 0; k < 10; k++)
				KEEP(malloc(60), 60);
			free(CHURN(malloc(61), 61));
			truth_state();
			_exit(i);
		}
		KEEP(malloc(70), 70);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != i)
			truth_die("a child ended badly");
	}
	truth_state();
	return 0;
}
