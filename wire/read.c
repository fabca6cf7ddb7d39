/* SPDX-License-Identifier: MIT */
/*
 * read.c - the reader's side of a segment
 *
 * Every page number is checked against the file, and a walk visits at most as
 * many pages, and slots of lists, as the file has: a segment with loops or
 * shared pages ends as corrupt instead of never.
 */
#include <string.h>

#include "wire/read.h"

#define TRY(expr)                                                              \
	do {                                                                   \
		enum seep_read_status st_ = (expr);                            \
		if (st_ != SEEP_READ_OK)                                       \
			return st_;                                            \
	} while (0)

static enum seep_read_status get(
    struct seep_reader *r, uint64_t off, void *buf, size_t len)
{
	if (off > r->file_bytes || len > r->file_bytes - off)
		return SEEP_READ_CORRUPT;
	return r->read(r->ctx, off, buf, len) ? SEEP_READ_IO : SEEP_READ_OK;
}

static enum seep_read_status get_page(
    struct seep_reader *r, uint64_t page, void *buf)
{
	if (!page)
		return SEEP_READ_CORRUPT;
	return get(r, page * SEEP_PAGE, buf, SEEP_PAGE);
}

enum seep_read_status seep_reader_init(
    struct seep_reader *r, seep_read_fn *read, void *ctx, uint64_t file_bytes)
{
	r->read = read;
	r->ctx = ctx;
	r->file_bytes = file_bytes;
	return seep_reader_refresh(r);
}

enum seep_read_status seep_reader_refresh(struct seep_reader *r)
{
	struct seep_header h;

	TRY(get(r, 0, &h, sizeof(h)));
	if (h.magic != SEEP_MAGIC)
		return SEEP_READ_CORRUPT;
	if (h.version != SEEP_WIRE_VERSION)
		return SEEP_READ_VERSION;
	if (h.header_bytes != sizeof(h) || h.segment_bytes > r->file_bytes ||
	    (h.sample_bytes && (h.sample_bytes < SEEP_SAMPLE_MIN ||
				   h.sample_bytes > SEEP_SAMPLE_MAX)))
		return SEEP_READ_CORRUPT;
	memcpy(&r->head, &h, sizeof(h));
	return SEEP_READ_OK;
}

/* ---- blocks ------------------------------------------------------------ */

#define WORDS (SEEP_PAGE / 8)
#define RUN   16u /* pages read at once */

/* Pages of slots that were read last. The slots of a leaf of the directory lie
 * together (layout.h), so that nearly all pages are read once. */
#define SLOT_PAGES 32u
struct slot_pages {
	uint64_t page[SLOT_PAGES];
	uint64_t words[SLOT_PAGES][WORDS];
};

struct walk {
	struct seep_reader *r;
	seep_block_fn *fn;
	void *ctx;
	uint64_t visits_left;
	uint64_t slots_left;
	struct slot_pages *slots;
	unsigned tier;
};

static enum seep_read_status visit(struct walk *w, uint64_t page, void *buf)
{
	if (!w->visits_left--)
		return SEEP_READ_CORRUPT;
	return get_page(w->r, page, buf);
}

static enum seep_read_status emit(struct walk *w, const struct seep_block *b)
{
	return w->fn(w->ctx, b) ? SEEP_READ_STOP : SEEP_READ_OK;
}

/* Most pages of a program that frees what it allocates hold nothing. */
static bool any_present(const uint64_t *words)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < WORDS; i++)
		all |= words[i];
	return all & SEEP_WORD_PRESENT;
}

static enum seep_read_status word_page(
    struct walk *w, const uint64_t *words, uint64_t base)
{
	unsigned log = seep_tier_granule_log(w->tier);

	if (!any_present(words))
		return SEEP_READ_OK;
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t word = words[i];
		struct seep_block b;

