/* SPDX-License-Identifier: MIT */
/*
 * ends HOW: states its truth, then ends in the way that HOW names; the live map
 * is final by itself, however a process ends.
 */
#include "truth.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static pthread_t main_thread;
static const char *how;

static void leave_late(void)
{
	KEEP(malloc(31), 31);
	free(CHURN(malloc(32), 32));
	if (!strcmp(how, "atexit"))
		truth_state();
}

static void *outlive(void *unused)
{
	(void)unused;
	pthread_join(main_thread, NULL);
	for (int i = 0; i < 10; i++)
		KEEP(malloc(33), 33);
	truth_state();
	return NULL;
}

static void *end_process(void *unused)
{
	(void)unused;
	KEEP(malloc(34), 34);
	truth_state();
	_exit(21);
}

int main(int argc, char **argv)
{
	struct rlimit no_core = {0, 0};
	pthread_t thread;

	setrlimit(RLIMIT_CORE, &no_core);
	how = argc > 1 ? argv[1] : "return";
	for (int i = 0; i < 20; i++)
		KEEP(malloc(35 + i), 35 + i);
	free(CHURN(malloc(36), 36));
	if (!strcmp(how, "pthread_exit")) {
		main_thread = pthread_self();
		if (pthread_create(&thread, NULL, outlive, NULL))
			truth_die("pthread_create");
		pthread_exit(NULL);
	}
	if (!strcmp(how, "thread_exit")) {
		if (pthread_create(&thread, NULL, end_process, NULL))
			truth_die("pthread_create");
		for (;;)
			pause();
	}
	if (!strcmp(how, "atexit")) {
		atexit(leave_late);
		exit(22);
	}
	truth_state();
	if (!strcmp(how, "_exit"))
		_exit(23);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "quick_exit"))
		quick_exit(24);
	if (!strcmp(how, "segv"))
		*(int volatile *)8 = 1;
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "group"))
		kill(0, SIGKILL);
	if (!strcmp(how, "term"))
		raise(SIGTERM);
	return 25;
}
