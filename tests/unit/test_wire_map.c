/* SPDX-License-Identifier: MIT */
/* test_wire_map.c - the live map: what was set is read, to the byte */
#include <pthread.h>

#include "tests/unit/wire_fixture.h"

#define MAX_SEEN 64

struct seen {
	struct seep_block b[MAX_SEEN];
	unsigned nr;
};

static int see(void *ctx, const struct seep_block *b)
{
	struct seen *s = ctx;

	ck_assert_uint_lt(s->nr, MAX_SEEN);
	s->b[s->nr++] = *b;
	return 0;
}

static void set(struct wire_fixture *f, uint64_t addr, uint64_t size,
    uint32_t node, uint32_t epoch)
{
	struct seep_entry old;
	enum seep_drop cause;

	ck_assert(seep_map_set(
	    &f->map, &f->cache, addr, size, node, epoch, &old, &cause));
	ck_assert_ptr_null((void *)old.place);
}

static struct seen read_all(struct wire_fixture *f)
{
	struct seen s = {.nr = 0};

	wire_fixture_open(f);
	ck_assert_int_eq(seep_read_blocks(&f->r, see, &s), SEEP_READ_OK);
	return s;
}

static void assert_only(struct wire_fixture *f, uint64_t addr, uint64_t size,
    uint32_t node, uint32_t epoch)
{
	struct seen s = read_all(f);

	ck_assert_uint_eq(s.nr, 1);
	ck_assert_uint_eq(s.b[0].addr, addr);
	ck_assert_uint_eq(s.b[0].size_bytes, size);
	ck_assert_uint_eq(s.b[0].node, node);
	ck_assert_uint_eq(s.b[0].epoch, epoch);
}

static const struct {
	uint64_t addr, size;
	bool glibc;
} places[] = {
    {0x555555559010, 0, true},
    {0x555555559020, 1, true},
    {0x555555559030, 17, true},
    {0x555555559010, 1023, true},
    {0x555555559010, 1023, false},
    {0x555555559018, 8, false},
    {0x555555559010, 16, false},
    {0x7ffff7001010, 1024, true},
    {0x7ffff7001ff0, 2047, true},
    {0x7ffff7001ff0, 2048, true},
    {0x7ffff7fffff0, 1ull << 20, true},
    {0x7ffff7000010, (1ull << 31) - 1, true},
    {0x7ffeffff0010, 1ull << 31, true},
    {0x7ffeffff0010, (1ull << 32) - 1, true},
    {0x7ffefffffff0, 1ull << 32, true},
    {0x7ffeffff0010, (1ull << 40) + 12345, true},
    {0x7fffffffe000, 4096, true},
    {0xfffffffff010, 100, true},
    {16, 24, true},
};

