/* SPDX-License-Identifier: MIT */
/* test_collect_sites.c - segments become rows of sites, epochs become times */
#include "analyzer/collect/epochs.h"
#include "analyzer/collect/sites.h"
#include "analyzer/model/sample.h"
#include "tests/unit/collect_fixture.h"
#include "wire/sample.h"

struct fixture {
	struct fake_segment seg;
	struct fake_sink *sink;
	struct seep_reader reader;
	struct seep_epochs *epochs;
	struct seep_sites *sites;
	uint32_t exe, lib;
};

static void set_up(struct fixture *f)
{
	fake_init(&f->seg, "/bin/prog");
	f->exe = fake_module(&f->seg, "/bin/prog");
	f->lib = fake_module(&f->seg, "/lib/libx.so");
	f->sink = fake_sink_create();
	f->epochs = malloc(sizeof(*f->epochs));
	seep_epochs_init(f->epochs);
	ck_assert_int_eq(seep_reader_init(&f->reader, fake_read, &f->seg,
			     FAKE_PAGES * SEEP_PAGE),
	    SEEP_READ_OK);
	no_error(seep_sites_create(
	    &f->reader, &f->sink->sink, "/bin/prog", NULL, NULL, &f->sites));
}

static void tear_down(struct fixture *f)
{
	seep_sites_destroy(f->sites);
	free(f->epochs);
	fake_sink_destroy(f->sink);
	fake_deinit(&f->seg);
}

static size_t count(struct fixture *f, const struct seep_site_row **rows)
{
	size_t nr = 0;

	ck_assert_int_eq(seep_reader_refresh(&f->reader), SEEP_READ_OK);
	no_error(seep_sites_count(f->sites, rows, &nr));
	return nr;
}

static size_t scan(struct fixture *f, const struct seep_survivor_row **rows)
{
	size_t nr = 0;

	ck_assert_int_eq(seep_reader_refresh(&f->reader), SEEP_READ_OK);
	no_error(seep_sites_scan(f->sites, f->epochs, 0, rows, &nr, NULL));
	return nr;
}

START_TEST(counters_of_a_site_become_its_row)
{
	const struct seep_site_row *rows;
	struct fixture f;
	uint32_t main_node, site;
	uint64_t addr;

	set_up(&f);
	main_node = fake_node(&f.seg, 0, f.exe, 0x100);
	site = fake_node(&f.seg, main_node, f.lib, 0x200);
	fake_alloc(&f.seg, site, 100);
	addr = fake_alloc(&f.seg, site, 30);
	fake_free(&f.seg, site, addr, 30);
	ck_assert_uint_eq(count(&f, &rows), 1);
	ck_assert_uint_eq(rows[0].counts.alloc_blocks, 2);
	ck_assert_uint_eq(rows[0].counts.alloc_bytes, 130);
	ck_assert_uint_eq(rows[0].counts.live_blocks, 1);
	ck_assert_uint_eq(rows[0].counts.live_bytes, 100);
	/* The path reached the sink from the outside in. */
	ck_assert_uint_eq(f.sink->nr_nodes, 2);
	ck_assert_uint_eq(f.sink->nodes[0].offset, 0x100);
	ck_assert_int_eq(f.sink->nodes[1].parent, 1);
	ck_assert_int_eq(rows[0].site, 2);
	ck_assert(seep_sites_has_exe(f.sites));
	tear_down(&f);
}
END_TEST

#define INTERVAL 65536u

