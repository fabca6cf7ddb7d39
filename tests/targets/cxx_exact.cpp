/* SPDX-License-Identifier: MIT */
/*
 * Every form of operator new and delete, and what stands on them, exact under
 * whichever allocator the script chooses (D51, D20). `new` may call malloc or
 * not; a block counts once.
 */
#include "truth.h"
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

struct alignas(128) wide {
	char bytes[300];
};

struct object {
	char bytes[40];
	virtual ~object() {}
};

static void release_all()
{
	using std::align_val_t;
	void *p;

	p = CHURN(::operator new(100), 100);
	::operator delete(p);
	p = CHURN(::operator new(101), 101);
	::operator delete(p, (size_t)101);
	p = CHURN(::operator new[](102), 102);
	::operator delete[](p);
	p = CHURN(::operator new[](103), 103);
	::operator delete[](p, (size_t)103);
	p = CHURN(::operator new(104, std::nothrow), 104);
	::operator delete(p, std::nothrow);
	p = CHURN(::operator new[](105, std::nothrow), 105);
	::operator delete[](p, std::nothrow);
	p = CHURN(::operator new(256, align_val_t(64)), 256);
	::operator delete(p, align_val_t(64));
	p = CHURN(::operator new(256, align_val_t(64)), 256);
	::operator delete(p, (size_t)256, align_val_t(64));
	p = CHURN(::operator new[](512, align_val_t(128)), 512);
	::operator delete[](p, align_val_t(128));
	p = CHURN(::operator new[](512, align_val_t(128)), 512);
	::operator delete[](p, (size_t)512, align_val_t(128));
	p = CHURN(::operator new(64, align_val_t(64), std::nothrow), 64);
	::operator delete(p, align_val_t(64), std::nothrow);
	p = CHURN(::operator new[](64, align_val_t(64), std::nothrow), 64);
	::operator delete[](p, align_val_t(64), std::nothrow);
	delete (object *)CHURN(new object, sizeof(object));
	delete (wide *)CHURN(new wide, sizeof(wide));
	free(CHURN(malloc(106), 106));
}

static void keep_all()
{
	using std::align_val_t;

	KEEP(::operator new(1), 1);
	KEEP(::operator new(8), 8);
	KEEP(::operator new(24), 24);
	KEEP(::operator new[](1000), 1000);
	KEEP(::operator new(5000, std::nothrow), 5000);
	KEEP(::operator new[](50000, std::nothrow), 50000);
	KEEP(::operator new(192, align_val_t(64)), 192);
	KEEP(::operator new[](8192, align_val_t(4096)), 8192);
	KEEP(::operator new(64, align_val_t(32), std::nothrow), 64);
	KEEP(::operator new[](96, align_val_t(32), std::nothrow), 96);
	KEEP(new object, sizeof(object));
	KEEP(new wide, sizeof(wide));
	KEEP(new char[11], 11);
	KEEP(malloc(12), 12);
	KEEP(calloc(2, 13), 26);
	KEEP(realloc(nullptr, 14), 14);
	KEEP(aligned_alloc(64, 128), 128);
}

static void work()
{
	for (int i = 0; i < 200; i++) {
		keep_all();
		release_all();
		std::vector<std::string> words;
		for (int k = 0; k < 20; k++)
			words.push_back(std::string(30 + k, 'x'));
		std::vector<std::shared_ptr<object>> shared;
		for (int k = 0; k < 5; k++)
			shared.push_back(std::make_shared<object>());
	}
}

int main()
{
	std::thread other(work);

	work();
	other.join();
	truth_state();
	return 0;
}