START_TEST(a_block_of_any_size_is_read_back_to_the_byte)
{
	struct wire_fixture f;

	wire_fixture_init(&f, 4096);
	f.map.glibc = places[_i].glibc;
	set(&f, places[_i].addr, places[_i].size, SEEP_NODE_MAX,
	    SEEP_EPOCH_MAX);
	assert_only(&f, places[_i].addr, places[_i].size, SEEP_NODE_MAX,
	    SEEP_EPOCH_MAX);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_cleared_block_is_gone_and_says_what_it_was)
{
	struct wire_fixture f;
	struct seep_entry old;

	wire_fixture_init(&f, 4096);
	f.map.glibc = places[_i].glibc;
	set(&f, places[_i].addr, places[_i].size, 77, 5);
	seep_map_clear(&f.map, &f.cache, places[_i].addr, &old);
	ck_assert_ptr_nonnull((void *)old.place);
	ck_assert_uint_eq(old.size_bytes, places[_i].size);
	ck_assert_uint_eq(seep_word_node(old.word), 77);
	ck_assert_uint_eq(seep_word_epoch(old.word), 5);
	ck_assert_uint_eq(read_all(&f).nr, 0);

	seep_map_clear(&f.map, &f.cache, places[_i].addr, &old);
	ck_assert_ptr_null((void *)old.place);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_restored_block_is_as_if_never_cleared)
{
	struct wire_fixture f;
	struct seep_entry old;
	enum seep_drop cause;

	wire_fixture_init(&f, 4096);
	f.map.glibc = places[_i].glibc;
	set(&f, places[_i].addr, places[_i].size, 3, 4);
	seep_map_clear(&f.map, &f.cache, places[_i].addr, &old);
	ck_assert(seep_map_restore(
	    &f.map, &f.cache, places[_i].addr, &old, false, &cause));
	assert_only(&f, places[_i].addr, places[_i].size, 3, 4);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_free_of_a_neighbour_in_the_granule_finds_nothing)
{
	struct wire_fixture f;
	struct seep_entry old;

	wire_fixture_init(&f, 4096);
	set(&f, 0x1000010, 24, 9, 0);
	set(&f, 0x2000010, 5000, 9, 0);
	seep_map_clear(&f.map, &f.cache, 0x1000000, &old);
	ck_assert_ptr_null((void *)old.place);
	seep_map_clear(&f.map, &f.cache, 0x2000020, &old);
	ck_assert_ptr_null((void *)old.place);
	ck_assert_uint_eq(read_all(&f).nr, 2);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(blocks_eight_apart_do_not_share_a_place_elsewhere_than_glibc)
{
	struct wire_fixture f;

	wire_fixture_init(&f, 4096);
	f.map.glibc = false;
	for (unsigned i = 0; i < 32; i++)
		set(&f, 0x5000000 + i * 8, 1 + i % 8, i + 1, 0);
	ck_assert_uint_eq(read_all(&f).nr, 32);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_missed_free_is_told)
{
	struct wire_fixture f;
	struct seep_entry old;
	enum seep_drop cause;

	wire_fixture_init(&f, 4096);
	set(&f, 0x1000010, 24, 9, 0);
	ck_assert(
	    seep_map_set(&f.map, &f.cache, 0x1000010, 30, 10, 0, &old, &cause));
	ck_assert_ptr_nonnull((void *)old.place);
	ck_assert_uint_eq(old.size_bytes, 24);
	assert_only(&f, 0x1000010, 30, 10, 0);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(addresses_that_do_not_fit_are_refused)
{
	static const uint64_t addr[] = {1ull << 48, 0x1001, 0x100c};
	struct wire_fixture f;
	struct seep_entry old;
	enum seep_drop cause;

	wire_fixture_init(&f, 4096);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!seep_map_set(
		    &f.map, &f.cache, addr[i], 24, 1, 0, &old, &cause));
		ck_assert_int_eq(cause, SEEP_DROP_ADDRESS);
	}
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_full_segment_refuses_and_keeps_what_it_has)
{
	struct wire_fixture f;
	enum seep_drop cause = SEEP_NR_DROPS;
	struct seep_entry old;
	uint64_t n = 0;

	wire_fixture_init(&f, 64);
	while (seep_map_set(
	    &f.map, &f.cache, 0x1000000 + n * 16384, 24, 1, 0, &old, &cause))
		n++;
	ck_assert_int_eq(cause, SEEP_DROP_SEGMENT_FULL);
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_lt(n, MAX_SEEN);
	ck_assert_uint_eq(read_all(&f).nr, n);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(without_memory_a_block_is_refused_and_later_ones_work)
{
	struct wire_fixture f;
	enum seep_drop cause;
	struct seep_entry old;

	wire_fixture_init(&f, 4096);
	wire_fixture_backable = 1;
	ck_assert(
	    !seep_map_set(&f.map, &f.cache, 0x1000010, 24, 1, 0, &old, &cause));
	ck_assert_int_eq(cause, SEEP_DROP_NO_MEMORY);
	wire_fixture_backable = UINT64_MAX;
	set(&f, 0x1000010, 24, 1, 0);
	assert_only(&f, 0x1000010, 24, 1, 0);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(random_churn_equals_a_plain_list)
{
	enum { SLOTS = 60, SPACE = 4096 };
	struct {
		uint64_t addr, size;
	} live[SLOTS] = {{0, 0}};
	struct wire_fixture f;
	struct seep_entry old;

	wire_fixture_init(&f, 65536);
	srand(1);
	for (int i = 0; i < 200000; i++) {
		unsigned k = (unsigned)rand() % SLOTS;

		if (live[k].addr) {
			seep_map_clear(&f.map, &f.cache, live[k].addr, &old);
			ck_assert_ptr_nonnull((void *)old.place);
			ck_assert_uint_eq(old.size_bytes, live[k].size);
		}
		/* Every slot has 4 MiB of its own: blocks never overlap. */
		live[k].size = (uint64_t)rand() % (rand() % 4 ? 2000 : 2000000);
		live[k].addr =
		    ((uint64_t)(k + 1) << 22) + (uint64_t)(rand() % 1000) * 16;
		set(&f, live[k].addr, live[k].size, k + 1, 0);
	}
	{
		struct seen s = read_all(&f);
		unsigned nr = 0;

		for (unsigned k = 0; k < SLOTS; k++)
			nr += live[k].addr != 0;
		ck_assert_uint_eq(s.nr, nr);
		for (unsigned i = 0; i < s.nr; i++) {
			unsigned k = s.b[i].node - 1;

			ck_assert_uint_eq(s.b[i].addr, live[k].addr);
			ck_assert_uint_eq(s.b[i].size_bytes, live[k].size);
		}
	}
	wire_fixture_deinit(&f);
}
END_TEST

/* ---- lists -------------------------------------------------------------- */

#define REGION 0x7f0000004000ull

static int sum_up(void *ctx, const struct seep_block *b)
{
	uint64_t *sums = ctx;

	sums[0]++;
	sums[1] += b->addr;
	sums[2] += b->size_bytes;
	return 0;
}

START_TEST(blocks_of_mixed_sizes_take_32_bytes_each_at_most)
{
	uint64_t addr = 0x7f0000000010, sums[3] = {0}, want[3] = {0};
	struct wire_fixture f;

	wire_fixture_init(&f, 4096);
	srand(1);
	for (int i = 0; i < 20000; i++) {
		uint64_t size = (1024ull << rand() % 6) + rand() % 1024;

		set(&f, addr, size, 1, 0);
		want[0]++;
		want[1] += addr;
		want[2] += size;
		addr += (size + 31) / 16 * 16;
	}
	wire_fixture_open(&f);
	ck_assert_int_eq(seep_read_blocks(&f.r, sum_up, sums), SEEP_READ_OK);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(sums[i], want[i]);
	ck_assert_uint_le(
	    (f.pool.head->next_page - 1) * SEEP_PAGE, want[0] * 32);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(slots_of_freed_blocks_are_used_again)
{
	struct wire_fixture f;
	struct seep_entry old;
	uint64_t pages = 0;

	wire_fixture_init(&f, 4096);
	for (uint64_t round = 0; round < 1000; round++) {
		for (uint64_t i = 0; i < 16; i++)
			set(&f, REGION + i * 1024 + round % 64 * 16, 1024 + i,
			    (uint32_t)i + 1, 0);
		ck_assert_uint_eq(read_all(&f).nr, 16);
		for (uint64_t i = 0; i < 16; i++) {
			seep_map_clear(&f.map, &f.cache,
			    REGION + i * 1024 + round % 64 * 16, &old);
			ck_assert_ptr_nonnull((void *)old.place);
			ck_assert_uint_eq(old.size_bytes, 1024 + i);
			ck_assert_uint_eq(seep_word_node(old.word), i + 1);
		}
		if (!round)
			pages = f.pool.head->next_page;
	}
	ck_assert_uint_eq(f.pool.head->next_page, pages);
	ck_assert_uint_eq(read_all(&f).nr, 0);
	wire_fixture_deinit(&f);
}
END_TEST

/* Exact, then sampled. */
START_TEST(a_block_is_restored_whose_slot_is_another_ones_now)
{
	struct wire_fixture f;
	struct seep_entry old, other;
	enum seep_drop cause;

	wire_fixture_init(&f, 4096);
	set(&f, REGION, 5000, 1, SEEP_EPOCH_WATCHED | 7);
	seep_map_clear(&f.map, &f.cache, REGION, &old);
	set(&f, REGION + 8192, 6000, 2, 0);
	ck_assert(seep_map_restore(&f.map, &f.cache, REGION, &old, _i, &cause));
	ck_assert_uint_eq(read_all(&f).nr, 2);
	seep_map_clear(&f.map, &f.cache, REGION + 8192, &other);
	ck_assert_ptr_eq((void *)other.place, (void *)old.place);
	ck_assert_uint_eq(other.size_bytes, 6000);
	assert_only(&f, REGION, 5000, 1, 7);
	seep_map_clear(&f.map, &f.cache, REGION, &other);
	ck_assert_uint_eq(other.word, old.word);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_missed_free_of_a_large_block_is_told)
{
	struct wire_fixture f;
	struct seep_entry old;
	enum seep_drop cause;

	wire_fixture_init(&f, 4096);
	set(&f, REGION + 4096, 1500, 8, 0);
	set(&f, REGION, 1024, 9, 0);
	ck_assert(
	    seep_map_set(&f.map, &f.cache, REGION, 3000, 10, 0, &old, &cause));
	ck_assert_ptr_nonnull((void *)old.place);
	ck_assert_uint_eq(old.size_bytes, 1024);
	ck_assert_uint_eq(seep_word_node(old.word), 9);
	seep_map_clear(&f.map, &f.cache, REGION + 4096, &old);
	assert_only(&f, REGION, 3000, 10, 0);
	wire_fixture_deinit(&f);
}
END_TEST

/* As if a thread had been killed while it filled it. */
static struct seep_large *lose_slot(struct wire_fixture *f, uint64_t addr)
{
	struct seep_entry old;

	set(f, addr, 1024, 1, 0);
	seep_map_clear(&f->map, &f->cache, addr, &old);
	ck_assert_ptr_nonnull((void *)old.place);
	*old.place = SEEP_WORD_TAKEN;
	return (struct seep_large *)old.place;
}

static _Atomic uint64_t *entry_of(struct wire_fixture *f, uint64_t addr)
{
	unsigned way = (addr >> SEEP_SMALL_LEAF_LOG) % SEEP_MAP_CACHE_WAYS;

	return f->cache.leaf[way] +
	       (addr >> SEEP_SMALL_COVER_LOG & (SEEP_RADIX_SIZE - 1));
}

START_TEST(a_list_of_lost_slots_has_an_end)
{
	struct wire_fixture f;
	struct seep_entry old;
	enum seep_drop cause;

	wire_fixture_init(&f, 4096);
	for (unsigned i = 0; i < SEEP_LIST_FULL - 1; i++)
		lose_slot(&f, REGION + 1024);
	ck_assert_uint_eq(read_all(&f).nr, 0);
	set(&f, REGION, 2000, 2, 3);
	ck_assert(!seep_map_set(
	    &f.map, &f.cache, REGION + 2048, 1024, 1, 0, &old, &cause));
	ck_assert_int_eq(cause, SEEP_DROP_SEGMENT_FULL);
	assert_only(&f, REGION, 2000, 2, 3);
	seep_map_clear(&f.map, &f.cache, REGION, &old);
	ck_assert_ptr_nonnull((void *)old.place);
	set(&f, REGION + 2048, 1024, 1, 0);
	assert_only(&f, REGION + 2048, 1024, 1, 0);
	wire_fixture_deinit(&f);
}
END_TEST

/* As if threads had added to a full list at once: in front of the others. */
START_TEST(a_block_at_the_end_of_an_overlong_list_can_be_freed)
{
	const uint64_t other = REGION + (1u << SEEP_SMALL_COVER_LOG);
	struct wire_fixture f;
	struct seep_large *last;
	struct seep_entry old;

	wire_fixture_init(&f, 4096);
	set(&f, REGION, 2000, 2, 3);
	for (unsigned i = 0; i < SEEP_LIST_FULL - 1; i++)
		lose_slot(&f, REGION + 1024);
	last = lose_slot(&f, other);
	for (unsigned i = 0; i < 10; i++)
		lose_slot(&f, other);
	last->info = (last->info & UINT32_MAX) |
		     (uint64_t)seep_entry_list(*entry_of(&f, REGION)) << 32;
	*entry_of(&f, REGION) = *entry_of(&f, other);
	*entry_of(&f, other) = 0;
	assert_only(&f, REGION, 2000, 2, 3);
	seep_map_clear(&f.map, &f.cache, REGION, &old);
	ck_assert_ptr_nonnull((void *)old.place);
	ck_assert_uint_eq(old.size_bytes, 2000);
	wire_fixture_deinit(&f);
}
END_TEST

#define NEIGHBOURS 4

struct neighbour {
	struct wire_fixture *f;
	uint32_t nr;
	int lost;
};

/* Four blocks of each thread, all in one region; sizes change all the time. */
static void *churn_in_region(void *arg)
{
	struct neighbour *t = arg;
	struct seep_map_cache cache = {{0}, {NULL}};
	uint64_t size[4] = {0};
	enum seep_drop cause;
	struct seep_entry old;

	for (uint32_t i = 0; i < 40000; i++) {
		uint32_t k = i * 7 / 3 % 4;
		uint64_t addr = REGION + (t->nr + k * NEIGHBOURS) * 1024;

		if (size[k]) {
			seep_map_clear(&t->f->map, &cache, addr, &old);
			t->lost += !old.place || old.size_bytes != size[k] ||
				   seep_word_node(old.word) != 1 + t->nr;
		}
		size[k] = 1024 + i % 512;
		t->lost += !seep_map_set(&t->f->map, &cache, addr, size[k],
		    1 + t->nr, 0, &old, &cause);
		t->lost += old.place != NULL;
	}
	return NULL;
}

START_TEST(threads_in_one_region_lose_nothing)
{
	struct neighbour all[NEIGHBOURS];
	pthread_t threads[NEIGHBOURS];
	struct wire_fixture f;
	struct seen s;

	wire_fixture_init(&f, 4096);
	for (uint32_t i = 0; i < NEIGHBOURS; i++) {
		all[i] = (struct neighbour){&f, i, 0};
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, churn_in_region, &all[i]),
		    0);
	}
	for (int i = 0; i < NEIGHBOURS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(all[i].lost, 0);
	}
	s = read_all(&f);
	ck_assert_uint_eq(s.nr, 16);
	for (unsigned i = 0; i < s.nr; i++)
		ck_assert_uint_eq(
		    (s.b[i].addr - REGION) / 1024 % NEIGHBOURS + 1,
		    s.b[i].node);
	wire_fixture_deinit(&f);
}
END_TEST

/* Each pushes the first slot of a region, and all leave their first page. */
static void *spread_out(void *arg)
{
	struct neighbour *t = arg;
	struct seep_map_cache cache = {{0}, {NULL}};
	enum seep_drop cause;
	struct seep_entry old;

	for (uint64_t i = 0; i < 2048; i++)
		t->lost += !seep_map_set(&t->f->map, &cache,
		    REGION + i * 16384 + t->nr * 4096, 4096, 1 + t->nr, 0, &old,
		    &cause);
	return NULL;
}

START_TEST(threads_that_add_to_the_same_lists_lose_nothing)
{
	struct neighbour all[NEIGHBOURS];
	pthread_t threads[NEIGHBOURS];
	struct wire_fixture f;
	uint64_t sums[3] = {0};

	wire_fixture_init(&f, 4096);
	for (uint32_t i = 0; i < NEIGHBOURS; i++) {
		all[i] = (struct neighbour){&f, i, 0};
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, spread_out, &all[i]), 0);
	}
	for (int i = 0; i < NEIGHBOURS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(all[i].lost, 0);
	}
	wire_fixture_open(&f);
	ck_assert_int_eq(seep_read_blocks(&f.r, sum_up, sums), SEEP_READ_OK);
	ck_assert_uint_eq(sums[0], 2048 * NEIGHBOURS);
	ck_assert_uint_eq(sums[2], 2048ull * NEIGHBOURS * 4096);
	wire_fixture_deinit(&f);
}
END_TEST

