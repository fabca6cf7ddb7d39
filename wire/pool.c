/* SPDX-License-Identifier: MIT */
/* pool.c - pages of the segment, handed out from the front, never given back */
#include "wire/pool.h"

/* Pages backed in one step: few system calls, little memory taken too early. */
#define STEP_MIN 16u
#define STEP_MAX 256u

static int back_up_to(struct seep_pool *p, uint64_t end)
{
	uint64_t have = atomic_load_explicit(&p->backed, memory_order_acquire);
	uint64_t step, want;

	if (end <= have)
		return 0;
	step = have / 16 / STEP_MIN * STEP_MIN;
	step = step < STEP_MIN ? STEP_MIN : step > STEP_MAX ? STEP_MAX : step;
	want = (end + step - 1) / step * step;
	if (want > p->nr_pages)
		want = p->nr_pages;
	if (p->back(p, have, want - have)) {
		/* Not so much at once, then: what is needed must do. */
		want = end;
		if (p->back(p, have, want - have))
			return -1;
	}
	/* release: pairs with the acquire above in another thread. */
	while (have < want &&
	       !atomic_compare_exchange_weak_explicit(&p->backed, &have, want,
		   memory_order_release, memory_order_relaxed))
		;
	return 0;
}

uint32_t seep_pool_alloc(
    struct seep_pool *p, uint32_t nr, enum seep_drop *cause)
{
	_Atomic uint64_t *next = &p->head->next_page;
	uint64_t at = atomic_load_explicit(next, memory_order_relaxed);

	do {
		if (at + nr > p->nr_pages) {
			*cause = SEEP_DROP_SEGMENT_FULL;
			return 0;
		}
		if (back_up_to(p, at + nr)) {
			*cause = SEEP_DROP_NO_MEMORY;
			return 0;
		}
	} while (!atomic_compare_exchange_weak_explicit(
	    next, &at, at + nr, memory_order_relaxed, memory_order_relaxed));
	return (uint32_t)at;
}
