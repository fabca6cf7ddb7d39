/* SPDX-License-Identifier: MIT */
/*
 * env.h - the environment, also before libc knows it
 *
 * Threads:  reads what the program may change: only before main and at fork.
 * Signals:  async-signal-safe.
 * Memory:   the answers belong to the environment.
 * Trust:    the user's.
 * Units:    none.
 * Errors:   NULL for a name that is not set.
 */
#ifndef SEEP_PRELOAD_ENV_H
#define SEEP_PRELOAD_ENV_H

char **seep_env(void);
const char *seep_env_value(const char *name);

#endif
