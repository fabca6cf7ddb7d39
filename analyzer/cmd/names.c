/* SPDX-License-Identifier: MIT */
/* names.c - resolves the frames of a recording's sites, stores their names */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "analyzer/cmd/names.h"
#include "analyzer/sym/sym.h"

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
	struct seep_store_node *nodes;
	size_t nr_nodes;
	unsigned char *seen; /* by node */
	struct address *addresses;
	size_t nr, room;
};

static struct seep_error *no_memory(void)
{
	return seep_error_errno(ENOMEM, "resolving names");
}

static struct seep_error *add_address(
    struct work *w, const struct seep_store_node *n, uint32_t pid)
{
	if (w->nr == w->room) {
		size_t room = w->room ? 2 * w->room : 1024;
		void *p = realloc(w->addresses, room * sizeof(*w->addresses));

		if (!p)
			return no_memory();
		w->addresses = p;
		w->room = room;
	}
	w->addresses[w->nr++] = (struct address){.module = n->module,
	    .offset = n->offset,
	    .pid = pid,
	    .exact = n->exact};
	return NULL;
}

static struct seep_error *add_path(
    struct work *w, const struct seep_names_site *s)
{
	int64_t id = s->site;

	/* Node i has the id i + 1. What was seen has seen all above it. */
	while (id > 0 && (uint64_t)id <= w->nr_nodes && !w->seen[id - 1]) {
		const struct seep_store_node *n = &w->nodes[id - 1];
		struct seep_error *err = NULL;

		w->seen[id - 1] = 1;
		if (n->kind == KIND_NATIVE || n->kind == KIND_UNKNOWN)
			err = add_address(w, n, s->pid);
		if (err)
			return err;
		id = n->parent;
	}
	return NULL;
}

static int by_address(const void *a, const void *b)
{
	const struct address *x = a, *y = b;

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (int)x->exact - (int)y->exact;
}

static uint64_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

static struct seep_error *put_one(struct work *w, struct seep_sym *sym,
    struct seep_sym_module *m, const struct address *a)
{
	struct seep_frame *frames = NULL;
	struct seep_error *err;
	size_t nr = 0;

	if (m)
		err =
		    seep_sym_lookup(sym, m, a->offset, a->exact, &frames, &nr);
	else
		err = seep_sym_lookup_jit(sym, a->pid, a->offset, &frames, &nr);
	if (err)
		return err;
	/* Without a name there is nothing that a report could not do. */
	if (nr && frames[0].function)
		err = seep_store_put_symbols(
		    w->st, a->module, a->offset, a->exact, frames, nr);
	for (size_t i = 0; i < nr; i++)
		seep_frame_deinit(&frames[i]);
	free(frames);
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

/* The addresses [from, to), all of one module; its own resolver, so that the
 * debug information of one module is in memory at a time. */
static struct seep_error *resolve_module(struct work *w, size_t from, size_t to,
    const struct seep_module *module, int fd, uint64_t end_s)
{
	_cleanup_(seep_sym_destroyp) struct seep_sym *sym = NULL;
	struct seep_sym_options opt = {0};
	struct seep_sym_module *m = NULL;
	struct seep_error *err = seep_sym_create(&opt, &sym);

	if (!err && module)
		err = seep_sym_module(
		    sym, module->path, module->build_id, fd, &m);
	if (!err)
		err = seep_store_begin(w->st);
	for (size_t i = from; !err && i < to && now_s() < end_s; i++) {
		err = put_one(w, sym, m, &w->addresses[i]);
		if (!err && (i - from) % PER_COMMIT == PER_COMMIT - 1) {
			err = seep_store_commit(w->st);
			if (!err)
				err = seep_store_begin(w->st);
		}
	}
	if (!err)
		err = seep_store_commit(w->st);
	return err;
}

static struct seep_error *resolve_all(struct work *w,
    const struct seep_module *modules, size_t nr_modules, seep_names_fd_fn *fd,
    void *ctx, uint64_t end_s)
{
	struct seep_error *err = NULL;
	size_t from = 0, to;

	for (; !err && from < w->nr && now_s() < end_s; from = to) {
		int64_t id = w->addresses[from].module;
		const struct seep_module *m =
		    find_module(modules, nr_modules, id);

		for (to = from; to < w->nr && w->addresses[to].module == id;)
			to++;
		if (id && !m)
			continue;
		err = resolve_module(
		    w, from, to, m, id ? fd(ctx, id) : -1, end_s);
	}
	return err;
}

struct seep_error *seep_names_resolve(struct seep_store *st,
    const struct seep_names_site *sites, size_t nr_sites, seep_names_fd_fn *fd,
    void *ctx, unsigned deadline_s)
{
	uint64_t end_s = now_s() + deadline_s;
	struct seep_module *modules = NULL;
	struct work w = {.st = st};
	struct seep_error *err;
	size_t nr_modules = 0, nr = 0;

	err = seep_store_nodes(st, &w.nodes, &w.nr_nodes);
	if (!err)
		err = seep_store_modules(st, &modules, &nr_modules);
	w.seen = calloc(w.nr_nodes + 1, 1);
	if (!err && !w.seen)
		err = no_memory();
	for (size_t i = 0; !err && i < nr_sites; i++)
		err = add_path(&w, &sites[i]);
	free(w.nodes);
	free(w.seen);
	if (!err && w.nr)
		qsort(w.addresses, w.nr, sizeof(*w.addresses), by_address);
	for (size_t i = 0; i < w.nr; i++)
		if (!nr || by_address(&w.addresses[nr - 1], &w.addresses[i]))
			w.addresses[nr++] = w.addresses[i];
	w.nr = nr;
	if (!err)
		err = resolve_all(&w, modules, nr_modules, fd, ctx, end_s);
	if (err)
		seep_store_rollback(st);
	for (size_t i = 0; i < nr_modules; i++) {
		free(modules[i].path);
		free(modules[i].build_id);
	}
	free(modules);
	free(w.addresses);
	return err;
}
