/* SPDX-License-Identifier: MIT */
/* elffile.c - one mapped ELF file: build-id, links to debug files, symbols */
#include <string.h>

#include "analyzer/sym/elffile.h"

/* Sections beyond this are not looked at: kernels with -ffunction-sections
 * have tens of thousands, no file needs more. */
#define MAX_SECTIONS 1000000
#define MAX_SYMBOLS  50000000

#define NAME_BITS   30
#define NAME_OFFSET ((1u << NAME_BITS) - 1)

/* NULL unless [off, off + size) lies in the file. */
static const unsigned char *file_range(
    const struct seep_elffile *f, uint64_t off, uint64_t size)
{
	if (off > f->image_bytes || size > f->image_bytes - off)
		return NULL;
	return f->image + off;
}

static const unsigned char *section_bytes(
    const struct seep_elffile *f, const GElf_Shdr *sh)
{
	if (sh->sh_type == SHT_NOBITS || sh->sh_flags & SHF_COMPRESSED)
		return NULL;
	return file_range(f, sh->sh_offset, sh->sh_size);
}

static uint32_t word_at(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void read_build_id(
    struct seep_elffile *f, const unsigned char *p, uint64_t bytes)
{
	while (bytes >= 12) {
		uint64_t name = ((uint64_t)word_at(p) + 3) & ~3ull;
		uint64_t size = word_at(p + 4);
		uint64_t desc = 12 + name;
		uint64_t next = desc + ((size + 3) & ~3ull);

		if (desc > bytes || size > bytes - desc)
			return;
		if (word_at(p + 8) == NT_GNU_BUILD_ID && word_at(p) == 4 &&
		    !memcmp(p + 12, "GNU", 4) && size &&
		    size <= SEEP_BUILD_ID_MAX) {
			memcpy(f->build_id, p + desc, size);
			f->build_id_bytes = size;
			return;
		}
		if (next >= bytes)
			return;
		p += next;
		bytes -= next;
	}
}

/* A NUL-terminated name at the start of a section, and what follows it. */
static const char *leading_name(
    const unsigned char *p, uint64_t bytes, uint64_t *length)
{
	const unsigned char *end = p && bytes ? memchr(p, 0, bytes) : NULL;

	if (!end || end == p)
		return NULL;
	*length = (uint64_t)(end - p);
	return (const char *)p;
}

static void read_debuglink(
    struct seep_elffile *f, const unsigned char *p, uint64_t bytes)
{
	uint64_t length, crc;
	const char *name = leading_name(p, bytes, &length);

	if (!name || strchr(name, '/'))
		return;
	crc = (length + 1 + 3) & ~3ull;
	if (crc + 4 > bytes)
		return;
	f->debuglink = name;
	f->debuglink_crc = word_at(p + crc);
}

static void read_altlink(
    struct seep_elffile *f, const unsigned char *p, uint64_t bytes)
{
	uint64_t length;
	const char *name = leading_name(p, bytes, &length);

	if (!name)
		return;
	f->altlink = name;
	bytes -= length + 1;
	if (bytes && bytes <= SEEP_BUILD_ID_MAX) {
		memcpy(f->altlink_id, p + length + 1, bytes);
		f->altlink_id_bytes = bytes;
	}
}

static void read_section(
    struct seep_elffile *f, const GElf_Shdr *sh, const char *name)
{
	const unsigned char *p = section_bytes(f, sh);
	uint64_t end = sh->sh_addr + sh->sh_size;

	if (sh->sh_flags & SHF_EXECINSTR && sh->sh_flags & SHF_ALLOC &&
	    sh->sh_size && end > sh->sh_addr) {
		if (!f->code_end || sh->sh_addr < f->code_start)
			f->code_start = sh->sh_addr;
		if (end > f->code_end)
			f->code_end = end;
	}
	if (sh->sh_type == SHT_SYMTAB && p)
		f->has_symtab = true;
	if (sh->sh_type == SHT_NOTE && p && !f->build_id_bytes)
		read_build_id(f, p, sh->sh_size);
	if (!name || sh->sh_type == SHT_NOBITS)
		return;
	if (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info") ||
	    !strcmp(name, ".debug_line") || !strcmp(name, ".zdebug_line"))
		f->has_dwarf = true;
	else if (p && !strcmp(name, ".gnu_debuglink"))
		read_debuglink(f, p, sh->sh_size);
	else if (p && !strcmp(name, ".gnu_debugaltlink"))
		read_altlink(f, p, sh->sh_size);
	else if (p && !strcmp(name, ".gnu_debugdata")) {
		f->minidebug = p;
		f->minidebug_bytes = sh->sh_size;
	}
}

static void read_segments(struct seep_elffile *f)
{
	bool has_sections = f->code_end;
	size_t nr;

	if (elf_getphdrnum(f->elf, &nr))
		return;
	for (size_t i = 0; i < nr && i < MAX_SECTIONS; i++) {
		GElf_Phdr ph;
		const unsigned char *p;

		if (!gelf_getphdr(f->elf, (int)i, &ph))
			return;
		p = file_range(f, ph.p_offset, ph.p_filesz);
		if (ph.p_type == PT_NOTE && p && !f->build_id_bytes)
			read_build_id(f, p, ph.p_filesz);
		if (has_sections || ph.p_type != PT_LOAD ||
		    !(ph.p_flags & PF_X) ||
		    ph.p_vaddr + ph.p_memsz <= ph.p_vaddr)
			continue;
		if (!f->code_end || ph.p_vaddr < f->code_start)
			f->code_start = ph.p_vaddr;
		if (ph.p_vaddr + ph.p_memsz > f->code_end)
			f->code_end = ph.p_vaddr + ph.p_memsz;
	}
}

/*
 * libdw unpacks every section that it knows when it opens a file. What is not
 * for names is hidden from it, in our copy of the header.
 */
static void hide_unused(Elf_Scn *scn, GElf_Shdr *sh, const char *name)
{
	static const char *const unused[] = {"aranges", "frame", "loc",
	    "loclists", "macinfo", "macro", "names", "pubnames", "pubtypes"};
	bool is_old = !strncmp(name, ".zdebug_", 8);

	if (!is_old && (!(sh->sh_flags & SHF_COMPRESSED) ||
			   strncmp(name, ".debug_", 7) != 0))
		return;
	name += is_old ? 8 : 7;
	for (size_t i = 0; i < sizeof(unused) / sizeof(*unused); i++)
		if (!strcmp(name, unused[i])) {
			sh->sh_type = SHT_NOBITS;
			gelf_update_shdr(scn, sh);
		}
}

static void read_sections(struct seep_elffile *f)
{
	Elf_Scn *scn = NULL;
	const char *name;
	size_t names, n = 0;

	if (elf_getshdrstrndx(f->elf, &names))
		names = 0;
	while ((scn = elf_nextscn(f->elf, scn)) && n++ < MAX_SECTIONS) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh))
			return;
		name = names ? elf_strptr(f->elf, names, sh.sh_name) : NULL;
		read_section(f, &sh, name);
		if (name && f->map.base)
			hide_unused(scn, &sh, name);
	}
}

