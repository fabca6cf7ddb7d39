/* SPDX-License-Identifier: MIT */
/*
 * oracle.c - every captured stack against libunwind's (the check build only)
 *
 * Three walks of each stack: the path of the node that the capture gave, from
 * the call tree as a reader of the segment sees it; a walk by rules without any
 * memory; and libunwind's. unw_backtrace() keeps what it found out about a pc,
 * as we do, and is quick enough to be asked each time. Where a node is new to a
 * thread, after code was unloaded, and wherever the two differ, unw_step()
 * interprets the CFA program of each frame anew.
 *
 * libunwind goes on where there is no CFI: it takes the code for a PLT entry or
 * the frame pointer for a frame chain. That is a guess; our stacks end there.
 */
#define UNW_LOCAL_ONLY
#include <fcntl.h>
#include <libunwind.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/cfi.h"
#include "preload/env.h"
#include "preload/frames.h"
#include "preload/oracle.h"
#include "preload/sys.h"
#include "preload/unw.h"
#include "wire/read.h"

#undef seep_frames_capture
#undef seep_frames_capture_nested

#define MAX_FRAMES (1u << 17)
#define SHOWN	   50u /* differences that are written down */
#define EXACT	   (1ull << 63)

/* A stack: pcs from the allocating function outwards. */
struct walk {
	uint32_t nr;
	bool cut;
	uint64_t pc[MAX_FRAMES];
};

struct state {
	struct seep_reader reader;
	uint32_t pid;	      /* whose segment the reader knows */
	uint32_t newest_node; /* that libunwind has stepped through */
	bool busy;
	struct walk path, fresh, unw;
};

static struct {
	int (*getcontext)(unw_context_t *);
	int (*init_local)(unw_cursor_t *, unw_context_t *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*backtrace)(void **, int);
	void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
	unw_addr_space_t *local;
} unw;

static bool bind(void *lib)
{
	return SEEP_UNW_BIND(lib, unw.getcontext, unw_tdep_getcontext) &&
	       SEEP_UNW_BIND(lib, unw.init_local, unw_init_local) &&
	       SEEP_UNW_BIND(lib, unw.step, unw_step) &&
	       SEEP_UNW_BIND(lib, unw.get_reg, unw_get_reg) &&
	       SEEP_UNW_BIND(lib, unw.backtrace, unw_backtrace) &&
	       SEEP_UNW_BIND(lib, unw.flush_cache, unw_flush_cache) &&
	       SEEP_UNW_BIND(lib, unw.local, unw_local_addr_space);
}

static __thread struct state *self;
static struct seep_oracle_sums *sums;
static char text_path[4096];

static void count(enum seep_oracle_sum what, uint64_t n)
{
	atomic_fetch_add_explicit(&sums->of[what], n, memory_order_relaxed);
}

/* ---- the three walks --------------------------------------------------- */

static int read_mapped(void *base, uint64_t off, void *buf, size_t len)
{
	memcpy(buf, (char *)base + off, len);
	return 0;
}

static bool know_segment(struct state *s)
{
	struct seep_pool *pool = seep_capture.pool;

	if (s->pid == pool->head->pid && s->reader.ctx == pool->base)
		return seep_reader_refresh(&s->reader) == SEEP_READ_OK;
	s->pid = pool->head->pid;
	s->newest_node = 0;
	return seep_reader_init(&s->reader, read_mapped, pool->base,
		   pool->nr_pages * SEEP_PAGE) == SEEP_READ_OK;
}

static bool node_at(struct state *s, uint32_t id, struct seep_node *n)
{
	uint32_t got;

	/* The reader's copy of the header may be older than the node. */
	for (int again = 0; again < 2; again++) {
		if (seep_read_nodes(&s->reader, id, n, 1, &got) ==
			SEEP_READ_OK &&
		    got == 1 && n->kind_module)
			return true;
		if (!know_segment(s))
			return false;
	}
	return false;
}

static bool bias_of(struct state *s, uint32_t module, uint64_t *bias)
{
	struct seep_module_rec rec;
	char path[1];

	for (int again = 0; again < 2; again++) {
		if (seep_read_module(&s->reader, module, &rec, path,
			sizeof(path)) == SEEP_READ_OK) {
			*bias = rec.bias;
			return true;
		}
		if (!know_segment(s))
			return false;
	}
	return false;
}

