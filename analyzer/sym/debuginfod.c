/* SPDX-License-Identifier: MIT */
/*
 * debuginfod.c - asks the servers of DEBUGINFOD_URLS for a debug file
 *
 * The library is opened here, when it was asked for, and nowhere linked: the
 * rest of seep cannot reach a server by accident (libdwfl could; we have none).
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

#include "analyzer/sym/debuginfod.h"

#ifdef HAVE_DEBUGINFOD
#include <elfutils/debuginfod.h>

static uint64_t end_ms;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int on_progress(debuginfod_client *client, long a, long b)
{
	(void)client, (void)a, (void)b;
	return now_ms() >= end_ms;
}

static char *find(const unsigned char *build_id, int bytes)
{
	static void *lib;
	__typeof__(debuginfod_begin) *begin;
	__typeof__(debuginfod_end) *end;
	__typeof__(debuginfod_find_debuginfo) *find_debuginfo;
	__typeof__(debuginfod_set_progressfn) *set_progress;
	debuginfod_client *client;
	char *path = NULL;
	int fd;

	if (!lib)
		lib = dlopen(DEBUGINFOD_SONAME, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return NULL;
	begin = dlsym(lib, "debuginfod_begin");
	end = dlsym(lib, "debuginfod_end");
	find_debuginfo = dlsym(lib, "debuginfod_find_debuginfo");
	set_progress = dlsym(lib, "debuginfod_set_progressfn");
	if (!begin || !end || !find_debuginfo || !set_progress)
		return NULL;
	client = begin();
	if (!client)
		return NULL;
	set_progress(client, on_progress);
	fd = find_debuginfo(client, build_id, bytes, &path);
	end(client);
	if (fd < 0)
		return NULL;
	close(fd);
	return path;
}

char *seep_debuginfod_find(
    const unsigned char *build_id, size_t bytes, uint32_t *left_ms)
{
	const char *urls = getenv(DEBUGINFOD_URLS_ENV_VAR);
	uint64_t start_ms = now_ms(), took_ms;
	char seconds[16], *path;

	if (!*left_ms || !urls || !urls[0])
		return NULL;
	end_ms = start_ms + *left_ms;
	/* Its own limit of waiting for a server that sends nothing. */
	snprintf(seconds, sizeof(seconds), "%u", *left_ms / 1000 + 1);
	setenv(DEBUGINFOD_TIMEOUT_ENV_VAR, seconds, 1);
	setenv(DEBUGINFOD_RETRY_LIMIT_ENV_VAR, "1", 1);
	setenv(DEBUGINFOD_MAXTIME_ENV_VAR, seconds, 1);
	path = find(build_id, (int)bytes);
	took_ms = now_ms() - start_ms;
	*left_ms = took_ms < *left_ms ? *left_ms - (uint32_t)took_ms : 0;
	return path;
}

#else

char *seep_debuginfod_find(
    const unsigned char *build_id, size_t bytes, uint32_t *left_ms)
{
	(void)build_id, (void)bytes, (void)left_ms;
	return NULL;
}

#endif