		if (!(word & SEEP_WORD_PRESENT))
			continue;
		b.addr = base + ((uint64_t)i << log);
		if (w->tier == SEEP_TIER_SMALL)
			b.addr += (seep_word_low11(word) & 1) << 4;
		b.size_bytes = seep_word_low11(word) >> 1;
		b.node = seep_word_node(word);
		b.epoch = seep_word_epoch(word);
		TRY(emit(w, &b));
	}
	return SEEP_READ_OK;
}

/* Pages that lie one after the other, in the file and in what they cover. */
static enum seep_read_status word_pages(
    struct walk *w, uint64_t page, unsigned nr, uint64_t index)
{
	unsigned log = seep_tier_cover_log(w->tier);
	uint64_t words[RUN * WORDS];

	if (w->visits_left < nr)
		return SEEP_READ_CORRUPT;
	w->visits_left -= nr;
	TRY(get(w->r, page * SEEP_PAGE, words, nr * (size_t)SEEP_PAGE));
	for (unsigned i = 0; i < nr; i++)
		TRY(word_page(w, words + i * WORDS, (index + i) << log));
	return SEEP_READ_OK;
}

/* A slot is two words: read until two readings agree, or nearly so. */
static enum seep_read_status slot_page(
    struct walk *w, uint64_t page, uint64_t *words)
{
	uint64_t again[WORDS];

	TRY(get_page(w->r, page, words));
	if (!any_present(words))
		return SEEP_READ_OK;
	for (int tries = 0; tries < 4; tries++) {
		TRY(get_page(w->r, page, again));
		if (!memcmp(words, again, sizeof(again)))
			break;
		memcpy(words, again, sizeof(again));
	}
	return SEEP_READ_OK;
}

static enum seep_read_status huge_page(
    struct walk *w, uint64_t page, uint64_t base)
{
	unsigned log = seep_tier_granule_log(SEEP_TIER_HUGE);
	uint64_t a[WORDS];

	if (!w->visits_left--)
		return SEEP_READ_CORRUPT;
	TRY(slot_page(w, page, a));
	for (unsigned i = 0; i < SEEP_SLOTS_PER_PAGE; i++) {
		uint64_t word = a[2 * i], info = a[2 * i + 1], off;
		struct seep_block b;

		if (!(word & SEEP_WORD_PRESENT))
			continue;
		off = ((uint64_t)seep_word_low11(word) << 16 | info >> 48) << 4;
		b.addr = base + ((uint64_t)i << log) + off;
		b.size_bytes = info & 0xffffffffffffull;
		b.node = seep_word_node(word);
		b.epoch = seep_word_epoch(word);
		TRY(emit(w, &b));
	}
	return SEEP_READ_OK;
}

/* Word and info of the slot of this index, which is linked. */
static enum seep_read_status linked_slot(
    struct walk *w, uint32_t index, const uint64_t **slot)
{
	uint64_t page = index / SEEP_SLOTS_PER_PAGE;
	unsigned way = page % SLOT_PAGES;
	uint64_t *words = w->slots->words[way];

	*slot = words + index % SEEP_SLOTS_PER_PAGE * 2;
	/* It was linked after its page was read if it has no `next` there. */
	if (w->slots->page[way] != page || !((*slot)[1] >> 32)) {
		w->slots->page[way] = 0;
		TRY(slot_page(w, page, words));
		w->slots->page[way] = page;
	}
	return (*slot)[1] >> 32 ? SEEP_READ_OK : SEEP_READ_CORRUPT;
}

/* The list, from slot `index` on, of the region that begins at `base`. */
static enum seep_read_status region(
    struct walk *w, uint32_t index, uint64_t base)
{
	for (unsigned nr = 0; index && index != SEEP_LIST_END; nr++) {
		const uint64_t *slot;
		struct seep_block b;
		uint64_t word;

		if (nr == SEEP_LIST_MAX || !w->slots_left--)
			return SEEP_READ_CORRUPT;
		TRY(linked_slot(w, index, &slot));
		word = slot[0];
		index = (uint32_t)(slot[1] >> 32);
		if (!(word & SEEP_WORD_PRESENT))
			continue;
		if (seep_word_low11(word) >> (SEEP_SMALL_COVER_LOG - 4))
			return SEEP_READ_CORRUPT;
		b.addr = base + ((uint64_t)seep_word_low11(word) << 4);
		b.size_bytes = (uint32_t)slot[1];
		b.node = seep_word_node(word);
		b.epoch = seep_word_epoch(word);
		TRY(emit(w, &b));
	}
	return SEEP_READ_OK;
}

