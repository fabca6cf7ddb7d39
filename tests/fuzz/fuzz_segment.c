/* SPDX-License-Identifier: MIT */
/*
 * fuzz_segment.c - any bytes as a segment: the reader and what is made of them
 *
 * For libFuzzer as it is. With -DSEEP_FUZZ_MAIN, for other compilers, main()
 * runs the files that are its arguments, or mutates a segment of its own making
 * for the number of seconds given (and a second number, to vary it).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "analyzer/collect/epochs.h"
#include "analyzer/collect/sites.h"
#include "wire/map.h"
#include "wire/tree.h"

#define SEED_PAGES 256u

struct input {
	const uint8_t *data;
	size_t size;
	uint64_t file_bytes;
	uint64_t reads; /* a walk that never ends would never stop reading */
};

/* Behind the input lies a hole: a memfd is large and mostly empty. */
static int read_input(void *ctx, uint64_t off, void *buf, size_t len)
{
	struct input *in = ctx;

	if (++in->reads > 10000000)
		abort();
	memset(buf, 0, len);
	if (off < in->size)
		memcpy(buf, in->data + off,
		    len < in->size - off ? len : in->size - off);
	return 0;
}

/* ---- a sink that only counts ------------------------------------------- */

static int64_t nr_nodes, nr_modules;

static struct seep_error *put_module(
    void *ctx, const char *path, const char *build_id, int fd, int64_t *id)
{
	(void)ctx;
	(void)fd;
	if (strlen(path) > 1u << 20 || (build_id && strlen(build_id) > 64))
		abort();
	*id = ++nr_modules;
	return NULL;
}

static struct seep_error *put_node(void *ctx, int64_t parent, int kind,
    int64_t module, uint64_t offset, bool exact, int64_t *id)
{
	(void)ctx;
	(void)offset;
	(void)exact;
	if (parent < 0 || parent > nr_nodes || module < 0 ||
	    module > nr_modules || kind < 1 || kind > 3)
		abort();
	*id = ++nr_nodes;
	return NULL;
}

static void check_rows(const struct seep_site_row *rows, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (rows[i].site <= 0 || rows[i].site > nr_nodes ||
		    (i && rows[i - 1].site >= rows[i].site))
			abort();
}

static void check_survivors(const struct seep_survivor_row *v, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (v[i].site <= 0 || v[i].site > nr_nodes || !v[i].blocks)
			abort();
}

static void collect(struct seep_reader *r)
{
	static const struct seep_sink sink = {
	    .put_module = put_module, .put_node = put_node};
	static struct seep_epochs epochs;
	const struct seep_survivor_row *survivors;
	const struct seep_site_row *rows;
	struct seep_sites *s = NULL;
	struct seep_totals totals;
	size_t nr;

	nr_nodes = nr_modules = 0;
	seep_epochs_init(&epochs);
	seep_epochs_add(&epochs, 1, 10);
	(void)!seep_read_totals(r, &totals);
	if (seep_sites_create(r, &sink, "/bin/prog", NULL, NULL, &s))
		return;
	seep_error_destroy(seep_sites_look_at_modules(s));
	for (int round = 0; round < 2; round++) {
		struct seep_error *err = seep_sites_count(s, &rows, &nr);

		if (!err)
			check_rows(rows, nr);
		seep_error_destroy(err);
		err = seep_sites_scan(s, &epochs, 0, &survivors, &nr, NULL);
		if (!err)
			check_survivors(survivors, nr);
		seep_error_destroy(err);
		err = seep_sites_count_by_scan(s, &rows, &nr);
		if (!err)
			check_rows(rows, nr);
		seep_error_destroy(err);
		seep_sites_trim(s);
		if (round == 0) {
			seep_sites_forget(s);
			nr_nodes = nr_modules = 0;
		}
	}
	seep_sites_destroy(s);
}

/* ---- a sound segment to start from -------------------------------------- */

static int back(struct seep_pool *p, uint64_t first, uint64_t nr)
{
	return first + nr > p->nr_pages ? -1 : 0;
}

