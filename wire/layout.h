/* SPDX-License-Identifier: MIT */
/*
 * layout.h - the segment: every shared struct, byte offset and limit
 *
 * One memfd per traced process. The shim in the process writes it, the
 * collector reads it, also after the process is gone. It is a pool of 4 KiB
 * pages, handed out from the front and never given back: page 0 is the header,
 * everything else hangs on it by page number. A page that was handed out is
 * backed by memory; the rest of the file is a hole that nobody touches.
 *
 * Threads:  fields marked _Atomic may be read while they are written.
 * Signals:  see the modules that own each part.
 * Memory:   plain data, no pointers: offsets and page numbers only.
 * Trust:    the reader takes nothing here for granted: every page number,
 *           count and length is checked against the size of the file.
 * Units:    pages are SEEP_PAGE bytes; times are CLOCK_MONOTONIC nanoseconds.
 * Errors:   none.
 */
#ifndef SEEP_WIRE_LAYOUT_H
#define SEEP_WIRE_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SEEP_MAGIC	  0x3147455350454553ull /* "SEEPSEG1" */
#define SEEP_WIRE_VERSION 2u
#define SEEP_PAGE	  4096u

/* ---- the live map (map.h) ---------------------------------------------- */

/*
 * Where a block's word lies follows from its address and its size:
 *   SMALL  32-byte granules, an 8-byte word: requests of 17 to 1023 bytes at
 *          16-aligned addresses, and all below 1024 where the next malloc is
 *          glibc's, whose blocks lie at least 32 bytes apart.
 *   TINY   8-byte granules, an 8-byte word: the rest below 1024 bytes.
 *   list   a 16-byte slot in the list of the region, 16 KiB of addresses, where
 *          the block begins: requests of 1 KiB up to 4 GiB, of which at most
 *          16 begin in a region; and sampled blocks of any size below 4 GiB at
 *          16-aligned addresses.
 *   HUGE   2 GiB granules, a 16-byte slot: requests of 4 GiB and more.
 * In a tier, which is any of these but the lists, no two live blocks share a
 * granule: a place belongs to an address. A slot of a list belongs to its
 * region, and is for whoever takes it first while it is free.
 */
#define SEEP_TIER_SMALL 0
#define SEEP_TIER_TINY	1
#define SEEP_TIER_HUGE	2
#define SEEP_NR_TIERS	3
#define SEEP_LARGE_MIN	(1ull << 10)
#define SEEP_HUGE_MIN	(1ull << 32)
#define SEEP_ADDR_BITS	48

/*
 * The word, from bit 0: offset 1, size 10, node 28, epoch 23, watched 1,
 * present 1.
 * SMALL: offset is bit 4 of the address, size the requested bytes. TINY: the
 * offset bit is 0. In a slot, offset and size together are 11 bits of the
 * block's offset, see struct seep_large. A watched block is one whose history
 * is recorded (history.h): its free has to be told, too.
 */
#define SEEP_WORD_PRESENT  (1ull << 63)
#define SEEP_WORD_WATCHED  (1ull << 62)
#define SEEP_NODE_BITS	   28
#define SEEP_EPOCH_BITS	   23
#define SEEP_NODE_MAX	   ((1u << SEEP_NODE_BITS) - 1)
#define SEEP_EPOCH_MAX	   ((1u << SEEP_EPOCH_BITS) - 1)
#define SEEP_EPOCH_WATCHED (1u << SEEP_EPOCH_BITS) /* beside an epoch */

static inline uint64_t seep_word_make(
    uint32_t low11, uint32_t node, uint32_t epoch)
{
	return SEEP_WORD_PRESENT | (uint64_t)epoch << 39 |
	       (uint64_t)node << 11 | low11;
}

static inline uint32_t seep_word_low11(uint64_t w)
{
	return w & 0x7ff;
}

static inline uint32_t seep_word_node(uint64_t w)
{
	return w >> 11 & SEEP_NODE_MAX;
}

static inline uint32_t seep_word_epoch(uint64_t w)
{
	return w >> 39 & SEEP_EPOCH_MAX;
}