static struct seep_elffile *finish_open(struct seep_elffile *f)
{
	_cleanup_(seep_elffile_closep) struct seep_elffile *guard = f;
	GElf_Ehdr eh;
	uint64_t table;

	if (f->map.base) {
		f->image = f->map.base;
		f->image_bytes = f->map.size;
	}
	elf_version(EV_CURRENT);
	/* libelf writes to an image of its own only, so const may go. */
	f->elf = elf_memory((char *)f->image, f->image_bytes);
	if (!f->elf || elf_kind(f->elf) != ELF_K_ELF ||
	    !gelf_getehdr(f->elf, &eh))
		return NULL;
	/* Words of notes and links are read as they are. */
	if (eh.e_ident[EI_DATA] != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
					   ? ELFDATA2LSB
					   : ELFDATA2MSB))
		return NULL;
	/* elf_compress() of libdw changes the headers where they lie. */
	table = eh.e_shnum ? (uint64_t)eh.e_shnum * eh.e_shentsize
			   : f->image_bytes - eh.e_shoff;
	if (f->map.base && eh.e_shoff &&
	    !seep_filemap_unlock(&f->map, eh.e_shoff, table))
		return NULL;
	read_sections(f);
	read_segments(f);
	return no_cleanup_ptr(guard);
}

static struct seep_elffile *give_up(struct seep_elffile *f)
{
	free(f);
	return NULL;
}

struct seep_elffile *seep_elffile_open(const char *path)
{
	struct seep_elffile *f = calloc(1, sizeof(*f));

	if (!f || !seep_filemap_open(&f->map, path))
		return give_up(f);
	f->path = strdup(path);
	return finish_open(f);
}

struct seep_elffile *seep_elffile_open_fd(int fd)
{
	struct seep_elffile *f = calloc(1, sizeof(*f));

