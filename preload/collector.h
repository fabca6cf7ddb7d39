/* SPDX-License-Identifier: MIT */
/*
 * collector.h - reaching the collector: its address, the hello, a bare start
 *
 * Threads:  one, while the session starts.
 * Signals:  async-signal-safe.
 * Memory:   the address, in static memory.
 * Trust:    the environment and the per-user folder are the user's.
 * Units:    bytes.
 * Errors:   the kernel's negative numbers; nothing here waits but
 *           seep_collector_ask_memfd(), with a deadline.
 */
#ifndef SEEP_PRELOAD_COLLECTOR_H
#define SEEP_PRELOAD_COLLECTOR_H

#include <stdbool.h>
#include "wire/layout.h"

/* "SEEP_SOCKET=...", for programs that this one starts; NULL: not known. */
extern const char *seep_collector_env;

/* Looks for the address: in the environment, then by pid. */
void seep_collector_find(void);

/*
 * What stands behind this word among the settings of the recording: "", or
 * "=VALUE", perhaps with others behind a comma; NULL: it is not there. Settings
 * follow the token in the address, so that they reach whatever the address
 * reaches (SEEP_ADDRESS in layout.h). Without an address yet: as the
 * environment has them, for the collector that we start ourselves.
 */
const char *seep_collector_setting(const char *name);

/* The setting "sample": mean interval; 0: every block. */
uint32_t seep_collector_sample_bytes(void);

/* A memfd from the collector where we may not make one of `wanted` bytes; what
 * it is of is in *bytes. */
long seep_collector_ask_memfd(uint64_t wanted, uint64_t *bytes);

/* Sends the hello with the segment's memfd; starts a collector if there is
 * none. A failure is counted in the header. */
void seep_collector_tell(struct seep_header *h, int memfd);

#endif
