/* SPDX-License-Identifier: MIT */
/*
 * collect_fixture.h - a segment in a sealed memfd, and a sink in plain memory
 *
 * Threads:  none.
 * Signals:  none.
 * Memory:   of a fixture, until its _deinit.
 * Trust:    none.
 * Units:    pages; bytes.
 * Errors:   ck_assert.
 */
#ifndef TESTS_UNIT_COLLECT_FIXTURE_H
#define TESTS_UNIT_COLLECT_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/collect/sink.h"
#include "wire/map.h"
#include "wire/read.h"
#include "wire/tree.h"

#define FAKE_PAGES 4096u
#define FAKE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static inline void no_error(struct seep_error *err)
{
	ck_assert_msg(!err, "%s", err ? seep_error_text(err) : "");
}

static inline void some_error(struct seep_error *err, const char *word)
{
	ck_assert_msg(err != NULL, "no error with '%s'", word);
	ck_assert_msg(strstr(seep_error_text(err), word) != NULL,
	    "'%s' has no '%s'", seep_error_text(err), word);
	seep_error_destroy(err);
}

/* ---- the producer ------------------------------------------------------ */

struct fake_segment {
	int fd;
	struct seep_pool pool;
	struct seep_tree tree;
	struct seep_map map;
	struct seep_map_cache cache;
	struct seep_thread_slot *slot;
	uint64_t next_addr;
};

static int fake_back(struct seep_pool *p, uint64_t first, uint64_t nr)
{
	return first + nr > p->nr_pages ? -1 : 0;
}

