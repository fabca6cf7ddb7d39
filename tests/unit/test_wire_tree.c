/* SPDX-License-Identifier: MIT */
/* test_wire_tree.c - the call tree: one node per frame and parent, growing */
#include <pthread.h>

#include "tests/unit/wire_fixture.h"

static void *grab(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void *grab_nothing(size_t bytes)
{
	(void)bytes;
	return NULL;
}

static uint32_t native(uint32_t module)
{
	return seep_node_pack(SEEP_NODE_NATIVE, 0, module);
}

START_TEST(the_same_frame_under_the_same_parent_is_one_node)
{
	struct wire_fixture f;
	struct seep_tree t = {.pool = NULL};
	uint32_t a, b;

	wire_fixture_init(&f, 4096);
	ck_assert(seep_tree_init(&t, &f.pool, grab));
	a = seep_tree_child(&t, 0, native(1), 0x10);
	b = seep_tree_child(&t, a, native(1), 0x10);
	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(a, seep_tree_child(&t, 0, native(1), 0x10));
	ck_assert_uint_eq(b, seep_tree_child(&t, a, native(1), 0x10));
	ck_assert_uint_ne(a, seep_tree_child(&t, 0, native(2), 0x10));
	ck_assert_uint_ne(a, seep_tree_child(&t, 0, native(1), 0x11));
	ck_assert_uint_ne(a, seep_tree_child(&t, 0,
				 seep_node_pack(SEEP_NODE_NATIVE, 1, 1), 0x10));
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(nodes_are_read_back_and_found_again_after_growth)
{
	enum { NR = 50000 };
	struct wire_fixture f;
	struct seep_tree t = {.pool = NULL};
	struct seep_node *nodes = calloc(NR + 2, sizeof(*nodes));
	uint32_t *id = calloc(NR, sizeof(*id)), got;

	wire_fixture_init(&f, 4096);
	ck_assert(seep_tree_init(&t, &f.pool, grab));
	for (uint32_t i = 0; i < NR; i++)
		id[i] =
		    seep_tree_child(&t, i ? id[i / 3] : 0, native(i % 5), i);
	for (uint32_t i = 0; i < NR; i++)
		ck_assert_uint_eq(id[i],
		    seep_tree_child(&t, i ? id[i / 3] : 0, native(i % 5), i));
	wire_fixture_open(&f);
	ck_assert_uint_eq(seep_reader_nr_nodes(&f.r), NR + 2);
	for (uint32_t at = 0; at < NR + 2; at += got) {
		ck_assert_int_eq(
		    seep_read_nodes(&f.r, at, nodes + at, NR + 2 - at, &got),
		    SEEP_READ_OK);
		ck_assert_uint_gt(got, 0);
	}
	for (uint32_t i = 0; i < NR; i++) {
		struct seep_node *n = &nodes[id[i]];

		ck_assert_uint_eq(n->parent, i ? id[i / 3] : 0);
		ck_assert_uint_eq(n->offset, i);
		ck_assert_uint_eq(
		    seep_node_kind(n->kind_module), SEEP_NODE_NATIVE);
		ck_assert_uint_eq(seep_node_module(n->kind_module), i % 5);
	}
	free(nodes);
	free(id);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_full_segment_gives_the_node_that_says_so)
{
	struct wire_fixture f;
	struct seep_tree t = {.pool = NULL};
	uint32_t id = 0, i;

	wire_fixture_init(&f, 40); /* room for two chunks of nodes */
	ck_assert(seep_tree_init(&t, &f.pool, grab));
	for (i = 0; i < 20000 && id != SEEP_NODE_FULL; i++)
		id = seep_tree_child(&t, 0, native(1), i);
	ck_assert_uint_eq(id, SEEP_NODE_FULL);
	ck_assert_uint_ne(seep_tree_child(&t, 0, native(1), 0), SEEP_NODE_FULL);
	wire_fixture_deinit(&f);
}
END_TEST

START_TEST(a_tree_that_cannot_grow_ends_and_does_not_spin)
{
	struct wire_fixture f;
	struct seep_tree t = {.pool = NULL};
	uint32_t id = 0, i;

	wire_fixture_init(&f, 4096);
	ck_assert(seep_tree_init(&t, &f.pool, grab));
	t.grab = grab_nothing;
	for (i = 0; i < 100000 && id != SEEP_NODE_FULL; i++)
		id = seep_tree_child(&t, 0, native(1), i);
	ck_assert_uint_eq(id, SEEP_NODE_FULL);
	wire_fixture_deinit(&f);
}
END_TEST

#define THREADS 4
#define FRAMES	20000

struct worker {
	pthread_t thread;
	struct seep_tree *tree;
	uint32_t id[FRAMES];
};

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < FRAMES; i++)
		w->id[i] = seep_tree_child(
		    w->tree, i % 7 ? w->id[i - 1] : 0, native(1), i);
	return NULL;
}

START_TEST(threads_that_race_get_the_same_paths)
{
	static struct worker w[THREADS];
	struct wire_fixture f;
	struct seep_tree t = {.pool = NULL};
	struct seep_node n;
	uint32_t got;

	wire_fixture_init(&f, 4096);
	ck_assert(seep_tree_init(&t, &f.pool, grab));
	for (int k = 0; k < THREADS; k++) {
		w[k].tree = &t;
		ck_assert_int_eq(
		    pthread_create(&w[k].thread, NULL, work, &w[k]), 0);
	}
	for (int k = 0; k < THREADS; k++)
		pthread_join(w[k].thread, NULL);
	wire_fixture_open(&f);
	for (int k = 0; k < THREADS; k++)
		for (uint32_t i = 0; i < FRAMES; i++) {
			ck_assert_int_eq(
			    seep_read_nodes(&f.r, w[k].id[i], &n, 1, &got),
			    SEEP_READ_OK);
			ck_assert_uint_eq(n.offset, i);
			ck_assert_uint_eq(n.parent, i % 7 ? w[k].id[i - 1] : 0);
		}
	wire_fixture_deinit(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire_tree");
	TCase *tc = tcase_create("tree");

	tcase_add_test(tc, the_same_frame_under_the_same_parent_is_one_node);
	tcase_add_test(tc, nodes_are_read_back_and_found_again_after_growth);
	tcase_add_test(tc, a_full_segment_gives_the_node_that_says_so);
	tcase_add_test(tc, a_tree_that_cannot_grow_ends_and_does_not_spin);
	tcase_add_test(tc, threads_that_race_get_the_same_paths);
	suite_add_tcase(s, tc);
	return wire_fixture_main(s);
}
