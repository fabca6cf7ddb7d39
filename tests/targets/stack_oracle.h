/* SPDX-License-Identifier: MIT */
/*
 * stack_oracle.h - what stack_oracle.c and the builds of stack_walks.c share
 *
 * Threads:  add_walks() before there are any; rnd() has a sequence for each.
 * Signals:  compare() is called in handlers, too.
 * Memory:   none.
 * Trust:    none.
 * Units:    levels of calls.
 * Errors:   compare() prints both stacks and ends the program with 1.
 */
#ifndef SEEP_TESTS_STACK_ORACLE_H
#define SEEP_TESTS_STACK_ORACLE_H

/* Called where an allocation would be: our stack must be libgcc's. */
void compare(void);

unsigned rnd(void);

/* Goes down `depth` more frames, of any build. */
void wander(int depth);

/* A build brings its functions in. */
void add_walks(void (*const *walks)(int), unsigned nr);

#endif