static void *fake_grab(size_t bytes)
{
	/* As in the shim: never given back. */
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline uint32_t fake_page(struct fake_segment *f)
{
	enum seep_drop cause;
	uint32_t page = seep_pool_alloc(&f->pool, 1, &cause);

	ck_assert_uint_ne(page, 0);
	return page;
}

static inline uint64_t fake_text(
    struct fake_segment *f, const char *s, size_t n)
{
	uint32_t page = fake_page(f);

	memcpy(seep_pool_page(&f->pool, page), s, n);
	return (uint64_t)page * SEEP_PAGE;
}

/* One thread's slot with a first table. */
static inline void fake_slot(struct fake_segment *f)
{
	struct seep_header *h = f->pool.head;
	uint32_t dir = fake_page(f), page = fake_page(f);

	h->slot_dir[0] = dir;
	((uint32_t *)seep_pool_page(&f->pool, dir))[0] = page;
	f->slot = seep_pool_page(&f->pool, page);
	f->slot->table = ((uint64_t)page * SEEP_PAGE + SEEP_SLOT_BYTES) << 8 |
			 SEEP_FIRST_TABLE_LOG;
	h->nr_slots = 1;
}

static inline void fake_init(struct fake_segment *f, const char *exe)
{
	struct seep_header *h;
	struct timespec ts;
	void *base;

	memset(f, 0, sizeof(*f));
	f->fd = memfd_create("seep", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(f->fd, 0);
	ck_assert_int_eq(ftruncate(f->fd, FAKE_PAGES * SEEP_PAGE), 0);
	base = mmap(NULL, FAKE_PAGES * SEEP_PAGE, PROT_READ | PROT_WRITE,
	    MAP_SHARED, f->fd, 0);
	ck_assert_ptr_ne(base, MAP_FAILED);
	f->pool.base = base;
	f->pool.head = h = base;
	f->pool.nr_pages = FAKE_PAGES;
	f->pool.backed = FAKE_PAGES;
	f->pool.back = fake_back;
	f->map.pool = &f->pool;
	f->map.glibc = true;
	f->next_addr = 0x7f0000000010;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	h->magic = SEEP_MAGIC;
	h->version = SEEP_WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->segment_bytes = FAKE_PAGES * SEEP_PAGE;
	h->next_page = 1;
	h->pid = (uint32_t)getpid();
	h->ppid = (uint32_t)getppid();
	h->start_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	h->state = SEEP_STATE_RUNNING;
	h->exe_len = (uint32_t)strlen(exe);
	h->exe_at = fake_text(f, exe, h->exe_len);
	h->cmdline_len = 9;
	h->cmdline_at = fake_text(f, "prog\0arg", 9);
	fake_slot(f);
	ck_assert(seep_tree_init(&f->tree, &f->pool, fake_grab));
}

static inline void fake_seal(struct fake_segment *f)
{
	ck_assert_int_eq(fcntl(f->fd, F_ADD_SEALS, FAKE_SEALS), 0);
}

static inline void fake_deinit(struct fake_segment *f)
{
	munmap(f->pool.base, FAKE_PAGES * SEEP_PAGE);
	if (f->fd >= 0)
		close(f->fd);
}

static inline uint32_t fake_module(struct fake_segment *f, const char *path)
{
	struct seep_header *h = f->pool.head;
	uint32_t id = h->nr_modules;
	struct seep_module_rec *rec;

	if (!h->module_page[0])
		h->module_page[0] = fake_page(f);
	rec = seep_pool_page(&f->pool, h->module_page[0]);
	rec += id;
	rec->path_len = (uint32_t)strlen(path);
	rec->path_at = fake_text(f, path, rec->path_len);
	rec->build_id_len = 2;
	rec->build_id[0] = 0xab;
	rec->build_id[1] = (uint8_t)id;
	rec->ready = 1;
	h->nr_modules = id + 1;
	return id;
}

static inline uint32_t fake_node(
    struct fake_segment *f, uint32_t parent, uint32_t module, uint64_t offset)
{
	return seep_tree_child(&f->tree, parent,
	    seep_node_pack(SEEP_NODE_NATIVE, 0, module), offset);
}

/* The place of a node in the segment, to damage it. */
static inline struct seep_node *fake_node_at(
    struct fake_segment *f, uint32_t id)
{
	struct seep_header *h = f->pool.head;
	uint32_t *dir = seep_pool_page(&f->pool, h->node_dir[0]);
	struct seep_node *nodes =
	    seep_pool_page(&f->pool, dir[id / SEEP_NODES_PER_CHUNK]);

	return &nodes[id % SEEP_NODES_PER_CHUNK];
}

static inline struct seep_counter *fake_counter(
    struct fake_segment *f, uint32_t node)
{
	unsigned char *at = f->pool.base + (f->slot->table >> 8);
	uint32_t nr = 1u << SEEP_FIRST_TABLE_LOG, *keys = (uint32_t *)at;
	struct seep_counter *c = (struct seep_counter *)(at + nr * 4);

	for (uint32_t i = 0; i < nr; i++) {
		if (keys[i] && keys[i] != node)
			continue;
		keys[i] = node;
		return &c[i];
	}
	ck_abort_msg("more sites than the fake has room for");
	return NULL;
}

/* A block at the site `node`; its address. */
static inline uint64_t fake_alloc(
    struct fake_segment *f, uint32_t node, uint64_t size)
{
	struct seep_counter *c = fake_counter(f, node);
	uint64_t addr = f->next_addr;
	struct seep_entry old;
	enum seep_drop cause;

	f->next_addr += (size + 63) & ~31ull;
	ck_assert(seep_map_set(&f->map, &f->cache, addr, size, node,
	    f->pool.head->epoch, &old, &cause));
	c->alloc_blocks++;
	c->alloc_bytes += size;
	f->slot->alloc_blocks++;
	f->slot->alloc_bytes += size;
	return addr;
}

static inline void fake_free(
    struct fake_segment *f, uint32_t node, uint64_t addr, uint64_t size)
{
	struct seep_counter *c = fake_counter(f, node);
	struct seep_entry old;

	seep_map_clear(&f->map, &f->cache, addr, &old);
	ck_assert_ptr_nonnull(old.place);
	c->free_blocks++;
	c->free_bytes += size;
	f->slot->free_blocks++;
	f->slot->free_bytes += size;
}

static inline int fake_read(void *ctx, uint64_t off, void *buf, size_t len)
{
	struct fake_segment *f = ctx;

	memcpy(buf, f->pool.base + off, len);
	return 0;
}

/* ---- the sink ---------------------------------------------------------- */

#define FAKE_MAX 2048

struct fake_sink_node {
	int64_t parent, module;
	int kind;
	uint64_t offset;
	bool exact;
};

struct fake_sink {
	struct seep_sink sink;
	int opened, finished, discarded, commits, rollbacks;
	int fail; /* this many commits fail */
	struct seep_process procs[FAKE_MAX];
	size_t nr_procs;
	char *modules[FAKE_MAX];
	size_t nr_modules;
	struct fake_sink_node nodes[FAKE_MAX];
	size_t nr_nodes, committed_nodes, committed_procs;
	struct seep_snapshot snaps[FAKE_MAX];
	size_t nr_snaps;
	struct seep_site_row rows[FAKE_MAX]; /* of the last snapshot */
	size_t nr_rows;
	struct seep_survivor_row survivors[FAKE_MAX];
	size_t nr_survivors;
	struct seep_history history;
	struct seep_lifetime histories; /* all sites of all calls */
	size_t nr_freed, nr_lifetimes;
	int64_t baseline;
	char events[4096];
};

static struct seep_error *fs_open(void *ctx, uint32_t pid, const char *exe)
{
	(void)pid;
	(void)exe;
	((struct fake_sink *)ctx)->opened++;
	return NULL;
}

static const char *fs_path(void *ctx)
{
	(void)ctx;
	return "/recording";
}

static struct seep_error *fs_finish(void *ctx, bool quick)
{
	(void)quick;
	((struct fake_sink *)ctx)->finished++;
	return NULL;
}

static void fs_discard(void *ctx)
{
	((struct fake_sink *)ctx)->discarded++;
}

static struct seep_error *fs_begin(void *ctx)
{
	(void)ctx;
	return NULL;
}

static struct seep_error *fs_commit(void *ctx)
{
	struct fake_sink *s = ctx;

	if (s->fail) {
		s->fail--;
		return seep_error_new(SEEP_ERROR_OTHER, "no space");
	}
	s->commits++;
	s->committed_nodes = s->nr_nodes;
	s->committed_procs = s->nr_procs;
	return NULL;
}

static void fs_rollback(void *ctx)
{
	struct fake_sink *s = ctx;

	s->rollbacks++;
	s->nr_nodes = s->committed_nodes;
	s->nr_procs = s->committed_procs;
}

static struct seep_error *fs_set(void *ctx, const char *key, const char *value)
{
	(void)ctx;
	(void)key;
	(void)value;
	return NULL;
}

static struct seep_error *fs_get(void *ctx, const char *key, char **ret)
{
	(void)ctx;
	(void)key;
	*ret = NULL;
	return NULL;
}

static struct seep_error *fs_put_drop_cause(
    void *ctx, unsigned cause, const char *name, const char *meaning)
{
	(void)ctx;
	ck_assert_uint_lt(cause, SEEP_NR_DROP_CAUSES);
	ck_assert_ptr_nonnull(name);
	ck_assert_ptr_nonnull(meaning);
	return NULL;
}

static struct seep_error *fs_put_process(void *ctx, struct seep_process *p)
{
	struct fake_sink *s = ctx;

	if (!p->id) {
		ck_assert_uint_lt(s->nr_procs, FAKE_MAX);
		p->id = (int64_t)++s->nr_procs;
	}
	ck_assert_int_le(p->id, (int64_t)s->nr_procs);
	s->procs[p->id - 1] = *p;
	s->procs[p->id - 1].exe = NULL;
	s->procs[p->id - 1].command = NULL;
	return NULL;
}

static struct seep_error *fs_processes(
    void *ctx, struct seep_process **ret, size_t *nr)
{
	struct fake_sink *s = ctx;

	*nr = s->nr_procs;
	*ret = calloc(s->nr_procs + 1, sizeof(**ret));
	memcpy(*ret, s->procs, s->nr_procs * sizeof(**ret));
	return NULL;
}

static struct seep_error *fs_snapshots(
    void *ctx, int64_t process_id, struct seep_snapshot **ret, size_t *nr)
{
	(void)ctx;
	(void)process_id;
	*ret = NULL;
	*nr = 0;
	return NULL;
}

static struct seep_error *fs_put_module(
    void *ctx, const char *path, const char *build_id, int fd, int64_t *id)
{
	struct fake_sink *s = ctx;
	size_t i;

	(void)build_id;
	if (fd >= 0)
		close(fd);
	for (i = 0; i < s->nr_modules; i++)
		if (!strcmp(s->modules[i], path))
			break;
	if (i == s->nr_modules) {
		ck_assert_uint_lt(i, FAKE_MAX);
		s->modules[s->nr_modules++] = strdup(path);
	}
	*id = (int64_t)i + 1;
	return NULL;
}

static struct seep_error *fs_put_node(void *ctx, int64_t parent, int kind,
    int64_t module, uint64_t offset, bool exact, int64_t *id)
{
	struct fake_sink *s = ctx;
	size_t i;

	ck_assert_int_ge(parent, 0);
	ck_assert_int_le(parent, (int64_t)s->nr_nodes);
	for (i = 0; i < s->nr_nodes; i++) {
		const struct fake_sink_node *n = &s->nodes[i];

		if (n->parent == parent && n->kind == kind &&
		    n->module == module && n->offset == offset &&
		    n->exact == exact)
			break;
	}
	if (i == s->nr_nodes) {
		ck_assert_uint_lt(i, FAKE_MAX);
		s->nodes[s->nr_nodes++] = (struct fake_sink_node){
		    parent, module, kind, offset, exact};
	}
	*id = (int64_t)i + 1;
	return NULL;
}

static struct seep_error *fs_put_snapshot(void *ctx, struct seep_snapshot *snap,
    const struct seep_site_row *rows, size_t nr)
{
	struct fake_sink *s = ctx;

	ck_assert_uint_lt(s->nr_snaps, FAKE_MAX);
	ck_assert_uint_lt(nr, FAKE_MAX);
	snap->id = (int64_t)s->nr_snaps + 1;
	s->snaps[s->nr_snaps++] = *snap;
	memcpy(s->rows, rows, nr * sizeof(*rows));
	s->nr_rows = nr;
	return NULL;
}

static struct seep_error *fs_put_survivors(void *ctx, int64_t process_id,
    const struct seep_survivor_row *rows, size_t nr)
{
	struct fake_sink *s = ctx;

	(void)process_id;
	ck_assert_uint_lt(nr, FAKE_MAX);
	memcpy(s->survivors, rows, nr * sizeof(*rows));
	s->nr_survivors = nr;
	return NULL;
}

static struct seep_error *fs_put_histories(void *ctx, int64_t process_id,
    const struct seep_history *h, const struct seep_history_rows *rows)
{
	struct fake_sink *s = ctx;

	ck_assert_int_gt(process_id, 0);
	s->history = *h;
	for (size_t i = 0; i < rows->nr_sites; i++) {
		ck_assert_int_le(rows->sites[i].site, (int64_t)s->nr_nodes);
		s->histories.begun += (uint64_t)rows->sites[i].begun;
		seep_lifetime_add(&s->histories, &rows->sites[i].lifetime);
	}
	for (size_t i = 0; i < rows->nr_freed; i++)
		ck_assert_int_gt(rows->freed[i].free_site, 0);
	s->nr_freed += rows->nr_freed;
	s->nr_lifetimes += rows->nr_lifetimes;
	return NULL;
}

static struct seep_error *fs_thin(void *ctx, uint64_t now_ms)
{
	(void)ctx;
	(void)now_ms;
	return NULL;
}

static struct seep_error *fs_put_event(void *ctx, int64_t process_id,
    uint64_t at_ms, const char *kind, const char *text)
{
	struct fake_sink *s = ctx;

	(void)process_id;
	(void)at_ms;
	(void)text;
	strncat(s->events, kind, 64);
	strncat(s->events, " ", 2);
	return NULL;
}

static struct seep_error *fs_put_baseline(
    void *ctx, int64_t process_id, uint32_t uid, int64_t snapshot)
{
	(void)process_id;
	(void)uid;
	((struct fake_sink *)ctx)->baseline = snapshot;
	return NULL;
}

static struct seep_error *fs_get_baseline(
    void *ctx, int64_t process_id, uint32_t uid, int64_t *snapshot)
{
	(void)process_id;
	(void)uid;
	*snapshot = ((struct fake_sink *)ctx)->baseline;
	return NULL;
}

static inline struct fake_sink *fake_sink_create(void)
{
	struct fake_sink *s = calloc(1, sizeof(*s));

	ck_assert_ptr_nonnull(s);
	s->sink = (struct seep_sink){.ctx = s,
	    .open = fs_open,
	    .path = fs_path,
	    .finish = fs_finish,
	    .discard = fs_discard,
	    .begin = fs_begin,
	    .commit = fs_commit,
	    .rollback = fs_rollback,
	    .set = fs_set,
	    .get = fs_get,
	    .put_drop_cause = fs_put_drop_cause,
	    .put_process = fs_put_process,
	    .processes = fs_processes,
	    .snapshots = fs_snapshots,
	    .put_module = fs_put_module,
	    .put_node = fs_put_node,
	    .put_snapshot = fs_put_snapshot,
	    .put_survivors = fs_put_survivors,
	    .put_histories = fs_put_histories,
	    .thin = fs_thin,
	    .put_event = fs_put_event,
	    .put_baseline = fs_put_baseline,
	    .get_baseline = fs_get_baseline};
	return s;
}

static inline void fake_sink_destroy(struct fake_sink *s)
{
	for (size_t i = 0; i < s->nr_modules; i++)
		free(s->modules[i]);
	free(s);
}

static inline int fixture_main(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
