/* SPDX-License-Identifier: MIT */
/*
 * dwarf.c - address -> function, file, line and the inlining at it, by libdw
 *
 * libdw's own search by address needs .debug_aranges, which clang does not
 * write. Here the ranges of all units are sorted once, those of the functions
 * of a unit when the unit is first met, and inlined calls are searched inside
 * one function only.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/sym/dwarf.h"
#include "analyzer/sym/path.h"
#include "analyzer/sym/rangeset.h"

/* Bounds for damaged files; real ones stay far below. */
#define MAX_RANGES	  (8 << 20)  /* of all units together */
#define MAX_UNIT_DIES	  (32 << 20) /* looked at for its functions */
#define MAX_FUNCTION_DIES (1 << 20)  /* looked at for inlined calls */
#define MAX_REFERENCES	  16	     /* origin of an origin of ... */
#define MAX_NESTING	  128	     /* of namespaces, types, scopes */

/*
 * What units may cost before all are given back: lines of libdw, mostly. Asked
 * in the order of addresses this is enough. When the same units are wanted
 * again and again it is doubled, up to the larger one.
 */
#define MIN_LOADED_BYTES (2 << 20)
#define MAX_LOADED_BYTES (16 << 20)
#define MANY_RELOADS	 32
#define LINE_BYTES	 48

struct unit {
	Dwarf_Off offset;		/* of its DIE */
	struct seep_rangeset functions; /* ref: offset from the unit's DIE */
	Dwarf_Die die; /* that has the functions: of a .dwo, or our own */
	bool is_loaded;
	bool was_loaded; /* before all were given back */
	bool is_deep;	 /* functions inside of functions too */
};

struct seep_dwarf {
	struct seep_elffile *f, *alt;
	Dwarf *dbg, *alt_dbg;
	uint64_t base, end;	     /* of the code */
	struct seep_rangeset ranges; /* ref: unit */
	struct unit *units;
	size_t nr_units, room;
	size_t loaded_bytes, may_load_bytes;
	unsigned nr_reloads;
	bool is_indexed;
};

/*
 * Shown to libdw instead of a dwz file that is missing, so that it does not
 * search for one by itself.
 */
static const struct no_debug {
	Elf64_Ehdr eh;
	Elf64_Shdr sh[3];
	char names[32];
	char info[8];
} no_debug = {
    .eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
	       __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB
							 : ELFDATA2MSB,
	       EV_CURRENT},
	.e_type = ET_REL,
	.e_version = EV_CURRENT,
	.e_ehsize = sizeof(Elf64_Ehdr),
	.e_shoff = offsetof(struct no_debug, sh),
	.e_shentsize = sizeof(Elf64_Shdr),
	.e_shnum = 3,
	.e_shstrndx = 1},
    .sh = {[1] = {.sh_name = 1,
	       .sh_type = SHT_STRTAB,
	       .sh_offset = offsetof(struct no_debug, names),
	       .sh_size = sizeof(no_debug.names),
	       .sh_addralign = 1},
	[2] = {.sh_name = 11,
	    .sh_type = SHT_PROGBITS,
	    .sh_offset = offsetof(struct no_debug, info),
	    .sh_size = sizeof(no_debug.info),
	    .sh_addralign = 1}},
    .names = "\0.shstrtab\0.debug_info",
};

struct seep_dwarf *seep_dwarf_create(struct seep_elffile *f,
    struct seep_elffile *alt, const struct seep_elffile *code)
{
	struct seep_dwarf *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->f = f;
	d->may_load_bytes = MIN_LOADED_BYTES;
	d->alt = alt;
	d->base = code->code_start;
	d->end = code->code_end;
	if (d->end - d->base > UINT32_MAX)
		d->end = d->base + UINT32_MAX;
	if (f->altlink && !alt)
		d->alt = seep_elffile_open_image(&no_debug, sizeof(no_debug));
	return d;
}

static void close_dwarf(struct seep_dwarf *d)
{
	for (size_t i = 0; i < d->nr_units; i++) {
		seep_rangeset_deinit(&d->units[i].functions);
		d->units[i].is_loaded = d->units[i].is_deep = false;
	}
	if (d->dbg)
		dwarf_end(d->dbg);
	if (d->alt_dbg)
		dwarf_end(d->alt_dbg);
	d->dbg = d->alt_dbg = NULL;
	d->loaded_bytes = 0;
	malloc_trim(0); /* many small pieces between others */
}

