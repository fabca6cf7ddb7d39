/* SPDX-License-Identifier: MIT */
/*
 * dlopen_storm PLUGIN...: plugins come and go at the same addresses, while
 * threads allocate and unwind; names outlive dlclose (D2, D3, L9).
 */
#include "truth.h"
#include <dlfcn.h>
#include <pthread.h>

#define THREADS 3
#define ROUNDS	60

static int stop;

static void *allocate(void *unused)
{
	(void)unused;
	for (int i = 0; i < 400; i++)
		KEEP(malloc(48), 48);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 100; i++)
			free(CHURN(malloc(10 + i), 10 + i));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long blocks[8] = {0}, bytes[8] = {0};
	static char files[8][256];
	int lines[8] = {0};
	pthread_t threads[THREADS];
	void *base[8] = {0};
	int reused = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, allocate, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		int which = i % (argc - 1);
		void *handle = dlopen(argv[1 + which], RTLD_NOW);
		void *(*get)(size_t);

		if (!handle)
			truth_die(dlerror());
		get = (void *(*)(size_t))dlsym(handle, "plugin_allocate");
		if (!get)
			truth_die("no plugin_allocate");
		base[which] = (void *)get;
		for (int k = 0; k < argc - 1; k++) {
			if (k != which && base[k] &&
			    (unsigned long)base[k] >> 12 ==
				(unsigned long)get >> 12)
				reused++;
		}
		for (int k = 0; k < 5; k++) {
			truth_sink[0] = get(640 + which);
			if (!truth_sink[0])
				truth_die("plugin_allocate");
		}
		free(get(10000));
		blocks[which] += 5;
		bytes[which] += 5 * (640 + which);
		lines[which] = *(int *)dlsym(handle, "plugin_line");
		snprintf(files[which], sizeof(files[which]), "%s",
		    *(char **)dlsym(handle, "plugin_file"));
		if (dlclose(handle))
			truth_die("dlclose");
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < argc - 1; i++) {
		truth_expect("leak", blocks[i], bytes[i], files[i], lines[i]);
		truth_expect("total", blocks[i], bytes[i], files[i], 0);
	}
	truth_state();
	printf("%s\n", reused ? "addresses were reused" : "no reuse");
	return 0;
}