/* ---- a sample ----------------------------------------------------------- */

static void set_sparse(struct wire_fixture *f, struct seep_map_cache *c,
    uint64_t addr, uint64_t size, uint32_t node)
{
	enum seep_drop cause;

	ck_assert(seep_map_set_sparse(&f->map, c, addr, size, node, 7, &cause));
}

static void clear_sparse(struct wire_fixture *f, struct seep_map_cache *c,
    uint64_t addr, uint64_t size, uint32_t node)
{
	struct seep_entry old;

	seep_map_clear(&f->map, c, addr, &old);
	ck_assert_ptr_nonnull((void *)old.place);
	ck_assert_uint_eq(old.size_bytes, size);
	ck_assert_uint_eq(seep_word_node(old.word), node);
}

START_TEST(a_sampled_block_of_any_size_is_read_back_to_the_byte)
{
	struct wire_fixture f;

	wire_fixture_init(&f, 4096);
	f.map.glibc = places[_i].glibc;
	set_sparse(&f, &f.cache, places[_i].addr, places[_i].size, 3);
	assert_only(&f, places[_i].addr, places[_i].size, 3, 7);
	clear_sparse(&f, &f.cache, places[_i].addr, places[_i].size, 3);
	ck_assert_uint_eq(read_all(&f).nr, 0);
	wire_fixture_deinit(&f);
}
END_TEST

