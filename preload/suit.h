/* SPDX-License-Identifier: MIT */
/*
 * suit.h - can the program that is about to be executed take the preload?
 *
 * Threads:  any.
 * Signals:  async-signal-safe, as between vfork() and exec.
 * Memory:   none but a few hundred bytes of stack.
 * Trust:    the file is only read; what cannot be read is left to the kernel.
 * Units:    none.
 * Errors:   a doubt counts as "yes".
 */
#ifndef SEEP_PRELOAD_SUIT_H
#define SEEP_PRELOAD_SUIT_H

#include <stdbool.h>

/*
 * False where the loader would complain or the program would refuse to run
 * (D53): another ELF class or CPU, a foreign C library, a program linked to
 * AddressSanitizer or ThreadSanitizer. A script is judged by its interpreter.
 */
bool seep_suits_path(const char *path);
bool seep_suits_fd(int fd);

/* The same for a name as execvp() takes it. */
bool seep_suits_name(const char *name, const char *path_list);

#endif