void seep_dwarf_destroy(struct seep_dwarf *d)
{
	if (!d)
		return;
	close_dwarf(d);
	if (d->alt && d->alt->image == (const unsigned char *)&no_debug)
		seep_elffile_close(d->alt);
	seep_rangeset_deinit(&d->ranges);
	free(d->units);
	free(d);
}

static bool open_dwarf(struct seep_dwarf *d)
{
	if (d->dbg)
		return true;
	d->dbg = dwarf_begin_elf(d->f->elf, DWARF_C_READ, NULL);
	if (!d->dbg)
		return false;
	if (d->alt)
		d->alt_dbg = dwarf_begin_elf(d->alt->elf, DWARF_C_READ, NULL);
	if (d->alt_dbg)
		dwarf_setalt(d->dbg, d->alt_dbg);
	/* What was unpacked is not read again where it is packed. */
	seep_filemap_trim(&d->f->map);
	return true;
}

size_t seep_dwarf_bytes(const struct seep_dwarf *d)
{
	return d->loaded_bytes + d->room * sizeof(*d->units) +
	       d->ranges.room * sizeof(struct seep_range) +
	       /* libdw's own struct and abbreviations of each unit */
	       (d->dbg ? d->nr_units * 1024 : 0);
}

/* ---- attributes --------------------------------------------------------- */

/* Of the DIE itself or of what it is an instance of. */
static Dwarf_Attribute *find_attr(
    const Dwarf_Die *die, unsigned name, Dwarf_Attribute *ret)
{
	Dwarf_Die at = *die;

	for (int i = 0; i < MAX_REFERENCES; i++) {
		Dwarf_Attribute ref;
		Dwarf_Die next;

		if (dwarf_attr(&at, name, ret))
			return ret;
		if (!dwarf_attr(&at, DW_AT_abstract_origin, &ref) &&
		    !dwarf_attr(&at, DW_AT_specification, &ref))
			return NULL;
		if (!dwarf_formref_die(&ref, &next))
			return NULL;
		at = next;
	}
	return NULL;
}

static const char *string_attr(const Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;

	return find_attr(die, name, &attr) ? dwarf_formstring(&attr) : NULL;
}

static uint64_t number_attr(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (!dwarf_attr(die, name, &attr) || dwarf_formudata(&attr, &value))
		return 0;
	return value;
}

/* ---- ranges ------------------------------------------------------------- */

/*
 * Adds the ranges of a DIE; how many it has. What was left out of the link has
 * addresses outside of the code (0, 1, -1, -2 by linker).
 */
static size_t add_ranges(struct seep_dwarf *d, struct seep_rangeset *to,
    Dwarf_Die *die, uint32_t ref)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	size_t nr = 0;

	while (to->nr < MAX_RANGES && nr < MAX_RANGES &&
	       (at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		nr++;
		if (start >= d->base && start && start < end && end <= d->end &&
		    !seep_rangeset_add(to, (uint32_t)(start - d->base),
			(uint32_t)(end - d->base), ref))
			break;
	}
	return nr;
}

static bool has_scopes(int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type: /* Rust has functions in them */
	case DW_TAG_common_block:
		return true;
	default:
		return false;
	}
}

/* A sibling or child of a damaged file may lie before: walks go forward only.
 */
static bool step(
    int (*go)(Dwarf_Die *, Dwarf_Die *), Dwarf_Die *from, Dwarf_Die *to)
{
	Dwarf_Die next;

	if (go(from, &next) || dwarf_dieoffset(&next) <= dwarf_dieoffset(from))
		return false;
	*to = next;
	return true;
}

static bool has_inner(int tag)
{
	return tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
	       tag == DW_TAG_inlined_subroutine || tag == DW_TAG_try_block ||
	       tag == DW_TAG_catch_block;
}

#define OWN_OFFSET UINT32_MAX

/*
 * The functions of a unit: each with `ref`, or its offset. Only `deep` looks
 * inside of functions, where most of a unit is, and few functions are: those
 * nested in C, the methods of local classes and lambdas.
 */
