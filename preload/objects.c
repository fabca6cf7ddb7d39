/* SPDX-License-Identifier: MIT */
/* objects.c - which loaded image an address lies in, and its module record */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#include "preload/objects.h"
#include "preload/real.h"
#include "preload/sys.h"

/* Looked up, not linked: a reference to GLIBC_2.35, be it weak, keeps an older
 * glibc from loading us at all (D34). */
static int (*find_object)(void *pc, struct dl_find_object *ret);

bool seep_objects_available(void)
{
	if (!find_object) {
		void *p = seep_real_next("_dl_find_object");

		memcpy(&find_object, &p, sizeof(p));
	}
	return find_object != NULL;
}

bool seep_object_find(uint64_t pc, struct seep_object *ret)
{
	struct dl_find_object f;

	if (!find_object || find_object((void *)(uintptr_t)pc, &f))
		return false;
	ret->start = (uint64_t)(uintptr_t)f.dlfo_map_start;
	ret->end = (uint64_t)(uintptr_t)f.dlfo_map_end;
	ret->bias = f.dlfo_link_map->l_addr;
	ret->name = f.dlfo_link_map->l_name;
	ret->eh_frame_hdr = f.dlfo_eh_frame;
	return true;
}

/* The GNU build-id note, through the program headers at the image's start. */
static uint32_t build_id(const struct seep_object *o, uint8_t *id)
{
	const ElfW(Ehdr) *eh = (const void *)(uintptr_t)o->start;
	const ElfW(Phdr) * ph;

	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) ||
	    eh->e_phentsize != sizeof(*ph) ||
	    eh->e_phoff + eh->e_phnum * sizeof(*ph) > 4096)
		return 0;
	ph = (const void *)(uintptr_t)(o->start + eh->e_phoff);
	for (int i = 0; i < eh->e_phnum; i++) {
		const uint8_t *p, *end;

		if (ph[i].p_type != PT_NOTE)
			continue;
		p = (const uint8_t *)(uintptr_t)(o->bias + ph[i].p_vaddr);
		end = p + ph[i].p_memsz;
		if ((uint64_t)(uintptr_t)p < o->start ||
		    (uint64_t)(uintptr_t)end > o->end)
			continue;
		while (end - p >= (long)sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *n = (const void *)p;
			const uint8_t *name = p + sizeof(*n);
			const uint8_t *desc = name + ((n->n_namesz + 3) & ~3u);
			size_t align = ph[i].p_align == 8 ? 7 : 3;

			if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
			    !memcmp(name, "GNU", 4) &&
			    n->n_descsz <= SEEP_BUILD_ID_MAX) {
				memcpy(id, desc, n->n_descsz);
				return n->n_descsz;
			}
			p = desc + ((n->n_descsz + align) & ~align);
		}
	}
	return 0;
}

static struct seep_module_rec *record(struct seep_pool *pool, uint32_t id)
{
	/* acquire: pairs with the release in add(). */
	uint32_t page = atomic_load_explicit(
	    &pool->head->module_page[id / SEEP_MODULES_PER_PAGE],
	    memory_order_acquire);

	return page ? (struct seep_module_rec *)seep_pool_page(pool, page) +
			  id % SEEP_MODULES_PER_PAGE
		    : NULL;
}

struct image {
	uint8_t id[SEEP_BUILD_ID_MAX];
	uint32_t id_len, path_len;
	const char *path; /* as the loader has it; may be relative */
};

static void set_place(struct seep_module_rec *r, const struct seep_object *o)
{
	atomic_store_explicit(&r->start, o->start, memory_order_relaxed);
	atomic_store_explicit(&r->end, o->end, memory_order_relaxed);
	atomic_store_explicit(&r->bias, o->bias, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->loads, 1, memory_order_relaxed);
}

static uint32_t find(
    struct seep_pool *pool, const struct seep_object *o, const struct image *im)
{
	uint32_t nr =
	    atomic_load_explicit(&pool->head->nr_modules, memory_order_relaxed);

	for (uint32_t i = 0;
	     i < nr && i < SEEP_NR_MODULE_PAGES * SEEP_MODULES_PER_PAGE; i++) {
		struct seep_module_rec *r = record(pool, i);

		if (!r ||
		    !atomic_load_explicit(&r->ready, memory_order_acquire) ||
		    r->build_id_len != im->id_len ||
		    memcmp(r->build_id, im->id, im->id_len) ||
		    r->path_len != im->path_len ||
		    memcmp(pool->base + r->path_at, im->path, im->path_len))
			continue;
		if (atomic_load_explicit(&r->bias, memory_order_relaxed) !=
		    o->bias)
			set_place(r, o);
		return i;
	}
	return SEEP_NO_MODULE;
}

/* Copies a text to the segment; its offset, or 0. */
static uint64_t put_text(struct seep_pool *pool, const char *text, uint32_t len)
{
	enum seep_drop cause;
	uint32_t page = seep_pool_alloc(pool, len / SEEP_PAGE + 1, &cause);

	if (!page)
		return 0;
	memcpy(seep_pool_page(pool, page), text, len);
	return (uint64_t)page * SEEP_PAGE;
}

