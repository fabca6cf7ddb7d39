/* SPDX-License-Identifier: MIT */
/*
 * session.c - the life of the shim in one process: segment, hello, fork, exit
 *
 * The session starts at the first hook, which may be long before any
 * constructor, or in our constructor. It asks nobody and waits for nobody: the
 * segment is made here, its descriptors are sent in one message that the kernel
 * keeps until the collector looks, and are closed again.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/collector.h"
#include "preload/env.h"
#include "preload/frames.h"
#include "preload/history.h"
#include "preload/objects.h"
#include "preload/real.h"
#include "preload/record.h"
#include "preload/sample.h"
#include "preload/segment.h"
#include "preload/session.h"
#include "preload/sys.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#define NO_SUCH_ADVICE 9999

#define CMDLINE_MAX (16u * SEEP_PAGE)

struct seep_session seep_session;
const char *seep_session_preload;

static _Atomic uint32_t first_gate; /* until there is a page of its own */
_Atomic uint32_t *seep_gate = &first_gate;

static char preload_path[4096];

extern void *__libc_stack_end __attribute__((weak));

/* exe and command line: of /proc, or what a parent left to its child. */
struct texts {
	char *room; /* exe, then the command line */
	uint32_t exe_len, cmdline_len;
};
#define TEXTS_ROOM (SEEP_PAGE + CMDLINE_MAX)

static void read_texts(struct texts *t)
{
	long n;

	if (!t->room)
		return;
	n = seep_sys(
	    SYS_readlinkat, AT_FDCWD, "/proc/self/exe", t->room, SEEP_PAGE - 1);
	t->exe_len = n > 0 ? (uint32_t)n : 0;
	n = seep_sys_read_file(
	    "/proc/self/cmdline", t->room + t->exe_len, CMDLINE_MAX);
	t->cmdline_len = n > 0 ? (uint32_t)n : 0;
}

/* A child may see no /proc any more: it is its parent's program. */
static void inherit_texts(struct texts *t, const struct seep_pool *parent)
{
	const struct seep_header *h = parent->head;

	if (!t->room || h->exe_len > SEEP_PAGE || h->cmdline_len > CMDLINE_MAX)
		return;
	t->exe_len = h->exe_len;
	t->cmdline_len = h->cmdline_len;
	memcpy(t->room, parent->base + h->exe_at, h->exe_len);
	memcpy(
	    t->room + h->exe_len, parent->base + h->cmdline_at, h->cmdline_len);
}

static void put_texts(struct seep_pool *pool, const struct texts *t)
{
	struct seep_header *h = pool->head;
	uint32_t len = t->exe_len + t->cmdline_len, page;
	enum seep_drop cause;

	if (!len ||
	    !(page = seep_pool_alloc(pool, len / SEEP_PAGE + 1, &cause)))
		return;
	memcpy(seep_pool_page(pool, page), t->room, len);
	h->exe_at = (uint64_t)page * SEEP_PAGE;
	h->exe_len = t->exe_len;
	h->cmdline_at = h->exe_at + t->exe_len;
	h->cmdline_len = t->cmdline_len;
}

/* Our own path, for the environment of programs that this one starts. */
static void find_own_path(void)
{
	const char *list = seep_env_value("LD_PRELOAD"), *end;
	struct seep_object o;

	if (!seep_object_find((uint64_t)(uintptr_t)&seep_session_start, &o))
		return;
	/* As LD_PRELOAD names it, if it does: that may be a link. */
	while (list && *list) {
		size_t len = strcspn(list, ": ");

		end = list + len;
		if (len >= 10 && len < sizeof(preload_path) &&
		    !memcmp(end - 10, "libseep.so", 10)) {
			memcpy(preload_path, list, len);
			preload_path[len] = '\0';
			seep_session_preload = preload_path;
			return;
		}
		list = *end ? end + 1 : end;
	}
	if (strlen(o.name) < sizeof(preload_path)) {
		strcpy(preload_path, o.name);
		seep_session_preload = preload_path;
	}
}

/* Histories are stamped: a system call for each would be seen. */
static void find_clock(void)
{
	void *fn = seep_real_next("__vdso_clock_gettime");

	seep_sys_set_clock(fn ? fn : seep_real_next("__kernel_clock_gettime"));
}

static bool make_gate(void)
{
	_Atomic uint32_t *page = seep_sys_grab(SEEP_PAGE);

	if (!page)
		return false;
	/* qemu-user 7.2 takes any advice, and none of it. */
	if (seep_sys(SYS_madvise, page, SEEP_PAGE, MADV_WIPEONFORK) < 0 ||
	    seep_sys(SYS_madvise, page, SEEP_PAGE, NO_SUCH_ADVICE) == 0)
		seep_session.compare_pids = true;
	atomic_store(page, SEEP_GATE_BUSY);
	seep_gate = page;
	return true;
}