/* Counts what a sampled block stands for at the first place of the table. */
static void sample(struct fixture *f, uint32_t node, uint64_t size, bool freed)
{
	uint32_t nr = 1u << SEEP_FIRST_TABLE_LOG_SAMPLED;
	uint32_t *keys =
	    (uint32_t *)(f->seg.pool.base + (f->seg.slot->table >> 8));
	struct seep_counter *c = (struct seep_counter *)(keys + nr);
	struct seep_counter *spread = c + nr;
	struct seep_weight w = seep_weight_of(INTERVAL, size);

	keys[0] = node;
	*(freed ? &c->free_blocks : &c->alloc_blocks) += w.blocks;
	*(freed ? &c->free_bytes : &c->alloc_bytes) += w.bytes;
	*(freed ? &spread->free_blocks : &spread->alloc_blocks) +=
	    w.blocks_spread;
	*(freed ? &spread->free_bytes : &spread->alloc_bytes) += w.bytes_spread;
}

/* Of a site with a sampled block of 1000 bytes, one of 100000, and another of
 * 1000 that was freed. */
static void is_estimate(const struct seep_counts *c)
{
	struct seep_estimate e = {0};

	seep_estimate_add(&e, INTERVAL, 1000, 1);
	seep_estimate_add(&e, INTERVAL, 100000, 1);
	ck_assert_uint_eq(c->live_blocks, seep_estimate_round(e.blocks));
	ck_assert_double_eq_tol((double)c->live_bytes, e.bytes, 2);
	ck_assert_double_eq_tol(c->var.live_blocks / e.blocks_var, 1, 0.001);
	ck_assert_double_eq_tol(c->var.live_bytes / e.bytes_var, 1, 0.005);
	ck_assert_double_eq_tol(c->var.alloc_bytes / e.bytes_var, 2, 0.01);
	ck_assert_double_eq_tol(c->var.free_bytes / e.bytes_var, 1, 0.005);
}

START_TEST(counters_and_blocks_of_a_sample_become_the_same_estimates)
{
	const struct seep_survivor_row *survivors;
	const struct seep_site_row *rows;
	struct seep_counts live = {0};
	struct seep_map_cache cache = {{0}, {NULL}};
	enum seep_drop cause;
	struct fixture f;
	uint32_t site;
	size_t nr = 0;

	set_up(&f);
	seep_sites_destroy(f.sites);
	f.seg.pool.head->sample_bytes = INTERVAL;
	f.seg.slot->table =
	    f.seg.slot->table >> 8 << 8 | SEEP_FIRST_TABLE_LOG_SAMPLED;
	ck_assert_int_eq(seep_reader_refresh(&f.reader), SEEP_READ_OK);
	no_error(seep_sites_create(
	    &f.reader, &f.sink->sink, "/bin/prog", NULL, NULL, &f.sites));
	site = fake_node(&f.seg, 0, f.lib, 0x200);
	sample(&f, site, 1000, false);
	sample(&f, site, 1000, false);
	sample(&f, site, 1000, true);
	sample(&f, site, 100000, false);
	ck_assert(seep_map_set_sparse(
	    &f.seg.map, &cache, 0x7f0000000010, 1000, site, 1, &cause));
	ck_assert(seep_map_set_sparse(
	    &f.seg.map, &cache, 0x7f0000100010, 100000, site, 1, &cause));
	ck_assert_uint_eq(count(&f, &rows), 1);
	is_estimate(&rows[0].counts);
	no_error(seep_sites_scan(f.sites, f.epochs, 0, &survivors, &nr, &live));
	/* survivors are what was recorded */
	ck_assert_uint_eq(nr, 2);
	ck_assert_uint_eq(survivors[0].blocks, 1);
	ck_assert_uint_eq(live.live_blocks, rows[0].counts.live_blocks);
	no_error(seep_sites_count_by_scan(f.sites, &rows, &nr));
	ck_assert_uint_eq(nr, 1);
	is_estimate(&rows[0].counts);
	tear_down(&f);
}
END_TEST