static bool walk_tree(struct state *s, uint32_t node, struct walk *w)
{
	w->nr = 0;
	w->cut = false;
	while (node && w->nr < MAX_FRAMES) {
		struct seep_node n;
		uint64_t bias = 0;

		if (!node_at(s, node, &n))
			return false;
		switch (seep_node_kind(n.kind_module)) {
		case SEEP_NODE_TRUNCATED:
			w->cut = true;
			return true;
		case SEEP_NODE_NATIVE:
			if (!bias_of(s, seep_node_module(n.kind_module), &bias))
				return false;
		}
		w->pc[w->nr++] = bias + n.offset;
		node = n.parent;
	}
	return true;
}

/* Not in the shim's own code, which is innermost for libunwind. */
static bool is_ours(uint64_t pc)
{
	static struct seep_object own;

	if (!own.end)
		seep_object_find((uint64_t)(uintptr_t)&seep_oracle_ask, &own);
	return pc >= own.start && pc < own.end;
}

/* Called from the frame whose callers are asked for. */
static inline __attribute__((always_inline)) void unwind_quickly(struct walk *w)
{
	uint32_t own = 0;
	int nr = unw.backtrace((void **)w->pc, MAX_FRAMES);

	w->nr = nr > 0 ? (uint32_t)nr : 0;
	while (own < w->nr && is_ours(w->pc[own]))
		own++;
	w->nr -= own;
	memmove(w->pc, w->pc + own, w->nr * sizeof(w->pc[0]));
}

static inline __attribute__((always_inline)) void unwind_by_steps(
    struct walk *w)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t pc;

	w->nr = 0;
	unw.flush_cache(*unw.local, 0, 0);
	unw.getcontext(&context);
	if (unw.init_local(&cursor, &context) < 0)
		return;
	while (w->nr < MAX_FRAMES && unw.step(&cursor) > 0) {
		if (unw.get_reg(&cursor, UNW_REG_IP, &pc) < 0 || !pc)
			return;
		if (w->nr || !is_ours(pc))
			w->pc[w->nr++] = pc;
	}
}

/* ---- differences ------------------------------------------------------- */

/* The frames that both have, from the innermost on. */
static uint32_t in_common(const struct walk *a, const struct walk *b)
{
	uint32_t i = 0;

	while (i < a->nr && i < b->nr && a->pc[i] == b->pc[i])
		i++;
	return i;
}

static bool same(const struct walk *a, const struct walk *b)
{
	return a->nr == b->nr && in_common(a, b) == a->nr;
}

static void print_pc(char *buf, size_t size, const struct walk *w, uint32_t i)
{
	struct seep_object o;
	const char *name;

	buf[0] = '\0';
	if (i >= w->nr)
		return;
	if (!seep_object_find(w->pc[i] - 1, &o)) {
		snprintf(buf, size, "%#lx", (unsigned long)w->pc[i]);
		return;
	}
	name = strrchr(o.name, '/');
	snprintf(buf, size, "%.20s+%#lx", name ? name + 1 : o.name,
	    (unsigned long)(w->pc[i] - o.bias));
}

