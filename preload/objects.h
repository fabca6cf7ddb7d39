/* SPDX-License-Identifier: MIT */
/*
 * objects.h - which loaded image an address lies in, and its module record
 *
 * Threads:  any number at once.
 * Signals:  async-signal-safe: _dl_find_object() takes no lock (glibc 2.35).
 * Memory:   module records and paths are in the segment.
 * Trust:    the loader's own tables.
 * Units:    addresses.
 * Errors:   false for an address outside of every image.
 */
#ifndef SEEP_PRELOAD_OBJECTS_H
#define SEEP_PRELOAD_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/pool.h"

struct seep_object {
	uint64_t start, end; /* of the image in memory */
	uint64_t bias;	     /* address less ELF virtual address */
	const char *name;    /* the loader's; "" for the program itself */
	const uint8_t *eh_frame_hdr; /* NULL: none */
};

/* Is there a lock-free way to ask at all? (glibc before 2.35: no) */
bool seep_objects_available(void);

bool seep_object_find(uint64_t pc, struct seep_object *ret);

/* Set under a seccomp filter: a relative path then stays one. */
extern bool seep_objects_no_kernel;

#define SEEP_NO_MODULE UINT32_MAX

/*
 * The module record of an object in the pool's segment, made at first sight; an
 * image that was unloaded and comes back gets its record back.
 */
uint32_t seep_object_module(
    struct seep_pool *pool, const struct seep_object *o);

#endif
