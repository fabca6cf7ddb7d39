// SPDX-License-Identifier: MIT
// sym_names.cpp - templates, namespaces and lambdas, for the tests of names
#include <cstdlib>
#include <string>

void *volatile sink;

namespace app
{
namespace
{
struct hidden {
	__attribute__((noinline)) void *get(int n)
	{
		sink = malloc(n); /* at: hidden */
		return sink;
	}
};
} // namespace

template <typename T> struct box {
	__attribute__((noinline)) void put(const T &t, int n)
	{
		auto f = [&t](int k) __attribute__((noinline))
		{
			sink = malloc(sizeof(t) + k); /* at: lambda */
			sink = nullptr;
		};
		f(n);
		sink = nullptr;
	}
};
} // namespace app

int main(int argc, char **)
{
	app::box<std::string>().put("text", argc);
	app::hidden().get(argc);
	return 0;
}