/* From two frames before the first difference to a few behind it. */
static void show(const struct state *s, const char *what, uint32_t at)
{
	static _Atomic uint32_t shown;
	char text[2048], a[64], b[64], c[64];
	uint32_t i = at > 2 ? at - 2 : 0;
	long fd;
	int n;

	if (atomic_fetch_add(&shown, 1) >= SHOWN)
		return;
	n = snprintf(text, sizeof(text),
	    "%s: pid %u frame %u of %u%s, fresh %u%s, libunwind %u\n", what,
	    s->pid, at, s->path.nr, s->path.cut ? " (cut)" : "", s->fresh.nr,
	    s->fresh.cut ? " (cut)" : "", s->unw.nr);
	for (uint32_t end = at + 6; i < end; i++) {
		print_pc(a, sizeof(a), &s->path, i);
		print_pc(b, sizeof(b), &s->fresh, i);
		print_pc(c, sizeof(c), &s->unw, i);
		if (a[0] || b[0] || c[0])
			n += snprintf(text + n, sizeof(text) - (size_t)n,
			    "  %3u  %-32s %-32s %s\n", i, a, b, c);
	}
	fd = seep_sys(SYS_openat, AT_FDCWD, text_path,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	seep_sys(SYS_write, fd, text, n);
	seep_sys(SYS_close, fd);
}

/* Where the walk by rules was cut: why? */
static enum seep_oracle_sum why_cut(const struct walk *w, bool exact)
{
	uint64_t pc = w->nr ? w->pc[w->nr - 1] : 0;

	switch (seep_rule_kind(seep_cfi_rule(pc - !exact))) {
	case SEEP_RULE_NONE:
		return SEEP_ORACLE_NO_CFI;
	case SEEP_RULE_COMPLEX:
		return SEEP_ORACLE_FALLBACK;
	default:
		return SEEP_ORACLE_OFF;
	}
}

/* Is ours the beginning of libunwind's? */
static bool begins(const struct state *s)
{
	return in_common(&s->path, &s->unw) == s->path.nr;
}

static bool agree(const struct state *s)
{
	return same(&s->path, &s->unw) || (s->path.cut && begins(s));
}

static void judge(struct state *s, bool exact_end)
{
	uint32_t at = in_common(&s->path, &s->unw);

	if (s->path.cut && s->path.nr < s->fresh.nr &&
	    in_common(&s->path, &s->fresh) == s->path.nr) {
		count(SEEP_ORACLE_ROOM, 1);
	} else if (!same(&s->path, &s->fresh) || s->path.cut != s->fresh.cut) {
		count(SEEP_ORACLE_FRESH, 1);
		show(s, "memory", in_common(&s->path, &s->fresh));
	}
	if (s->fresh.cut && s->path.cut && begins(s)) {
		enum seep_oracle_sum why = why_cut(&s->fresh, exact_end);

		if (why == SEEP_ORACLE_NO_CFI && s->unw.nr > s->path.nr)
			why = SEEP_ORACLE_GUESSED;
		count(why, 1);
		if (why != SEEP_ORACLE_NO_CFI)
			show(s, "cut", at);
	} else if (at == s->unw.nr && s->path.nr > at) {
		count(SEEP_ORACLE_SHORTER, 1);
		show(s, "libunwind stopped", at);
	} else if (!agree(s)) {
		count(SEEP_ORACLE_WRONG, 1);
		show(s, "mismatch", at);
	}
}

/* ---- asking ------------------------------------------------------------ */

static __attribute__((noinline)) void compare(
    struct state *s, uint32_t node, void **frame)
{
	uint32_t unloads =
	    atomic_load_explicit(&seep_code_epoch, memory_order_relaxed);
	bool exact_end, stepped = unloads || node > s->newest_node;

	if (node == SEEP_NODE_FULL || !know_segment(s) ||
	    !walk_tree(s, node, &s->path)) {
		count(SEEP_ORACLE_FULL, 1);
		return;
	}
	if (!seep_unw_ready("libunwind.so.8", bind, s->path.pc, s->path.nr)) {
		count(SEEP_ORACLE_EARLY, 1);
		return;
	}
	count(SEEP_ORACLE_STACKS, 1);
	count(SEEP_ORACLE_FRAMES, s->path.nr);
	s->fresh.nr =
	    seep_frames_walk(frame, s->fresh.pc, MAX_FRAMES, &s->fresh.cut);
	exact_end = s->fresh.nr && s->fresh.pc[s->fresh.nr - 1] & EXACT;
	for (uint32_t i = 0; i < s->fresh.nr; i++)
		s->fresh.pc[i] &= ~EXACT;
	if (!stepped) {
		unwind_quickly(&s->unw);
		if (!agree(s)) {
			unwind_by_steps(&s->unw);
			if (agree(s))
				count(SEEP_ORACLE_STALE, 1);
		}
	} else {
		unwind_by_steps(&s->unw);
		count(SEEP_ORACLE_STEPPED, 1);
		if (node > s->newest_node)
			s->newest_node = node;
	}
	judge(s, exact_end);
}

static void open_sums(const char *path)
{
	long fd, at;

	fd = seep_sys(
	    SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	seep_sys(SYS_ftruncate, fd, sizeof(*sums));
	at = seep_sys(SYS_mmap, NULL, sizeof(*sums), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	seep_sys(SYS_close, fd);
	if (at < 0 && at > -4096)
		return;
	snprintf(text_path, sizeof(text_path), "%s.txt", path);
	sums = (void *)at;
}

/* At the first capture: the session has just been started by one thread. */
static bool begin(void)
{
	static _Atomic bool begun;
	const char *path;

	if (!atomic_exchange(&begun, true)) {
		path = seep_env_value("SEEP_CHECK_FILE");
		if (path)
			open_sums(path);
	}
	return sums != NULL;
}

uint32_t seep_oracle_ask(uint32_t node, void **frame)
{
	uint64_t all = ~0ull, before;

	if (!begin())
		return node;
	if (self && self->busy) {
		count(SEEP_ORACLE_OWN, 1);
		return node;
	}
	seep_sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
	if (!self)
		self = seep_sys_grab(sizeof(*self));
	if (self) {
		self->busy = true;
		compare(self, node, frame);
		self->busy = false;
	}
	seep_sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
	return node;
}
