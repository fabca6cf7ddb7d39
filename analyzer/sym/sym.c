/* SPDX-License-Identifier: MIT */
/*
 * sym.c - an address in a module's image -> function, file, line, inlining
 *
 * Asks a worker process, which is started by the first lookup. When it crashes
 * or hangs, what it was asked about loses its debug information, and the next
 * time its symbols; then it is asked again.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "analyzer/sym/sym.h"
#include "analyzer/sym/worker.h"

/* One lookup: the first reads the index of gigabytes of debug information. */
#define LIMIT_MS 10000
/* When hanging files have cost this much in all, the others get less. */
#define MAX_LOST_MS	  20000
#define LIMIT_IN_HASTE_MS 1000
#define DEBUGINFOD_MS	  10000
/* Crashes that no module is to blame for (code made at run time). */
#define MAX_JIT_FAILURES 2

struct seep_sym_module {
	char *path, *build_id;
	int fd; /* the caller's */
	enum seep_sym_detail detail;
	enum seep_engine_level level; /* what is still read of it */
	uint32_t worker; /* the worker that knows it, by its number; 0: none */
	uint32_t number; /* what that one calls it */
	struct seep_sym_module *next;
};

struct seep_sym {
	char *debug_path, *sysroot;
	bool one_at_a_time;
	uint32_t debuginfod_ms; /* left */
	struct seep_sym_module *modules;
	struct seep_worker *worker;
	uint32_t nr_workers; /* started so far */
	uint32_t nr_modules; /* that the worker knows */
	uint64_t lost_ms;
	unsigned nr_jit_failures;
};

static struct seep_error *no_memory(void)
{
	return seep_error_errno(ENOMEM, "looking up a name");
}

static bool copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return !text || *ret;
}

struct seep_error *seep_sym_create(
    const struct seep_sym_options *opt, struct seep_sym **ret)
{
	struct seep_sym *s = calloc(1, sizeof(*s));
	unsigned seconds = opt->debuginfod_timeout_s;

	if (!s || !copy(opt->debug_path, &s->debug_path) ||
	    !copy(opt->sysroot, &s->sysroot)) {
		seep_sym_destroy(s);
		return no_memory();
	}
	s->one_at_a_time = opt->one_at_a_time;
	if (opt->debuginfod)
		s->debuginfod_ms = !seconds	    ? DEBUGINFOD_MS
				   : seconds > 3600 ? 3600 * 1000
						    : seconds * 1000;
	*ret = s;
	return NULL;
}

static void module_destroy(struct seep_sym_module *m)
{
	if (!m)
		return;
	free(m->path);
	free(m->build_id);
	free(m);
}

