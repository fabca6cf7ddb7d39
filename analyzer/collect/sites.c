/* SPDX-License-Identifier: MIT */
/*
 * sites.c - counters and blocks of one segment, turned into rows of sites
 *
 * Nodes are looked at only when a site needs them: from the site up to the
 * first node that the sink already knows, then down again, one put_node each.
 * A node is visited once per mapping, whatever the number of sites above it, so
 * a hostile tree costs no more than its size. Cycles are found by colouring the
 * nodes of the path at hand; the node that closes one becomes a truncated
 * frame.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/collect/estimate.h"
#include "analyzer/collect/sites.h"
#include "analyzer/model/sample.h"

#define IDS_PER_CHUNK 1024u
#define NODES_CACHED  512u
#define NR_CACHES     16u

/* A sane process has far fewer; more means that the segment lies. */
#define MAX_GROUPS (1u << 24)

/* Sites that are stored at the end although nothing of them was ever seen
 * alive: those that allocated the most bytes. */
#define MAX_PAST 1000u

#define ON_PATH UINT32_MAX /* in ids: on the path being mapped */

struct node_cache {
	uint32_t first; /* multiple of NODES_CACHED */
	uint32_t got;
	struct seep_node nodes[NODES_CACHED];
};

/* Finds entries of a dense array: half the memory of a table of entries, and
 * the array can grow in place. */
struct table {
	void *entries;	 /* in order of appearance */
	uint32_t *index; /* position + 1, 0: free */
	uint32_t log;
	uint32_t nr, room; /* of the array */
};

struct counted {
	uint32_t node;
	uint32_t spread; /* sampled: index in spreads */
	struct seep_sums sums;
};

struct group {
	uint64_t size_bytes;
	uint64_t blocks;
	uint32_t node;
	uint32_t oldest, newest;
};

struct module {
	int64_t id; /* of the sink; 0: not yet */
	char *path; /* NULL: not read yet */
	char build_id[2 * SEEP_BUILD_ID_MAX + 1];
	int fd;
	bool is_exe;
};

struct seep_sites {
	struct seep_reader *reader;
	const struct seep_sink *sink;
	seep_sites_open_fn *open;
	void *open_ctx;
	char *exe;
	bool has_exe;
	uint64_t sample_bytes; /* as the segment said first */

	struct module *modules;
	uint32_t nr_modules;

	uint32_t **ids; /* node -> id of the sink, in chunks */
	uint32_t nr_chunks;
	uint32_t *path; /* scratch: nodes to map, innermost first */
	uint32_t path_room;
	int64_t truncated; /* the sink's id of a cut stack; 0: not yet */
	struct node_cache *caches; /* NR_CACHES */

	struct table by_node;	   /* struct counted */
	struct seep_sums *spreads; /* sampled: variances */
	uint32_t nr_spreads, spread_room;
	struct counted *past; /* a heap, the fewest bytes first */
	uint32_t nr_past, max_past;
	bool one_thread;
	struct table by_size; /* struct group, by node and size */
	bool all_rows;	      /* what the sink has is not known: give it all */
	bool no_memory;	      /* a callback could not go on */
	bool damaged;

	struct seep_site_row *rows;
	size_t nr_rows;
	struct seep_survivor_row *survivors;
	size_t nr_survivors;
};

static struct counted *counted_of(const struct seep_sites *s)
{
	return s->by_node.entries;
}

static struct group *groups_of(const struct seep_sites *s)
{
	return s->by_size.entries;
}

static struct seep_error *out_of_memory(void)
{
	return seep_error_errno(ENOMEM, "collecting sites");
}

static struct seep_error *read_error(
    struct seep_sites *s, enum seep_read_status st, const char *what)
{
	s->damaged = true;
	switch (st) {
	case SEEP_READ_IO:
		return seep_error_errno(EIO, "segment: %s", what);
	case SEEP_READ_VERSION:
		return seep_error_new(SEEP_ERROR_OTHER,
		    "segment: written by another version of seep");
	default:
		return seep_error_new(
		    SEEP_ERROR_CORRUPT, "segment: %s: damaged", what);
	}
}