/* More of them than blocks of 1 KiB could begin in a region. */
START_TEST(sampled_neighbours_find_places_of_their_own)
{
	const uint64_t base = 0x555555558010;
	struct wire_fixture f;
	struct seep_entry old;
	struct seen s;

	wire_fixture_init(&f, 4096);
	for (uint32_t i = 0; i < 30; i++)
		set_sparse(&f, &f.cache, base + i * 32, 20 + i, 1 + i);
	s = read_all(&f);
	ck_assert_uint_eq(s.nr, 30);
	for (unsigned i = 0; i < s.nr; i++) {
		ck_assert_uint_eq(
		    s.b[i].addr, base + (uint64_t)(s.b[i].node - 1) * 32);
		ck_assert_uint_eq(s.b[i].size_bytes, 19 + s.b[i].node);
	}
	seep_map_clear(&f.map, &f.cache, base + 16, &old);
	ck_assert_ptr_null((void *)old.place);
	for (uint32_t i = 0; i < 30; i++)
		clear_sparse(&f, &f.cache, base + i * 32, 20 + i, 1 + i);
	ck_assert_uint_eq(read_all(&f).nr, 0);
	wire_fixture_deinit(&f);
}
END_TEST

/* Blocks of all sizes that are above each other in one another's granules. */
START_TEST(sampled_blocks_of_all_sizes_do_not_mix)
{
	struct wire_fixture f;
	uint64_t addr = 0x7f0000000010;
	unsigned nr = 0;

	wire_fixture_init(&f, 65536);
	for (uint64_t size = 16; size < 1 << 19; size *= 2) {
		for (int i = 0; i < 3; i++, nr++) {
			set_sparse(&f, &f.cache, addr, size, nr + 1);
			addr += size + 16;
		}
	}
	ck_assert_uint_eq(read_all(&f).nr, nr);
	addr = 0x7f0000000010;
	nr = 0;
	for (uint64_t size = 16; size < 1 << 19; size *= 2) {
		for (int i = 0; i < 3; i++, nr++) {
			clear_sparse(&f, &f.cache, addr, size, nr + 1);
			addr += size + 16;
		}
	}
	ck_assert_uint_eq(read_all(&f).nr, 0);
	wire_fixture_deinit(&f);
}
END_TEST