static void add_functions(struct seep_dwarf *d, Dwarf_Die *unit,
    struct seep_rangeset *to, uint32_t ref, bool deep)
{
	Dwarf_Die stack[MAX_NESTING];
	Dwarf_Off base = dwarf_dieoffset(unit);
	int depth = 0;

	if (!step(dwarf_child, unit, &stack[0]))
		return;
	for (size_t n = 0; depth >= 0 && n < MAX_UNIT_DIES; n++) {
		Dwarf_Die *die = &stack[depth];
		int tag = dwarf_tag(die);
		Dwarf_Off off = dwarf_dieoffset(die) - base;

		if (tag == DW_TAG_subprogram && off < OWN_OFFSET)
			add_ranges(d, to, die,
			    ref == OWN_OFFSET ? (uint32_t)off : ref);
		if ((has_scopes(tag) || (deep && has_inner(tag))) &&
		    depth + 1 < MAX_NESTING && dwarf_haschildren(die) > 0 &&
		    step(dwarf_child, die, &stack[depth + 1])) {
			depth++;
			continue;
		}
		while (depth >= 0 &&
		       !step(dwarf_siblingof, &stack[depth], &stack[depth]))
			depth--;
	}
}

static bool add_unit(struct seep_dwarf *d, Dwarf_Die *die)
{
	if (d->nr_units == d->room) {
		size_t room = d->room ? d->room + d->room / 2 : 64;
		void *p = realloc(d->units, room * sizeof(*d->units));

		if (!p)
			return false;
		d->units = p;
		d->room = room;
	}
	d->units[d->nr_units] = (struct unit){.offset = dwarf_dieoffset(die)};
	return true;
}

/* The unit of a .dwo file behind a skeleton, or the DIE as it is. */
static Dwarf_Die split_unit(Dwarf_Die *die)
{
	const char *name = string_attr(die, DW_AT_dwo_name);
	const char *folder = string_attr(die, DW_AT_comp_dir);
	_cleanup_(seep_freep) char *path = NULL;
	uint8_t type;
	Dwarf_Die split = {0};
	struct stat st;

	if (!name)
		name = string_attr(die, DW_AT_GNU_dwo_name);
	if (!name)
		return *die;
	/* libdw opens it whatever it is: no FIFO, no device. */
	path = seep_path_join(folder, name);
	if (!path || stat(path, &st) || !S_ISREG(st.st_mode) ||
	    (name[0] != '/' && stat(name, &st) == 0 && !S_ISREG(st.st_mode)))
		return *die;
	if (dwarf_cu_info(
		die->cu, NULL, &type, NULL, &split, NULL, NULL, NULL) ||
	    !split.addr)
		return *die;
	return split;
}

static void index_units(struct seep_dwarf *d)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;

	d->is_indexed = true;
	while (d->nr_units < MAX_RANGES &&
	       !dwarf_get_units(d->dbg, cu, &cu, NULL, &type, &die, NULL)) {
		uint32_t ref = (uint32_t)d->nr_units;

		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		if (!add_unit(d, &die))
			break;
		/* Hand-written and some old ones say nothing of themselves. */
		if (!add_ranges(d, &d->ranges, &die, ref)) {
			Dwarf_Die split = split_unit(&die);

			add_functions(d, &split, &d->ranges, ref, true);
		}
		d->nr_units++;
	}
	seep_rangeset_finish(&d->ranges);
	seep_filemap_trim(&d->f->map);
}

static bool load_unit(struct seep_dwarf *d, struct unit *u, Dwarf_Die *own)
{
	if (!dwarf_offdie(d->dbg, u->offset, own))
		return false;
	if (!u->is_loaded) {
		Dwarf_Lines *lines;
		size_t nr = 0;

		u->die = split_unit(own);
		add_functions(d, &u->die, &u->functions, OWN_OFFSET, false);
		seep_rangeset_finish(&u->functions);
		if (dwarf_getsrclines(own, &lines, &nr))
			nr = 0;
		d->loaded_bytes +=
		    nr * LINE_BYTES +
		    u->functions.room * sizeof(struct seep_range);
		u->is_loaded = true;
		d->nr_reloads += u->was_loaded;
		u->was_loaded = true;
	}
	return true;
}

/* ---- frames ------------------------------------------------------------- */

/*
 * The inlined calls around pc below a function, outermost first, behind the
 * function itself in chain[0].
 */