/* The pages of a tier, by what they cover from `index` on; 0: none. */
static enum seep_read_status tier_pages(
    struct walk *w, const uint32_t *pages, unsigned nr, uint64_t index)
{
	unsigned log = seep_tier_cover_log(w->tier);

	for (unsigned i = 0, run; i < nr; i += run) {
		run = 1;
		if (!pages[i])
			continue;
		if (w->tier == SEEP_TIER_HUGE) {
			TRY(huge_page(w, pages[i], (index + i) << log));
			continue;
		}
		while (run < RUN && i + run < nr &&
		       pages[i + run] == pages[i] + run)
			run++;
		TRY(word_pages(w, pages[i], run, index + i));
	}
	return SEEP_READ_OK;
}

/* A leaf of the SMALL directory, an entry for each region. */
static enum seep_read_status small_leaf(
    struct walk *w, uint64_t page, uint64_t index)
{
	uint64_t entries[WORDS];
	uint32_t pages[WORDS];

	for (unsigned part = 0; part < SEEP_RADIX_SIZE / WORDS; part++) {
		uint64_t at = index + part * WORDS;

		TRY(visit(w, page + part, entries));
		for (unsigned i = 0; i < WORDS; i++)
			pages[i] = seep_entry_page(entries[i]);
		TRY(tier_pages(w, pages, WORDS, at));
		for (unsigned i = 0; i < WORDS; i++)
			TRY(region(w, seep_entry_list(entries[i]),
			    (at + i) << SEEP_SMALL_COVER_LOG));
	}
	return SEEP_READ_OK;
}

/* A node of 32-bit page numbers, `slots` of them, `level` above the leaves. */
static enum seep_read_status radix_node(struct walk *w, uint64_t page,
    uint64_t slots, unsigned level, uint64_t index)
{
	uint32_t entries[SEEP_PAGE / 4];
	unsigned nr = SEEP_PAGE / 4;

	for (uint64_t at = 0; at < slots; at += nr) {
		if (slots - at < nr)
			nr = (unsigned)(slots - at);
		TRY(visit(w, page + at / (SEEP_PAGE / 4), entries));
		if (!level) {
			TRY(tier_pages(w, entries, nr, index + at));
			continue;
		}
		for (unsigned i = 0; i < nr; i++) {
			uint64_t sub = index + at + i;

			if (!entries[i])
				continue;
			if (level == 1 && w->tier == SEEP_TIER_SMALL)
				TRY(small_leaf(
				    w, entries[i], sub << SEEP_RADIX_BITS));
			else
				TRY(radix_node(w, entries[i], SEEP_RADIX_SIZE,
				    level - 1, sub << SEEP_RADIX_BITS));
		}
	}
	return SEEP_READ_OK;
}

enum seep_read_status seep_read_blocks(
    struct seep_reader *r, seep_block_fn *fn, void *ctx)
{
	struct slot_pages slots;
	struct walk w = {.r = r, .fn = fn, .ctx = ctx, .slots = &slots};

	memset(slots.page, 0, sizeof(slots.page));
	w.visits_left = r->file_bytes / SEEP_PAGE;
	w.slots_left = w.visits_left * SEEP_SLOTS_PER_PAGE;
	for (w.tier = 0; w.tier < SEEP_NR_TIERS; w.tier++) {
		unsigned levels = seep_tier_levels(w.tier);
		unsigned bits =
		    seep_tier_index_bits(w.tier) - levels * SEEP_RADIX_BITS;

		if (r->head.map_root[w.tier])
			TRY(radix_node(&w, r->head.map_root[w.tier],
			    1ull << bits, levels, 0));
	}
	return SEEP_READ_OK;
}