struct seep_error *seep_sites_create(struct seep_reader *r,
    const struct seep_sink *sink, const char *exe, seep_sites_open_fn *open,
    void *open_ctx, struct seep_sites **ret)
{
	struct seep_sites *s = calloc(1, sizeof(*s));

	if (!s)
		return out_of_memory();
	s->reader = r;
	s->sink = sink;
	s->open = open;
	s->open_ctx = open_ctx;
	s->sample_bytes = r->head.sample_bytes;
	s->exe = strdup(exe ? exe : "");
	if (!s->exe) {
		free(s);
		return out_of_memory();
	}
	*ret = s;
	return NULL;
}

static void drop(struct table *t)
{
	free(t->entries);
	free(t->index);
	*t = (struct table){0};
}

static void drop_counted(struct seep_sites *s)
{
	drop(&s->by_node);
	free(s->spreads);
	s->spreads = NULL;
	s->nr_spreads = s->spread_room = 0;
	free(s->past);
	s->past = NULL;
	s->nr_past = 0;
}

void seep_sites_destroy(struct seep_sites *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->nr_modules; i++) {
		if (s->modules[i].fd >= 0)
			close(s->modules[i].fd);
		free(s->modules[i].path);
	}
	for (uint32_t i = 0; i < s->nr_chunks; i++)
		free(s->ids[i]);
	free(s->ids);
	free(s->modules);
	free(s->path);
	free(s->caches);
	drop_counted(s);
	drop(&s->by_size);
	free(s->rows);
	free(s->survivors);
	free(s->exe);
	free(s);
}

void seep_sites_forget(struct seep_sites *s)
{
	for (uint32_t i = 0; i < s->nr_chunks; i++) {
		free(s->ids[i]);
		s->ids[i] = NULL;
	}
	for (uint32_t i = 0; i < s->nr_modules; i++)
		s->modules[i].id = 0;
	s->truncated = 0;
	s->all_rows = true;
}

void seep_sites_trim(struct seep_sites *s)
{
	drop(&s->by_size);
	free(s->survivors);
	s->survivors = NULL;
	s->nr_survivors = 0;
	free(s->rows);
	s->rows = NULL;
	s->nr_rows = 0;
	free(s->caches);
	s->caches = NULL;
}

bool seep_sites_has_exe(const struct seep_sites *s)
{
	return s->has_exe;
}

bool seep_sites_is_damaged(const struct seep_sites *s)
{
	return s->damaged;
}

/* ---- modules ----------------------------------------------------------- */

static void read_module(struct seep_sites *s, uint32_t id)
{
	static const char digits[] = "0123456789abcdef";
	struct module *m = &s->modules[id];
	struct seep_module_rec rec;
	char path[PATH_MAX];

	/* One that is not ready, or damaged, stays unknown. */
	if (m->path || m->fd >= 0 ||
	    seep_read_module(s->reader, id, &rec, path, sizeof(path)) !=
		SEEP_READ_OK)
		return;
	if (s->open && path[0])
		m->fd = s->open(s->open_ctx, &rec, path, sizeof(path));
	m->path = strdup(path);
	if (!m->path)
		return; /* the descriptor is closed with the rest */
	for (uint32_t i = 0; i < rec.build_id_len; i++) {
		m->build_id[2 * i] = digits[rec.build_id[i] >> 4];
		m->build_id[2 * i + 1] = digits[rec.build_id[i] & 15];
	}
	m->is_exe = s->exe[0] && !strcmp(path, s->exe);
}

struct seep_error *seep_sites_look_at_modules(struct seep_sites *s)
{
	uint32_t nr = seep_reader_nr_modules(s->reader);

	if (nr > s->nr_modules) {
		void *p = realloc(s->modules, nr * sizeof(*s->modules));

		if (!p)
			return out_of_memory();
		s->modules = p;
		for (uint32_t i = s->nr_modules; i < nr; i++)
			s->modules[i] = (struct module){.fd = -1};
		s->nr_modules = nr;
	}
	for (uint32_t i = 0; i < s->nr_modules; i++)
		read_module(s, i);
	return NULL;
}

/* The sink's id of a module; 0 where the segment does not say. */
static struct seep_error *module_id(
    struct seep_sites *s, uint32_t id, int64_t *ret)
{
	struct seep_error *err;
	struct module *m;
	int fd;

