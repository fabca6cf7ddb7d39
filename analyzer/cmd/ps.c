/* SPDX-License-Identifier: MIT */
/* ps.c - seep ps: lists the processes that are being traced */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/collect/control.h"

static const struct seep_option options[] = {
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

static const struct seep_usage usage = {
    .usage = "ps",
    .summary = "Lists the processes being traced, of this user (root: of all).",
    .details = "PID, time since tracing began, bytes alive, recording, "
	       "command. A '?'\nstands where a collector does not answer.",
    .options = options,
};

static void print_time(uint64_t ms, char *buf, size_t size)
{
	uint64_t s = ms / 1000;

	if (s < 3600)
		snprintf(buf, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
		    s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(buf, size, "%" PRIu64 "d%02" PRIu64 "h", s / 86400,
		    s / 3600 % 24);
}

static void print_process(const struct seep_control_process *p)
{
	char time[32] = "?", live[64] = "?";

	if (p->answers) {
		print_time(p->traced_ms, time, sizeof(time));
		if (p->live_bytes_stderr)
			snprintf(live, sizeof(live), "%" PRIu64 " +/- %" PRIu64,
			    p->live_bytes, p->live_bytes_stderr);
		else
			snprintf(live, sizeof(live), "%" PRIu64, p->live_bytes);
	}
	printf("%7u %9s %14s  %s  %s\n", p->pid, time, live, p->recording,
	    p->command);
}

int seep_cmd_ps(int argc, char **argv)
{
	struct seep_control_process *procs = NULL;
	struct seep_error *err;
	int first, status;
	size_t nr = 0;

	status = seep_cmd_options(&usage, NULL, argc, argv, &first);
	if (status >= 0)
		return status;
	err = seep_control_list(&procs, &nr);
	if (err)
		return seep_cmd_fail(err);
	printf("%7s %9s %14s  %s\n", "PID", "TIME", "LIVE BYTES",
	    "RECORDING  COMMAND");
	for (size_t i = 0; i < nr; i++) {
		print_process(&procs[i]);
		seep_control_process_deinit(&procs[i]);
	}
	free(procs);
	return seep_cmd_close_stdout(0);
}
