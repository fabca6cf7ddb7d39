/* SPDX-License-Identifier: MIT */
/*
 * frames_unw.c - the stack of the current allocation, walked by libunwind
 *
 * For CPUs that have no rules, in the place of cfi.c and frames.c. Each capture
 * walks the whole stack and looks up each frame: about 1 us a frame, most of it
 * for libunwind's blocking of signals.
 *
 * What libunwind does inside malloc has to be harmless there:
 * - dl_iterate_phdr() is never called: it waits for a thread that is in
 *   dlopen() and allocates. libunwind's local library would call it, so it is
 *   the general one that is used, in which finding unwind information is a
 *   callback: ours asks _dl_find_object().
 * - It reads memory through a callback, too. Ours tries a page before reading
 *   it, without a signal: wrong unwind information ends a stack.
 * - Without unwind information it would guess. It is told to stop.
 * - It takes locks of its own, around a few instructions that call nobody. A
 *   child of fork() must not find one taken: the fork waits until no thread is
 *   in here, and who comes meanwhile waits for the fork. A child of a raw
 *   clone() that finds some there does without.
 * - Handlers that allocate while we are in here would come back: signals are
 *   blocked meanwhile.
 * - It opens a pipe that it then never uses: closed again.
 */
#include <errno.h>
#include <libunwind.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "preload/frames.h"
#include "preload/session.h"
#include "preload/sys.h"
#include "preload/unw.h"

/* Frames of a stack; what is further out is cut off. A handler's stack may be
 * small, and it has no memory to itself. */
#define ROOM	     (1u << 14)
#define NESTED_ROOM  128u
#define PAGES	     8u
#define CACHED_PCS   (1u << 13)
#define FORK_WAIT_NS 1000000000ull

struct seep_capture seep_capture;
_Atomic uint32_t seep_code_epoch;
__thread bool seep_frames_own;

/* Threads that are in libunwind now; forks that keep them out; and images that
 * are being unloaded. */
static _Atomic uint32_t inside, closed, closing;
static __thread bool forking, alone; /* ... once nobody is inside */

/* ---- libunwind --------------------------------------------------------- */

#define LIBRARY	     "libunwind-" SEEP_UNW_NAME(UNW_TARGET) ".so.8"
#define search_table UNW_OBJ(dwarf_search_unwind_table)
typedef int search_fn(unw_addr_space_t, unw_word_t, unw_dyn_info_t *,
    unw_proc_info_t *, int, void *);

static struct {
	int (*init_local)(unw_cursor_t *, unw_context_t *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*is_signal_frame)(unw_cursor_t *);
	int (*set_policy)(unw_addr_space_t, unw_caching_policy_t);
	int (*set_size)(unw_addr_space_t, size_t, int);
	void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
	unw_accessors_t *(*get_accessors)(unw_addr_space_t);
	search_fn *search;
	unw_addr_space_t *local;
	int (*getcontext)(unw_context_t *); /* where it is a function */
} unw;

/* These do it in place. */
#if defined(__aarch64__) || defined(__arm__) || defined(__powerpc__)
#define get_context(context) unw_getcontext(context)
#define FIND_GETCONTEXT(lib) true
#else
#define get_context(context) unw.getcontext(context)
#define FIND_GETCONTEXT(lib)                                                   \
	SEEP_UNW_BIND(lib, unw.getcontext, unw_tdep_getcontext)
#endif

/* What the callbacks know of the walk under way. */
static __thread struct {
	uintptr_t page[PAGES]; /* can be read */
	bool at_entry; /* it has come to where the program was entered */
} walk;

/* The tables behind .eh_frame_hdr, as every linker writes it: version 1, a
 * pointer of four bytes, the number of functions, pairs of offsets. */
static int find_proc_info(unw_addr_space_t as, unw_word_t ip,
    unw_proc_info_t *info, int need, void *arg)
{
	unw_dyn_info_t table = {.format = UNW_INFO_FORMAT_REMOTE_TABLE};
	struct seep_object o;
	const uint8_t *hdr;
	uint32_t nr;
	int ret;

	/* Not "no information", after which it would guess. */
	if (!seep_object_find(ip, &o))
		return -UNW_ESTOPUNWIND;
	walk.at_entry = strstr(o.name, "/ld") && strstr(o.name, ".so");
	hdr = o.eh_frame_hdr;
	if (!hdr || hdr[0] != 1 || (hdr[1] & 7) != 3 || hdr[2] != 3 ||
	    hdr[3] != 0x3b)
		return -UNW_ESTOPUNWIND;
	memcpy(&nr, hdr + 8, sizeof(nr));
	table.start_ip = o.start;
	table.end_ip = o.end;
	table.u.rti.segbase = (uintptr_t)hdr;
	table.u.rti.table_data = (uintptr_t)hdr + 12;
	table.u.rti.table_len = nr * 8ul / sizeof(unw_word_t);
	ret = unw.search(as, ip, &table, info, need, arg);
	if (ret < 0)
		return -UNW_ESTOPUNWIND;
	walk.at_entry = false;
	return 0;
}

