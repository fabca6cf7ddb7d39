/* SPDX-License-Identifier: MIT */
/* query_tree.c - a recording's call tree, as numbers of a struct seep_stacks */
#include <string.h>

#include "analyzer/cmd/names.h"
#include "analyzer/cmd/query_tree.h"

#define KIND_NATIVE    1
#define KIND_TRUNCATED 3
#define MAX_FRAMES     (1u << 26)

static struct seep_error *no_memory(void)
{
	return seep_error_new(SEEP_ERROR_OTHER, "out of memory");
}

static struct seep_error *damaged(const char *what)
{
	return seep_error_new(
	    SEEP_ERROR_CORRUPT, "the recording is damaged: %s", what);
}

void seep_tree_deinit(struct seep_tree *t)
{
	for (size_t i = 0; i < t->nr_modules; i++)
		seep_module_deinit(&t->modules[i]);
	free(t->modules);
	free(t->module_paths);
	free(t->parents);
	free(t->addresses);
	free(t->numbers);
	free(t->wanted);
	free(t->table);
	free(t->index);
	free(t->frames);
	*t = (struct seep_tree){0};
}

/* ---- addresses ---------------------------------------------------------- */

static uint32_t probe(
    const struct seep_tree *t, uint32_t module, uint64_t offset, bool exact)
{
	uint64_t h = (offset ^ (uint64_t)module << 40 ^ (uint64_t)exact << 63) *
		     0x9e3779b97f4a7c15ull;
	uint32_t at = (uint32_t)(h >> 32) & (t->index_size - 1);

	for (; t->index[at]; at = (at + 1) & (t->index_size - 1)) {
		const struct seep_tree_address *a = &t->table[t->index[at] - 1];

		if (a->offset == offset && a->module == module &&
		    a->exact == exact)
			break;
	}
	return at;
}

static bool grow_table(struct seep_tree *t)
{
	if (t->nr_table == t->table_room) {
		uint32_t room = t->table_room ? t->table_room * 2 : 256;
		void *more = realloc(t->table, room * sizeof(*t->table));

		if (!more)
			return false;
		t->table = more;
		t->table_room = room;
	}
	if ((uint64_t)(t->nr_table + 1) * 4 > (uint64_t)t->index_size * 3) {
		uint32_t size = t->index_size ? t->index_size * 2 : 512;
		uint32_t *index = calloc(size, sizeof(*index));

		if (!index)
			return false;
		free(t->index);
		t->index = index;
		t->index_size = size;
		for (uint32_t i = 0; i < t->nr_table; i++) {
			const struct seep_tree_address *a = &t->table[i];

			t->index[probe(t, a->module, a->offset, a->exact)] =
			    i + 1;
		}
	}
	return true;
}

static bool add_address(
    struct seep_tree *t, const struct seep_store_node *n, uint32_t *ret)
{
	uint32_t at;

	/* The end of a cut stack has no place of its own. */
	uint64_t offset = n->kind == KIND_TRUNCATED ? UINT64_MAX : n->offset;

	if (!grow_table(t))
		return false;
	at = probe(t, (uint32_t)n->module, offset, n->exact);
	if (!t->index[at]) {
		t->table[t->nr_table++] = (struct seep_tree_address){
		    .offset = offset,
		    .module = (uint32_t)n->module,
		    .kind = (uint8_t)n->kind,
		    .exact = n->exact,
		};
		t->index[at] = t->nr_table;
	}
	*ret = t->index[at] - 1;
	return true;
}

static struct seep_error *load_nodes(struct seep_tree *t, struct seep_store *st)
{
	_cleanup_(seep_freep) struct seep_store_node *nodes = NULL;
	struct seep_error *err;
	size_t nr;

	err = seep_store_nodes(st, &nodes, &nr);
	if (err)
		return err;
	t->nr_nodes = (uint32_t)nr;
	t->parents = calloc(nr + 1, sizeof(*t->parents));
	t->addresses = calloc(nr + 1, sizeof(*t->addresses));
	t->wanted = calloc(nr + 1, sizeof(*t->wanted));
	if (!t->parents || !t->addresses || !t->wanted)
		return no_memory();
	for (size_t i = 0; i < nr; i++) {
		if (nodes[i].module > (int64_t)t->nr_modules)
			return damaged("a frame is in no module");
		t->parents[i + 1] = (uint32_t)nodes[i].parent;
		if (!add_address(t, &nodes[i], &t->addresses[i + 1]))
			return no_memory();
	}
	return NULL;
}

static struct seep_error *load_modules(
    struct seep_tree *t, struct seep_store *st)
{
	struct seep_error *err;

	err = seep_store_modules(st, &t->modules, &t->nr_modules);
	if (err)
		return err;
	t->module_paths = calloc(t->nr_modules + 1, sizeof(char *));
	if (!t->module_paths)
		return no_memory();
	for (size_t i = 0; i < t->nr_modules; i++) {
		if (t->modules[i].id != (int64_t)i + 1)
			return damaged("a module is missing");
		t->module_paths[i] =
		    seep_stacks_intern(t->stacks, t->modules[i].path);
		if (!t->module_paths[i])
			return no_memory();
	}
	return NULL;
}