static void *grab(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A sound segment to start from: blocks, nodes, modules, counters. */
static void make_seed(uint8_t *base)
{
	struct seep_pool pool = {.base = base,
	    .head = (struct seep_header *)base,
	    .nr_pages = SEED_PAGES,
	    .backed = SEED_PAGES,
	    .back = back};
	struct seep_map map = {.pool = &pool, .glibc = true};
	struct seep_map_cache cache = {0};
	struct seep_header *h = pool.head;
	struct seep_tree tree = {0};
	struct seep_thread_slot *slot;
	struct seep_module_rec *rec;
	struct seep_counter *c;
	enum seep_drop cause;
	uint32_t *keys, page;

	h->magic = SEEP_MAGIC;
	h->version = SEEP_WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->segment_bytes = SEED_PAGES * SEEP_PAGE;
	h->next_page = 1;
	if (!seep_tree_init(&tree, &pool, grab))
		exit(99);
	page = seep_pool_alloc(&pool, 1, &cause);
	h->module_page[0] = page;
	h->nr_modules = 2;
	rec = seep_pool_page(&pool, page);
	for (int i = 0; i < 2; i++) {
		rec[i].ready = 1;
		rec[i].path_at = (uint64_t)page * SEEP_PAGE + 1000;
		rec[i].path_len = 9;
		rec[i].build_id_len = 20;
	}
	memcpy((char *)rec + 1000, "/bin/prog", 9);
	h->slot_dir[0] = seep_pool_alloc(&pool, 1, &cause);
	page = seep_pool_alloc(&pool, 1, &cause);
	*(uint32_t *)seep_pool_page(&pool, h->slot_dir[0]) = page;
	h->nr_slots = 1;
	slot = seep_pool_page(&pool, page);
	slot->table = ((uint64_t)page * SEEP_PAGE + SEEP_SLOT_BYTES) << 8 |
		      SEEP_FIRST_TABLE_LOG;
	keys = (uint32_t *)((char *)slot + SEEP_SLOT_BYTES);
	c = (struct seep_counter *)(keys + (1 << SEEP_FIRST_TABLE_LOG));
	for (uint32_t i = 0; i < 40; i++) {
		struct seep_entry old;
		uint32_t node = 0;

		for (uint32_t k = 0; k <= i % 7; k++)
			node = seep_tree_child(&tree, node,
			    seep_node_pack(SEEP_NODE_NATIVE, 0, k % 3),
			    i * 16 + k);
		keys[i] = node;
		c[i].alloc_blocks = 2;
		c[i].alloc_bytes = 100 * i;
		c[i].free_blocks = 1;
		seep_map_set(&map, &cache, 0x7f0000000010 + i * 0x1400,
		    i % 5 * 1000 + 17, node, 1, &old, &cause);
	}
}

/* ---- the fuzzer -------------------------------------------------------- */

static void run_segment(const uint8_t *data, size_t size)
{
	struct input in = {.data = data, .size = size};
	struct seep_reader r;
	char text[256];
	size_t len;

	in.file_bytes = (size + SEEP_PAGE - 1) / SEEP_PAGE * SEEP_PAGE * 4;
	if (seep_reader_init(&r, read_input, &in, in.file_bytes) !=
	    SEEP_READ_OK)
		return;
	(void)!seep_read_text(
	    &r, r.head.exe_at, r.head.exe_len, text, sizeof(text), &len);
	collect(&r);
}

/* Eight bytes each: where (24 bits), how much (8), what (32). */
static void patch(uint8_t *segment, const uint8_t *data, size_t size)
{
	for (; size >= 8; data += 8, size -= 8) {
		uint32_t where, what;
		uint64_t value;
		size_t len;

		memcpy(&where, data, 4);
		memcpy(&what, data + 4, 4);
		len = (size_t)1 << (where >> 24 & 3);
		value = where >> 30 ? what : (uint64_t)what << 32 | what;
		where = (where & 0xffffff) % (SEED_PAGES * SEEP_PAGE);
		memcpy(segment + (where & ~(len - 1)), &value, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A segment as it is, or what to change in a sound one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *seed, *segment;
	uint64_t magic = 0;

	if (size >= sizeof(magic))
		memcpy(&magic, data, sizeof(magic));
	if (magic == SEEP_MAGIC) {
		run_segment(data, size);
		return 0;
	}
	if (!seed) {
		seed = calloc(SEED_PAGES, SEEP_PAGE);
		segment = malloc(SEED_PAGES * SEEP_PAGE);
		if (!seed || !segment)
			exit(99);
		make_seed(seed);
	}
	memcpy(segment, seed, SEED_PAGES * SEEP_PAGE);
	patch(segment, data, size < 4096 ? size : 4096);
	run_segment(segment, SEED_PAGES * SEEP_PAGE);
	return 0;
}

/* ---- on its own -------------------------------------------------------- */

#ifdef SEEP_FUZZ_MAIN

static uint64_t rng = 88172645463325252ull;

static uint32_t rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % below;
}

static void mutate(uint8_t *data, size_t size)
{
	static const uint64_t values[] = {0, 1, 0xff, 0x7fffffff, 0xffffffff,
	    UINT64_MAX, SEEP_PAGE, SEED_PAGES, 1ull << 63};
	uint32_t used = ((struct seep_header *)data)->next_page;

	if (used < 1 || used > SEED_PAGES)
		used = SEED_PAGES;
	for (uint32_t n = 1 + rnd(8); n; n--) {
		/* Mostly in what is used; the header more than the rest. */
		size_t at = rnd(4) ? rnd(used * SEEP_PAGE)
				   : rnd(sizeof(struct seep_header));
		uint64_t v = values[rnd(sizeof(values) / sizeof(*values))];
		size_t len = (size_t)1 << rnd(4);

		at &= ~(len - 1);
		if (rnd(3) == 0)
			v = rnd(used + 2);
		if (at + len <= size)
			memcpy(data + at, &v, len);
	}
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(16u << 20);
	size_t n;

	if (!f || !data) {
		perror(path);
		return 99;
	}
	n = fread(data, 1, 16u << 20, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	size_t size = (size_t)SEED_PAGES * SEEP_PAGE;
	uint8_t *seed, *data;
	unsigned long runs = 0;
	time_t end;
	char *rest;

	if (argc > 1 && (strtol(argv[1], &rest, 10), *rest)) {
		int status = 0;

		for (int i = 1; i < argc && !status; i++)
			status = run_file(argv[i]);
		return status;
	}
	end = time(NULL) + (argc > 1 ? strtol(argv[1], NULL, 10) : 2);
	if (argc > 2)
		rng ^= strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull;
	seed = calloc(1, size);
	data = malloc(size);
	if (!seed || !data)
		return 99;
	make_seed(seed);
	while (time(NULL) < end) {
		memcpy(data, seed, size);
		mutate(data, size);
		LLVMFuzzerTestOneInput(data, size);
		runs++;
	}
	printf("%lu segments\n", runs);
	free(seed);
	free(data);
	return 0;
}

#endif
