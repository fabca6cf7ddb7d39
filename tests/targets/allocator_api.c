/* SPDX-License-Identifier: MIT */
/*
 * The interfaces that allocators have beside the standard one: jemalloc's
 * mallocx family, gperftools' tc_ family; whichever the program is linked to.
 */
#include "truth.h"

#define WEAK __attribute__((weak))

WEAK void *mallocx(size_t, int);
WEAK void *rallocx(void *, size_t, int);
WEAK size_t xallocx(void *, size_t, size_t, int);
WEAK void dallocx(void *, int);
WEAK void sdallocx(void *, size_t, int);
WEAK void *tc_malloc(size_t);
WEAK void *tc_calloc(size_t, size_t);
WEAK void *tc_realloc(void *, size_t);
WEAK void *tc_memalign(size_t, size_t);
WEAK void *tc_valloc(size_t);
WEAK int tc_posix_memalign(void **, size_t, size_t);
WEAK void tc_free(void *);

static void use_jemalloc(void)
{
	void *p;

	for (int i = 0; i < 10; i++) {
		KEEP(mallocx(100, 0), 100);
		KEEP(mallocx(200, 7), 200); /* aligned to 1 << 7 */
		dallocx(CHURN(mallocx(300, 0), 300), 0);
		sdallocx(CHURN(mallocx(400, 0), 400), 400, 0);
		p = CHURN(mallocx(50, 0), 50);
		KEEP(rallocx(p, 5000, 0), 5000);
		p = CHURN(mallocx(60, 0), 60);
		xallocx(p, 61, 0, 0);
		free(p);
		p = CHURN(malloc(70), 70);
		dallocx(p, 0);
	}
}

static void use_tcmalloc(void)
{
	void *p;

	for (int i = 0; i < 10; i++) {
		KEEP(tc_malloc(100), 100);
		KEEP(tc_calloc(2, 100), 200);
		KEEP(tc_memalign(64, 300), 300);
		KEEP(tc_valloc(400), 400);
		p = CHURN(tc_malloc(50), 50);
		KEEP(tc_realloc(p, 5000), 5000);
		tc_free(CHURN(tc_malloc(600), 600));
		free(CHURN(tc_malloc(700), 700));
		tc_free(CHURN(malloc(800), 800));
		if (tc_posix_memalign(&p, 64, 900))
			truth_die("tc_posix_memalign");
		truth_keep(__LINE__ - 2, p, 900);
	}
}

int main(void)
{
	if (mallocx) /* the way programs detect jemalloc */
		use_jemalloc();
	if (tc_malloc)
		use_tcmalloc();
	KEEP(malloc(7), 7);
	truth_state();
	return 0;
}