/* ---- names that are stored ---------------------------------------------- */

struct names {
	struct seep_tree *t;
	const char **strings; /* by id - 1 */
	size_t nr, room;
};

static struct seep_error *keep_string(void *ctx, int64_t id, const char *text)
{
	struct names *n = ctx;

	if (id != (int64_t)n->nr + 1)
		return damaged("a name is missing");
	if (n->nr == n->room) {
		size_t room = n->room ? n->room * 2 : 256;
		void *more = realloc(n->strings, room * sizeof(char *));

		if (!more)
			return no_memory();
		n->strings = more;
		n->room = room;
	}
	n->strings[n->nr] = seep_stacks_intern(n->t->stacks, text);
	return n->strings[n->nr++] ? NULL : no_memory();
}

static bool grow_frames(struct seep_tree *t)
{
	uint32_t room = t->frame_room ? t->frame_room * 2 : 256;
	void *more;

	if (t->nr_frames < t->frame_room)
		return true;
	if (room > MAX_FRAMES)
		return false;
	more = realloc(t->frames, room * sizeof(*t->frames));
	if (!more)
		return false;
	t->frames = more;
	t->frame_room = room;
	return true;
}

/* The frames of an address follow each other, and are added one by one. */
static struct seep_error *add_frame(
    struct seep_tree *t, uint32_t address, const struct seep_frame *f)
{
	struct seep_tree_address *a = &t->table[address];

	if (!grow_frames(t))
		return no_memory();
	if (!a->nr)
		a->first = t->nr_frames;
	else if (a->first + a->nr != t->nr_frames)
		return damaged("the names of an address are torn apart");
	t->frames[t->nr_frames++] = *f;
	a->nr++;
	return NULL;
}

static struct seep_error *keep_symbol(
    void *ctx, const struct seep_store_symbol *s)
{
	struct names *n = ctx;
	struct seep_tree *t = n->t;
	struct seep_frame f = {
	    .offset = s->offset,
	    .line = s->line,
	    .inlined = s->inlined,
	};
	uint32_t at;

	if (!t->index_size || s->module > (int64_t)t->nr_modules)
		return NULL;
	at = t->index[probe(t, (uint32_t)s->module, s->offset, s->exact)];
	if (!at) /* of no node */
		return NULL;
	if (s->function > (int64_t)n->nr || s->file > (int64_t)n->nr)
		return damaged("a name is missing");
	if (s->function)
		f.function = (char *)n->strings[s->function - 1];
	if (s->file)
		f.file = (char *)n->strings[s->file - 1];
	if (s->module)
		f.module = (char *)t->module_paths[s->module - 1];
	return add_frame(t, at - 1, &f);
}

struct seep_error *seep_tree_load(
    struct seep_tree *t, struct seep_store *st, struct seep_stacks *stacks)
{
	struct names n = {.t = t};
	struct seep_error *err;

	*t = (struct seep_tree){.stacks = stacks};
	err = load_modules(t, st);
	if (!err)
		err = load_nodes(t, st);
	if (!err)
		err = seep_store_each_string(st, keep_string, &n);
	if (!err)
		err = seep_store_each_symbol(st, keep_symbol, &n);
	free(n.strings);
	if (err)
		seep_tree_deinit(t);
	return err;
}

/* ---- names that are not ------------------------------------------------- */

void seep_tree_want(struct seep_tree *t, uint32_t site, bool debuginfod)
{
	for (; site && !t->wanted[site]; site = t->parents[site]) {
		struct seep_tree_address *a = &t->table[t->addresses[site]];

		t->wanted[site] = true;
		if (a->kind != KIND_NATIVE || !a->module)
			continue;
		if (!a->nr || (debuginfod && !t->frames[a->first].file))
			a->wanted = true;
	}
}

/* Of one module, sorted by offset. */
struct part {
	struct seep_tree *t;
	const uint32_t *addresses;
	size_t nr;
};

static struct seep_error *take_frames(struct seep_tree *t, uint32_t address,
    const struct seep_frame *frames, size_t nr)
{
	struct seep_tree_address *a = &t->table[address];
	struct seep_error *err = NULL;

	if (!frames[0].function && a->nr)
		return NULL; /* no better than what is there */
	a->nr = 0;
	for (size_t i = 0; i < nr && !err; i++) {
		struct seep_frame f = frames[i];

		if (f.function)
			f.function =
			    (char *)seep_stacks_intern(t->stacks, f.function);
		if (f.file)
			f.file = (char *)seep_stacks_intern(t->stacks, f.file);
		f.module = (char *)t->module_paths[a->module - 1];
		f.offset = a->offset;
		err = add_frame(t, address, &f);
	}
	return err;
}

