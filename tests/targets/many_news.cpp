/* SPDX-License-Identifier: MIT */
/*
 * Many blocks of one size from each entry point that an allocator may serve by
 * another one: a sample that gives such a block two chances has too many.
 */
#include "truth.h"
#include <malloc.h>
#include <new>

#define MANY	40000
#define ALIGNED 64

int main()
{
	using std::align_val_t;
	void *p;

	for (int i = 0; i < MANY; i++) {
		KEEP(::operator new(64), 64);
		KEEP(::operator new[](65), 65);
		KEEP(::operator new(66, std::nothrow), 66);
		KEEP(::operator new[](67, std::nothrow), 67);
		KEEP(::operator new(128, align_val_t(ALIGNED)), 128);
		KEEP(::operator new[](192, align_val_t(ALIGNED)), 192);
		KEEP(
		    ::operator new(64, align_val_t(ALIGNED), std::nothrow), 64);
		KEEP(aligned_alloc(ALIGNED, 128), 128);
		KEEP(memalign(ALIGNED, 71), 71);
		KEEP(calloc(1, 72), 72);
		KEEP(malloc(73), 73);
		KEEP((posix_memalign(&p, ALIGNED, 74) ? NULL : p), 74);
	}
	truth_state();
	return 0;
}
