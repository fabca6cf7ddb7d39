/* SPDX-License-Identifier: MIT */
/*
 * A process that reaps whatever comes (a subreaper, or pid 1 of a namespace)
 * sees its own children alone, and each once (D54).
 */
#include "truth.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int volatile nr_signals;

static void on_child(int number)
{
	(void)number;
	nr_signals++;
}

int main(void)
{
	struct sigaction action = {
	    .sa_handler = on_child, .sa_flags = SA_RESTART};
	siginfo_t info;
	int status;
	int pipe_fds[2];
	pid_t orphan;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		truth_die("subreaper");
	sigaction(SIGCHLD, &action, NULL);
	KEEP(malloc(700), 700);
	if (waitpid(-1, &status, WNOHANG) != -1 || errno != ECHILD)
		truth_die("a child that is not ours");
	if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) != -1)
		truth_die("a child that is not ours (waitid)");
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (!pid) {
			truth_reset();
			KEEP(malloc(701), 701);
			truth_state();
			_exit(i);
		}
		if (waitpid(-1, &status, 0) != pid || WEXITSTATUS(status) != i)
			truth_die("another child than ours");
		if (waitpid(-1, &status, 0) != -1 || errno != ECHILD)
			truth_die("one child too many");
	}
	if (nr_signals != 5)
		truth_die("a signal for no child of ours");
	/* An orphan comes to us: it, and nobody else. */
	if (pipe(pipe_fds))
		truth_die("pipe");
	if (!fork()) {
		orphan = fork();
		if (!orphan)
			_exit(0);
		if (write(pipe_fds[1], &orphan, sizeof(orphan)) < 0)
			_exit(1);
		_exit(0);
	}
	if (read(pipe_fds[0], &orphan, sizeof(orphan)) != sizeof(orphan))
		truth_die("read");
	for (int i = 0; i < 2; i++) {
		if (wait(&status) <= 0 || status)
			truth_die("the orphan was lost");
	}
	if (wait(&status) != -1 || errno != ECHILD)
		truth_die("one orphan too many");
	truth_state();
	return 0;
}
