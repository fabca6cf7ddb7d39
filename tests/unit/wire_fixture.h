/* SPDX-License-Identifier: MIT */
/*
 * wire_fixture.h - a segment in plain memory, with a writer and a reader
 *
 * Threads:  as the modules under test.
 * Signals:  none.
 * Memory:   one mapping per fixture.
 * Trust:    none.
 * Units:    pages.
 * Errors:   ck_assert.
 */
#ifndef TESTS_UNIT_WIRE_FIXTURE_H
#define TESTS_UNIT_WIRE_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wire/map.h"
#include "wire/read.h"
#include "wire/tree.h"

struct wire_fixture {
	struct seep_pool pool;
	struct seep_map map;
	struct seep_map_cache cache;
	struct seep_reader r;
	unsigned char *base;
	uint64_t bytes;
};

/* Pages past this one cannot be backed: for tests of what happens then. */
static uint64_t wire_fixture_backable = UINT64_MAX;

static int wire_fixture_back(struct seep_pool *p, uint64_t first, uint64_t nr)
{
	return first + nr > wire_fixture_backable ||
		       mprotect(p->base + first * SEEP_PAGE, nr * SEEP_PAGE,
			   PROT_READ | PROT_WRITE)
		   ? -1
		   : 0;
}

static int wire_fixture_read(void *ctx, uint64_t off, void *buf, size_t len)
{
	struct wire_fixture *f = ctx;

	memset(buf, 0, len); /* as a hole reads */
	if (off / SEEP_PAGE >= f->pool.backed)
		return 0;
	memcpy(buf, f->base + off, len);
	return 0;
}

static __attribute__((unused)) void wire_fixture_init(
    struct wire_fixture *f, uint64_t pages)
{
	memset(f, 0, sizeof(*f));
	f->bytes = pages * SEEP_PAGE;
	f->base = mmap(NULL, f->bytes, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(f->base, MAP_FAILED);
	f->pool.base = f->base;
	f->pool.nr_pages = pages;
	f->pool.back = wire_fixture_back;
	f->pool.head = (struct seep_header *)f->base;
	ck_assert_int_eq(wire_fixture_back(&f->pool, 0, 1), 0);
	f->pool.backed = 1;
	f->pool.head->magic = SEEP_MAGIC;
	f->pool.head->version = SEEP_WIRE_VERSION;
	f->pool.head->header_bytes = sizeof(struct seep_header);
	f->pool.head->segment_bytes = f->bytes;
	f->pool.head->next_page = 1;
	f->map.pool = &f->pool;
	f->map.glibc = true;
}

static __attribute__((unused)) void wire_fixture_deinit(struct wire_fixture *f)
{
	munmap(f->base, f->bytes);
	wire_fixture_backable = UINT64_MAX;
}

static __attribute__((unused)) void wire_fixture_open(struct wire_fixture *f)
{
	ck_assert_int_eq(
	    seep_reader_init(&f->r, wire_fixture_read, f, f->bytes),
	    SEEP_READ_OK);
}

static int wire_fixture_main(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