/* ---- nodes ------------------------------------------------------------- */

uint32_t seep_reader_nr_nodes(const struct seep_reader *r)
{
	return r->head.nr_nodes > SEEP_NODE_MAX ? SEEP_NODE_MAX + 1
						: r->head.nr_nodes;
}

enum seep_read_status seep_read_nodes(struct seep_reader *r, uint32_t first,
    struct seep_node *nodes, uint32_t max, uint32_t *got)
{
	uint32_t end = seep_reader_nr_nodes(r), chunk, in, dir, page, n;

	*got = 0;
	if (first >= end)
		return SEEP_READ_OK;
	chunk = first / SEEP_NODES_PER_CHUNK;
	in = first % SEEP_NODES_PER_CHUNK;
	n = end - first;
	n = n > max ? max : n;
	n = n > SEEP_NODES_PER_CHUNK - in ? SEEP_NODES_PER_CHUNK - in : n;
	dir = r->head.node_dir[chunk / SEEP_CHUNKS_PER_DIR];
	page = 0;
	if (dir)
		TRY(get(r,
		    (uint64_t)dir * SEEP_PAGE + chunk % SEEP_CHUNKS_PER_DIR * 4,
		    &page, sizeof(page)));
	if (page)
		TRY(get(r, (uint64_t)page * SEEP_PAGE + in * sizeof(*nodes),
		    nodes, n * sizeof(*nodes)));
	else
		memset(nodes, 0, n * sizeof(*nodes));
	*got = n;
	return SEEP_READ_OK;
}

/* ---- modules and texts ------------------------------------------------- */

uint32_t seep_reader_nr_modules(const struct seep_reader *r)
{
	uint32_t max = SEEP_NR_MODULE_PAGES * SEEP_MODULES_PER_PAGE;

	return r->head.nr_modules > max ? max : r->head.nr_modules;
}

enum seep_read_status seep_read_text(struct seep_reader *r, uint64_t at,
    uint32_t want, char *buf, size_t size, size_t *len)
{
	size_t n = want < size ? want : size;

	TRY(get(r, at, buf, n));
	*len = n;
	return SEEP_READ_OK;
}

enum seep_read_status seep_read_module(struct seep_reader *r, uint32_t id,
    struct seep_module_rec *rec, char *path, size_t path_size)
{
	uint32_t page;
	size_t len;

	if (!path_size || id >= seep_reader_nr_modules(r))
		return SEEP_READ_CORRUPT;
	page = r->head.module_page[id / SEEP_MODULES_PER_PAGE];
	if (!page)
		return SEEP_READ_STOP;
	TRY(get(r,
	    (uint64_t)page * SEEP_PAGE +
		id % SEEP_MODULES_PER_PAGE * sizeof(*rec),
	    rec, sizeof(*rec)));
	if (!rec->ready)
		return SEEP_READ_STOP;
	if (rec->build_id_len > SEEP_BUILD_ID_MAX)
		return SEEP_READ_CORRUPT;
	TRY(seep_read_text(
	    r, rec->path_at, rec->path_len, path, path_size - 1, &len));
	path[len] = '\0';
	return SEEP_READ_OK;
}

/* ---- counters ---------------------------------------------------------- */

static enum seep_read_status thread_page(
    struct seep_reader *r, uint32_t i, uint32_t *page)
{
	uint32_t dir = r->head.slot_dir[i / SEEP_SLOTS_PER_DIR];

	*page = 0;
	if (!dir)
		return SEEP_READ_OK;
	return get(r, (uint64_t)dir * SEEP_PAGE + i % SEEP_SLOTS_PER_DIR * 4,
	    page, sizeof(*page));
}