/* The word of a slot of a list that somebody is about to fill. */
#define SEEP_WORD_TAKEN 1ull

/*
 * A slot. Offsets are in units of 16 bytes. Written `info` first, `word` last
 * (release), or both before it is linked (release); cleared by `word`.
 *
 * In a list: the word has the block's offset in its region, `info` the size
 * and, above it, the index of the next slot, or SEEP_LIST_END. That half is
 * written before the slot is linked and never changes: slots are reused, and
 * never unlinked. The index of a slot is its byte offset in the segment / 16.
 *
 * HUGE: the offset in the granule has 27 bits, the low 16 in `info` above the
 * size, the high 11 in the word.
 */
struct seep_large {
	_Atomic uint64_t word;
	_Atomic uint64_t info; /* from bit 0: size, then next or offset */
};

#define SEEP_LIST_END	    1u /* page 0 has no slots */
#define SEEP_SLOTS_PER_PAGE 256u
/*
 * At most 1024 blocks begin in a region. A slot is lost for ever if its thread
 * ends, or jumps out of a handler, while it fills it. Writers add no slot to a
 * list that has SEEP_LIST_FULL, but several at once may exceed it by their
 * number; the reader takes a list of more than SEEP_LIST_MAX for damage.
 */
#define SEEP_LIST_FULL 2048u
#define SEEP_LIST_MAX  4096u

/*
 * The directory of a tier is a radix tree over address >> cover shift, of at
 * most three levels of 11 bits, the root taking what is left. Inner nodes hold
 * 32-bit page numbers.
 *
 * The leaves of SMALL hold a 64-bit entry per region, with all that a free
 * needs to find its block without its size. From bit 0: page of SMALL words 24,
 * a bit for each other tier that ever had a block here (seep_entry_tier()), and
 * from bit 32 on the index of the first slot of the list; 0: none. Behind its
 * entries a leaf has a page of slots for its lists; in place of the first slot
 * is a 32-bit number, the index of the next slot to hand out: 0 at first, a
 * multiple of SEEP_SLOTS_PER_PAGE if another page is needed. So the slots of a
 * leaf lie together, and those of another thread's heap elsewhere.
 */
#define SEEP_RADIX_BITS	     11
#define SEEP_RADIX_SIZE	     (1u << SEEP_RADIX_BITS)
#define SEEP_SMALL_COVER_LOG 14
#define SEEP_SMALL_LEAF_LOG  (SEEP_SMALL_COVER_LOG + SEEP_RADIX_BITS)
#define SEEP_PAGES_MAX	     (1u << 24)

static inline uint32_t seep_entry_page(uint64_t entry)
{
	return entry & (SEEP_PAGES_MAX - 1);
}

static inline uint64_t seep_entry_tier(unsigned tier)
{
	return 1ull << 24 << tier;
}

static inline uint32_t seep_entry_list(uint64_t entry)
{
	return (uint32_t)(entry >> 32);
}

static inline unsigned seep_tier_granule_log(unsigned tier)
{
	return tier == SEEP_TIER_SMALL ? 5 : tier == SEEP_TIER_TINY ? 3 : 31;
}

/* Address bits covered by one page of words or slots. */
static inline unsigned seep_tier_cover_log(unsigned tier)
{
	return seep_tier_granule_log(tier) + (tier == SEEP_TIER_HUGE ? 8 : 9);
}

/* Index bits of the whole directory of a tier. */
static inline unsigned seep_tier_index_bits(unsigned tier)
{
	return SEEP_ADDR_BITS - seep_tier_cover_log(tier);
}

/* Levels of that directory above its leaves: 0, 1 or 2. */
static inline unsigned seep_tier_levels(unsigned tier)
{
	unsigned bits = seep_tier_index_bits(tier);

	return bits > 2 * SEEP_RADIX_BITS ? 2 : bits > SEEP_RADIX_BITS;
}

/* ---- the call tree (tree.h) -------------------------------------------- */

