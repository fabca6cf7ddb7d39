/* SPDX-License-Identifier: MIT */
/*
 * text_history.h - histories of blocks, for people
 *
 * Threads:  as in out.h.
 * Signals:  not for signal handlers.
 * Memory:   none is kept.
 * Trust:    as in out.h.
 * Units:    as in model.h.
 * Errors:   false: no memory.
 */
#ifndef SEEP_OUT_TEXT_HISTORY_H
#define SEEP_OUT_TEXT_HISTORY_H

#include <stdio.h>

#include "analyzer/model/report.h"

/* Of how many blocks there are histories: a line among the totals. */
void seep_text_histories(FILE *f, const struct seep_report_process *rp);

/* How long a site's blocks lived and who freed them; nothing where nothing is
 * known. `stack` is scratch. */
bool seep_text_site_history(FILE *f, const struct seep_report_process *rp,
    const struct seep_site *s, struct seep_stacks *stacks,
    struct seep_stack *stack);

#endif