	*ret = 0;
	if (id >= s->nr_modules) {
		err = seep_sites_look_at_modules(s);
		if (err)
			return err;
	}
	if (id >= s->nr_modules)
		return NULL;
	m = &s->modules[id];
	if (!m->path)
		read_module(s, id);
	if (!m->path)
		return NULL;
	if (!m->id) {
		/* The sink takes the descriptor; asked again after a rollback
		 * it still has it. */
		fd = m->fd;
		m->fd = -1;
		err = s->sink->put_module(s->sink->ctx, m->path,
		    m->build_id[0] ? m->build_id : NULL, fd, &m->id);
		if (err)
			return err;
	}
	if (m->is_exe)
		s->has_exe = true;
	*ret = m->id;
	return NULL;
}

/* ---- nodes ------------------------------------------------------------- */

static struct seep_error *get_node(
    struct seep_sites *s, uint32_t id, struct seep_node *ret)
{
	uint32_t first = id / NODES_CACHED * NODES_CACHED;
	enum seep_read_status st;
	struct node_cache *c;

	if (!s->caches) {
		s->caches = malloc(NR_CACHES * sizeof(*s->caches));
		if (!s->caches)
			return out_of_memory();
		for (unsigned i = 0; i < NR_CACHES; i++)
			s->caches[i].got = 0;
	}
	c = &s->caches[first / NODES_CACHED % NR_CACHES];
	if (c->first != first || id - first >= c->got) {
		c->got = 0;
		st = seep_read_nodes(
		    s->reader, first, c->nodes, NODES_CACHED, &c->got);
		if (st != SEEP_READ_OK) {
			c->got = 0;
			return read_error(s, st, "call tree");
		}
		c->first = first;
	}
	if (id - first >= c->got)
		memset(ret, 0, sizeof(*ret)); /* beyond the end: no node */
	else
		*ret = c->nodes[id - first];
	return NULL;
}

/* After counters or blocks were read: the nodes they name are there by now, and
 * what the caches hold may be older. */
struct seep_error *seep_sites_catch_up(struct seep_sites *s)
{
	enum seep_read_status st = seep_reader_refresh(s->reader);

	for (unsigned i = 0; s->caches && i < NR_CACHES; i++)
		s->caches[i].got = 0;
	return st == SEEP_READ_OK ? NULL : read_error(s, st, "header");
}

/* Node ids may be as large as SEEP_NODE_MAX: chunks only where needed. */
static uint32_t *id_place(struct seep_sites *s, uint32_t node)
{
	uint32_t chunk = node / IDS_PER_CHUNK;

	if (chunk >= s->nr_chunks) {
		uint32_t nr = chunk + chunk / 2 + 16;
		uint32_t **p = realloc(s->ids, nr * sizeof(*p));

		if (!p)
			return NULL;
		memset(p + s->nr_chunks, 0, (nr - s->nr_chunks) * sizeof(*p));
		s->ids = p;
		s->nr_chunks = nr;
	}
	if (!s->ids[chunk]) {
		s->ids[chunk] = calloc(IDS_PER_CHUNK, sizeof(**s->ids));
		if (!s->ids[chunk])
			return NULL;
	}
	return &s->ids[chunk][node % IDS_PER_CHUNK];
}

static struct seep_error *put_node(struct seep_sites *s, int64_t parent,
    const struct seep_node *n, int64_t *ret)
{
	unsigned kind = seep_node_kind(n->kind_module);
	int64_t module = 0;
	struct seep_error *err;

	if (kind == SEEP_NODE_NATIVE) {
		err = module_id(s, seep_node_module(n->kind_module), &module);
		if (err)
			return err;
		if (!module)
			kind = SEEP_NODE_UNKNOWN;
	}
	err = s->sink->put_node(s->sink->ctx, parent, (int)kind, module,
	    kind == SEEP_NODE_TRUNCATED ? 0 : n->offset,
	    seep_node_is_exact(n->kind_module), ret);
	if (!err && (*ret <= 0 || *ret >= ON_PATH))
		err = seep_error_new(
		    SEEP_ERROR_OTHER, "more call tree nodes than we can hold");
	return err;
}

static struct seep_error *truncated_id(struct seep_sites *s, int64_t *ret)
{
	struct seep_error *err = NULL;

	if (!s->truncated)
		err = s->sink->put_node(s->sink->ctx, 0, SEEP_NODE_TRUNCATED, 0,
		    0, false, &s->truncated);
	*ret = s->truncated;
	return err;
}

static bool is_frame(const struct seep_node *n)
{
	unsigned kind = seep_node_kind(n->kind_module);

	return kind >= SEEP_NODE_NATIVE && kind <= SEEP_NODE_TRUNCATED;
}