void seep_sym_destroy(struct seep_sym *s)
{
	if (!s)
		return;
	seep_worker_destroy(s->worker);
	while (s->modules) {
		struct seep_sym_module *m = s->modules;

		s->modules = m->next;
		module_destroy(m);
	}
	free(s->debug_path);
	free(s->sysroot);
	free(s);
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

struct seep_error *seep_sym_module(struct seep_sym *s, const char *path,
    const char *build_id, int fd, enum seep_sym_detail detail,
    struct seep_sym_module **ret)
{
	struct seep_sym_module *m;

	for (m = s->modules; m; m = m->next)
		if (is_same(m->path, path) && is_same(m->build_id, build_id) &&
		    m->fd == fd && m->detail == detail) {
			*ret = m;
			return NULL;
		}
	m = calloc(1, sizeof(*m));
	if (!m || !copy(path, &m->path) || !copy(build_id, &m->build_id)) {
		module_destroy(m);
		return no_memory();
	}
	m->fd = fd;
	m->detail = detail;
	if (detail == SEEP_SYM_FUNCTIONS)
		m->level = SEEP_ENGINE_SYMBOLS;
	m->next = s->modules;
	s->modules = m;
	*ret = m;
	return NULL;
}

/* ---- the worker --------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void end_worker(struct seep_sym *s, uint64_t asked_ms)
{
	seep_worker_destroy(s->worker);
	s->worker = NULL;
	s->lost_ms += now_ms() - asked_ms;
}

static bool start_worker(struct seep_sym *s)
{
	struct seep_engine_options opt = {
	    .debug_path = s->debug_path,
	    .sysroot = s->sysroot,
	    .one_at_a_time = s->one_at_a_time,
	};

	if (s->worker)
		return true;
	s->worker = seep_worker_create(&opt);
	s->nr_workers++;
	s->nr_modules = 0;
	return s->worker;
}

static uint32_t limit_ms(const struct seep_sym *s)
{
	return s->lost_ms < MAX_LOST_MS ? LIMIT_MS : LIMIT_IN_HASTE_MS;
}

static enum seep_worker_status ask(struct seep_sym *s,
    struct seep_sym_module *m, const struct seep_sym_address *addresses,
    uint32_t nr)
{
	enum seep_worker_status status = SEEP_WORKER_OK;

	if (m->worker != s->nr_workers) {
		status = seep_worker_module(
		    s->worker, m->path, m->build_id, m->fd, m->level);
		m->worker = s->nr_workers;
		m->number = s->nr_modules++;
	}
	if (!status)
		status = seep_worker_ask(
		    s->worker, m->number, addresses, nr, s->debuginfod_ms);
	return status;
}

/* module+offset is always known. */
static struct seep_error *finish(struct seep_frame *frames, size_t nr,
    const char *module, uint64_t offset, struct seep_frame **ret,
    size_t *ret_nr)
{
	bool is_complete = true;

	if (!frames) {
		nr = 1;
		frames = calloc(1, sizeof(*frames));
		if (!frames)
			return no_memory();
	}
	for (size_t i = 0; i < nr; i++) {
		frames[i].offset = offset;
		is_complete &= copy(module, &frames[i].module);
	}
	if (!is_complete) {
		for (size_t i = 0; i < nr; i++)
			seep_frame_deinit(&frames[i]);
		free(frames);
		return no_memory();
	}
	*ret = frames;
	*ret_nr = nr;
	return NULL;
}

/* After the worker has failed: less of the module is read from now on. */
static void give_up(
    struct seep_sym *s, struct seep_sym_module *m, uint64_t asked_ms)
{
	end_worker(s, asked_ms);
	/* A server may have been slow, rather than the file bad. */
	if (s->debuginfod_ms)
		s->debuginfod_ms = 0;
	else
		m->level++;
}

/* A module's addresses [*at, nr) as far as they are answered. */
struct lookup {
	const struct seep_sym_address *addresses;
	size_t at, nr;
	seep_sym_fn *fn;
	void *ctx;
};

static struct seep_error *answered(struct lookup *l,
    const struct seep_sym_module *m, struct seep_frame *frames, size_t nr)
{
	struct seep_error *err = finish(
	    frames, nr, m->path, l->addresses[l->at].offset, &frames, &nr);

	return err ? err : l->fn(l->ctx, l->at++, frames, nr);
}

static struct seep_error *ask_batch(
    struct seep_sym *s, struct seep_sym_module *m, struct lookup *l)
{
	size_t left = l->nr - l->at;
	uint32_t batch =
	    left < SEEP_WORKER_BATCH ? (uint32_t)left : SEEP_WORKER_BATCH;
	uint64_t asked_ms = now_ms();
	enum seep_worker_status status = ask(s, m, l->addresses + l->at, batch);
	struct seep_error *err = NULL;

	for (; batch && !status && !err; batch--) {
		struct seep_frame *frames = NULL;
		size_t nr = 0;

		status = seep_worker_answer(
		    s->worker, limit_ms(s), &s->debuginfod_ms, &frames, &nr);
		if (status)
			break;
		asked_ms = now_ms();
		err = answered(l, m, frames, nr);
	}
	if (status == SEEP_WORKER_GONE)
		give_up(s, m, asked_ms);
	else if (batch) /* it has more to say, which nobody hears */
		end_worker(s, now_ms());
	return status == SEEP_WORKER_NO_MEMORY ? no_memory() : err;
}

struct seep_error *seep_sym_lookup_all(struct seep_sym *s,
    struct seep_sym_module *m, const struct seep_sym_address *addresses,
    size_t nr, seep_sym_fn *fn, void *ctx)
{
	struct lookup l = {
	    .addresses = addresses,
	    .nr = nr,
	    .fn = fn,
	    .ctx = ctx,
	};
	struct seep_error *err = NULL;

	while (!err && l.at < nr) {
		if (m->level < SEEP_ENGINE_NOTHING && start_worker(s))
			err = ask_batch(s, m, &l);
		else
			err = answered(&l, m, NULL, 0);
	}
	return err;
}

struct one {
	struct seep_frame **frames;
	size_t *nr;
};

static struct seep_error *take_one(
    void *ctx, size_t i, struct seep_frame *frames, size_t nr)
{
	struct one *one = ctx;

	(void)i;
	*one->frames = frames;
	*one->nr = nr;
	return NULL;
}

struct seep_error *seep_sym_lookup(struct seep_sym *s,
    struct seep_sym_module *m, uint64_t offset, bool exact,
    struct seep_frame **ret, size_t *nr)
{
	struct seep_sym_address address;
	struct one one = {ret, nr};

	/* All of it: it is sent as it lies. */
	memset(&address, 0, sizeof(address));
	address.offset = offset;
	address.exact = exact;
	return seep_sym_lookup_all(s, m, &address, 1, take_one, &one);
}

struct seep_error *seep_sym_lookup_jit(struct seep_sym *s, uint32_t pid,
    uint64_t pc, struct seep_frame **ret, size_t *nr)
{
	struct seep_frame *frames = NULL;
	size_t nr_frames = 0;

	if (s->nr_jit_failures < MAX_JIT_FAILURES && start_worker(s)) {
		uint64_t asked_ms = now_ms();
		enum seep_worker_status status = seep_worker_lookup_jit(
		    s->worker, pid, pc, limit_ms(s), &frames, &nr_frames);

		if (status != SEEP_WORKER_OK) {
			end_worker(s, asked_ms);
			s->nr_jit_failures++;
		}
	}
	return finish(frames, nr_frames, NULL, pc, ret, nr);
}