static int no_dynamic_info(unw_addr_space_t as, unw_word_t *list, void *arg)
{
	(void)as;
	(void)list;
	(void)arg;
	return -UNW_ENOINFO;
}

/* The kernel reads the set of signals before it finds the request wrong. */
static bool can_read(uintptr_t at)
{
	uintptr_t page = at & ~(uintptr_t)(SEEP_PAGE - 1);
	uintptr_t *known = &walk.page[page / SEEP_PAGE % PAGES];

	if (*known == page)
		return true;
	if (seep_sys(SYS_rt_sigprocmask, -1, page, NULL, 8) == -EFAULT)
		return false;
	*known = page;
	return true;
}

static int access_mem(
    unw_addr_space_t as, unw_word_t at, unw_word_t *word, int write, void *arg)
{
	(void)as;
	(void)arg;
	if (write || !can_read(at) || !can_read(at + sizeof(*word) - 1))
		return -UNW_EINVAL;
	memcpy(word, (void *)(uintptr_t)at, sizeof(*word));
	return 0;
}

static bool bind_all(void *lib)
{
	return FIND_GETCONTEXT(lib) &&
	       SEEP_UNW_BIND(lib, unw.init_local, unw_init_local) &&
	       SEEP_UNW_BIND(lib, unw.step, unw_step) &&
	       SEEP_UNW_BIND(lib, unw.get_reg, unw_get_reg) &&
	       SEEP_UNW_BIND(lib, unw.is_signal_frame, unw_is_signal_frame) &&
	       SEEP_UNW_BIND(lib, unw.set_policy, unw_set_caching_policy) &&
	       SEEP_UNW_BIND(lib, unw.set_size, unw_set_cache_size) &&
	       SEEP_UNW_BIND(lib, unw.flush_cache, unw_flush_cache) &&
	       SEEP_UNW_BIND(lib, unw.get_accessors, unw_get_accessors) &&
	       SEEP_UNW_BIND(lib, unw.search, search_table) &&
	       SEEP_UNW_BIND(lib, unw.local, unw_local_addr_space);
}

/* Are these two the ends of one pipe? */
static bool is_pipe(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && S_ISFIFO(x.st_mode) &&
	       x.st_ino == y.st_ino;
}

/* Its first call, which opens a pipe at the lowest free numbers. */
static void initialize(void)
{
	int ends[2];

	if (seep_sys(SYS_pipe2, ends, 0) == 0) {
		seep_sys(SYS_close, ends[0]);
		seep_sys(SYS_close, ends[1]);
	} else {
		ends[0] = -1;
	}
	unw.set_policy(*unw.local, UNW_CACHE_GLOBAL);
	unw.set_size(*unw.local, CACHED_PCS, 0);
	if (ends[0] >= 0 && is_pipe(ends[0], ends[1])) {
		seep_sys(SYS_close, ends[0]);
		seep_sys(SYS_close, ends[1]);
	}
}

/* Waits, but not for ever, until nobody holds that word. */
static bool await_none(const _Atomic uint32_t *word)
{
	uint64_t until = seep_sys_now_ns() + FORK_WAIT_NS;

	while (atomic_load(word)) {
		if (seep_sys_now_ns() > until)
			return false;
		sched_yield();
	}
	return true;
}

static void fork_begins(void)
{
	forking = true;
	atomic_fetch_add(&closed, 1);
	alone = await_none(&inside);
}

static void fork_ended(void)
{
	atomic_fetch_sub(&closed, 1);
	forking = false;
}

static void fork_ended_in_child(void)
{
	/* Without the threads that counted themselves or were forking, too. */
	if (alone)
		atomic_store(&inside, 0);
	atomic_store(&closed, 0);
	forking = false;
}

static bool bind(void *lib)
{
	unw_accessors_t *a;

	if (!bind_all(lib) ||
	    pthread_atfork(fork_begins, fork_ended, fork_ended_in_child))
		return false;
	initialize();
	a = unw.get_accessors(*unw.local);
	a->find_proc_info = find_proc_info;
	a->get_dyn_info_list_addr = no_dynamic_info;
	a->access_mem = access_mem;
	return true;
}

/* Opens libunwind, if that is possible in an allocation called from pc. */
static bool ready_at(uint64_t pc)
{
	bool ready;

	seep_frames_own = true;
	ready = seep_unw_ready(LIBRARY, bind, &pc, 1);
	seep_frames_own = false;
	return ready;
}

/* At the latest now: the program's first allocation may be a handler's. */
static __attribute__((constructor)) void open_early(void)
{
	ready_at((uintptr_t)open_early);
}

