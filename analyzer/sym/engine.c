/* SPDX-License-Identifier: MIT */
/* engine.c - what sym.h promises, done in the calling process */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/sym/engine.h"
#include "analyzer/sym/image.h"
#include "analyzer/sym/jit.h"
#include "analyzer/sym/sym.h"

/*
 * Of all images: a helper of a traced program has 20 MiB in all. As in dwarf.c
 * it is doubled when what was closed is wanted again, up to the larger one;
 * the collector asks module by module, and never gets there.
 */
#define MIN_IMAGE_BYTES (10u << 20)
#define MAX_IMAGE_BYTES (80u << 20)
#define MANY_REOPENS	4
#define MAX_IMAGES	256 /* besides the one that is asked */
#define MAX_JITS	4
/* Lookups after which mapped pages are given back. */
#define LOOKUPS_PER_TRIM 256

struct seep_engine_module {
	char *path, *build_id;
	int fd;
	enum seep_engine_level level;
	bool is_open, was_open;
	uint64_t used; /* number of the last lookup */
	struct seep_image image;
	struct seep_engine_module *next;
};

struct jit {
	uint32_t pid;
	uint64_t used;
	struct seep_jit *jit; /* NULL: no map file when we looked */
};

struct seep_engine {
	char *debug_path, *sysroot, *jit_folder;
	struct seep_engine_module *modules;
	struct jit jits[MAX_JITS];
	uint64_t nr_lookups;
	uint64_t next_trim;
	size_t may_use_bytes; /* of all images */
	size_t max_images;
	unsigned nr_reopens;
};

static struct seep_error *no_memory(void)
{
	return seep_error_errno(ENOMEM, "looking up a name");
}

static bool copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return !text || *ret;
}

struct seep_error *seep_engine_create(
    const struct seep_engine_options *opt, struct seep_engine **ret)
{
	struct seep_engine *e = calloc(1, sizeof(*e));

	if (!e || !copy(opt->debug_path, &e->debug_path) ||
	    !copy(opt->sysroot, &e->sysroot) ||
	    !copy(opt->jit_folder ? opt->jit_folder : "/tmp", &e->jit_folder)) {
		seep_engine_destroy(e);
		return no_memory();
	}
	e->next_trim = LOOKUPS_PER_TRIM;
	e->may_use_bytes = MIN_IMAGE_BYTES;
	e->max_images = opt->one_at_a_time ? 0 : MAX_IMAGES;
	*ret = e;
	return NULL;
}

static void close_module(struct seep_engine_module *m)
{
	if (m->is_open)
		seep_image_close(&m->image);
	m->is_open = false;
}

static void module_destroy(struct seep_engine_module *m)
{
	if (!m)
		return;
	close_module(m);
	if (m->fd >= 0)
		close(m->fd);
	free(m->path);
	free(m->build_id);
	free(m);
}

void seep_engine_destroy(struct seep_engine *e)
{
	if (!e)
		return;
	while (e->modules) {
		struct seep_engine_module *m = e->modules;

		e->modules = m->next;
		module_destroy(m);
	}
	for (size_t i = 0; i < MAX_JITS; i++)
		seep_jit_destroy(e->jits[i].jit);
	free(e->debug_path);
	free(e->sysroot);
	free(e->jit_folder);
	free(e);
}

struct seep_error *seep_engine_module(struct seep_engine *e, const char *path,
    const char *build_id, int fd, enum seep_engine_level level,
    struct seep_engine_module **ret)
{
	struct seep_engine_module *m = calloc(1, sizeof(*m));

	if (!m || !copy(path, &m->path) || !copy(build_id, &m->build_id)) {
		if (m)
			m->fd = -1;
		module_destroy(m);
		return no_memory();
	}
	m->fd = fd;
	m->level = level;
	m->next = e->modules;
	e->modules = m;
	*ret = m;
	return NULL;
}

/* ---- which modules are open --------------------------------------------- */

