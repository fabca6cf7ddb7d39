/* SPDX-License-Identifier: MIT */
/*
 * oracle.h - every captured stack against libunwind's (the check build only)
 *
 * With SEEP_CHECK_UNWINDING defined, whoever includes this file asks the oracle
 * about each capture: libunwind walks the same stack, and so does a fresh walk
 * by rules that uses no memory of the last one. All three must have the same
 * frames. In the ordinary library this file is empty.
 *
 * $SEEP_CHECK_FILE gets the sums of all traced processes, as struct
 * seep_oracle_sums, and $SEEP_CHECK_FILE.txt the first differences, as text.
 *
 * Threads:  any number at once.
 * Signals:  blocked while stacks are compared.
 * Memory:   some MiB of address space a thread, never given back.
 * Trust:    none.
 * Units:    none.
 * Errors:   counted: see the sums.
 */
#ifndef SEEP_PRELOAD_ORACLE_H
#define SEEP_PRELOAD_ORACLE_H

#ifdef SEEP_CHECK_UNWINDING

#include <stdint.h>

/* What can be said of a stack. tests/tools/check_unwinding.py has the names. */
enum seep_oracle_sum {
	SEEP_ORACLE_STACKS,   /* captured and compared */
	SEEP_ORACLE_FRAMES,   /* of these, as the call tree has them */
	SEEP_ORACLE_STEPPED,  /* stacks that libunwind walked rule by rule */
	SEEP_ORACLE_WRONG,    /* the node's path differs from libunwind's */
	SEEP_ORACLE_FRESH,    /* a walk without memory differs from the path */
	SEEP_ORACLE_FALLBACK, /* cut where a rule is not of the compact form */
	SEEP_ORACLE_OFF,      /* cut where a rule leads off the stack */
	SEEP_ORACLE_ROOM,     /* cut where a handler's capture has no room */
	SEEP_ORACLE_NO_CFI,   /* cut in code without CFI, like libunwind */
	SEEP_ORACLE_GUESSED,  /* there libunwind went on by guessing */
	SEEP_ORACLE_SHORTER,  /* libunwind stopped before us */
	SEEP_ORACLE_STALE,    /* libunwind's caches were: right once flushed */
	SEEP_ORACLE_FULL,     /* without a path: no room in the tree */
	SEEP_ORACLE_EARLY,    /* before libunwind was there */
	SEEP_ORACLE_OWN,      /* libunwind's own allocations */
	SEEP_ORACLE_NR
};

struct seep_oracle_sums {
	_Atomic uint64_t of[SEEP_ORACLE_NR];
};

/* Compares the stack of `node`, captured for `frame`, and returns node. */
uint32_t seep_oracle_ask(uint32_t node, void **frame);

#define seep_frames_capture(f, frame)                                          \
	seep_oracle_ask(seep_frames_capture(f, frame), frame)
/* Let nothing pass without being asked about. */
#define seep_frames_recall(f, frame) 0u
#define seep_frames_capture_nested(frame)                                      \
	seep_oracle_ask(seep_frames_capture_nested(frame), frame)

#endif
#endif
