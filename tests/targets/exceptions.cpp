/* SPDX-License-Identifier: MIT */
/*
 * bad_alloc passes through the hooks of operator new, a new_handler runs, and
 * exceptions are thrown from deep stacks between allocations (D29).
 */
#include "truth.h"
#include <cstdint>
#include <new>
#include <stdexcept>
#include <vector>

static volatile size_t huge = SIZE_MAX / 4;
static int handled;

static void on_no_memory()
{
	handled++;
	std::set_new_handler(nullptr);
	throw std::bad_alloc();
}

__attribute__((noinline)) static int descend(int level)
{
	std::vector<int> v(10 + level);

	KEEP(malloc(77), 77);
	if (!level)
		throw std::runtime_error("the bottom of a deep stack, a long text");
	return descend(level - 1) + v[0];
}

int main()
{
	int caught = 0;

	for (int i = 0; i < 100; i++) {
		try {
			truth_sink[0] = ::operator new(huge);
		} catch (std::bad_alloc &) {
			caught++;
		}
		try {
			truth_sink[0] = ::operator new[](
			    huge, std::align_val_t(64));
		} catch (std::bad_alloc &) {
			caught++;
		}
		if (::operator new(huge, std::nothrow))
			truth_die("a huge new succeeded");
		std::set_new_handler(on_no_memory);
		try {
			truth_sink[0] = new char[huge];
		} catch (std::bad_alloc &) {
			caught++;
		}
		try {
			descend(i % 20);
		} catch (std::runtime_error &) {
			caught++;
		}
	}
	if (caught != 400 || handled != 100)
		truth_die("an exception was lost");
	truth_state();
	return 0;
}
