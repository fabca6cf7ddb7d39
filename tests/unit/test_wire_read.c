/* SPDX-License-Identifier: MIT */
/* test_wire_read.c - the reader trusts nothing in a segment */
#include "tests/unit/wire_fixture.h"

static int count(void *ctx, const struct seep_block *b)
{
	(void)b;
	++*(uint64_t *)ctx;
	return 0;
}

static int count_counter(void *ctx, uint32_t node, const struct seep_totals *t)
{
	(void)node;
	(void)t;
	++*(uint64_t *)ctx;
	return 0;
}

static void fill(struct wire_fixture *f)
{
	struct seep_entry old;
	enum seep_drop cause;

	for (uint64_t i = 0; i < 2000; i++)
		ck_assert(
		    seep_map_set(&f->map, &f->cache, 0x7f0000000010 + i * 4096,
			i % 3 ? i % 900 : i * 2, 1, 0, &old, &cause));
}

START_TEST(a_foreign_file_is_refused)
{
	struct wire_fixture f;

	wire_fixture_init(&f, 64);
	f.pool.head->magic++;
	ck_assert_int_eq(seep_reader_init(&f.r, wire_fixture_read, &f, f.bytes),
	    SEEP_READ_CORRUPT);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(another_version_is_named_as_such)
{
	struct wire_fixture f;

	wire_fixture_init(&f, 64);
	f.pool.head->version++;
	ck_assert_int_eq(seep_reader_init(&f.r, wire_fixture_read, &f, f.bytes),
	    SEEP_READ_VERSION);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_file_shorter_than_it_says_is_refused)
{
	struct wire_fixture f;

	wire_fixture_init(&f, 64);
	ck_assert_int_eq(
	    seep_reader_init(&f.r, wire_fixture_read, &f, f.bytes - 1),
	    SEEP_READ_CORRUPT);
	ck_assert_int_eq(seep_reader_init(&f.r, wire_fixture_read, &f, 100),
	    SEEP_READ_CORRUPT);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_directory_that_points_at_itself_ends_as_corrupt)
{
	struct wire_fixture f;
	uint64_t blocks = 0;
	uint32_t root;

	wire_fixture_init(&f, 4096);
	fill(&f);
	root = f.pool.head->map_root[SEEP_TIER_SMALL];
	for (unsigned i = 0; i < SEEP_PAGE / 4; i++)
		((uint32_t *)seep_pool_page(&f.pool, root))[i] = root;
	wire_fixture_open(&f);
	ck_assert_int_eq(
	    seep_read_blocks(&f.r, count, &blocks), SEEP_READ_CORRUPT);
	wire_fixture_deinit(&f);
}
END_TEST

#define REGION 0x7f0000004000ull

/* Two blocks in one list; the slot of the one that was linked first. */
static struct seep_large *two_in_a_list(struct wire_fixture *f)
{
	struct seep_entry old;
	enum seep_drop cause;

	wire_fixture_init(f, 4096);
	ck_assert(
	    seep_map_set(&f->map, &f->cache, REGION, 5000, 1, 0, &old, &cause));
	ck_assert(seep_map_set(
	    &f->map, &f->cache, REGION + 8192, 5000, 1, 0, &old, &cause));
	seep_map_clear(&f->map, &f->cache, REGION, &old);
	ck_assert_ptr_nonnull((void *)old.place);
	*old.place = old.word;
	return (struct seep_large *)old.place;
}

static _Atomic uint64_t *entry_of(struct wire_fixture *f, uint64_t addr)
{
	unsigned way = (addr >> SEEP_SMALL_LEAF_LOG) % SEEP_MAP_CACHE_WAYS;

	return f->cache.leaf[way] +
	       (addr >> SEEP_SMALL_COVER_LOG & (SEEP_RADIX_SIZE - 1));
}

static void assert_corrupt(struct wire_fixture *f)
{
	uint64_t blocks = 0;

	wire_fixture_open(f);
	ck_assert_int_eq(
	    seep_read_blocks(&f->r, count, &blocks), SEEP_READ_CORRUPT);
	wire_fixture_deinit(f);
}

static uint64_t with_index(uint64_t info, uint64_t index)
{
	return (info & UINT32_MAX) | index << 32;
}

START_TEST(a_list_that_comes_back_to_itself_ends_as_corrupt)
{
	struct wire_fixture f;
	struct seep_large *first = two_in_a_list(&f);

	first->info =
	    with_index(first->info, seep_entry_list(*entry_of(&f, REGION)));
	assert_corrupt(&f);
}
END_TEST

/* Page 0, a slot that nobody linked, beyond the end of the file. */
static const uint32_t bad_indices[] = {2, 255, 3000, 4096 * 256, UINT32_MAX};

START_TEST(a_list_that_leads_elsewhere_is_corrupt)
{
	struct wire_fixture f;
	struct seep_large *first = two_in_a_list(&f);

	first->info = with_index(first->info, bad_indices[_i]);
	assert_corrupt(&f);

	two_in_a_list(&f);
	*entry_of(&f, REGION) =
	    with_index(*entry_of(&f, REGION), bad_indices[_i]);
	assert_corrupt(&f);
}
END_TEST

START_TEST(a_block_of_a_list_outside_of_its_region_is_corrupt)
{
	struct wire_fixture f;
	struct seep_large *first = two_in_a_list(&f);

	first->word |= 1u << (SEEP_SMALL_COVER_LOG - 4);
	assert_corrupt(&f);
}
END_TEST

START_TEST(random_damage_never_crashes_or_loops)
{
	struct wire_fixture f;
	uint64_t used;

	srand((unsigned)_i);
	wire_fixture_init(&f, 2048);
	fill(&f);
	used = f.pool.head->next_page * SEEP_PAGE;
	for (int n = 0; n < 400; n++) {
		uint64_t at = ((uint64_t)rand() << 16 ^ (uint64_t)rand()) %
			      (n % 2 ? sizeof(struct seep_header) : used);

		if (at > 40)
			f.base[at] = (unsigned char)rand();
	}
	if (seep_reader_init(&f.r, wire_fixture_read, &f, f.bytes) ==
	    SEEP_READ_OK) {
		struct seep_module_rec rec;
		struct seep_totals t;
		struct seep_node nodes[16];
		uint64_t n = 0;
		uint32_t got;
		char path[64];

		if (seep_read_blocks(&f.r, count, &n) == SEEP_READ_OK)
			ck_assert_uint_le(n, f.bytes / 8 + f.bytes / 16);
		seep_read_totals(&f.r, &t);
		seep_read_counters(&f.r, count_counter, &n);
		for (uint32_t i = 0; i < 100; i++)
			seep_read_module(&f.r, i, &rec, path, sizeof(path));
		for (uint32_t i = 0; i < 1u << 28; i += 1u << 20)
			seep_read_nodes(&f.r, i, nodes, 16, &got);
	}
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(an_interval_out_of_range_is_refused)
{
	static const struct {
		uint32_t bytes;
		enum seep_read_status status;
	} intervals[] = {{0, SEEP_READ_OK}, {1, SEEP_READ_CORRUPT},
	    {SEEP_SAMPLE_MIN, SEEP_READ_OK}, {SEEP_SAMPLE_MAX, SEEP_READ_OK},
	    {SEEP_SAMPLE_MAX + 1, SEEP_READ_CORRUPT},
	    {UINT32_MAX, SEEP_READ_CORRUPT}};
	struct wire_fixture f;

	wire_fixture_init(&f, 64);
	for (size_t i = 0; i < sizeof(intervals) / sizeof(*intervals); i++) {
		f.pool.head->sample_bytes = intervals[i].bytes;
		ck_assert_int_eq(
		    seep_reader_init(&f.r, wire_fixture_read, &f, f.bytes),
		    intervals[i].status);
	}
	wire_fixture_deinit(&f);
}
END_TEST

/* The counters end with the file: of a sample their variances would not fit. */
START_TEST(a_table_without_room_for_its_variances_is_refused)
{
	const unsigned log = 9;
	struct wire_fixture f;
	struct seep_thread_slot *slot;
	enum seep_drop cause;
	uint64_t at, n = 0;
	uint32_t dir, page;

	wire_fixture_init(&f, 64);
	dir = seep_pool_alloc(&f.pool, 1, &cause);
	page = seep_pool_alloc(&f.pool, 1, &cause);
	*(uint32_t *)seep_pool_page(&f.pool, dir) = page;
	f.pool.head->slot_dir[0] = dir;
	f.pool.head->nr_slots = 1;
	at = f.bytes - ((uint64_t)seep_counter_entry_bytes(0) << log);
	slot = seep_pool_page(&f.pool, page);
	slot->table = at << 8 | log;
	wire_fixture_open(&f);
	ck_assert_int_eq(
	    seep_read_counters(&f.r, count_counter, &n), SEEP_READ_OK);
	f.pool.head->sample_bytes = SEEP_SAMPLE_MIN;
	wire_fixture_open(&f);
	ck_assert_int_eq(
	    seep_read_counters(&f.r, count_counter, &n), SEEP_READ_CORRUPT);
	at = f.bytes - ((uint64_t)seep_counter_entry_bytes(1) << log);
	slot->table = at << 8 | log;
	ck_assert_int_eq(
	    seep_read_counters(&f.r, count_counter, &n), SEEP_READ_OK);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(every_drop_has_a_name_and_a_meaning)
{
	for (unsigned i = 0; i < SEEP_NR_DROPS; i++) {
		ck_assert_ptr_nonnull(seep_drop_name(i));
		ck_assert_ptr_nonnull(seep_drop_meaning(i));
	}
	ck_assert_ptr_null(seep_drop_name(SEEP_NR_DROPS));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire_read");
	TCase *tc = tcase_create("read");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_foreign_file_is_refused);
	tcase_add_test(tc, another_version_is_named_as_such);
	tcase_add_test(tc, a_file_shorter_than_it_says_is_refused);
	tcase_add_test(tc, a_directory_that_points_at_itself_ends_as_corrupt);
	tcase_add_test(tc, a_list_that_comes_back_to_itself_ends_as_corrupt);
	tcase_add_loop_test(tc, a_list_that_leads_elsewhere_is_corrupt, 0,
	    sizeof(bad_indices) / sizeof(*bad_indices));
	tcase_add_test(tc, a_block_of_a_list_outside_of_its_region_is_corrupt);
	tcase_add_loop_test(tc, random_damage_never_crashes_or_loops, 0, 40);
	tcase_add_test(tc, an_interval_out_of_range_is_refused);
	tcase_add_test(tc, a_table_without_room_for_its_variances_is_refused);
	tcase_add_test(tc, every_drop_has_a_name_and_a_meaning);
	suite_add_tcase(s, tc);
	return wire_fixture_main(s);
}
