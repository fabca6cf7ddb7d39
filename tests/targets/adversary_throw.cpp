// SPDX-License-Identifier: MIT
// adversary_throw.cpp - exceptions, and what allocates while one is under way
#include <exception>
#include <stdexcept>
#include <string>

#include "adversary.h"

namespace
{
struct Cleaner {
	std::string text{"longer than what fits into the object itself"};
	~Cleaner()
	{
		touch();
		if (rnd() % 4 == 0) {
			try {
				throw 7; // while another one is unwinding
			} catch (int) {
				touch();
			}
		}
	}
};

struct Error : std::runtime_error {
	using std::runtime_error::runtime_error;
	Cleaner cleaner;
};

__attribute__((noinline)) void thrower(int depth)
{
	Cleaner cleaner;

	if (depth <= 0)
		throw Error("an error that is thrown " + std::to_string(rnd()));
	thrower(depth - 1);
	touch();
}

__attribute__((noinline)) void rethrower(int depth)
{
	try {
		thrower(depth);
	} catch (const Error &e) {
		std::string copy = e.what() + std::string(" and again");

		touch();
		throw;
	}
}

__attribute__((noinline)) std::exception_ptr keeper(int depth)
{
	try {
		rethrower(depth);
	} catch (...) {
		touch();
		return std::current_exception();
	}
	return nullptr;
}
} // namespace

void through_exceptions(int depth)
{
	Cleaner cleaner;

	if (rnd() % 3 == 0) {
		try {
			std::exception_ptr kept = keeper(int(rnd() % 5));

			if (kept)
				std::rethrow_exception(kept);
		} catch (const std::exception &) {
			wander(depth / 2);
		}
	}
	wander(depth);
}