/* Takes the nodes of an unfinished path off again. */
static void uncolour(struct seep_sites *s, uint32_t from, uint32_t len)
{
	for (uint32_t i = from; i < len; i++)
		*id_place(s, s->path[i]) = 0;
}

/* Collects in s->path what has to be put, from `node` outwards. *base is the
 * sink's id of what the outermost of them hangs on. */
static struct seep_error *climb(
    struct seep_sites *s, uint32_t node, uint32_t *len, int64_t *base)
{
	*base = 0;
	for (; node;) {
		struct seep_error *err;
		struct seep_node n;
		uint32_t *place;

		if (node > SEEP_NODE_MAX)
			return truncated_id(s, base);
		place = id_place(s, node);
		if (!place)
			return out_of_memory();
		if (*place == ON_PATH) /* a cycle */
			return truncated_id(s, base);
		if (*place) {
			*base = *place;
			return NULL;
		}
		err = get_node(s, node, &n);
		if (err)
			return err;
		if (!is_frame(&n))
			return truncated_id(s, base);
		if (*len == s->path_room) {
			uint32_t room = s->path_room ? 2 * s->path_room : 256;
			void *p = realloc(s->path, room * sizeof(*s->path));

			if (!p)
				return out_of_memory();
			s->path = p;
			s->path_room = room;
		}
		s->path[(*len)++] = node;
		*place = ON_PATH;
		node = n.parent;
	}
	return NULL;
}

/* The site that `node` stands for. */
struct seep_error *seep_sites_map(
    struct seep_sites *s, uint32_t node, int64_t *ret)
{
	struct seep_error *err;
	uint32_t len = 0;
	int64_t id;

	err = climb(s, node, &len, &id);
	if (err) {
		uncolour(s, 0, len);
		return err;
	}
	if (!len && !id) /* the root is no site */
		return truncated_id(s, ret);
	while (len) {
		struct seep_node n;
		int64_t child = 0;

		err = get_node(s, s->path[len - 1], &n);
		if (!err)
			err = put_node(s, id, &n, &child);
		if (err) {
			uncolour(s, 0, len);
			return err;
		}
		*id_place(s, s->path[--len]) = (uint32_t)child;
		id = child;
	}
	*ret = id;
	return NULL;
}

/* ---- counters ---------------------------------------------------------- */

static uint32_t mix(uint64_t key)
{
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15ull;
	return (uint32_t)(key >> 32);
}

/* Room for one more entry; the index has to be filled again when *rehash. */
static bool reserve(struct table *t, size_t entry_bytes, bool *rehash)
{
	*rehash = false;
	if (t->nr == t->room) {
		uint32_t room = t->room ? t->room + t->room / 2 : 256;
		void *p = realloc(t->entries, room * entry_bytes);

		if (!p)
			return false;
		t->entries = p;
		t->room = room;
	}
	if (!t->index || t->nr >= (3u << t->log) / 4) {
		uint32_t log = t->log ? t->log + 1 : 9;
		uint32_t *index = calloc((size_t)1 << log, sizeof(*index));

		if (!index)
			return false;
		free(t->index);
		t->index = index;
		t->log = log;
		*rehash = true;
	}
	return true;
}

/* The index place of a counter: that of its node, or the free one for it. */
static uint32_t *counted_place(const struct seep_sites *s, uint32_t node)
{
	uint32_t mask = (1u << s->by_node.log) - 1, i = mix(node) & mask;
	uint32_t *index = s->by_node.index;

	while (index[i] && counted_of(s)[index[i] - 1].node != node)
		i = (i + 1) & mask;
	return &index[i];
}

/* Room for the variances of one more counter. */
static bool reserve_spread(struct seep_sites *s)
{
	uint32_t room = s->spread_room ? s->spread_room * 2 : 256;
	void *p;

	if (s->nr_spreads < s->spread_room)
		return true;
	p = realloc(s->spreads, room * sizeof(*s->spreads));
	if (!p)
		return false;
	s->spreads = p;
	s->spread_room = room;
	return true;
}

static bool is_known(const struct seep_sites *s, uint32_t node)
{
	uint32_t chunk = node / IDS_PER_CHUNK;

	return chunk < s->nr_chunks && s->ids[chunk] &&
	       s->ids[chunk][node % IDS_PER_CHUNK];
}

