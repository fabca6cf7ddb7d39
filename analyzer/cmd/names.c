/* SPDX-License-Identifier: MIT */
/* names.c - resolves the frames of a recording's sites, stores their names */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/cmd/names.h"
#include "analyzer/model/blame.h"

#define KIND_NATIVE  1 /* as in seep_store_put_node() */
#define KIND_UNKNOWN 2

/* Written in pieces, so that a kill loses little and readers wait little. */
#define PER_COMMIT 2000

struct address {
	int64_t module;
	uint64_t offset;
	uint32_t pid;
	bool exact;
};

struct work {
	struct seep_store *st;
	unsigned char *seen; /* a bit per node: its address is known */
	size_t nr_seen;
	struct address *addresses; /* each once */
	uint32_t *index;	   /* of the addresses, from 1; 0: free */
	size_t nr, room;	   /* the index has twice the room */
	uint64_t end_s;
	bool is_late;
	size_t nr_put;
};

static struct seep_error *no_memory(void)
{
	return seep_error_errno(ENOMEM, "resolving names");
}

static uint64_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

/* ---- which addresses ---------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct address *x = a, *y = b;

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (int)x->exact - (int)y->exact;
}

static size_t probe(const struct work *w, const struct address *a)
{
	uint64_t h = (a->offset ^ (uint64_t)a->module << 40 ^ a->exact) *
		     0x9e3779b97f4a7c15ull;
	size_t mask = 2 * w->room - 1, at = (h >> 32) & mask;

	while (w->index[at] && by_address(&w->addresses[w->index[at] - 1], a))
		at = (at + 1) & mask;
	return at;
}

static bool grow(struct work *w)
{
	size_t room = w->room ? 2 * w->room : 1024;
	void *p;

	p = realloc(w->addresses, room * sizeof(*w->addresses));
	if (!p)
		return false;
	w->addresses = p;
	p = calloc(2 * room, sizeof(*w->index));
	if (!p)
		return false;
	free(w->index);
	w->index = p;
	w->room = room;
	for (size_t i = 0; i < w->nr; i++)
		w->index[probe(w, &w->addresses[i])] = (uint32_t)i + 1;
	return true;
}

static struct seep_error *add_address(
    struct work *w, const struct seep_store_node *n, uint32_t pid)
{
	struct address a = {
	    .module = n->module,
	    .offset = n->offset,
	    .pid = pid,
	    .exact = n->exact,
	};
	size_t at;

	if (w->nr == w->room && !grow(w))
		return no_memory();
	at = probe(w, &a);
	if (!w->index[at]) {
		w->addresses[w->nr] = a;
		w->index[at] = (uint32_t)++w->nr;
	}
	return NULL;
}

static bool mark_seen(struct work *w, int64_t id, bool *was_seen)
{
	size_t byte = (size_t)id / 8;
	unsigned char bit = (unsigned char)(1u << id % 8);

	if (byte >= w->nr_seen) {
		size_t nr = 2 * byte + 4096;
		unsigned char *p = realloc(w->seen, nr);

		if (!p)
			return false;
		memset(p + w->nr_seen, 0, nr - w->nr_seen);
		w->seen = p;
		w->nr_seen = nr;
	}
	*was_seen = w->seen[byte] & bit;
	w->seen[byte] |= bit;
	return true;
}

static struct seep_error *add_path(
    struct work *w, const struct seep_names_site *s)
{
	struct seep_error *err = NULL;

	for (int64_t id = s->site; id > 0 && !err;) {
		struct seep_store_node n;
		bool was_seen;

		if (!mark_seen(w, id, &was_seen))
			return no_memory();
		if (was_seen)
			break; /* and so were all above it */
		err = seep_store_node(w->st, id, &n);
		if (!err && (n.kind == KIND_NATIVE || n.kind == KIND_UNKNOWN))
			err = add_address(w, &n, s->pid);
		id = err ? 0 : n.parent;
	}
	return err;
}

/* ---- their names -------------------------------------------------------- */

static struct seep_error *put(struct work *w, const struct address *a,
    struct seep_frame *frames, size_t nr)
{
	struct seep_error *err = NULL;

	/* Without a name there is nothing that a report could not do. */
	if (nr && frames[0].function)
		err = seep_store_put_symbols(
		    w->st, a->module, a->offset, a->exact, frames, nr);
	for (size_t i = 0; i < nr; i++)
		seep_frame_deinit(&frames[i]);
	free(frames);
	if (!err && ++w->nr_put % PER_COMMIT == 0) {
		err = seep_store_commit(w->st);
		if (!err)
			err = seep_store_begin(w->st);
	}
	w->is_late = now_s() >= w->end_s;
	if (!err && w->is_late)
		err = seep_error_new(SEEP_ERROR_OTHER, "names take too long");
	return err;
}

