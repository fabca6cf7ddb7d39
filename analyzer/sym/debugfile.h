/* SPDX-License-Identifier: MIT */
/*
 * debugfile.h - where the debug information of a module lies, if not in it
 *
 * Threads:  as elffile.h.
 * Signals:  not for signal handlers.
 * Memory:   the caller closes what is returned.
 * Trust:    names in the file are file names only, joined to known folders
 *           (.gnu_debugaltlink may be a path: it is opened, and must have the
 *           build-id that goes with it). What has another build-id, or without
 *           one another CRC, is not used. No server is asked.
 * Units:    none.
 * Errors:   NULL: nothing that fits.
 */
#ifndef SEEP_SYM_DEBUGFILE_H
#define SEEP_SYM_DEBUGFILE_H

#include "analyzer/sym/elffile.h"

/* `path` is the module's; `folders` are searched before /usr/lib/debug. */
struct seep_elffile *seep_debugfile_find(
    const struct seep_elffile *f, const char *path, const char *folders);

/* Only by build-id, for a module whose own file is gone. */
struct seep_elffile *seep_debugfile_find_id(
    const unsigned char *id, size_t id_bytes, const char *folders);

/* The dwz file that `f` (found at `path`) shares debug information with. */
struct seep_elffile *seep_debugfile_find_alt(
    const struct seep_elffile *f, const char *path, const char *folders);

#endif
