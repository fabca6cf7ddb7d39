/* SPDX-License-Identifier: MIT */
/* debugfile.c - where the debug information of a module lies, if not in it */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/base/error.h"
#include "analyzer/sym/debugfile.h"

#define DEFAULT_FOLDER "/usr/lib/debug"

struct search {
	const struct seep_elffile *f; /* that asks, or NULL */
	const unsigned char *id;      /* what must be found */
	size_t id_bytes;
	bool (*fits)(const struct search *s, const struct seep_elffile *found);
	char path[PATH_MAX];
};

static bool fits_id(const struct search *s, const struct seep_elffile *found)
{
	return seep_elffile_has_build_id(found, s->id, s->id_bytes);
}

static bool fits_link(const struct search *s, const struct seep_elffile *found)
{
	/* With an id on either side the ids decide, and no CRC is summed. */
	if (s->f->build_id_bytes && found->build_id_bytes)
		return seep_elffile_has_build_id(
		    found, s->f->build_id, s->f->build_id_bytes);
	return seep_elffile_crc(found) == s->f->debuglink_crc;
}

static struct seep_elffile *try_path(const struct search *s)
{
	struct seep_elffile *found = seep_elffile_open(s->path);

	if (!found)
		return NULL;
	/* A link to itself is no debug file. */
	if ((s->f && found->map.dev == s->f->map.dev &&
		found->map.ino == s->f->map.ino) ||
	    !s->fits(s, found)) {
		seep_elffile_close(found);
		return NULL;
	}
	return found;
}

static bool print_path(struct search *s, const char *fmt, ...)
    SEEP_PRINTF(2, 3);
static bool print_path(struct search *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->path, sizeof(s->path), fmt, ap);
	va_end(ap);
	return n > 0 && (size_t)n < sizeof(s->path);
}

static struct seep_elffile *try_build_id(
    struct search *s, int folder_length, const char *folder)
{
	char hex[2 * SEEP_BUILD_ID_MAX + 1];

	if (s->id_bytes < 2)
		return NULL;
	for (size_t i = 0; i < s->id_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", s->id[i]);
	if (!print_path(s, "%.*s/.build-id/%.2s/%s.debug", folder_length,
		folder, hex, hex + 2))
		return NULL;
	return try_path(s);
}

/* Calls try for each of `folders`, then for the default one. */
static struct seep_elffile *each_folder(struct search *s, const char *folders,
    struct seep_elffile *(*try)(
	struct search *s, int length, const char *folder))
{
	struct seep_elffile *found = NULL;

	while (folders && *folders && !found) {
		size_t n = strcspn(folders, ":");

		if (n && n < PATH_MAX)
			found = try(s, (int)n, folders);
		folders += n + (folders[n] == ':');
	}
	if (!found)
		found = try(s, (int)strlen(DEFAULT_FOLDER), DEFAULT_FOLDER);
	return found;
}

/* The folder of a path, without the slash at its end; length 0: none. */
static int folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash - path < PATH_MAX ? (int)(slash - path) : 0;
}

struct link_search {
	struct search s;
	const char *module;
};

static struct seep_elffile *try_link(
    struct search *s, int folder_length, const char *folder)
{
	struct link_search *l = (struct link_search *)s;

	if (!print_path(s, "%.*s%.*s/%s", folder_length, folder,
		folder_of(l->module), l->module, s->f->debuglink))
		return NULL;
	return try_path(s);
}

static struct seep_elffile *find_link(
    struct link_search *l, const char *folders)
{
	struct search *s = &l->s;
	int length = folder_of(l->module);
	struct seep_elffile *found = NULL;

	if (print_path(s, "%.*s/%s", length, l->module, s->f->debuglink))
		found = try_path(s);
	if (!found &&
	    print_path(s, "%.*s/.debug/%s", length, l->module, s->f->debuglink))
		found = try_path(s);
	if (!found)
		found = each_folder(s, folders, try_link);
	return found;
}

struct seep_elffile *seep_debugfile_find(
    const struct seep_elffile *f, const char *path, const char *folders)
{
	struct link_search l = {
	    .s = {.f = f,
		.id = f->build_id,
		.id_bytes = f->build_id_bytes,
		.fits = fits_id},
	    .module = path,
	};
	struct seep_elffile *found;

	found = each_folder(&l.s, folders, try_build_id);
	if (found || !f->debuglink || path[0] != '/')
		return found;
	l.s.fits = fits_link;
	return find_link(&l, folders);
}

struct seep_elffile *seep_debugfile_find_id(
    const unsigned char *id, size_t id_bytes, const char *folders)
{
	struct search s = {.id = id, .id_bytes = id_bytes, .fits = fits_id};

	return each_folder(&s, folders, try_build_id);
}

struct seep_elffile *seep_debugfile_find_alt(
    const struct seep_elffile *f, const char *path, const char *folders)
{
	struct search s = {
	    .f = f,
	    .id = f->altlink_id,
	    .id_bytes = f->altlink_id_bytes,
	    .fits = fits_id,
	};
	struct seep_elffile *found = NULL;

	if (!f->altlink || !f->altlink_id_bytes)
		return NULL;
	if (f->altlink[0] == '/'
		? print_path(&s, "%s", f->altlink)
		: print_path(&s, "%.*s/%s", folder_of(path), path, f->altlink))
		found = try_path(&s);
	if (!found)
		found = each_folder(&s, folders, try_build_id);
	return found;
}