static struct seep_error *take_part(
    void *ctx, size_t i, struct seep_frame *frames, size_t nr)
{
	struct part *p = ctx;
	struct seep_error *err =
	    nr ? take_frames(p->t, p->addresses[i], frames, nr) : NULL;

	for (size_t k = 0; k < nr; k++)
		seep_frame_deinit(&frames[k]);
	free(frames);
	return err;
}

static struct seep_error *resolve_part(
    struct part *p, struct seep_sym *sym, bool debuginfod)
{
	struct seep_tree *t = p->t;
	const struct seep_module *module =
	    &t->modules[t->table[p->addresses[0]].module - 1];
	struct seep_sym_address *asked = calloc(p->nr, sizeof(*asked));
	struct seep_sym_module *m;
	struct seep_error *err;

	if (!asked)
		return no_memory();
	for (size_t i = 0; i < p->nr; i++) {
		asked[i].offset = t->table[p->addresses[i]].offset;
		asked[i].exact = t->table[p->addresses[i]].exact;
	}
	err = seep_sym_module(sym, module->path, module->build_id, -1,
	    debuginfod ? SEEP_SYM_LINES : seep_names_detail(module->path), &m);
	if (!err)
		err = seep_sym_lookup_all(sym, m, asked, p->nr, take_part, p);
	free(asked);
	return err;
}

static int by_address(const void *pa, const void *pb, void *ctx)
{
	const struct seep_tree *t = ctx;
	const struct seep_tree_address *a = &t->table[*(const uint32_t *)pa];
	const struct seep_tree_address *b = &t->table[*(const uint32_t *)pb];

	if (a->module != b->module)
		return a->module < b->module ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

struct seep_error *seep_tree_resolve(
    struct seep_tree *t, const struct seep_query_options *opt)
{
	_cleanup_(seep_sym_destroyp) struct seep_sym *sym = NULL;
	_cleanup_(seep_freep) uint32_t *wanted =
	    malloc((t->nr_table + 1) * sizeof(*wanted));
	struct seep_sym_options so = {
	    .debuginfod = opt->debuginfod,
	    .debuginfod_timeout_s = opt->debuginfod_timeout_s,
	};
	struct seep_error *err = NULL;
	size_t nr = 0, to;

	if (!wanted)
		return no_memory();
	for (uint32_t i = 0; i < t->nr_table; i++)
		if (t->table[i].wanted)
			wanted[nr++] = i;
	if (!nr)
		return NULL;
	qsort_r(wanted, nr, sizeof(*wanted), by_address, t);
	err = seep_sym_create(&so, &sym);
	for (size_t from = 0; from < nr && !err; from = to) {
		uint32_t module = t->table[wanted[from]].module;
		struct part p = {.t = t, .addresses = &wanted[from]};

		for (to = from;
		     to < nr && t->table[wanted[to]].module == module;)
			to++;
		p.nr = to - from;
		err = resolve_part(&p, sym, opt->debuginfod);
	}
	return err;
}

/* ---- numbers ------------------------------------------------------------ */

static bool is_ours(
    const struct seep_tree *t, const struct seep_tree_address *a)
{
	return a->module && seep_module_is_ours(t->module_paths[a->module - 1]);
}

static uint32_t number_address(
    struct seep_tree *t, const struct seep_tree_address *a)
{
	struct seep_frame f = {
	    .offset = a->offset,
	    .truncated = a->kind == KIND_TRUNCATED,
	};

	if (a->nr)
		return seep_stacks_add_address(
		    t->stacks, &t->frames[a->first], a->nr);
	if (f.truncated)
		f.offset = 0;
	if (a->module)
		f.module = (char *)t->module_paths[a->module - 1];
	return seep_stacks_add_address(t->stacks, &f, 1);
}

struct seep_error *seep_tree_number(struct seep_tree *t)
{
	_cleanup_(seep_freep) uint32_t *of_address = NULL;

	t->numbers = calloc((size_t)t->nr_nodes + 1, sizeof(*t->numbers));
	of_address = calloc((size_t)t->nr_table + 1, sizeof(*of_address));
	if (!t->numbers || !of_address)
		return no_memory();
	for (uint32_t i = 0; i < t->nr_table; i++) {
		if (is_ours(t, &t->table[i]))
			continue; /* 0: left out of every stack */
		of_address[i] = number_address(t, &t->table[i]);
		if (!of_address[i])
			return no_memory();
	}
	/* a parent comes before its child: the store saw to it */
	for (uint32_t i = 1; i <= t->nr_nodes; i++) {
		uint32_t parent = t->numbers[t->parents[i]];
		uint32_t address = of_address[t->addresses[i]];

		t->numbers[i] =
		    address ? seep_stacks_add(t->stacks, parent, address)
			    : parent;
		if (address && !t->numbers[i])
			return no_memory();
	}
	return NULL;
}