static bool start(bool forked)
{
	struct seep_session *s = &seep_session;
	struct texts texts = {seep_sys_grab(TEXTS_ROOM), 0, 0};
	uint32_t parent = (uint32_t)seep_sys(SYS_getppid);
	uint64_t parent_start = 0;
	struct seep_header *h;
	long fd;

	if (forked) {
		if (!s->pool.base)
			return false; /* the parent could not start either */
		inherit_texts(&texts, &s->pool);
		parent = s->pid; /* getppid() is another's once it has ended */
		parent_start = s->pool.head->start_ns;
		/* The parent's segment: never again from here. */
		s->head = NULL;
		seep_segment_unmap(&s->pool);
	} else {
		const char *debug = seep_env_value("SEEP_DEBUG");

		read_texts(&texts);
		seep_sys_debugging = debug && *debug == '1';
		if (!seep_objects_available() || !seep_frames_begin())
			return false;
		find_own_path();
		seep_collector_find();
		s->sample_bytes = seep_collector_sample_bytes();
		/* Histories of some of the few would say nothing. */
		s->all_histories =
		    !s->sample_bytes && seep_collector_setting("events");
		find_clock();
		if (&__libc_stack_end)
			seep_capture.main_stack_end =
			    (uint64_t)(uintptr_t)__libc_stack_end;
	}
	fd = seep_segment_map(&s->pool);
	if (fd < 0) {
		seep_sys_debug("no segment:", fd);
		return false;
	}
	h = s->pool.head;
	h->magic = SEEP_MAGIC;
	h->version = SEEP_WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->segment_bytes = s->pool.nr_pages * SEEP_PAGE;
	h->pid = s->pid = (uint32_t)seep_sys(SYS_getpid);
	h->ppid = parent;
	h->parent_start_lo = (uint32_t)parent_start;
	h->uid = (uint32_t)seep_sys(SYS_geteuid);
	h->start_ns = seep_sys_now_ns();
	s->map.pool = &s->pool;
	s->map.glibc = seep_real_is_glibc();
	atomic_store(&h->flags, (s->map.glibc ? SEEP_FLAG_GLIBC : 0) |
				    (forked ? SEEP_FLAG_FORKED : 0) |
				    (s->all_histories ? SEEP_FLAG_EVENTS : 0));
	atomic_store(&h->state, SEEP_STATE_RUNNING);
	put_texts(&s->pool, &texts);
	if (texts.room)
		seep_sys_release(texts.room, TEXTS_ROOM);
	if (!seep_tree_init(&s->tree, &s->pool, seep_sys_grab)) {
		seep_sys(SYS_close, fd);
		return false;
	}
	seep_capture.tree = &s->tree;
	seep_capture.pool = &s->pool;
	seep_record_reset();
	seep_history_start(s->all_histories);
	h->sample_bytes = s->sample_bytes;
	if (s->sample_bytes) /* no two processes with the same numbers */
		seep_sample_begin(s->sample_bytes, h->start_ns ^
						       (uint64_t)h->pid << 40 ^
						       (uint64_t)(uintptr_t)h);
	s->head = h;
	seep_collector_tell(h, (int)fd);
	seep_sys(SYS_close, fd);
	return true;
}

void seep_session_filter(void)
{
	struct seep_session *s = &seep_session;

	if (s->filtered || !seep_session_is_ours())
		return;
	seep_segment_make_quiet(&s->pool);
	s->filtered = seep_objects_no_kernel = true;
}

bool seep_session_is_ours(void)
{
	return seep_session.head &&
	       (uint32_t)seep_sys(SYS_getpid) == seep_session.pid;
}

static bool is_open(uint32_t gate)
{
	return gate == SEEP_GATE_ON || gate == SEEP_GATE_SAMPLE;
}

bool seep_session_start(void)
{
	uint32_t gate = atomic_load(seep_gate), expected = SEEP_GATE_NEW;
	bool forked = seep_gate != &first_gate;
	bool on;

	if (is_open(gate) && seep_session.compare_pids &&
	    !seep_session_is_ours())
		atomic_compare_exchange_strong(seep_gate, &gate, SEEP_GATE_NEW);
	if (is_open(atomic_load(seep_gate)))
		return true;
	if (!atomic_compare_exchange_strong(
		seep_gate, &expected, SEEP_GATE_BUSY))
		return false;
	if (!forked && !make_gate()) {
		atomic_store(seep_gate, SEEP_GATE_OFF);
		return false;
	}
	on = !seep_session.filtered && start(forked);
	/* release: pairs with the load in the hooks. */
	atomic_store(seep_gate, !on			    ? SEEP_GATE_OFF
				: seep_session.sample_bytes ? SEEP_GATE_SAMPLE
							    : SEEP_GATE_ON);
	return on;
}