enum seep_node_kind {
	SEEP_NODE_NATIVE = 1,	 /* module and offset in its file image */
	SEEP_NODE_UNKNOWN = 2,	 /* code outside of every module: offset = pc */
	SEEP_NODE_TRUNCATED = 3, /* the stack ends here before its outer end */
};

/*
 * A stack is the path from a node to the root, innermost frame first. `offset`
 * is the return address less the load bias; `exact` says that it is no return
 * address but the interrupted pc of a signal frame (do not subtract one).
 * Node 0 is the root and not a frame. Node 1 is written by the shim at the
 * start and stands for stacks that found no room in the tree.
 * Different ids may describe the same path: readers merge by content.
 */
struct seep_node {
	uint32_t parent;
	uint32_t kind_module; /* module: 27 bits; exact: 1; kind: 4 bits */
	uint64_t offset;
};

#define SEEP_NODE_FULL	     1u
#define SEEP_NODES_PER_CHUNK 4096u /* 16 pages */
#define SEEP_CHUNKS_PER_DIR  1024u /* one page of chunk page numbers */
#define SEEP_NR_NODE_DIRS    64u

static inline uint32_t seep_node_pack(
    enum seep_node_kind kind, int exact, uint32_t module)
{
	return (uint32_t)kind << 28 | (exact ? 1u << 27 : 0) |
	       (module & 0x7ffffff);
}

static inline unsigned seep_node_kind(uint32_t km)
{
	return km >> 28;
}

static inline int seep_node_is_exact(uint32_t km)
{
	return km >> 27 & 1;
}

static inline uint32_t seep_node_module(uint32_t km)
{
	return km & 0x7ffffff;
}

/* ---- modules ----------------------------------------------------------- */

#define SEEP_BUILD_ID_MAX     32
#define SEEP_MODULES_PER_PAGE 32u /* 128 bytes each */
#define SEEP_NR_MODULE_PAGES  256u

/*
 * One per distinct image (path and build-id); it stays when the image is
 * unloaded. start, end and bias are those of its newest load. An entry counts
 * once `ready` is set (release); it is never changed but for the newest load.
 */
struct seep_module_rec {
	_Atomic uint32_t ready;
	uint32_t path_len; /* without a NUL */
	uint64_t path_at;  /* byte offset of the path in the segment */
	_Atomic uint64_t start, end, bias;
	_Atomic uint32_t loads; /* times it was seen newly mapped */
	uint32_t build_id_len;
	uint8_t build_id[SEEP_BUILD_ID_MAX];
	uint64_t dev, ino; /* 0 when unknown */
	uint64_t spare[4];
};

/* ---- threads and counters ---------------------------------------------- */

/*
 * One page per slot to begin with: the slot, then its first counter table.
 * A slot outlives its thread; a new thread takes over the slot of a dead one,
 * counters included. All counters are plain stores of the owning thread.
 *
 * A counter table for n sites (n a power of two) is n 32-bit node ids (0 =
 * free), then n struct seep_counter, in open addressing:
 * slot = (node * 0x9e3779b1) >> (32 - log2 n), then linear. A table that gets
 * three quarters full is copied to one twice its size, elsewhere; `table` then
 * names the new one (release) and the old one is left as it was.
 *
 * In a sampled segment the counters are estimates, in the units of sample.h,
 * and n more struct seep_counter follow: the variances of the first n, in the
 * same order.
 */
struct seep_counter {
	_Atomic uint64_t alloc_blocks, alloc_bytes, free_blocks, free_bytes;
};

/* Bytes of an entry of a counter table, its node id included. */
static inline uint32_t seep_counter_entry_bytes(int sampled)
{
	return 4 + (sampled ? 2 : 1) * (uint32_t)sizeof(struct seep_counter);
}

struct seep_thread_slot {
	_Atomic uint32_t tid;
	_Atomic uint32_t generation; /* times the slot changed hands */
	_Atomic uint64_t table;	     /* byte offset << 8 | log2 entries */
	_Atomic uint64_t alloc_blocks, alloc_bytes, free_blocks, free_bytes;
	_Atomic uint64_t unknown_frees; /* frees of blocks we never saw */
	_Atomic uint64_t ring_page;	/* first page of the ring; 0 none */
	struct seep_counter spread; /* sampled: variances of the four sums */
	uint64_t spare[2];
};