static uint32_t add(
    struct seep_pool *pool, const struct seep_object *o, const struct image *im)
{
	struct seep_header *h = pool->head;
	struct seep_module_rec *r;
	_Atomic uint32_t *at;
	uint32_t id, page, none = 0;
	enum seep_drop cause;

	id = atomic_fetch_add_explicit(&h->nr_modules, 1, memory_order_relaxed);
	if (id >= SEEP_NR_MODULE_PAGES * SEEP_MODULES_PER_PAGE) {
		atomic_fetch_sub_explicit(
		    &h->nr_modules, 1, memory_order_relaxed);
		goto full;
	}
	at = &h->module_page[id / SEEP_MODULES_PER_PAGE];
	if (!atomic_load_explicit(at, memory_order_acquire)) {
		page = seep_pool_alloc(pool, 1, &cause);
		if (!page)
			goto full;
		atomic_compare_exchange_strong_explicit(at, &none, page,
		    memory_order_release, memory_order_relaxed);
	}
	r = record(pool, id);
	memcpy(r->build_id, im->id, im->id_len);
	r->build_id_len = im->id_len;
	r->path_at = put_text(pool, im->path, im->path_len);
	r->path_len = r->path_at ? im->path_len : 0;
	set_place(r, o);
	/* release: pairs with the acquire in find() and with the reader. */
	atomic_store_explicit(&r->ready, 1, memory_order_release);
	return id;
full:
	atomic_fetch_add_explicit(
	    &h->drops[SEEP_DROP_MODULES_FULL], 1, memory_order_relaxed);
	return SEEP_NO_MODULE;
}

/* ---- paths ------------------------------------------------------------- */

#define DELETED	    " (deleted)" /* what the kernel puts behind such a path */
#define DELETED_LEN (sizeof(DELETED) - 1)

bool seep_objects_no_kernel;

/* One line of /proc/self/maps, as far as it has been read. */
struct maps_line {
	uint64_t start;
	int field, spaces;
	uint32_t len;
	char path[SEEP_PAGE];
};

/* Takes the next character; true at the end of the line that begins at start.
 */
static bool maps_char(struct maps_line *l, char c, uint64_t start)
{
	if (c == '\n') {
		if (l->field == 2 && l->start == start && l->len)
			return true;
		l->start = 0;
		l->field = l->spaces = 0;
		l->len = 0;
	} else if (l->field == 0) { /* the start, in hex, to the minus */
		if (c == '-')
			l->field = 1;
		else
			l->start =
			    l->start << 4 |
			    (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	} else if (l->field == 1) { /* up to the path, which begins with / */
		if (c == '/')
			l->field = 2;
	}
	if (l->field == 2 && l->len < sizeof(l->path))
		l->path[l->len++] = c;
	return false;
}

/*
 * The loader has the path that dlopen() was given, which may be relative to a
 * folder left long ago. The kernel knows the file.
 */
static bool kernel_path(uint64_t start, struct maps_line *l)
{
	char buf[1024];
	bool found = false;
	long fd, n;

	fd = seep_sys(
	    SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	memset(l, 0, offsetof(struct maps_line, path));
	while (!found && (n = seep_sys(SYS_read, fd, buf, sizeof(buf))) > 0)
		for (long i = 0; i < n && !found; i++)
			found = maps_char(l, buf[i], start);
	seep_sys(SYS_close, fd);
	return found;
}

/* Rare, and with a large frame: apart from the usual way. */
static __attribute__((noinline)) uint32_t relative_module(
    struct seep_pool *pool, const struct seep_object *o, struct image *im)
{
	struct maps_line l;
	uint32_t id;

	if (!seep_objects_no_kernel && kernel_path(o->start, &l)) {
		if (l.len > DELETED_LEN &&
		    !memcmp(l.path + l.len - DELETED_LEN, DELETED, DELETED_LEN))
			l.len -= DELETED_LEN;
		im->path = l.path;
		im->path_len = l.len;
	}
	id = find(pool, o, im);
	return id != SEEP_NO_MODULE ? id : add(pool, o, im);
}

uint32_t seep_object_module(struct seep_pool *pool, const struct seep_object *o)
{
	struct image im;
	uint32_t id;

	im.id_len = build_id(o, im.id);
	im.path = o->name;
	im.path_len = (uint32_t)strlen(im.path);
	if (!im.path_len) { /* the program itself */
		im.path = (const char *)pool->base + pool->head->exe_at;
		im.path_len = pool->head->exe_len;
	}
	/* Not the vDSO, whose name has no slash. */
	if (im.path_len && im.path[0] != '/' && strchr(im.path, '/'))
		return relative_module(pool, o, &im);
	id = find(pool, o, &im);
	return id != SEEP_NO_MODULE ? id : add(pool, o, &im);
}
