/* SPDX-License-Identifier: MIT */
/*
 * path.h - file names as the compiler wrote them, made absolute and clean
 *
 * Threads:  no state.
 * Signals:  not for signal handlers.
 * Memory:   the caller frees.
 * Trust:    any text; no file is looked at, so that a recording made elsewhere
 *           has the same names here.
 * Units:    none.
 * Errors:   NULL: no memory.
 */
#ifndef SEEP_SYM_PATH_H
#define SEEP_SYM_PATH_H

/* folder/name, or name if that is absolute or folder is NULL; no "//" or "/./"
 * left, and no "a/../". */
char *seep_path_join(const char *folder, const char *name);

#endif