/* Nothing of it lives, and the sink has never heard of it. */
static bool is_past(const struct seep_sites *s, const struct counted *c)
{
	return c->sums.alloc_blocks == c->sums.free_blocks &&
	       c->sums.alloc_bytes == c->sums.free_bytes &&
	       !is_known(s, c->node);
}

static bool fewer_bytes(const struct counted *a, const struct counted *b)
{
	return a->sums.alloc_bytes < b->sums.alloc_bytes;
}

static void sink_down(struct counted *heap, uint32_t nr, struct counted c)
{
	uint32_t at = 0, child;

	for (; (child = 2 * at + 1) < nr; at = child) {
		if (child + 1 < nr &&
		    fewer_bytes(&heap[child + 1], &heap[child]))
			child++;
		if (!fewer_bytes(&heap[child], &c))
			break;
		heap[at] = heap[child];
	}
	heap[at] = c;
}

static void rise(struct counted *heap, uint32_t at, struct counted c)
{
	for (; at && fewer_bytes(&c, &heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = c;
}

/* Of the past sites those with the most bytes are kept, as many as are wanted:
 * big compilers have a hundred thousand of them. */
static void note_past(struct seep_sites *s, const struct counted *c)
{
	if (s->nr_past < s->max_past)
		rise(s->past, s->nr_past++, *c);
	else if (s->max_past && fewer_bytes(&s->past[0], c))
		sink_down(s->past, s->nr_past, *c);
}

static int add_counter(void *ctx, uint32_t node, const struct seep_totals *t)
{
	struct seep_sites *s = ctx;
	struct table *table = &s->by_node;
	struct counted *c, now = {.node = node, .sums = t->sums};
	uint32_t *place;
	bool rehash;

	/* Without another thread this is all there is of it. */
	if (s->one_thread && !s->sample_bytes && !s->all_rows &&
	    is_past(s, &now)) {
		note_past(s, &now);
		return 0;
	}
	if (!reserve(table, sizeof(*c), &rehash) ||
	    (s->sample_bytes && !reserve_spread(s))) {
		s->no_memory = true;
		return 1;
	}
	for (uint32_t i = 0; rehash && i < table->nr; i++)
		*counted_place(s, counted_of(s)[i].node) = i + 1;
	place = counted_place(s, node);
	if (!*place) {
		if (table->nr >= MAX_GROUPS)
			return 1;
		c = &counted_of(s)[table->nr++];
		*c = (struct counted){.node = node, .spread = s->nr_spreads};
		if (s->sample_bytes)
			s->spreads[s->nr_spreads++] = (struct seep_sums){0};
		*place = table->nr;
	}
	c = &counted_of(s)[*place - 1];
	seep_sums_add(&c->sums, &t->sums);
	if (s->sample_bytes)
		seep_sums_add(&s->spreads[c->spread], &t->spread);
	return 0;
}

static int by_site(const void *a, const void *b)
{
	const struct seep_site_row *ra = a, *rb = b;

	return ra->site < rb->site ? -1 : ra->site > rb->site;
}

/* Rows of the same site become one, in place; `extra` rows may hold live blocks
 * and bytes alone. */
static void merge_rows(struct seep_sites *s)
{
	size_t to = 0;

	if (s->nr_rows)
		qsort(s->rows, s->nr_rows, sizeof(*s->rows), by_site);
	for (size_t i = 0; i < s->nr_rows; i++) {
		if (!to || s->rows[to - 1].site != s->rows[i].site)
			s->rows[to++] = s->rows[i];
		else
			seep_counts_add(
			    &s->rows[to - 1].counts, &s->rows[i].counts);
	}
	s->nr_rows = to;
}

/* Recorded blocks that live: counted, or what they stand for. */
static void add_alive(const struct seep_sites *s,
    const struct seep_survivor_row *v, struct seep_counts *exact,
    struct seep_estimate *e)
{
	if (s->sample_bytes) {
		seep_estimate_add(e, s->sample_bytes, v->size_bytes, v->blocks);
	} else {
		exact->live_blocks += v->blocks;
		exact->live_bytes += v->blocks * v->size_bytes;
	}
}

static struct seep_error *read_counters(struct seep_sites *s, uint32_t max_past)
{
	enum seep_read_status st;

	drop_counted(s);
	s->past = calloc(max_past + 1, sizeof(*s->past));
	if (!s->past)
		return out_of_memory();
	s->max_past = max_past;
	s->one_thread = seep_reader_has_one_thread(s->reader);
	s->no_memory = false;
	st = seep_read_counters(s->reader, add_counter, s);
	if (s->no_memory)
		return out_of_memory();
	if (st != SEEP_READ_OK)
		return read_error(s, st, "counters");
	return seep_sites_catch_up(s);
}

/* Moves the sites that need a row to the front of the array; how many. */
static uint32_t choose(struct seep_sites *s)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < s->by_node.nr; i++) {
		const struct counted *c = &counted_of(s)[i];

		if (!c->sums.alloc_blocks && !c->sums.free_blocks)
			continue;
		if (!s->all_rows && is_past(s, c))
			note_past(s, c);
		else
			counted_of(s)[nr++] = *c;
	}
	return nr;
}