#define SEEP_SLOT_BYTES		     128u
#define SEEP_FIRST_TABLE_LOG	     6
#define SEEP_FIRST_TABLE_LOG_SAMPLED 5
#define SEEP_SLOTS_PER_DIR	     1024u /* one page of slot page numbers */
#define SEEP_NR_SLOT_DIRS	     64u

/* Limits of sample_bytes, the mean interval of a sampled segment. */
#define SEEP_SAMPLE_MIN 1024u
#define SEEP_SAMPLE_MAX (256u << 20)

/* ---- events ------------------------------------------------------------ */

/* What a thread's ring (ring.h) tells. */
enum seep_event_kind {
	SEEP_EVENT_FORK = 1, /* value: the child's pid */
	SEEP_EVENT_EXEC,     /* text: the path; the image may follow or fail */
	SEEP_EVENT_SPAWN,    /* value: the child's pid; text: the path */
	SEEP_EVENT_UNLOAD,   /* dlclose() was called */
	SEEP_EVENT_FILTER,   /* a seccomp filter was installed */
};

/* ---- drops ------------------------------------------------------------- */

/* What could not be recorded, by cause. Names: seep_drop_name(). */
enum seep_drop {
	SEEP_DROP_SEGMENT_FULL,	 /* blocks not in the map: no room */
	SEEP_DROP_NO_MEMORY,	 /* blocks not in the map: kernel said no */
	SEEP_DROP_ADDRESS,	 /* blocks at addresses the map cannot hold */
	SEEP_DROP_TREE_FULL,	 /* blocks whose stack is lost (block kept) */
	SEEP_DROP_TRUNCATED,	 /* new stacks cut at the outer end */
	SEEP_DROP_NO_RULE,	 /* new stacks ended at code without CFI */
	SEEP_DROP_NESTED,	 /* operations in handlers that were skipped */
	SEEP_DROP_GUARD_RESET,	 /* guard left set by a jump out of a handler */
	SEEP_DROP_STALE,	 /* blocks replaced without a free being seen */
	SEEP_DROP_NO_THREAD,	 /* operations of threads without a slot */
	SEEP_DROP_RING_FULL,	 /* ring records lost */
	SEEP_DROP_MODULES_FULL,	 /* frames whose module found no room */
	SEEP_DROP_SEND,		 /* the collector could not be told of us */
	SEEP_DROP_EXEC_UNTRACED, /* collector: exec into something untraced */
	SEEP_DROP_CHILD_UNTRACED, /* collector: a child never reported */
	SEEP_DROP_HISTORY,	  /* --record=events: block histories lost */
	SEEP_NR_DROPS
};

/* ---- the header -------------------------------------------------------- */

enum seep_state {
	SEEP_STATE_RUNNING = 1,
	SEEP_STATE_EXEC = 2,   /* an exec call is under way */
	SEEP_STATE_EXITED = 3, /* exit handlers and destructors have run */
};

enum seep_flag {
	SEEP_FLAG_GLIBC = 1 << 0,  /* the next malloc is glibc's */
	SEEP_FLAG_FORKED = 1 << 1, /* begun by fork or clone, not by exec */
	SEEP_FLAG_NO_MEM = 1 << 2, /* /proc/self/mem could not be opened */
	SEEP_FLAG_EVENTS = 1 << 3, /* the history of every block is recorded */
};

