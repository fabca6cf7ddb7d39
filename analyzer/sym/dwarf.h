/* SPDX-License-Identifier: MIT */
/*
 * dwarf.h - address -> function, file, line and the inlining at it, by libdw
 *
 * Threads:  as elffile.h.
 * Signals:  not for signal handlers.
 * Memory:   16 bytes per range of a compilation unit, and what libdw keeps of
 *           the units that were looked at; when that has become much it is
 *           given back and read anew.
 * Trust:    references and tree walks are bounded here, but libdw may still
 *           crash, exit or run on with a hostile file: worker.h is for that.
 * Units:    addresses are ELF virtual addresses.
 * Errors:   0 frames: nothing known.
 */
#ifndef SEEP_SYM_DWARF_H
#define SEEP_SYM_DWARF_H

#include "analyzer/sym/elffile.h"

struct seep_dwarf;

/* The files must outlive it; `alt` is NULL, or the dwz file of `f`. */
struct seep_dwarf *seep_dwarf_create(struct seep_elffile *f,
    struct seep_elffile *alt, const struct seep_elffile *code);
void seep_dwarf_destroy(struct seep_dwarf *d);

/* What it has on the heap, roughly. */
size_t seep_dwarf_bytes(const struct seep_dwarf *d);

#define SEEP_DWARF_DEPTH 64

struct seep_dwarf_frame {
	const char *name; /* as linked, or NULL; valid until the next call */
	bool is_linkage;  /* the linker's name, else the source's */
	char *scope;	  /* "a::b::" in front of a source's name, or NULL */
	char *file;	  /* or NULL; the caller frees both */
	uint32_t line;	  /* 0: unknown */
	uint64_t entry;	  /* of the outermost: where the function starts */
	bool has_entry;
};

/*
 * The frames of pc, the most inlined first, into frames[SEEP_DWARF_DEPTH].
 * Without a function but with a line it is one frame without a name.
 */
size_t seep_dwarf_lookup(
    struct seep_dwarf *d, uint64_t pc, struct seep_dwarf_frame *frames);

#endif