static struct seep_error *add_rows(
    struct seep_sites *s, const struct counted *list, uint32_t nr)
{
	struct seep_error *err = NULL;

	for (uint32_t i = 0; !err && i < nr; i++) {
		struct seep_site_row *row = &s->rows[s->nr_rows++];

		row->counts = seep_counts_of(&list[i].sums,
		    s->spreads ? &s->spreads[list[i].spread] : NULL,
		    s->sample_bytes);
		err = seep_sites_map(s, list[i].node, &row->site);
	}
	return err;
}

/* Reads the counters into s->rows, with room for `extra` more. */
static struct seep_error *count(
    struct seep_sites *s, size_t extra, uint32_t max_past)
{
	struct seep_error *err = read_counters(s, max_past);
	uint32_t nr = 0;

	free(s->rows);
	s->rows = NULL;
	s->nr_rows = 0;
	if (!err) {
		nr = choose(s);
		s->rows =
		    malloc((nr + s->nr_past + extra + 1) * sizeof(*s->rows));
		if (!s->rows)
			err = out_of_memory();
	}
	if (!err)
		err = add_rows(s, counted_of(s), nr);
	if (!err)
		err = add_rows(s, s->past, s->nr_past);
	/* Large, and needed once a second at most. */
	drop_counted(s);
	return err;
}

struct seep_error *seep_sites_count(
    struct seep_sites *s, const struct seep_site_row **rows, size_t *nr)
{
	struct seep_error *err = count(s, 0, 0);

	if (err)
		return err;
	s->all_rows = false;
	merge_rows(s);
	*rows = s->rows;
	*nr = s->nr_rows;
	return NULL;
}

/* A row with what lives of each site; survivors are sorted by site. */
static void add_survivors(struct seep_sites *s)
{
	for (size_t i = 0, next; i < s->nr_survivors; i = next) {
		const struct seep_survivor_row *v = s->survivors;
		struct seep_site_row row = {.site = v[i].site};
		struct seep_estimate e = {0};

		for (next = i;
		     next < s->nr_survivors && v[next].site == row.site; next++)
			add_alive(s, &v[next], &row.counts, &e);
		if (s->sample_bytes)
			seep_estimate_set(&e, &row.counts);
		s->rows[s->nr_rows++] = row;
	}
}

struct seep_error *seep_sites_count_by_scan(
    struct seep_sites *s, const struct seep_site_row **rows, size_t *nr)
{
	struct seep_error *err = count(s, s->nr_survivors, MAX_PAST);

	if (err)
		return err;
	s->all_rows = false;
	for (size_t i = 0; i < s->nr_rows; i++) {
		struct seep_counts *c = &s->rows[i].counts;

		c->live_blocks = c->live_bytes = 0;
		c->var.live_blocks = c->var.live_bytes = 0;
	}
	add_survivors(s);
	merge_rows(s);
	*rows = s->rows;
	*nr = s->nr_rows;
	return NULL;
}

/* ---- blocks ------------------------------------------------------------ */

static uint32_t *group_place(
    const struct seep_sites *s, uint32_t node, uint64_t size_bytes)
{
	uint32_t mask = (1u << s->by_size.log) - 1;
	uint32_t i = mix(size_bytes * 0x2545f4914f6cdd1dull + node) & mask;
	uint32_t *index = s->by_size.index;

	while (index[i] &&
	       (groups_of(s)[index[i] - 1].node != node ||
		   groups_of(s)[index[i] - 1].size_bytes != size_bytes))
		i = (i + 1) & mask;
	return &index[i];
}

