/* SPDX-License-Identifier: MIT */
/* image.c - the opened files of one module: its own, its debug files */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "analyzer/sym/debugfile.h"
#include "analyzer/sym/debuginfod.h"
#include "analyzer/sym/image.h"
#include "analyzer/sym/minidebug.h"

struct build_id {
	unsigned char bytes[SEEP_BUILD_ID_MAX];
	size_t nr; /* 0: any */
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An id that is none matches no file. */
static bool parse_build_id(const char *hex, struct build_id *ret)
{
	ret->nr = 0;
	if (!hex || !hex[0])
		return true;
	for (; hex[0]; hex += 2) {
		int high = hex_digit(hex[0]);
		int low = high < 0 ? -1 : hex_digit(hex[1]);

		if (low < 0 || ret->nr == SEEP_BUILD_ID_MAX)
			return false;
		ret->bytes[ret->nr++] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static struct seep_elffile *if_fits(
    struct seep_elffile *f, const struct build_id *id)
{
	if (f && id->nr && !seep_elffile_has_build_id(f, id->bytes, id->nr)) {
		seep_elffile_close(f);
		return NULL;
	}
	return f;
}

/* The kernel maps the same image into every process. */
static struct seep_elffile *open_vdso(void)
{
	unsigned long base = getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)base;
	uint64_t end;

	if (!base || sizeof(void *) != 8)
		return NULL;
	/* Its section headers are the last thing in it. */
	end = eh->e_shoff + (uint64_t)eh->e_shnum * eh->e_shentsize;
	if (!eh->e_shoff || end > 1 << 16)
		return NULL;
	return seep_elffile_open_image(eh, end);
}

static struct seep_elffile *open_path(
    const struct seep_image_source *s, const struct build_id *id)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(s->path), tail = sizeof(deleted) - 1;
	char path[PATH_MAX];
	int len;

	/* The file that has its name now is another one, unless its id says
	 * that it is a copy. */
	if (n > tail && !strcmp(s->path + n - tail, deleted)) {
		if (!id->nr)
			return NULL;
		n -= tail;
	}
	if (s->path[0] != '/' || n > INT_MAX)
		return NULL;
	len = snprintf(path, sizeof(path), "%s%.*s",
	    s->sysroot ? s->sysroot : "", (int)n, s->path);
	if (len < 0 || (size_t)len >= sizeof(path))
		return NULL;
	return if_fits(seep_elffile_open(path), id);
}

static struct seep_elffile *open_own(
    const struct seep_image_source *s, const struct build_id *id)
{
	struct seep_elffile *f = NULL;

	if (!strncmp(s->path, "[vdso", 5) ||
	    !strncmp(s->path, "linux-vdso", 10))
		return if_fits(open_vdso(), id);
	if (s->fd >= 0)
		f = if_fits(seep_elffile_open_fd(s->fd), id);
	return f ? f : open_path(s, id);
}

static struct seep_elffile *ask_servers(const struct seep_elffile *own,
    const struct build_id *id, uint32_t *debuginfod_ms)
{
	const unsigned char *bytes = own ? own->build_id : id->bytes;
	size_t nr = own ? own->build_id_bytes : id->nr;
	struct seep_elffile *f;
	char *path;

	if (!*debuginfod_ms || !nr)
		return NULL;
	path = seep_debuginfod_find(bytes, nr, debuginfod_ms);
	f = path ? seep_elffile_open(path) : NULL;
	free(path);
	if (f && !seep_elffile_has_build_id(f, bytes, nr)) {
		seep_elffile_close(f);
		f = NULL;
	}
	return f;
}

static struct seep_elffile *open_debug(const struct seep_image *i,
    const struct seep_image_source *s, const struct build_id *id,
    uint32_t *debuginfod_ms)
{
	const struct seep_elffile *own = i->file;
	struct seep_elffile *f = NULL;

	if (own && own->has_dwarf && own->has_symtab)
		return NULL;
	if (own)
		f = seep_debugfile_find(own, s->path, s->folders);
	else if (id->nr)
		f = seep_debugfile_find_id(id->bytes, id->nr, s->folders);
	if (!f && !s->no_dwarf && !(own && own->has_dwarf))
		f = ask_servers(own, id, debuginfod_ms);
	return f;
}

static const struct seep_elffile *code_of(const struct seep_image *i)
{
	return i->file ? i->file : i->debug;
}

void seep_image_open(struct seep_image *i, const struct seep_image_source *s,
    uint32_t *debuginfod_ms)
{
	struct seep_elffile *dwarf;
	struct build_id id;

	if (!parse_build_id(s->build_id, &id))
		return;
	i->file = open_own(s, &id);
	i->debug = open_debug(i, s, &id, debuginfod_ms);
	if (s->no_dwarf)
		return;
	dwarf = i->file && i->file->has_dwarf ? i->file : i->debug;
	if (!dwarf || !dwarf->has_dwarf)
		return;
	i->alt = seep_debugfile_find_alt(
	    dwarf, dwarf->path ? dwarf->path : s->path, s->folders);
	i->dwarf = seep_dwarf_create(dwarf, i->alt, code_of(i));
}

void seep_image_close(struct seep_image *i)
{
	seep_dwarf_destroy(i->dwarf);
	seep_symindex_deinit(&i->symbols);
	seep_elffile_close(i->mini);
	free(i->mini_bytes);
	seep_elffile_close(i->alt);
	seep_elffile_close(i->debug);
	seep_elffile_close(i->file);
	*i = (struct seep_image){0};
}

static void read_symbols(struct seep_image *i)
{
	const struct seep_elffile *code = code_of(i);
	struct seep_symindex *x = &i->symbols;
	bool has_full = false;
	size_t bytes;

	i->has_symbols = true;
	if (!code)
		return;
	if (i->file && i->file->has_symtab)
		has_full = seep_symindex_add(x, i->file, code, false);
	if (!has_full && i->debug && i->debug->has_symtab)
		has_full = seep_symindex_add(x, i->debug, code, false);
	if (!has_full && i->file && i->file->minidebug) {
		i->mini_bytes = seep_minidebug_unpack(
		    i->file->minidebug, i->file->minidebug_bytes, &bytes);
		if (i->mini_bytes)
			i->mini = seep_elffile_open_image(i->mini_bytes, bytes);
		if (i->mini)
			seep_symindex_add(x, i->mini, code, false);
	}
	if (i->file)
		seep_symindex_add(x, i->file, code, true);
	seep_symindex_finish(x);
}

const char *seep_image_symbol(
    struct seep_image *i, uint64_t addr, size_t *length, uint64_t *start)
{
	if (!i->has_symbols)
		read_symbols(i);
	return seep_symindex_find(&i->symbols, addr, length, start);
}

size_t seep_image_bytes(const struct seep_image *i)
{
	return i->symbols.room * sizeof(struct seep_symbol) +
	       (i->dwarf ? seep_dwarf_bytes(i->dwarf) : 0);
}

void seep_image_trim(const struct seep_image *i)
{
	const struct seep_elffile *files[] = {i->file, i->debug, i->alt};

	for (size_t n = 0; n < sizeof(files) / sizeof(files[0]); n++)
		if (files[n])
			seep_filemap_trim(&files[n]->map);
}