/* A week of a server in short: a block now and then, anywhere in 1 GiB. */
START_TEST(sampled_blocks_that_come_and_go_take_no_more_memory)
{
	struct wire_fixture f;
	uint64_t addr[64] = {0};
	uint32_t random = 1;

	wire_fixture_init(&f, 4096);
	for (int i = 0; i < 300000; i++) {
		uint64_t *a = &addr[i % 64];

		if (*a)
			clear_sparse(&f, &f.cache, *a, 100, 1);
		random = random * 1664525 + 1013904223;
		*a = 0x7f0000000010 + (uint64_t)(random >> 2 & ~15u);
		set_sparse(&f, &f.cache, *a, 100, 1);
	}
	/* 1 GiB by 32 MiB: 32 leaves of 20 KiB; a slot for each 16 KiB */
	ck_assert_uint_lt(f.pool.head->next_page, 500);
	wire_fixture_deinit(&f);
}
END_TEST

#define TAKERS 4
#define ROUNDS 20000

struct taker {
	struct wire_fixture *f;
	uint32_t nr;
	int lost;
};

/* Each has addresses of its own, all in the same region. */
static void *take_and_give(void *arg)
{
	struct taker *t = arg;
	struct seep_map_cache cache = {{0}, {NULL}};
	enum seep_drop cause;
	struct seep_entry old;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t addr = 0x555555558010 + t->nr * 32 + i % 16 * 1024;

		if (!seep_map_set_sparse(&t->f->map, &cache, addr, 20 + t->nr,
			1 + t->nr, 0, &cause))
			t->lost++;
		seep_map_clear(&t->f->map, &cache, addr, &old);
		if (!old.place || old.size_bytes != 20 + t->nr ||
		    seep_word_node(old.word) != 1 + t->nr)
			t->lost++;
	}
	return NULL;
}