/* Ready, and nobody may fork until leave(). Signals are blocked. */
static bool enter(void **frame)
{
	static _Atomic uint32_t pid; /* in whose children `usable` is decided */
	static _Atomic bool usable;

	if (seep_session.filtered || !ready_at(seep_caller_pc(frame)))
		return false;
	if (atomic_load(&pid) != seep_session.pid) {
		/* Threads that were inside are not here any more, but what they
		 * had locked is locked. */
		atomic_store(&usable, atomic_load(&inside) == 0);
		atomic_store(&pid, seep_session.pid);
	}
	if (!atomic_load(&usable))
		return false;
	for (;;) {
		atomic_fetch_add(&inside, 1);
		if (!atomic_load(&closed))
			return true;
		atomic_fetch_sub(&inside, 1);
		/* The allocator waits as well while its process forks. */
		if (forking || !await_none(&closed))
			return false;
	}
}

static void leave(void)
{
	atomic_fetch_sub(&inside, 1);
}

/* ---- walks ------------------------------------------------------------- */

struct stack {
	uint64_t *pc; /* bit 63: an interrupted pc */
	uint32_t nr, room;
	bool cut;
};

static bool is_ours(uint64_t pc)
{
	extern const char __ehdr_start[],
	    _end[] __attribute__((visibility("hidden")));

	return pc - (uintptr_t)__ehdr_start <
	       (uintptr_t)_end - (uintptr_t)__ehdr_start;
}

static __attribute__((noinline)) void walk_stack(struct stack *s)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t pc;
	int more;

	memset(&walk, 0, sizeof(walk));
	if (atomic_load(&closing))
		unw.flush_cache(*unw.local, 0, 0);
	get_context(&context);
	if (unw.init_local(&cursor, &context) < 0)
		return;
	for (;;) {
		/* A signal's frame returns to what it interrupted. */
		bool exact = unw.is_signal_frame(&cursor) > 0;

		more = unw.step(&cursor);
		if (more <= 0)
			break;
		if (unw.get_reg(&cursor, UNW_REG_IP, &pc) < 0 || !pc) {
			more = 0;
			break;
		}
		if (!s->nr && is_ours(pc))
			continue;
		if (s->nr == s->room)
			break;
		s->pc[s->nr++] = pc | (uint64_t)exact << 63;
	}
	s->cut = more && !walk.at_entry;
}

static uint32_t node_below(uint32_t parent, uint64_t pc, bool exact)
{
	uint64_t at = pc - !exact, offset = pc & 0xffffffffffffull;
	uint32_t kind = seep_node_pack(SEEP_NODE_UNKNOWN, exact, 0), module;
	struct seep_object o;

	if (seep_object_find(at, &o) && !((pc - o.bias) >> 32)) {
		module = seep_object_module(seep_capture.pool, &o);
		if (module != SEEP_NO_MODULE) {
			kind = seep_node_pack(SEEP_NODE_NATIVE, exact, module);
			offset = pc - o.bias;
		}
	}
	return seep_tree_child(seep_capture.tree, parent, kind, offset);
}

static uint32_t capture(uint64_t *pcs, uint32_t room, void **frame)
{
	struct stack s = {pcs, 0, room, true};
	uint64_t all = ~0ull, before;
	uint32_t node = 0;

	if (!seep_session.filtered)
		seep_sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
	if (enter(frame)) {
		walk_stack(&s);
		leave();
	}
	if (!seep_session.filtered)
		seep_sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
	if (s.nr == room)
		atomic_fetch_add_explicit(
		    &seep_capture.pool->head->drops[SEEP_DROP_TRUNCATED], 1,
		    memory_order_relaxed);
	if (!s.nr)
		s.pc[s.nr++] = seep_caller_pc(frame);
	if (s.cut)
		node = seep_tree_child(seep_capture.tree, 0,
		    seep_node_pack(SEEP_NODE_TRUNCATED, 0, 0), 0);
	while (s.nr-- > 0)
		node = node_below(
		    node, s.pc[s.nr] & ~(1ull << 63), s.pc[s.nr] >> 63);
	return node;
}

uint32_t seep_frames_capture(struct seep_frames *f, void **frame)
{
	return capture(f->pcs, ROOM, frame);
}

uint32_t seep_frames_capture_nested(void **frame)
{
	uint64_t pcs[NESTED_ROOM];

	return capture(pcs, NESTED_ROOM, frame);
}

/* ---- what frames.c keeps and we do not --------------------------------- */

bool seep_frames_begin(void)
{
	return true;
}

bool seep_frames_init(struct seep_frames *f)
{
	f->pcs = seep_sys_grab(ROOM * sizeof(*f->pcs));
	return f->pcs != NULL;
}

void seep_frames_end(struct seep_frames *f)
{
	if (f->pcs)
		seep_sys_release(f->pcs, ROOM * sizeof(*f->pcs));
}

void seep_frames_unload_begin(void)
{
	atomic_fetch_add(&closing, 1);
}

void seep_frames_unload_end(void)
{
	if (unw.flush_cache)
		unw.flush_cache(*unw.local, 0, 0);
	atomic_fetch_sub(&closing, 1);
}