static void close_oldest(struct seep_engine *e, struct seep_engine_module *keep)
{
	for (;;) {
		struct seep_engine_module *oldest = NULL;
		size_t bytes = 0, nr = 0;

		for (struct seep_engine_module *m = e->modules; m;
		     m = m->next) {
			if (!m->is_open)
				continue;
			bytes += seep_image_bytes(&m->image);
			if (m == keep)
				continue;
			nr++;
			if (!oldest || m->used < oldest->used)
				oldest = m;
		}
		if (!oldest ||
		    (bytes <= e->may_use_bytes && nr <= e->max_images))
			return;
		close_module(oldest);
	}
}

static void use_module(struct seep_engine *e, struct seep_engine_module *m,
    uint32_t *debuginfod_ms)
{
	struct seep_image_source s = {
	    .path = m->path,
	    .sysroot = e->sysroot,
	    .build_id = m->build_id,
	    .folders = e->debug_path,
	    .fd = m->fd,
	    .no_dwarf = m->level >= SEEP_ENGINE_SYMBOLS,
	};

	m->used = ++e->nr_lookups;
	if (!m->is_open && m->level < SEEP_ENGINE_NOTHING) {
		e->nr_reopens += m->was_open;
		if (e->nr_reopens > MANY_REOPENS &&
		    e->may_use_bytes < MAX_IMAGE_BYTES) {
			e->nr_reopens = 0;
			e->may_use_bytes *= 2;
		}
		close_oldest(e, m);
		seep_image_open(&m->image, &s, debuginfod_ms);
		m->is_open = m->was_open = true;
	}
}

/* After a lookup: what it may have left. */
static void tidy(struct seep_engine *e, struct seep_engine_module *m)
{
	if (e->nr_lookups < e->next_trim)
		return;
	e->next_trim = e->nr_lookups + LOOKUPS_PER_TRIM;
	close_oldest(e, m);
	for (m = e->modules; m; m = m->next)
		if (m->is_open)
			seep_image_trim(&m->image);
}

/* ---- names -------------------------------------------------------------- */

/* What compilers add to the name of a function that they split or copied. */
static size_t without_suffix(const char *name, size_t length)
{
	static const char *const suffixes[] = {".cold", ".constprop.", ".isra.",
	    ".part.", ".lto_priv.", ".localalias", ".llvm."};

	for (size_t i = 1; i < length; i++) {
		if (name[i] != '.')
			continue;
		for (size_t k = 0; k < sizeof(suffixes) / sizeof(*suffixes);
		     k++) {
			size_t n = strlen(suffixes[k]);

			if (length - i >= n &&
			    !memcmp(name + i, suffixes[k], n))
				return i;
		}
	}
	return length;
}

static char *name_of_symbol(const char *symbol, size_t length)
{
	char *plain = strndup(symbol, without_suffix(symbol, length));
	char *readable = plain ? seep_sym_demangle(plain) : NULL;

	if (readable) {
		free(plain);
		return readable;
	}
	return plain;
}

/*
 * The source's name of a function local to its file lacks namespaces; the
 * symbol at its start has them.
 */
static char *name_of_frame(
    struct seep_image *i, const struct seep_dwarf_frame *f)
{
	const char *symbol;
	char *readable;
	size_t length;
	uint64_t start;

	if (f->has_entry && !f->is_linkage) {
		symbol = seep_image_symbol(i, f->entry, &length, &start);
		if (symbol && start == f->entry &&
		    (!f->name ||
			(symbol[0] == '_' && strchr("ZRD", symbol[1]))))
			return name_of_symbol(symbol, length);
	}
	if (!f->name)
		return NULL;
	if (!f->is_linkage)
		return asprintf(&readable, "%s%s", f->scope ? f->scope : "",
			   f->name) < 0
			   ? NULL
			   : readable;
	readable = seep_sym_demangle(f->name);
	return readable ? readable : strdup(f->name);
}