/* The addresses of one module, or of none. */
struct part {
	struct work *w;
	const struct address *addresses;
	size_t nr;
};

static struct seep_error *put_part(
    void *ctx, size_t i, struct seep_frame *frames, size_t nr)
{
	struct part *p = ctx;

	return put(p->w, &p->addresses[i], frames, nr);
}

static struct seep_error *resolve_module(struct part *p, struct seep_sym *sym,
    const struct seep_module *module, int fd)
{
	struct seep_sym_address *asked = calloc(p->nr, sizeof(*asked));
	struct seep_sym_module *m = NULL;
	struct seep_error *err;

	if (!asked)
		return no_memory();
	for (size_t i = 0; i < p->nr; i++) {
		asked[i].offset = p->addresses[i].offset;
		asked[i].exact = p->addresses[i].exact;
	}
	err = seep_sym_module(sym, module->path, module->build_id, fd,
	    seep_names_detail(module->path), &m);
	if (!err)
		err = seep_sym_lookup_all(sym, m, asked, p->nr, put_part, p);
	free(asked);
	return err;
}

static struct seep_error *resolve_jit(struct part *p, struct seep_sym *sym)
{
	struct seep_error *err = NULL;

	for (size_t i = 0; i < p->nr && !err; i++) {
		const struct address *a = &p->addresses[i];
		struct seep_frame *frames = NULL;
		size_t nr = 0;

		err = seep_sym_lookup_jit(sym, a->pid, a->offset, &frames, &nr);
		if (!err)
			err = put(p->w, a, frames, nr);
	}
	return err;
}

static const struct seep_module *find_module(
    const struct seep_module *modules, size_t nr, int64_t id)
{
	for (size_t i = 0; i < nr; i++)
		if (modules[i].id == id)
			return &modules[i];
	return NULL;
}

static struct seep_error *resolve_all(struct work *w,
    const struct seep_module *modules, size_t nr_modules, seep_names_fd_fn *fd,
    void *ctx)
{
	_cleanup_(seep_sym_destroyp) struct seep_sym *sym = NULL;
	/* A collector is small, one module's debug information is not. */
	struct seep_sym_options opt = {.one_at_a_time = true};
	struct seep_error *err = seep_sym_create(&opt, &sym);
	size_t to;

	for (size_t from = 0; !err && from < w->nr; from = to) {
		int64_t id = w->addresses[from].module;
		const struct seep_module *m =
		    find_module(modules, nr_modules, id);
		struct part p = {.w = w, .addresses = &w->addresses[from]};

		for (to = from; to < w->nr && w->addresses[to].module == id;)
			to++;
		p.nr = to - from;
		if (m)
			err = resolve_module(&p, sym, m, fd(ctx, id));
		else if (!id)
			err = resolve_jit(&p, sym);
	}
	return err;
}

struct seep_error *seep_names_resolve(struct seep_store *st,
    const struct seep_names_site *sites, size_t nr_sites, seep_names_fd_fn *fd,
    void *ctx, unsigned deadline_s)
{
	struct work w = {.st = st, .end_s = now_s() + deadline_s};
	struct seep_module *modules = NULL;
	struct seep_error *err;
	size_t nr_modules = 0;

	err = seep_store_modules(st, &modules, &nr_modules);
	for (size_t i = 0; !err && i < nr_sites; i++)
		err = add_path(&w, &sites[i]);
	free(w.seen);
	free(w.index);
	if (!err && w.nr)
		qsort(w.addresses, w.nr, sizeof(*w.addresses), by_address);
	if (!err)
		err = seep_store_begin(st);
	if (!err)
		err = resolve_all(&w, modules, nr_modules, fd, ctx);
	if (w.is_late) {
		seep_error_destroy(err);
		err = NULL;
	}
	if (!err)
		err = seep_store_commit(st);
	if (err)
		seep_store_rollback(st);
	for (size_t i = 0; i < nr_modules; i++)
		seep_module_deinit(&modules[i]);
	free(modules);
	free(w.addresses);
	return err;
}

enum seep_sym_detail seep_names_detail(const char *module)
{
	return seep_module_is_libc(module) ? SEEP_SYM_FUNCTIONS
					   : SEEP_SYM_LINES;
}
