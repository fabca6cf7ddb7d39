/* SPDX-License-Identifier: MIT */
/* Opens a plugin that only the program's own RUNPATH finds (D24). */
#include "truth.h"
#include <dlfcn.h>

int main(void)
{
	void *handle = dlopen("libfound_by_runpath.so", RTLD_NOW);
	void *(*get)(size_t);

	if (!handle)
		truth_die(dlerror());
	get = (void *(*)(size_t))dlsym(handle, "plugin_allocate");
	truth_sink[0] = get(777);
	truth_expect("leak", 1, 777, *(char **)dlsym(handle, "plugin_file"),
	    *(int *)dlsym(handle, "plugin_line"));
	if (dlopen("libnowhere_at_all.so", RTLD_NOW))
		truth_die("found what does not exist");
	return 0;
}
