/* SPDX-License-Identifier: MIT */
/* real.c - the next allocator's entry points, in link order */
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

#include "preload/objects.h"
#include "preload/real.h"

/* ---- symbol tables ----------------------------------------------------- */

struct symbols {
	const ElfW(Sym) * sym;
	const char *str;
	const uint32_t *gnu_hash, *sysv_hash;
	const uint16_t *versym;
};

static void read_dynamic(const struct link_map *m, struct symbols *s)
{
	memset(s, 0, sizeof(*s));
	for (const ElfW(Dyn) *d = m->l_ld; d && d->d_tag != DT_NULL; d++) {
		/* glibc has relocated these in place, but not in the vDSO. */
		uintptr_t p = d->d_un.d_ptr;

		if (p < m->l_addr)
			p += m->l_addr;
		switch (d->d_tag) {
		case DT_SYMTAB:
			s->sym = (const void *)p;
			break;
		case DT_STRTAB:
			s->str = (const void *)p;
			break;
		case DT_GNU_HASH:
			s->gnu_hash = (const void *)p;
			break;
		case DT_HASH:
			s->sysv_hash = (const void *)p;
			break;
		case DT_VERSYM:
			s->versym = (const void *)p;
			break;
		}
	}
}

static bool is_definition(const struct symbols *s, uint32_t i, const char *name)
{
	const ElfW(Sym) *y = &s->sym[i];
	unsigned type = y->st_info & 15;

	/* A hidden version is an old one, kept for old programs. */
	return y->st_shndx != SHN_UNDEF &&
	       (type == STT_FUNC || type == STT_NOTYPE ||
		   type == STT_GNU_IFUNC) &&
	       !strcmp(s->str + y->st_name, name) &&
	       !(s->versym && s->versym[i] & 0x8000);
}

static const ElfW(Sym) * find_gnu(const struct symbols *s, const char *name)
{
	const uint32_t *h = s->gnu_hash;
	const uint32_t *buckets = h + 4 + h[2] * (sizeof(ElfW(Addr)) / 4);
	const uint32_t *chain = buckets + h[0];
	uint32_t hash = 5381, i;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	if (!h[0])
		return NULL;
	i = buckets[hash % h[0]];
	if (i < h[1])
		return NULL;
	for (;; i++) {
		uint32_t other = chain[i - h[1]];

		if ((other | 1) == (hash | 1) && is_definition(s, i, name))
			return &s->sym[i];
		if (other & 1)
			return NULL;
	}
}

static const ElfW(Sym) * find_sysv(const struct symbols *s, const char *name)
{
	uint32_t nr = s->sysv_hash[1];

	for (uint32_t i = 1; i < nr; i++)
		if (is_definition(s, i, name))
			return &s->sym[i];
	return NULL;
}

static void *find_in(const struct link_map *m, const char *name)
{
	const ElfW(Sym) *y = NULL;
	struct symbols s;
	uintptr_t p;

	read_dynamic(m, &s);
	if (!s.sym || !s.str)
		return NULL;
	if (s.gnu_hash)
		y = find_gnu(&s, name);
	else if (s.sysv_hash)
		y = find_sysv(&s, name);
	if (!y)
		return NULL;
	p = m->l_addr + y->st_value;
	if ((y->st_info & 15) == STT_GNU_IFUNC)
		p = ((uintptr_t(*)(void))p)();
	return (void *)p;
}

/* ---- the next image ---------------------------------------------------- */

static const struct link_map *ourselves(void)
{
	const struct link_map *m = _r_debug.r_map;

	while (m && m->l_ld != _DYNAMIC)
		m = m->l_next;
	return m;
}

void *seep_real_next(const char *name)
{
	const struct link_map *m = ourselves();
	void *p = NULL;

	for (m = m ? m->l_next : _r_debug.r_map; m && !p; m = m->l_next)
		p = find_in(m, name);
	/* Loaded late, by dlopen or into a running process: we are at the end
	 * of the list, the allocator is before us. */
	for (m = _r_debug.r_map; m && !p; m = m->l_next)
		if (m->l_ld != _DYNAMIC)
			p = find_in(m, name);
	return p;
}

bool seep_real_same_image(const void *a, const void *b)
{
	struct seep_object x, y;

	return seep_object_find((uint64_t)(uintptr_t)a, &x) &&
	       seep_object_find((uint64_t)(uintptr_t)b, &y) &&
	       x.start == y.start;
}

bool seep_real_is_glibc(void)
{
	void *own = seep_real_next("gnu_get_libc_version");

	seep_real_resolve();
	return own && seep_real_same_image(own, (void *)seep_real.malloc);
}

/* ---- until resolved ---------------------------------------------------- */

static void *first_malloc(size_t n)
{
	seep_real_resolve();
	return seep_real.malloc(n);
}

static void *first_calloc(size_t n, size_t size)
{
	seep_real_resolve();
	return seep_real.calloc(n, size);
}

static void *first_realloc(void *p, size_t n)
{
	seep_real_resolve();
	return seep_real.realloc(p, n);
}

static void first_free(void *p)
{
	seep_real_resolve();
	seep_real.free(p);
}

static void *first_memalign(size_t align, size_t n)
{
	seep_real_resolve();
	return seep_real.memalign(align, n);
}

static void *first_aligned_alloc(size_t align, size_t n)
{
	seep_real_resolve();
	return seep_real.aligned_alloc(align, n);
}

static int first_posix_memalign(void **p, size_t align, size_t n)
{
	seep_real_resolve();
	return seep_real.posix_memalign(p, align, n);
}

static void *first_valloc(size_t n)
{
	seep_real_resolve();
	return seep_real.valloc(n);
}

static void *first_pvalloc(size_t n)
{
	seep_real_resolve();
	return seep_real.pvalloc(n);
}

struct seep_real seep_real = {
    .malloc = first_malloc,
    .calloc = first_calloc,
    .realloc = first_realloc,
    .free = first_free,
    .memalign = first_memalign,
    .aligned_alloc = first_aligned_alloc,
    .posix_memalign = first_posix_memalign,
    .valloc = first_valloc,
    .pvalloc = first_pvalloc,
};

/* ISO C has no conversion from an object pointer to a function pointer. */
#define RESOLVE(member)                                                        \
	do {                                                                   \
		void *p_ = seep_real_next(#member);                            \
		if (p_)                                                        \
			memcpy(&seep_real.member, &p_, sizeof(p_));            \
	} while (0)

void seep_real_resolve(void)
{
	static _Atomic bool done;

	if (done)
		return;
	RESOLVE(malloc);
	RESOLVE(calloc);
	RESOLVE(realloc);
	RESOLVE(free);
	RESOLVE(memalign);
	RESOLVE(aligned_alloc);
	RESOLVE(posix_memalign);
	RESOLVE(valloc);
	RESOLVE(pvalloc);
	done = true;
}