/* Page 0. The shim writes all of it but the three fields of the collector. */
struct seep_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint64_t segment_bytes;
	uint32_t pid, ppid;
	uint64_t start_ns; /* when this image or child began being traced */
	uint32_t uid;
	_Atomic uint32_t flags;	     /* enum seep_flag */
	_Atomic uint32_t state;	     /* enum seep_state */
	_Atomic uint32_t children;   /* children begun through fork or spawn */
	uint64_t exe_at, cmdline_at; /* byte offsets of texts */
	uint32_t exe_len, cmdline_len; /* cmdline: NULs between arguments */
	uint32_t parent_start_lo; /* start_ns of the forking parent, low half */
	uint32_t sample_bytes;	  /* mean sampling interval; 0: every block */

	/* Written by the collector, through a mapping of this page. */
	_Atomic uint32_t epoch;	       /* the birth epoch of new blocks */
	_Atomic uint32_t control;      /* reserved, 0 */
	_Atomic uint64_t heartbeat_ns; /* last time the collector looked */

	_Atomic uint64_t next_page;   /* pool: pages handed out so far */
	_Atomic uint32_t map_root[4]; /* by tier: page of the top node */
	_Atomic uint32_t nr_nodes;    /* ids handed out, in blocks */
	_Atomic uint32_t nr_modules;
	_Atomic uint32_t nr_slots;
	_Atomic uint32_t history_page; /* first page of the ring; 0: none */
	_Atomic uint32_t node_dir[SEEP_NR_NODE_DIRS];
	_Atomic uint32_t slot_dir[SEEP_NR_SLOT_DIRS];
	_Atomic uint32_t module_page[SEEP_NR_MODULE_PAGES];
	_Atomic uint64_t drops[32]; /* by enum seep_drop */
	/*
	 * Counts of operations that ran in a signal handler on top of the shim:
	 * added to atomically, by any thread; slot of their own.
	 */
	_Atomic uint32_t nested_slot; /* page number of that slot */
	uint32_t pad2;
};

_Static_assert(sizeof(struct seep_large) == 16, "slot");
_Static_assert(sizeof(struct seep_node) == 16, "node");
_Static_assert(sizeof(struct seep_module_rec) == 128, "module");
_Static_assert(sizeof(struct seep_counter) == 32, "counter");
_Static_assert(sizeof(struct seep_thread_slot) <= SEEP_SLOT_BYTES, "thread");
_Static_assert(
    SEEP_SLOT_BYTES + (68u << SEEP_FIRST_TABLE_LOG_SAMPLED) <= SEEP_PAGE,
    "first table");
_Static_assert(sizeof(struct seep_header) <= SEEP_PAGE, "header");
_Static_assert(SEEP_NR_TIERS <= 4 && SEEP_NR_DROPS <= 32, "header arrays");
_Static_assert(
    SEEP_SLOTS_PER_PAGE * sizeof(struct seep_large) == SEEP_PAGE, "slot index");

/* ---- the hello message ------------------------------------------------- */

/*
 * SEEP_ADDRESS, the value of SEEP_SOCKET: "NAME:TOKEN[,SETTING]...". NAME is
 * that of the collector's abstract socket, TOKEN 32 hexadecimal digits that
 * name the recording. The settings are what it wants of its processes:
 * "sample=BYTES", or "events".
 */

/*
 * Sent once per segment, as one SOCK_SEQPACKET message, with the memfd, a
 * descriptor of /proc/self/mem and one of /proc/self/maps in this order
 * (SCM_RIGHTS); mem and maps are absent with SEEP_FLAG_NO_MEM. No answer.
 */
#define SEEP_HELLO_MAGIC 0x4f4c4c4548504553ull /* "SEPHELLO" */

/*
 * Where RLIMIT_FSIZE keeps the process from making a segment of useful size, it
 * first asks the collector for one, on a connection of its own: the same struct
 * with this magic, segment_bytes being what it wants. The answer is one message
 * of 8 bytes, the size, with the sealed memfd. The shim waits for it for
 * SEEP_WANT_MS at most and does with its own limit otherwise.
 */
#define SEEP_WANT_MAGIC 0x544e415750454553ull /* "SEEPWANT" */
#define SEEP_WANT_MS	1000

struct seep_hello {
	uint64_t magic;
	uint32_t version;
	uint32_t pid, ppid;
	uint32_t flags;
	uint64_t start_ns;
	uint64_t segment_bytes;
	uint8_t token[16]; /* of the recording; zeros when unknown */
};

#endif