/* Calls fn for each slot there is: of threads, then that of handlers. */
static enum seep_read_status each_slot(struct seep_reader *r,
    enum seep_read_status (*fn)(
	struct seep_reader *r, const struct seep_thread_slot *s, void *arg),
    void *arg)
{
	uint32_t nr = r->head.nr_slots, max, page;
	struct seep_thread_slot s;

	max = SEEP_SLOTS_PER_DIR * SEEP_NR_SLOT_DIRS;
	nr = nr > max ? max : nr;
	for (uint32_t i = 0; i <= nr; i++) {
		if (i < nr)
			TRY(thread_page(r, i, &page));
		else
			page = r->head.nested_slot;
		if (!page)
			continue;
		TRY(get(r, (uint64_t)page * SEEP_PAGE, &s, sizeof(s)));
		TRY(fn(r, &s, arg));
	}
	return SEEP_READ_OK;
}

void seep_sums_add(struct seep_sums *to, const struct seep_sums *add)
{
	to->alloc_blocks += add->alloc_blocks;
	to->alloc_bytes += add->alloc_bytes;
	to->free_blocks += add->free_blocks;
	to->free_bytes += add->free_bytes;
}

static struct seep_sums sums_of(const struct seep_counter *c)
{
	return (struct seep_sums){
	    c->alloc_blocks, c->alloc_bytes, c->free_blocks, c->free_bytes};
}

static enum seep_read_status add_totals(
    struct seep_reader *r, const struct seep_thread_slot *s, void *arg)
{
	struct seep_totals *t = arg;

	t->sums.alloc_blocks += s->alloc_blocks;
	t->sums.alloc_bytes += s->alloc_bytes;
	t->sums.free_blocks += s->free_blocks;
	t->sums.free_bytes += s->free_bytes;
	if (r->head.sample_bytes) {
		struct seep_sums spread = sums_of(&s->spread);

		seep_sums_add(&t->spread, &spread);
	}
	t->unknown_frees += s->unknown_frees;
	return SEEP_READ_OK;
}

enum seep_read_status seep_read_totals(
    struct seep_reader *r, struct seep_totals *ret)
{
	struct seep_totals t = {0};

	TRY(each_slot(r, add_totals, &t));
	*ret = t;
	return SEEP_READ_OK;
}

struct counters_arg {
	seep_counter_fn *fn;
	void *ctx;
};

#define BATCH 512u

static enum seep_read_status slot_counters(
    struct seep_reader *r, const struct seep_thread_slot *s, void *arg)
{
	uint64_t at = s->table >> 8, nr = 1ull << (s->table & 63);
	struct counters_arg *a = arg;
	bool sampled = r->head.sample_bytes;
	struct seep_counter c[BATCH], spread[BATCH];
	uint32_t keys[BATCH];

	if (!s->table)
		return SEEP_READ_OK;
	if ((s->table & 0xff) > 28 || at > r->file_bytes ||
	    nr * seep_counter_entry_bytes(sampled) > r->file_bytes - at)
		return SEEP_READ_CORRUPT;
	for (uint64_t i = 0; i < nr; i += BATCH) {
		size_t n = nr - i < BATCH ? nr - i : BATCH;

		TRY(get(r, at + i * 4, keys, n * 4));
		TRY(get(r, at + nr * 4 + i * sizeof(*c), c, n * sizeof(*c)));
		if (sampled)
			TRY(get(r, at + nr * 4 + (nr + i) * sizeof(*spread),
			    spread, n * sizeof(*spread)));
		for (size_t k = 0; k < n; k++) {
			struct seep_totals t = {0};

			if (!keys[k])
				continue;
			t.sums = sums_of(&c[k]);
			if (sampled)
				t.spread = sums_of(&spread[k]);
			if (a->fn(a->ctx, keys[k], &t))
				return SEEP_READ_STOP;
		}
	}
	return SEEP_READ_OK;
}

enum seep_read_status seep_read_counters(
    struct seep_reader *r, seep_counter_fn *fn, void *ctx)
{
	struct counters_arg a = {.fn = fn, .ctx = ctx};