START_TEST(two_ids_of_one_path_are_one_site)
{
	const struct seep_survivor_row *survivors;
	const struct seep_site_row *rows;
	struct fixture f;
	uint32_t a, b;

	set_up(&f);
	a = fake_node(&f.seg, 0, f.lib, 0x10);
	b = fake_node(&f.seg, 0, f.lib, 0x20);
	*fake_node_at(&f.seg, b) = *fake_node_at(&f.seg, a);
	fake_alloc(&f.seg, a, 50);
	fake_alloc(&f.seg, b, 50);
	ck_assert_uint_eq(count(&f, &rows), 1);
	ck_assert_uint_eq(rows[0].counts.live_blocks, 2);
	ck_assert_uint_eq(scan(&f, &survivors), 1);
	ck_assert_uint_eq(survivors[0].blocks, 2);
	tear_down(&f);
}
END_TEST

START_TEST(nodes_without_data_never_reach_the_sink)
{
	const struct seep_site_row *rows;
	struct fixture f;
	uint32_t used;

	set_up(&f);
	used = fake_node(&f.seg, 0, f.lib, 1);
	for (uint64_t i = 2; i < 100; i++)
		fake_node(&f.seg, used, f.lib, i);
	fake_alloc(&f.seg, used, 8);
	ck_assert_uint_eq(count(&f, &rows), 1);
	ck_assert_uint_eq(f.sink->nr_nodes, 1);
	ck_assert(!seep_sites_has_exe(f.sites));
	tear_down(&f);
}
END_TEST

START_TEST(survivors_are_grouped_by_site_and_size)
{
	const struct seep_survivor_row *v;
	struct fixture f;
	uint32_t a, b;

	set_up(&f);
	a = fake_node(&f.seg, 0, f.exe, 1);
	b = fake_node(&f.seg, 0, f.exe, 2);
	for (int i = 0; i < 10; i++) {
		fake_alloc(&f.seg, a, 24);
		fake_alloc(&f.seg, a, 5000);
		fake_alloc(&f.seg, b, 24);
	}
	ck_assert_uint_eq(scan(&f, &v), 3);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(v[i].blocks, 10);
	ck_assert_int_eq(v[0].site, v[1].site);
	ck_assert_uint_eq(v[0].size_bytes, 24);
	ck_assert_uint_eq(v[1].size_bytes, 5000);
	ck_assert_int_ne(v[1].site, v[2].site);
	tear_down(&f);
}
END_TEST

START_TEST(births_are_the_times_of_their_epochs)
{
	const struct seep_survivor_row *v;
	struct fixture f;
	uint32_t a;

	set_up(&f);
	a = fake_node(&f.seg, 0, f.exe, 1);
	seep_epochs_add(f.epochs, 1, 1000);
	f.seg.pool.head->epoch = 1;
	fake_alloc(&f.seg, a, 24);
	seep_epochs_add(f.epochs, 2, 2500);
	f.seg.pool.head->epoch = 2;
	fake_alloc(&f.seg, a, 24);
	ck_assert_uint_eq(scan(&f, &v), 1);
	ck_assert_uint_eq(v[0].oldest_ms, 1000);
	ck_assert_uint_eq(v[0].newest_ms, 2500);
	tear_down(&f);
}
END_TEST

START_TEST(at_the_end_the_map_says_what_lives)
{
	const struct seep_survivor_row *v;
	const struct seep_site_row *rows;
	struct fixture f;
	uint32_t a;
	size_t nr;

	set_up(&f);
	a = fake_node(&f.seg, 0, f.exe, 1);
	fake_alloc(&f.seg, a, 24);
	/* Counted, but the kill came before its word was set. */
	fake_counter(&f.seg, a)->alloc_blocks++;
	fake_counter(&f.seg, a)->alloc_bytes += 24;
	ck_assert_uint_eq(scan(&f, &v), 1);
	no_error(seep_sites_count_by_scan(f.sites, &rows, &nr));
	ck_assert_uint_eq(nr, 1);
	ck_assert_uint_eq(rows[0].counts.live_blocks, 1);
	ck_assert_uint_eq(rows[0].counts.alloc_blocks, 2);
	tear_down(&f);
}
END_TEST

