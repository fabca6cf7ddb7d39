/* SPDX-License-Identifier: MIT */
/*
 * elffile.h - one mapped ELF file: its build-id, links to debug files, symbols
 *
 * Threads:  a file belongs to one thread, inside seep_filemap_enter().
 * Signals:  not for signal handlers.
 * Memory:   the file stays mapped; an index of 12 bytes per symbol on the heap,
 *           names are in the map. Compressed sections are not touched here.
 * Trust:    every count, offset and link of the file is checked against its
 *           size; work is bounded by the size of the file.
 * Units:    addresses are ELF virtual addresses.
 * Errors:   false or NULL: not there, or damaged; one is like the other.
 */
#ifndef SEEP_SYM_ELFFILE_H
#define SEEP_SYM_ELFFILE_H

#include <gelf.h>

#include "analyzer/sym/filemap.h"

#define SEEP_BUILD_ID_MAX 64

struct seep_elffile {
	char *path;		 /* NULL: opened by descriptor, or memory */
	struct seep_filemap map; /* or nothing: the image is in our memory */
	const unsigned char *image;
	size_t image_bytes;
	Elf *elf;
	unsigned char build_id[SEEP_BUILD_ID_MAX];
	size_t build_id_bytes;	       /* 0: none */
	uint64_t code_start, code_end; /* hull of the executable sections */
	bool has_symtab, has_dwarf;
	const char *debuglink; /* file name, or NULL */
	uint32_t debuglink_crc;
	const char *altlink; /* file name of the dwz file, or NULL */
	unsigned char altlink_id[SEEP_BUILD_ID_MAX];
	size_t altlink_id_bytes;
	const unsigned char *minidebug; /* .gnu_debugdata: xz, or NULL */
	size_t minidebug_bytes;
};

/* NULL when it is no usable ELF file. Takes nothing over but the map. */
struct seep_elffile *seep_elffile_open(const char *path);
struct seep_elffile *seep_elffile_open_fd(int fd);
/* An image in memory, which must outlive it. */
struct seep_elffile *seep_elffile_open_image(const void *image, size_t bytes);
void seep_elffile_close(struct seep_elffile *f);
SEEP_DEFINE_CLEANUP(struct seep_elffile *, seep_elffile_close)

bool seep_elffile_has_build_id(
    const struct seep_elffile *f, const unsigned char *id, size_t bytes);

/* As in .gnu_debuglink: CRC-32 of the whole file. */
uint32_t seep_elffile_crc(const struct seep_elffile *f);

struct seep_symbol {
	uint32_t start, size; /* from the index' base; size 0: to the next */
	uint32_t name;	      /* offset in names[table]; top 2 bits: table */
};

#define SEEP_SYMTABS 3

/* Sorted by start, one entry per start. */
struct seep_symindex {
	struct seep_symbol *symbols;
	size_t nr, room;
	uint64_t base, end; /* of the code */
	struct {
		const char *data;
		size_t bytes;
	} names[SEEP_SYMTABS];
	unsigned nr_tables;
};

/*
 * Adds the functions of .symtab or .dynsym; `code` is the file that says where
 * code is (the debug file has the same addresses). The file must stay open.
 */
bool seep_symindex_add(struct seep_symindex *x, const struct seep_elffile *f,
    const struct seep_elffile *code, bool dynamic);
/* After the last add: sorts, keeps the best name of each address. */
void seep_symindex_finish(struct seep_symindex *x);
void seep_symindex_deinit(struct seep_symindex *x);

/*
 * The function that contains addr: its name as in the file with its length
 * (version suffix left out), and where it starts; NULL: none does.
 */
const char *seep_symindex_find(const struct seep_symindex *x, uint64_t addr,
    size_t *length, uint64_t *start);

#endif
