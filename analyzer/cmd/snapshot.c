/* SPDX-License-Identifier: MIT */
/* snapshot.c - seep snapshot: takes a snapshot of a traced process now */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/collect/control.h"

struct values {
	const char *label;
};

static const struct seep_option options[] = {
    {"label", 'l', SEEP_OPTION_STRING, offsetof(struct values, label), "TEXT",
	"a name for the snapshot, shown by reports", NULL},
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

static const struct seep_usage usage = {
    .usage = "snapshot [-l TEXT] PID",
    .summary = "Takes a snapshot of a traced process now.",
    .details = "It is in the recording when the command ends, and can be "
	       "named to\n`seep growth --from` and `--to` by the number that "
	       "is printed.",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
};

/* Of a sample: with the standard error. */
static void print_count(uint64_t count, uint64_t error, const char *what)
{
	printf("%" PRIu64, count);
	if (error)
		printf(" +/- %" PRIu64, error);
	printf(" %s", what);
}

int seep_cmd_snapshot(int argc, char **argv)
{
	_cleanup_(seep_control_destroyp) struct seep_control *ctl = NULL;
	struct seep_control_snapshot s;
	struct values v = {0};
	struct seep_error *err;
	int first, status;
	uint64_t pid = 0;

	status = seep_cmd_options(&usage, &v, argc, argv, &first);
	if (status >= 0)
		return status;
	err = seep_parse_uint(argv[first], "PID", INT_MAX, &pid);
	if (!err)
		err = seep_control_find((uint32_t)pid, &ctl);
	if (!err)
		err = seep_control_snapshot(ctl, v.label, &s);
	if (err)
		return seep_cmd_fail(err);
	printf("snapshot %" PRId64 ": ", s.snapshot);
	print_count(s.live_bytes, s.live_bytes_stderr, "bytes in ");
	print_count(s.live_blocks, s.live_blocks_stderr, "blocks alive, in ");
	printf("'%s'\n", s.recording);
	seep_control_snapshot_deinit(&s);
	return seep_cmd_close_stdout(0);
}