static size_t find_frames(
    struct seep_engine_module *m, uint64_t pc, struct seep_frame *ret)
{
	struct seep_dwarf_frame frames[SEEP_DWARF_DEPTH];
	struct seep_image *image = &m->image;
	const char *symbol = NULL;
	size_t nr = 0, length;
	uint64_t start;

	if (!m->is_open)
		return 0;
	if (image->dwarf)
		nr = seep_dwarf_lookup(image->dwarf, pc, frames);
	for (size_t i = 0; i < nr; i++) {
		ret[i].function = name_of_frame(image, &frames[i]);
		free(frames[i].scope);
		ret[i].file = frames[i].file;
		ret[i].line = frames[i].line;
		ret[i].inlined = i + 1 < nr;
	}
	if (nr && ret[nr - 1].function)
		return nr;
	symbol = seep_image_symbol(image, pc, &length, &start);
	if (!symbol)
		return nr;
	if (!nr)
		nr = 1;
	ret[nr - 1].function = name_of_symbol(symbol, length);
	return nr;
}

static struct seep_error *give(struct seep_frame *frames, size_t nr,
    const char *module, uint64_t offset, struct seep_frame **ret,
    size_t *ret_nr)
{
	struct seep_frame *copied = malloc(nr * sizeof(*frames));
	bool is_complete = copied;

	for (size_t i = 0; i < nr; i++) {
		frames[i].offset = offset;
		if (module && !(frames[i].module = strdup(module)))
			is_complete = false;
	}
	if (!is_complete) {
		for (size_t i = 0; i < nr; i++)
			seep_frame_deinit(&frames[i]);
		free(copied);
		return no_memory();
	}
	memcpy(copied, frames, nr * sizeof(*frames));
	*ret = copied;
	*ret_nr = nr;
	return NULL;
}

struct seep_error *seep_engine_lookup(struct seep_engine *e,
    struct seep_engine_module *m, uint64_t offset, bool exact,
    uint32_t *debuginfod_ms, struct seep_frame **ret, size_t *nr)
{
	struct seep_frame frames[SEEP_DWARF_DEPTH] = {0};
	/* A call may be the last instruction of a function that never returns:
	 * the address after it is another function's. */
	uint64_t pc = exact || !offset ? offset : offset - 1;
	size_t found;

	seep_filemap_enter();
	use_module(e, m, debuginfod_ms);
	found = find_frames(m, pc, frames);
	tidy(e, m);
	seep_filemap_leave();
	return give(frames, found ? found : 1, m->path, offset, ret, nr);
}

/* ---- code made at run time ---------------------------------------------- */

static struct seep_jit *use_jit(struct seep_engine *e, uint32_t pid)
{
	struct jit *oldest = &e->jits[0];

	e->nr_lookups++;
	for (size_t i = 0; i < MAX_JITS; i++) {
		struct jit *j = &e->jits[i];

		if (j->used && j->pid == pid) {
			j->used = e->nr_lookups;
			if (j->jit)
				seep_jit_refresh(j->jit);
			return j->jit;
		}
		if (j->used < oldest->used)
			oldest = j;
	}
	seep_jit_destroy(oldest->jit);
	*oldest = (struct jit){
	    .pid = pid,
	    .used = e->nr_lookups,
	    .jit = seep_jit_create(e->jit_folder, pid),
	};
	return oldest->jit;
}

struct seep_error *seep_engine_lookup_jit(struct seep_engine *e, uint32_t pid,
    uint64_t pc, struct seep_frame **ret, size_t *nr)
{
	struct seep_frame frame = {0};
	struct seep_jit *j;
	const char *name;
	size_t length;

	seep_filemap_enter();
	j = use_jit(e, pid);
	name = j ? seep_jit_find(j, pc ? pc - 1 : pc, &length) : NULL;
	if (name)
		frame.function = strndup(name, length);
	seep_filemap_leave();
	return give(&frame, 1, NULL, pc, ret, nr);
}