START_TEST(a_cycle_ends_in_a_truncated_frame)
{
	const struct seep_site_row *rows;
	struct fixture f;
	uint32_t a, b;

	set_up(&f);
	a = fake_node(&f.seg, 0, f.exe, 1);
	b = fake_node(&f.seg, a, f.exe, 2);
	fake_node_at(&f.seg, a)->parent = b;
	fake_alloc(&f.seg, b, 24);
	ck_assert_uint_eq(count(&f, &rows), 1);
	ck_assert_int_eq(f.sink->nodes[0].kind, SEEP_NODE_TRUNCATED);
	ck_assert_uint_eq(f.sink->nr_nodes, 3);
	tear_down(&f);
}
END_TEST

START_TEST(ids_beyond_the_tree_are_a_truncated_site)
{
	const struct seep_site_row *rows;
	struct fixture f;

	set_up(&f);
	fake_alloc(&f.seg, SEEP_NODE_MAX - 5, 24);
	fake_alloc(&f.seg, 4000, 24);
	ck_assert_uint_eq(count(&f, &rows), 1);
	ck_assert_int_eq(
	    f.sink->nodes[rows[0].site - 1].kind, SEEP_NODE_TRUNCATED);
	ck_assert_uint_eq(rows[0].counts.live_blocks, 2);
	tear_down(&f);
}
END_TEST

START_TEST(a_module_that_is_not_there_is_unknown_code)
{
	const struct seep_site_row *rows;
	struct fixture f;

	set_up(&f);
	fake_alloc(&f.seg, fake_node(&f.seg, 0, 77, 0x1234), 24);
	ck_assert_uint_eq(count(&f, &rows), 1);
	ck_assert_int_eq(f.sink->nodes[0].kind, SEEP_NODE_UNKNOWN);
	ck_assert_int_eq(f.sink->nodes[0].module, 0);
	ck_assert_uint_eq(f.sink->nodes[0].offset, 0x1234);
	tear_down(&f);
}
END_TEST

START_TEST(a_damaged_map_is_an_error_and_marked)
{
	const struct seep_survivor_row *v;
	struct fixture f;
	size_t nr;

	set_up(&f);
	f.seg.pool.head->map_root[SEEP_TIER_SMALL] = FAKE_PAGES + 5;
	ck_assert_int_eq(seep_reader_refresh(&f.reader), SEEP_READ_OK);
	some_error(
	    seep_sites_scan(f.sites, f.epochs, 0, &v, &nr, NULL), "live map");
	ck_assert(seep_sites_is_damaged(f.sites));
	tear_down(&f);
}
END_TEST

START_TEST(ids_are_asked_for_again_after_a_rollback)
{
	const struct seep_site_row *rows;
	struct fixture f;

	set_up(&f);
	fake_alloc(&f.seg, fake_node(&f.seg, 0, f.exe, 1), 24);
	ck_assert_uint_eq(count(&f, &rows), 1);
	f.sink->sink.rollback(f.sink);
	ck_assert_uint_eq(f.sink->nr_nodes, 0);
	seep_sites_forget(f.sites);
	ck_assert_uint_eq(count(&f, &rows), 1);
	ck_assert_uint_eq(f.sink->nr_nodes, 1);
	tear_down(&f);
}
END_TEST

START_TEST(a_full_epoch_table_keeps_its_ends_and_order)
{
	struct seep_epochs *e = malloc(sizeof(*e));
	uint64_t last = 0;

	seep_epochs_init(e);
	for (uint32_t i = 1; i <= 20000; i++)
		seep_epochs_add(e, i, i * 1000ull);
	ck_assert_uint_le(e->nr, SEEP_EPOCHS_MAX);
	ck_assert_uint_eq(seep_epochs_now(e), 20000);
	ck_assert_uint_eq(seep_epochs_ms(e, 1, 0), 1000);
	for (uint32_t i = 1; i <= 20000; i++) {
		uint64_t ms = seep_epochs_ms(e, i, 0);

		ck_assert_uint_ge(ms, last);
		ck_assert_uint_eq(ms, i * 1000ull); /* interpolated */
		last = ms;
	}
	ck_assert_uint_eq(seep_epochs_ms(e, 30000, 0), 20000000);
	ck_assert_uint_eq(seep_epochs_ms(e, 0, 7), 7);
	free(e);
}
END_TEST

