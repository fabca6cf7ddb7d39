/* SPDX-License-Identifier: MIT */
/*
 * image.h - the opened files of one module: its own, its debug files
 *
 * Threads:  as elffile.h.
 * Signals:  not for signal handlers.
 * Memory:   closed as a whole; indexes are built when first needed.
 * Trust:    as dwarf.h.
 * Units:    as sym.h.
 * Errors:   an image that has nothing finds nothing.
 */
#ifndef SEEP_SYM_IMAGE_H
#define SEEP_SYM_IMAGE_H

#include "analyzer/sym/dwarf.h"
#include "analyzer/sym/elffile.h"

struct seep_image {
	struct seep_elffile *file;  /* the module's own, or NULL */
	struct seep_elffile *debug; /* separate debug file, or NULL */
	struct seep_elffile *alt;   /* dwz file of either, or NULL */
	struct seep_elffile *mini;  /* of .gnu_debugdata, or NULL */
	void *mini_bytes;
	struct seep_dwarf *dwarf;
	struct seep_symindex symbols;
	bool has_symbols; /* were read */
};

struct seep_image_source {
	const char *path; /* in messages; with sysroot where it is opened */
	const char *sysroot;
	const char *build_id; /* hex, or NULL: whatever is there */
	const char *folders;
	int fd;
	bool no_dwarf;
};

/* Zeroed before. *debuginfod_ms as in engine.h. */
void seep_image_open(struct seep_image *i, const struct seep_image_source *s,
    uint32_t *debuginfod_ms);
void seep_image_close(struct seep_image *i);

/* NULL: unknown; as seep_symindex_find(). */
const char *seep_image_symbol(
    struct seep_image *i, uint64_t addr, size_t *length, uint64_t *start);

/* What it has on the heap, roughly. */
size_t seep_image_bytes(const struct seep_image *i);
/* Gives mapped pages back. */
void seep_image_trim(const struct seep_image *i);

#endif