static int add_block(void *ctx, const struct seep_block *b)
{
	struct seep_sites *s = ctx;
	struct table *table = &s->by_size;
	struct group *g;
	uint32_t *place;
	bool rehash;

	if (!reserve(table, sizeof(*g), &rehash)) {
		s->no_memory = true;
		return 1;
	}
	for (uint32_t i = 0; rehash && i < table->nr; i++)
		*group_place(s, groups_of(s)[i].node,
		    groups_of(s)[i].size_bytes) = i + 1;
	place = group_place(s, b->node, b->size_bytes);
	if (!*place) {
		if (table->nr >= MAX_GROUPS)
			return 1;
		groups_of(s)[table->nr++] = (struct group){.node = b->node,
		    .size_bytes = b->size_bytes,
		    .oldest = b->epoch,
		    .newest = b->epoch};
		*place = table->nr;
	}
	g = &groups_of(s)[*place - 1];
	g->blocks++;
	if (b->epoch < g->oldest)
		g->oldest = b->epoch;
	if (b->epoch > g->newest)
		g->newest = b->epoch;
	return 0;
}

static int by_site_and_size(const void *a, const void *b)
{
	const struct seep_survivor_row *ra = a, *rb = b;

	if (ra->site != rb->site)
		return ra->site < rb->site ? -1 : 1;
	if (ra->size_bytes != rb->size_bytes)
		return ra->size_bytes < rb->size_bytes ? -1 : 1;
	return 0;
}

static void merge_survivors(struct seep_sites *s)
{
	size_t to = 0;

	if (s->nr_survivors)
		qsort(s->survivors, s->nr_survivors, sizeof(*s->survivors),
		    by_site_and_size);
	for (size_t i = 0; i < s->nr_survivors; i++) {
		const struct seep_survivor_row *v = &s->survivors[i];
		struct seep_survivor_row *sum;

		if (!to || by_site_and_size(&s->survivors[to - 1], v)) {
			s->survivors[to++] = *v;
			continue;
		}
		sum = &s->survivors[to - 1];
		sum->blocks += v->blocks;
		if (v->oldest_ms < sum->oldest_ms)
			sum->oldest_ms = v->oldest_ms;
		if (v->newest_ms > sum->newest_ms)
			sum->newest_ms = v->newest_ms;
	}
	s->nr_survivors = to;
}

struct seep_error *seep_sites_scan(struct seep_sites *s,
    const struct seep_epochs *epochs, uint64_t first_ms,
    const struct seep_survivor_row **survivors, size_t *nr,
    struct seep_counts *live)
{
	struct seep_counts sum = {0};
	struct seep_estimate e = {0};
	enum seep_read_status st;
	struct seep_error *err;

	drop(&s->by_size);
	s->no_memory = false;
	st = seep_read_blocks(s->reader, add_block, s);
	if (s->no_memory)
		return out_of_memory();
	if (st != SEEP_READ_OK)
		return read_error(s, st, "live map");
	err = seep_sites_catch_up(s);
	if (err)
		return err;
	free(s->survivors);
	s->nr_survivors = 0;
	s->survivors = malloc((s->by_size.nr + 1) * sizeof(*s->survivors));
	if (!s->survivors)
		return out_of_memory();
	for (uint32_t i = 0; i < s->by_size.nr; i++) {
		const struct group *g = &groups_of(s)[i];
		struct seep_survivor_row *v = &s->survivors[s->nr_survivors];

		memset(v, 0, sizeof(*v));
		err = seep_sites_map(s, g->node, &v->site);
		if (err)
			return err;
		v->size_bytes = g->size_bytes;
		v->blocks = g->blocks;
		v->oldest_ms = seep_epochs_ms(epochs, g->oldest, first_ms);
		v->newest_ms = seep_epochs_ms(epochs, g->newest, first_ms);
		add_alive(s, v, &sum, &e);
		s->nr_survivors++;
	}
	drop(&s->by_size);
	merge_survivors(s);
	if (s->sample_bytes)
		seep_estimate_set(&e, &sum);
	if (live) {
		live->live_blocks = sum.live_blocks;
		live->live_bytes = sum.live_bytes;
		live->var.live_blocks = sum.var.live_blocks;
		live->var.live_bytes = sum.var.live_bytes;
	}
	*survivors = s->survivors;
	*nr = s->nr_survivors;
	return NULL;
}
