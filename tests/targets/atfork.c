/* SPDX-License-Identifier: MIT */
/* Handlers of fork that allocate and free, on both sides (D6). */
#include "truth.h"
#include <pthread.h>
#include <sys/wait.h>

static void *volatile prepared;
static int in_child;

static void prepare(void)
{
	free(CHURN(malloc(111), 111));
	prepared = CHURN(malloc(222), 222);
}

static void parent(void)
{
	free(prepared);
	KEEP(malloc(333), 333);
}

static void child(void)
{
	in_child = 1;
	truth_reset();
	free(prepared);
	KEEP(malloc(444), 444);
	free(CHURN(malloc(445), 445));
}

int main(void)
{
	pthread_atfork(prepare, parent, child);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			KEEP(malloc(555), 555);
			truth_state();
			_exit(in_child ? 7 : 1);
		}
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 7)
			truth_die("a child ended badly");
	}
	truth_state();
	return 0;
}