	return each_slot(r, slot_counters, &a);
}

bool seep_reader_has_one_thread(const struct seep_reader *r)
{
	return r->head.nr_slots <= 1 && !r->head.nested_slot;
}

/* ---- rings ------------------------------------------------------------- */

struct rings_arg {
	seep_ring_fn *fn;
	void *ctx;
};

static enum seep_read_status slot_ring(
    struct seep_reader *r, const struct seep_thread_slot *s, void *arg)
{
	struct rings_arg *a = arg;

	if (!s->ring_page)
		return SEEP_READ_OK;
	if (s->ring_page >= r->file_bytes / SEEP_PAGE)
		return SEEP_READ_CORRUPT;
	return a->fn(a->ctx, s->tid, s->ring_page) ? SEEP_READ_STOP
						   : SEEP_READ_OK;
}

enum seep_read_status seep_read_rings(
    struct seep_reader *r, seep_ring_fn *fn, void *ctx)
{
	struct rings_arg a = {.fn = fn, .ctx = ctx};

	return each_slot(r, slot_ring, &a);
}

const char *seep_event_name(uint32_t kind)
{
	switch (kind) {
	case SEEP_EVENT_FORK:
		return "fork";
	case SEEP_EVENT_EXEC:
		return "exec";
	case SEEP_EVENT_SPAWN:
		return "spawn";
	case SEEP_EVENT_UNLOAD:
		return "unload";
	case SEEP_EVENT_FILTER:
		return "filter";
	}
	return NULL;
}

/* ---- drops ------------------------------------------------------------- */

static const struct {
	const char *name, *meaning;
} drops[SEEP_NR_DROPS] = {
    [SEEP_DROP_SEGMENT_FULL] = {"segment_full",
	"blocks not recorded, the segment is full: live figures are too low"},
    [SEEP_DROP_NO_MEMORY] = {"no_memory",
	"blocks not recorded, no memory for the map: live figures are too low"},
    [SEEP_DROP_ADDRESS] = {"address",
	"blocks at addresses the map cannot hold: live figures are too low"},
    [SEEP_DROP_TREE_FULL] = {"tree_full",
	"blocks recorded without their stack, the call tree is full"},
    [SEEP_DROP_TRUNCATED] = {"truncated",
	"stacks deeper than the limit, cut at the outer end"},
    [SEEP_DROP_NO_RULE] = {"no_rule",
	"stacks that end at code without unwind information"},
    [SEEP_DROP_NESTED] = {"nested",
	"operations in signal handlers not counted: totals are too low"},
    [SEEP_DROP_GUARD_RESET] = {"guard_reset",
	"jumps out of a signal handler while a block was being recorded: up "
	"to one block each is unknown"},
    [SEEP_DROP_STALE] = {"stale",
	"blocks handed out again although their free was not seen"},
    [SEEP_DROP_NO_THREAD] = {"no_thread",
	"operations not recorded, no room for the thread's state"},
    [SEEP_DROP_RING_FULL] = {"ring_full",
	"events lost, their ring was full: live figures are not affected"},
    [SEEP_DROP_MODULES_FULL] = {"modules_full",
	"frames without a module, the module table is full"},
    [SEEP_DROP_SEND] = {"send",
	"the collector could not be told of this process at once"},
    [SEEP_DROP_EXEC_UNTRACED] = {"exec_untraced",
	"the process went on as a program that cannot be traced"},
    [SEEP_DROP_CHILD_UNTRACED] = {"child_untraced",
	"child processes that were not traced"},
    [SEEP_DROP_HISTORY] = {"history",
	"events of block histories lost, the run is not lossless: lifetimes "
	"are incomplete, live figures are not affected"},
};

const char *seep_drop_name(unsigned drop)
{
	return drop < SEEP_NR_DROPS ? drops[drop].name : NULL;
}

const char *seep_drop_meaning(unsigned drop)
{
	return drop < SEEP_NR_DROPS ? drops[drop].meaning : NULL;
}