/* Sites that have freed all that they allocated: 1 byte, 2, 3 and so on. */
static void add_past_sites(struct fixture *f, uint32_t nr)
{
	enum { LOG = 12 };
	enum seep_drop cause;
	uint32_t page = seep_pool_alloc(
	    &f->seg.pool, ((1u << LOG) * 36) / SEEP_PAGE, &cause);
	uint32_t *keys = seep_pool_page(&f->seg.pool, page);
	struct seep_counter *c = (struct seep_counter *)(keys + (1u << LOG));

	ck_assert_uint_ne(page, 0);
	for (uint32_t i = 0; i < nr; i++) {
		/* in no order: 7 and nr have no common factor */
		uint32_t bytes = i * 7 % nr + 1;

		keys[i] = fake_node(&f->seg, 0, f->lib, bytes);
		c[i].alloc_blocks = c[i].free_blocks = 1;
		c[i].alloc_bytes = c[i].free_bytes = bytes;
	}
	f->seg.slot->table = (uint64_t)page * SEEP_PAGE << 8 | LOG;
}

START_TEST(of_past_sites_those_with_the_most_bytes_are_kept)
{
	enum { NR = 3001, KEPT = 1000 };
	const struct seep_survivor_row *survivors;
	const struct seep_site_row *rows;
	struct fixture f;
	size_t nr = 0;

	set_up(&f);
	add_past_sites(&f, NR);
	/* What is of another thread may make up for it: then all are summed. */
	f.seg.pool.head->nr_slots += (uint32_t)_i;
	ck_assert_uint_eq(count(&f, &rows), 0);
	ck_assert_uint_eq(scan(&f, &survivors), 0);
	no_error(seep_sites_count_by_scan(f.sites, &rows, &nr));
	ck_assert_uint_eq(nr, KEPT);
	for (size_t i = 0; i < nr; i++)
		ck_assert_uint_gt(rows[i].counts.alloc_bytes, NR - KEPT);
	ck_assert_uint_eq(f.sink->nr_nodes, KEPT);
	tear_down(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("collect_sites");
	TCase *tc = tcase_create("sites");

	tcase_add_test(tc, counters_of_a_site_become_its_row);
	tcase_add_test(
	    tc, counters_and_blocks_of_a_sample_become_the_same_estimates);
	tcase_add_test(tc, two_ids_of_one_path_are_one_site);
	tcase_add_test(tc, nodes_without_data_never_reach_the_sink);
	tcase_add_loop_test(
	    tc, of_past_sites_those_with_the_most_bytes_are_kept, 0, 2);
	tcase_add_test(tc, survivors_are_grouped_by_site_and_size);
	tcase_add_test(tc, births_are_the_times_of_their_epochs);
	tcase_add_test(tc, at_the_end_the_map_says_what_lives);
	tcase_add_test(tc, a_cycle_ends_in_a_truncated_frame);
	tcase_add_test(tc, ids_beyond_the_tree_are_a_truncated_site);
	tcase_add_test(tc, a_module_that_is_not_there_is_unknown_code);
	tcase_add_test(tc, a_damaged_map_is_an_error_and_marked);
	tcase_add_test(tc, ids_are_asked_for_again_after_a_rollback);
	tcase_add_test(tc, a_full_epoch_table_keeps_its_ends_and_order);
	suite_add_tcase(s, tc);
	return fixture_main(s);
}
