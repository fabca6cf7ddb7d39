/* SPDX-License-Identifier: MIT */
/*
 * adversary.h - what the files of the adversary share: see adversary.c
 *
 * Threads:  any number at once; rnd() has a sequence for each.
 * Signals:  touch() allocates, in handlers, too.
 * Memory:   touch() frees what it allocates.
 * Trust:    none.
 * Units:    none.
 * Errors:   none: a block that is not had is not freed.
 */
#ifndef ADVERSARY_H
#define ADVERSARY_H

#ifdef __cplusplus
extern "C" {
#endif

/* Allocates and frees. */
void touch(void);
/* Calls itself through random kinds of frames, allocating on the way. */
void wander(int depth);
unsigned rnd(void);

/* adversary_throw.cpp */
void through_exceptions(int depth);

/* adversary_x86_64.S: call fn(depth) from a frame that is ... */
typedef void step_fn(int depth);
void asm_pushes(step_fn *fn, int depth);     /* CFA from rsp, moving */
void asm_expression(step_fn *fn, int depth); /* CFA by an expression */
void asm_saved_far(step_fn *fn, int depth);  /* rbp saved by an expression */
void asm_rbx(step_fn *fn, int depth);	     /* CFA from rbx */
void asm_no_cfi(step_fn *fn, int depth);     /* without any information */
void asm_end(step_fn *fn, int depth);	     /* outermost: RA undefined */

#ifdef __cplusplus
}
#endif
#endif
