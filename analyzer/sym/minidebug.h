/* SPDX-License-Identifier: MIT */
/*
 * minidebug.h - unpacks .gnu_debugdata, an ELF file with symbols, by xz
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   the caller frees; at most 64 MiB.
 * Trust:    any bytes.
 * Units:    bytes.
 * Errors:   NULL: damaged, too large, or built without liblzma.
 */
#ifndef SEEP_SYM_MINIDEBUG_H
#define SEEP_SYM_MINIDEBUG_H

#include <stddef.h>

void *seep_minidebug_unpack(const void *xz, size_t xz_bytes, size_t *ret_bytes);

#endif
