/* SPDX-License-Identifier: MIT */
/* target.c - "FILE|PID": a recording, or a process whose collector is asked */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/cmd/target.h"
#include "analyzer/collect/control.h"

void seep_target_deinit(struct seep_target *t)
{
	free(t->path);
	*t = (struct seep_target){0};
}

static bool is_process(uint32_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u", pid);
	return !access(path, F_OK);
}

bool seep_target_is_pid(const char *word, uint32_t *pid)
{
	struct seep_error *err;
	uint64_t value;

	err = seep_parse_uint(word, "PID", INT32_MAX, &value);
	if (err) {
		seep_error_destroy(err);
		return false;
	}
	*pid = (uint32_t)value;
	return is_process(*pid) || access(word, F_OK);
}

static struct seep_error *set_file(const char *path, struct seep_target *t)
{
	t->path = strdup(path);
	return t->path ? NULL
		       : seep_error_new(SEEP_ERROR_OTHER, "out of memory");
}

/* The collector of `t->pid`; its recording is known then. */
static struct seep_error *find(struct seep_target *t, struct seep_control **ret)
{
	struct seep_error *err = seep_control_find(t->pid, ret);

	if (err)
		return err;
	err = set_file(seep_control_recording(*ret), t);
	if (err) {
		seep_control_destroy(*ret);
		*ret = NULL;
	}
	return err;
}

struct seep_error *seep_target_open(const char *word, struct seep_target *ret)
{
	_cleanup_(seep_control_destroyp) struct seep_control *ctl = NULL;
	struct seep_control_snapshot snap = {0};
	struct seep_target t = {0};
	struct seep_error *err;

	if (!seep_target_is_pid(word, &t.pid)) {
		err = set_file(word, &t);
	} else {
		err = find(&t, &ctl);
		if (!err) {
			struct seep_error *late =
			    seep_control_snapshot(ctl, NULL, &snap);

			if (late)
				seep_cmd_warn("%s; going on with what was "
					      "recorded until now",
				    seep_error_text(late));
			else
				t.process_id = snap.process_id;
			seep_error_destroy(late);
			seep_control_snapshot_deinit(&snap);
		}
	}
	if (err)
		seep_target_deinit(&t);
	else
		*ret = t;
	return err;
}

struct seep_error *seep_target_open_growth(
    const char *word, struct seep_target *ret)
{
	_cleanup_(seep_control_destroyp) struct seep_control *ctl = NULL;
	struct seep_control_growth growth = {0};
	struct seep_target t = {0};
	struct seep_error *err;

	if (!seep_target_is_pid(word, &t.pid)) {
		err = set_file(word, &t);
	} else {
		err = find(&t, &ctl);
		if (!err)
			err = seep_control_growth(ctl, &growth);
		if (!err) {
			t.process_id = growth.process_id;
			t.from = growth.from;
			t.to = growth.to;
			seep_control_growth_deinit(&growth);
		}
	}
	if (err)
		seep_target_deinit(&t);
	else
		*ret = t;
	return err;
}