static size_t find_inlined(
    Dwarf_Die *function, uint64_t pc, Dwarf_Die chain[SEEP_DWARF_DEPTH])
{
	Dwarf_Die die;
	size_t nr = 1;
	bool has_more;

	chain[0] = *function;
	has_more = step(dwarf_child, function, &die);
	for (size_t n = 0; has_more && n < MAX_FUNCTION_DIES; n++) {
		int tag = dwarf_tag(&die);
		bool is_call = tag == DW_TAG_inlined_subroutine;

		if ((is_call || tag == DW_TAG_lexical_block ||
			tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    dwarf_haspc(&die, pc) > 0) {
			if (is_call && nr == SEEP_DWARF_DEPTH)
				break;
			if (is_call)
				chain[nr++] = die;
			/* It has the pc: none of its siblings does. */
			has_more = step(dwarf_child, &die, &die);
		} else {
			has_more = step(dwarf_siblingof, &die, &die);
		}
	}
	return nr;
}

static char *full_path(Dwarf_Die *unit, const char *file)
{
	const char *folder = string_attr(unit, DW_AT_comp_dir);
	size_t n = folder ? strlen(folder) : 0;

	if (!file || !file[0] || !strcmp(file, "???"))
		return NULL;
	/* A folder that was made relative (-fdebug-prefix-map) is in front of
	 * the files in it already, and looks as if it were not. */
	if (n && folder[0] != '/' && !strncmp(file, folder, n) &&
	    file[n] == '/')
		folder = NULL;
	return seep_path_join(folder, file);
}

static void find_line(
    Dwarf_Die *unit, uint64_t pc, struct seep_dwarf_frame *ret)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, pc);
	int nr = 0;

	if (!line)
		return;
	ret->file = full_path(unit, dwarf_linesrc(line, NULL, NULL));
	if (ret->file && !dwarf_lineno(line, &nr) && nr > 0)
		ret->line = (uint32_t)nr;
}

/* Where an inlined function was called from. */
static void find_call(
    Dwarf_Die *unit, Dwarf_Die *call, struct seep_dwarf_frame *ret)
{
	Dwarf_Files *files;
	size_t nr, file = number_attr(call, DW_AT_call_file);
	uint64_t line = number_attr(call, DW_AT_call_line);

	if (dwarf_getsrcfiles(unit, &files, &nr) || file >= nr)
		return;
	ret->file = full_path(unit, dwarf_filesrc(files, file, NULL, NULL));
	if (ret->file && line <= INT32_MAX)
		ret->line = (uint32_t)line;
}

/* Languages that qualify names, of those that are traced here. */
static bool has_scoped_names(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case DW_LANG_D:
	case DW_LANG_Rust:
		return true;
	default:
		return false;
	}
}

static bool append_scope(char **scope, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);
	char *longer;

	if (!name && dwarf_tag(die) != DW_TAG_namespace)
		return true;
	if (asprintf(&longer, "%s%s::", *scope ? *scope : "",
		name ? name : "(anonymous namespace)") < 0)
		return false;
	free(*scope);
	*scope = longer;
	return true;
}

/*
 * The namespaces and types around a DIE. libdw keeps no way up, so this goes
 * down: of each level, to the last DIE that starts before it. Only names that
 * the linker never sees need this.
 */
static char *find_scope(Dwarf_Die *target)
{
	Dwarf_Die die, next, unit;
	Dwarf_Off end = dwarf_dieoffset(target);
	char *scope = NULL;
	size_t n = 0;

	if (!dwarf_diecu(target, &unit, NULL, NULL) ||
	    !has_scoped_names(&unit) || !step(dwarf_child, &unit, &die))
		return NULL;
	for (int depth = 0; depth < MAX_NESTING; depth++) {
		while (n++ < MAX_FUNCTION_DIES &&
		       step(dwarf_siblingof, &die, &next) &&
		       dwarf_dieoffset(&next) <= end)
			die = next;
		if (dwarf_dieoffset(&die) >= end)
			return scope;
		if ((has_scopes(dwarf_tag(&die)) ||
			dwarf_tag(&die) == DW_TAG_subprogram) &&
		    !append_scope(&scope, &die))
			break;
		if (!step(dwarf_child, &die, &die))
			break;
	}
	free(scope);
	return NULL;
}