	if (!f || !seep_filemap_open_fd(&f->map, fd))
		return give_up(f);
	return finish_open(f);
}

struct seep_elffile *seep_elffile_open_image(const void *image, size_t bytes)
{
	struct seep_elffile *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->image = image;
	f->image_bytes = bytes;
	return finish_open(f);
}

void seep_elffile_close(struct seep_elffile *f)
{
	if (!f)
		return;
	if (f->elf)
		elf_end(f->elf);
	seep_filemap_close(&f->map);
	free(f->path);
	free(f);
}

bool seep_elffile_has_build_id(
    const struct seep_elffile *f, const unsigned char *id, size_t bytes)
{
	return f->build_id_bytes == bytes && !memcmp(f->build_id, id, bytes);
}

uint32_t seep_elffile_crc(const struct seep_elffile *f)
{
	uint32_t table[256], crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] =
			    table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (size_t i = 0; i < f->image_bytes; i++)
		crc = table[(crc ^ f->image[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

/* ---- symbols ------------------------------------------------------------ */

static bool is_code(const GElf_Sym *sym, const struct seep_elffile *code)
{
	int type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF ||
	    (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
		return false;
	/* Where only the section says that it is code, it must be there. */
	if (type == STT_NOTYPE && sym->st_shndx >= SHN_LORESERVE &&
	    sym->st_shndx != SHN_XINDEX)
		return false;
	return sym->st_value >= code->code_start &&
	       sym->st_value < code->code_end;
}

static bool grow(struct seep_symindex *x)
{
	size_t room = x->room ? x->room + x->room / 2 : 1024;
	void *p;

	if (x->nr < x->room)
		return true;
	p = realloc(x->symbols, room * sizeof(*x->symbols));
	if (!p)
		return false;
	x->symbols = p;
	x->room = room;
	return true;
}

/*
 * While the index is being built the upper bits of `size` say how good a name
 * the symbol is for its address. No function has 256 MiB.
 */
#define RANK_SHIFT  28
#define RANK_SIZED  4u
#define RANK_FUNC   2u
#define RANK_GLOBAL 1u
#define SIZE_MASK   ((1u << RANK_SHIFT) - 1)

static uint32_t rank_of(const GElf_Sym *sym)
{
	uint32_t rank = 0;

	if (sym->st_size)
		rank |= RANK_SIZED;
	if (GELF_ST_TYPE(sym->st_info) != STT_NOTYPE)
		rank |= RANK_FUNC;
	if (GELF_ST_BIND(sym->st_info) != STB_LOCAL)
		rank |= RANK_GLOBAL;
	return rank << RANK_SHIFT;
}

static bool add_symbol(struct seep_symindex *x, const GElf_Sym *sym,
    unsigned table, const char *names, size_t names_bytes)
{
	uint64_t start = sym->st_value - x->base;
	uint64_t size = sym->st_size;

	if (start > UINT32_MAX || sym->st_name >= names_bytes ||
	    sym->st_name > NAME_OFFSET || !names[sym->st_name] ||
	    names[sym->st_name] == '$')
		return true; /* nothing to call it by; $x: data in code */
	if (!grow(x))
		return false;
	if (size > SIZE_MASK)
		size = SIZE_MASK;
	x->symbols[x->nr++] = (struct seep_symbol){
	    .start = (uint32_t)start,
	    .size = (uint32_t)size | rank_of(sym),
	    .name = (uint32_t)sym->st_name | table << NAME_BITS,
	};
	return true;
}

static bool add_table(struct seep_symindex *x, const struct seep_elffile *f,
    const struct seep_elffile *code, Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Scn *strings = elf_getscn(f->elf, sh->sh_link);
	Elf_Data *data = elf_getdata(scn, NULL);
	const char *names;
	GElf_Shdr str;
	size_t nr;
	unsigned table = x->nr_tables;

	if (!strings || !data || !data->d_buf || table >= SEEP_SYMTABS ||
	    !gelf_getshdr(strings, &str) || str.sh_type != SHT_STRTAB)
		return false;
	names = (const char *)section_bytes(f, &str);
	/* With a NUL at its end every name in it has one. */
	if (!names || !str.sh_size || names[str.sh_size - 1])
		return false;
	x->names[table].data = names;
	x->names[table].bytes = str.sh_size;
	x->nr_tables++;
	nr = data->d_size / gelf_fsize(f->elf, ELF_T_SYM, 1, EV_CURRENT);
	for (size_t i = 1; i < nr && i < MAX_SYMBOLS; i++) {
		GElf_Sym sym;

		if (!gelf_getsym(data, (int)i, &sym))
			break;
		if (is_code(&sym, code) &&
		    !add_symbol(x, &sym, table, names, str.sh_size))
			return false;
	}
	return true;
}

bool seep_symindex_add(struct seep_symindex *x, const struct seep_elffile *f,
    const struct seep_elffile *code, bool dynamic)
{
	GElf_Word type = dynamic ? SHT_DYNSYM : SHT_SYMTAB;
	Elf_Scn *scn = NULL;
	size_t n = 0;

	if (!x->nr_tables) {
		x->base = code->code_start;
		x->end = code->code_end;
	}
	while ((scn = elf_nextscn(f->elf, scn)) && n++ < MAX_SECTIONS) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh))
			return false;
		if (sh.sh_type == type && section_bytes(f, &sh))
			return add_table(x, f, code, scn, &sh);
	}
	return false;
}

static const char *name_of(
    const struct seep_symindex *x, const struct seep_symbol *s)
{
	unsigned table = s->name >> NAME_BITS;
	uint32_t off = s->name & NAME_OFFSET;

	/* Checked when added; the file may have changed since. */
	if (table >= x->nr_tables || off >= x->names[table].bytes)
		return "";
	return x->names[table].data + off;
}

static size_t name_length(const char *name, size_t max)
{
	size_t n = strnlen(name, max);
	const char *version = memchr(name, '@', n);

	return version && version != name ? (size_t)(version - name) : n;
}

static unsigned nr_underscores(const char *name)
{
	unsigned n = 0;

	while (name[n] == '_' && n < 8)
		n++;
	/* _Z, _R, _D are no more private than what they name. */
	return n == 1 && strchr("ZRD", name[1]) ? 0 : n;
}

/* The better name of one address first. */
static int by_start(const void *a, const void *b, void *ctx)
{
	const struct seep_symbol *s = a, *t = b;
	const char *sn, *tn;
	uint32_t sr = s->size >> RANK_SHIFT, tr = t->size >> RANK_SHIFT;
	unsigned su, tu;
	size_t sl, tl;

	if (s->start != t->start)
		return s->start < t->start ? -1 : 1;
	if (sr != tr)
		return sr > tr ? -1 : 1;
	/* malloc, rather than __libc_malloc; free, rather than cfree. */
	sn = name_of(ctx, s);
	tn = name_of(ctx, t);
	su = nr_underscores(sn);
	tu = nr_underscores(tn);
	if (su != tu)
		return su < tu ? -1 : 1;
	sl = name_length(sn, NAME_OFFSET);
	tl = name_length(tn, NAME_OFFSET);
	if (sl != tl)
		return sl < tl ? -1 : 1;
	return strncmp(sn, tn, sl);
}

void seep_symindex_finish(struct seep_symindex *x)
{
	size_t nr = 0;
	void *p;

	if (!x->nr)
		return;
	qsort_r(x->symbols, x->nr, sizeof(*x->symbols), by_start, x);
	for (size_t i = 0; i < x->nr; i++) {
		x->symbols[i].size &= SIZE_MASK;
		if (!nr || x->symbols[nr - 1].start != x->symbols[i].start)
			x->symbols[nr++] = x->symbols[i];
	}
	x->nr = nr;
	p = realloc(x->symbols, nr * sizeof(*x->symbols));
	if (p) {
		x->symbols = p;
		x->room = nr;
	}
}

void seep_symindex_deinit(struct seep_symindex *x)
{
	free(x->symbols);
	*x = (struct seep_symindex){0};
}

/* How far before an address a symbol that contains it is looked for: one may
 * lie inside another (local labels with a size, entry points). */
#define MAX_NESTED 16

const char *seep_symindex_find(const struct seep_symindex *x, uint64_t addr,
    size_t *length, uint64_t *start)
{
	size_t lo = 0, hi = x->nr;
	uint64_t at = addr - x->base;

	if (addr < x->base || addr >= x->end)
		return NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->symbols[mid].start <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo; i > 0 && lo - i < MAX_NESTED; i--) {
		const struct seep_symbol *s = &x->symbols[i - 1];
		const char *name = name_of(x, s);

		/* Without a size: up to the next symbol, whichever it is. */
		if (s->size ? at - s->start >= s->size : i != lo)
			continue;
		*length =
		    name_length(name, x->names[s->name >> NAME_BITS].bytes -
					  (s->name & NAME_OFFSET));
		*start = x->base + s->start;
		return *length ? name : NULL;
	}
	return NULL;
}
