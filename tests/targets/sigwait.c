/* SPDX-License-Identifier: MIT */
/*
 * A thread waits for the process's signals; it alone gets them, and there is no
 * thread that the program did not make (D25).
 */
#include "truth.h"
#include <dirent.h>
#include <pthread.h>
#include <signal.h>

#define SIGNALS 200

static void *wait_for_signals(void *argument)
{
	sigset_t *set = argument;

	for (int i = 0; i < SIGNALS; i++) {
		int number;

		if (sigwait(set, &number) || number != SIGUSR1)
			truth_die("sigwait");
		KEEP(malloc(91), 91);
		if (write(5, "x", 1) != 1)
			truth_die("write");
	}
	return NULL;
}

static int count_threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(folder)))
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n;
}

int main(void)
{
	pthread_t thread;
	int pipe_fds[2];
	sigset_t set;
	char byte;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pipe(pipe_fds) || dup2(pipe_fds[1], 5) != 5)
		truth_die("pipe");
	pthread_create(&thread, NULL, wait_for_signals, &set);
	for (int i = 0; i < SIGNALS; i++) {
		kill(getpid(), SIGUSR1);
		if (read(pipe_fds[0], &byte, 1) != 1)
			truth_die("read");
		free(CHURN(malloc(92), 92));
	}
	if (count_threads() > 2)
		truth_die("a thread that is not ours");
	pthread_join(thread, NULL);
	truth_state();
	return 0;
}