/* Where it is declared, which is where its name is. */
static Dwarf_Die origin_of(const Dwarf_Die *die)
{
	Dwarf_Die at = *die;

	for (int i = 0; i < MAX_REFERENCES; i++) {
		Dwarf_Attribute ref;
		Dwarf_Die next;

		if ((!dwarf_attr(&at, DW_AT_abstract_origin, &ref) &&
			!dwarf_attr(&at, DW_AT_specification, &ref)) ||
		    !dwarf_formref_die(&ref, &next))
			break;
		at = next;
	}
	return at;
}

static void find_name(const Dwarf_Die *die, struct seep_dwarf_frame *ret)
{
	Dwarf_Die origin;

	ret->name = string_attr(die, DW_AT_linkage_name);
	if (!ret->name)
		ret->name = string_attr(die, DW_AT_MIPS_linkage_name);
	ret->is_linkage = ret->name;
	if (!ret->name)
		ret->name = string_attr(die, DW_AT_name);
	if (ret->name && !ret->name[0])
		ret->name = NULL;
	if (ret->name && !ret->is_linkage) {
		origin = origin_of(die);
		ret->scope = find_scope(&origin);
	}
}

/* The function of a unit at pc; false: none. */
static bool find_function(
    struct seep_dwarf *d, struct unit *u, uint32_t at, Dwarf_Die *ret)
{
	Dwarf_Off base = dwarf_dieoffset(&u->die);
	uint32_t ref;

	if (!seep_rangeset_find(&u->functions, at, &ref, 1)) {
		if (u->is_deep)
			return false;
		u->is_deep = true;
		seep_rangeset_deinit(&u->functions);
		add_functions(d, &u->die, &u->functions, OWN_OFFSET, true);
		seep_rangeset_finish(&u->functions);
		if (!seep_rangeset_find(&u->functions, at, &ref, 1))
			return false;
	}
	return dwarf_offdie(dwarf_cu_getdwarf(u->die.cu), base + ref, ret);
}

static size_t make_frames(struct unit *u, Dwarf_Die *own, Dwarf_Die *function,
    uint64_t pc, struct seep_dwarf_frame *frames)
{
	Dwarf_Die chain[SEEP_DWARF_DEPTH];
	size_t nr = find_inlined(function, pc, chain);
	Dwarf_Addr entry;

	memset(frames, 0, nr * sizeof(*frames));
	find_line(own, pc, &frames[0]);
	for (size_t i = 0; i < nr; i++) {
		find_name(&chain[nr - 1 - i], &frames[i]);
		if (i + 1 < nr)
			find_call(&u->die, &chain[nr - 1 - i], &frames[i + 1]);
	}
	if (!dwarf_entrypc(function, &entry)) {
		frames[nr - 1].entry = entry;
		frames[nr - 1].has_entry = true;
	}
	return nr;
}

size_t seep_dwarf_lookup(
    struct seep_dwarf *d, uint64_t pc, struct seep_dwarf_frame *frames)
{
	uint32_t refs[4], at = (uint32_t)(pc - d->base);
	Dwarf_Die own, function;
	size_t nr;

	if (pc < d->base || pc >= d->end)
		return 0;
	if (d->nr_reloads > MANY_RELOADS) {
		d->nr_reloads = 0;
		if (d->may_load_bytes < MAX_LOADED_BYTES)
			d->may_load_bytes *= 2;
	}
	if (d->loaded_bytes > d->may_load_bytes)
		close_dwarf(d);
	if (!open_dwarf(d))
		return 0;
	if (!d->is_indexed)
		index_units(d);
	nr = seep_rangeset_find(&d->ranges, at, refs, 4);
	for (size_t i = 0; i < nr; i++) {
		struct unit *u = &d->units[refs[i]];

		if (load_unit(d, u, &own) && find_function(d, u, at, &function))
			return make_frames(u, &own, &function, pc, frames);
	}
	/* Assembler has lines, but no functions. */
	for (size_t i = 0; i < nr; i++) {
		if (!dwarf_offdie(d->dbg, d->units[refs[i]].offset, &own))
			continue;
		frames[0] = (struct seep_dwarf_frame){0};
		find_line(&own, pc, &frames[0]);
		if (frames[0].file)
			return 1;
	}
	return 0;
}