START_TEST(threads_that_want_one_slot_lose_nothing)
{
	struct taker takers[TAKERS];
	pthread_t threads[TAKERS];
	struct wire_fixture f;

	wire_fixture_init(&f, 4096);
	for (uint32_t i = 0; i < TAKERS; i++) {
		takers[i] = (struct taker){&f, i, 0};
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
				     take_and_give, &takers[i]),
		    0);
	}
	for (int i = 0; i < TAKERS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(takers[i].lost, 0);
	}
	ck_assert_uint_eq(read_all(&f).nr, 0);
	wire_fixture_deinit(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire_map");
	TCase *tc = tcase_create("map");
	int nr = (int)(sizeof(places) / sizeof(places[0]));

	tcase_add_loop_test(
	    tc, a_block_of_any_size_is_read_back_to_the_byte, 0, nr);
	tcase_add_loop_test(
	    tc, a_cleared_block_is_gone_and_says_what_it_was, 0, nr);
	tcase_add_loop_test(tc, a_restored_block_is_as_if_never_cleared, 0, nr);
	tcase_add_test(tc, a_free_of_a_neighbour_in_the_granule_finds_nothing);
	tcase_add_test(
	    tc, blocks_eight_apart_do_not_share_a_place_elsewhere_than_glibc);
	tcase_add_test(tc, a_missed_free_is_told);
	tcase_add_test(tc, addresses_that_do_not_fit_are_refused);
	tcase_add_test(tc, a_full_segment_refuses_and_keeps_what_it_has);
	tcase_add_test(
	    tc, without_memory_a_block_is_refused_and_later_ones_work);
	tcase_add_test(tc, random_churn_equals_a_plain_list);
	tcase_add_test(tc, blocks_of_mixed_sizes_take_32_bytes_each_at_most);
	tcase_add_test(tc, slots_of_freed_blocks_are_used_again);
	tcase_add_loop_test(
	    tc, a_block_is_restored_whose_slot_is_another_ones_now, 0, 2);
	tcase_add_test(tc, a_missed_free_of_a_large_block_is_told);
	tcase_add_test(tc, a_list_of_lost_slots_has_an_end);
	tcase_add_test(tc, a_block_at_the_end_of_an_overlong_list_can_be_freed);
	tcase_add_test(tc, threads_in_one_region_lose_nothing);
	tcase_add_test(tc, threads_that_add_to_the_same_lists_lose_nothing);
	tcase_add_loop_test(
	    tc, a_sampled_block_of_any_size_is_read_back_to_the_byte, 0, nr);
	tcase_add_test(tc, sampled_neighbours_find_places_of_their_own);
	tcase_add_test(tc, sampled_blocks_of_all_sizes_do_not_mix);
	tcase_add_test(tc, sampled_blocks_that_come_and_go_take_no_more_memory);
	tcase_add_test(tc, threads_that_want_one_slot_lose_nothing);
	suite_add_tcase(s, tc);
	return wire_fixture_main(s);
}
