/* SPDX-License-Identifier: MIT */
/* stacks.c - the call stacks of a report: shared frames, shared outer parts */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/model/stacks.h"

#define FIRST_ROOM 64u

bool seep_stacks_init(struct seep_stacks *s)
{
	*s = (struct seep_stacks){0};
	s->nodes = calloc(FIRST_ROOM, sizeof(*s->nodes));
	s->addresses = calloc(FIRST_ROOM, sizeof(*s->addresses));
	if (!s->nodes || !s->addresses) {
		seep_stacks_deinit(s);
		return false;
	}
	s->node_room = s->address_room = FIRST_ROOM;
	s->nr_nodes = s->nr_addresses = 1;
	return true;
}

void seep_stacks_deinit(struct seep_stacks *s)
{
	for (uint32_t i = 0; i < s->text_size; i++)
		free(s->texts[i]);
	for (uint32_t i = 0; i < s->nr_frames; i++)
		free(s->memos[i].key);
	free(s->texts);
	free(s->memos);
	free(s->frames);
	free(s->addresses);
	free(s->address_index);
	free(s->nodes);
	free(s->node_index);
	*s = (struct seep_stacks){0};
}

/* Room for `extra` more elements in an array that grows by doubling. */
static bool grow(
    void *array, uint32_t nr, uint32_t extra, uint32_t *room, size_t size)
{
	uint64_t want = *room ? *room : FIRST_ROOM;
	void *more;

	if ((uint64_t)nr + extra <= *room)
		return true;
	while (want < (uint64_t)nr + extra)
		want *= 2;
	if (want > UINT32_MAX / 2)
		return false;
	more = realloc(*(void **)array, want * size);
	if (!more)
		return false;
	*(void **)array = more;
	*room = (uint32_t)want;
	return true;
}

static uint32_t mix(uint64_t h)
{
	h *= 0x9e3779b97f4a7c15ull;
	h ^= h >> 29;
	h *= 0xd6e8feb86659fd93ull;
	return (uint32_t)(h >> 32);
}

/* A bigger index of `nr` things; refill it with `hash_of`. */
static bool is_crowded(uint32_t nr, uint32_t size)
{
	return (uint64_t)(nr + 1) * 4 > (uint64_t)size * 3;
}

/* ---- texts -------------------------------------------------------------- */

static uint32_t text_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return mix(h);
}

static uint32_t text_place(char **texts, uint32_t size, const char *text)
{
	uint32_t at = text_hash(text) & (size - 1);

	while (texts[at] && strcmp(texts[at], text))
		at = (at + 1) & (size - 1);
	return at;
}

static bool grow_texts(struct seep_stacks *s)
{
	uint32_t size = s->text_size ? s->text_size * 2 : FIRST_ROOM;
	char **texts = calloc(size, sizeof(*texts));

	if (!texts)
		return false;
	for (uint32_t i = 0; i < s->text_size; i++) {
		if (s->texts[i])
			texts[text_place(texts, size, s->texts[i])] =
			    s->texts[i];
	}
	free(s->texts);
	s->texts = texts;
	s->text_size = size;
	return true;
}

const char *seep_stacks_intern(struct seep_stacks *s, const char *text)
{
	uint32_t at;

	if (is_crowded(s->nr_texts, s->text_size) && !grow_texts(s))
		return NULL;
	at = text_place(s->texts, s->text_size, text);
	if (!s->texts[at]) {
		s->texts[at] = strdup(text);
		s->nr_texts += s->texts[at] != NULL;
	}
	return s->texts[at];
}

/* ---- addresses ---------------------------------------------------------- */

/* With a line known the code's exact place does not matter to a reader: two
 * calls on one line are one site. */
static bool same_frame(const struct seep_frame *a, const struct seep_frame *b)
{
	return a->function == b->function && a->file == b->file &&
	       a->module == b->module && a->line == b->line &&
	       a->inlined == b->inlined && a->truncated == b->truncated &&
	       (a->line || a->offset == b->offset);
}

static uint32_t frames_hash(const struct seep_frame *f, uint32_t nr)
{
	uint64_t h = nr;

	for (; nr; nr--, f++) {
		h = mix(h ^ (uintptr_t)f->function) + h * 31;
		h = mix(h ^ (uintptr_t)f->file) + h * 31;
		h = mix(h ^ (uintptr_t)f->module) + h * 31;
		h = mix(h ^ (f->line ? f->line : f->offset)) + h * 31;
	}
	return mix(h);
}

static bool same_frames(const struct seep_stacks *s,
    const struct seep_stacks_address *a, const struct seep_frame *f,
    uint32_t nr)
{
	if (a->nr != nr)
		return false;
	for (uint32_t i = 0; i < nr; i++) {
		if (!same_frame(&s->frames[a->first + i], &f[i]))
			return false;
	}
	return true;
}

static bool grow_address_index(struct seep_stacks *s)
{
	uint32_t size =
	    s->address_index_size ? s->address_index_size * 2 : 2 * FIRST_ROOM;
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return false;
	for (uint32_t i = 1; i < s->nr_addresses; i++) {
		uint32_t at = s->addresses[i].hash & (size - 1);

		while (index[at])
			at = (at + 1) & (size - 1);
		index[at] = i;
	}
	free(s->address_index);
	s->address_index = index;
	s->address_index_size = size;
	return true;
}

static bool add_frames(
    struct seep_stacks *s, const struct seep_frame *f, uint32_t nr)
{
	uint32_t memo_room = s->frame_room;

	if (!grow(&s->memos, s->nr_frames, nr, &memo_room, sizeof(*s->memos)) ||
	    !grow(&s->frames, s->nr_frames, nr, &s->frame_room,
		sizeof(*s->frames)))
		return false;
	memcpy(&s->frames[s->nr_frames], f, nr * sizeof(*f));
	memset(&s->memos[s->nr_frames], 0, nr * sizeof(*s->memos));
	s->nr_frames += nr;
	return true;
}

uint32_t seep_stacks_add_address(
    struct seep_stacks *s, const struct seep_frame *frames, uint32_t nr)
{
	uint32_t hash = frames_hash(frames, nr), mask, at;

	if (is_crowded(s->nr_addresses, s->address_index_size) &&
	    !grow_address_index(s))
		return 0;
	mask = s->address_index_size - 1;
	for (at = hash & mask; s->address_index[at]; at = (at + 1) & mask) {
		uint32_t i = s->address_index[at];

		if (s->addresses[i].hash == hash &&
		    same_frames(s, &s->addresses[i], frames, nr))
			return i;
	}
	if (!grow(&s->addresses, s->nr_addresses, 1, &s->address_room,
		sizeof(*s->addresses)) ||
	    !add_frames(s, frames, nr))
		return 0;
	s->addresses[s->nr_addresses] = (struct seep_stacks_address){
	    .first = s->nr_frames - nr,
	    .nr = nr,
	    .hash = hash,
	};
	s->address_index[at] = s->nr_addresses;
	return s->nr_addresses++;
}

/* ---- stacks ------------------------------------------------------------- */

static uint32_t node_hash(uint32_t parent, uint32_t address)
{
	return mix((uint64_t)parent << 32 | address);
}

static bool grow_node_index(struct seep_stacks *s)
{
	uint32_t size =
	    s->node_index_size ? s->node_index_size * 2 : 2 * FIRST_ROOM;
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return false;
	for (uint32_t i = 1; i < s->nr_nodes; i++) {
		uint32_t at =
		    node_hash(s->nodes[i].parent, s->nodes[i].address) &
		    (size - 1);

		while (index[at])
			at = (at + 1) & (size - 1);
		index[at] = i;
	}
	free(s->node_index);
	s->node_index = index;
	s->node_index_size = size;
	return true;
}

uint32_t seep_stacks_add(
    struct seep_stacks *s, uint32_t parent, uint32_t address)
{
	uint32_t mask, at;

	if (is_crowded(s->nr_nodes, s->node_index_size) && !grow_node_index(s))
		return 0;
	mask = s->node_index_size - 1;
	at = node_hash(parent, address) & mask;
	for (; s->node_index[at]; at = (at + 1) & mask) {
		const struct seep_stacks_node *n = &s->nodes[s->node_index[at]];

		if (n->parent == parent && n->address == address)
			return s->node_index[at];
	}
	if (!grow(&s->nodes, s->nr_nodes, 1, &s->node_room, sizeof(*s->nodes)))
		return 0;
	s->nodes[s->nr_nodes] = (struct seep_stacks_node){parent, address};
	s->node_index[at] = s->nr_nodes;
	return s->nr_nodes++;
}

bool seep_stacks_limit(struct seep_stacks *s, size_t max_depth)
{
	struct seep_frame f = {.truncated = true};

	s->cut = seep_stacks_add_address(s, &f, 1);
	s->max_depth = max_depth;
	return s->cut != 0;
}

/* ---- one stack ---------------------------------------------------------- */

static bool push(
    struct seep_stack *stack, struct seep_stacks *s, uint32_t frame)
{
	struct seep_stacks_memo *memo = &s->memos[frame];

	if (stack->nr == stack->room) {
		size_t room = stack->room ? stack->room * 2 : 64;
		void *more;

		more = realloc(stack->frames, room * sizeof(*stack->frames));
		if (!more)
			return false;
		stack->frames = more;
		more = realloc(stack->roles, room * sizeof(*stack->roles));
		if (!more)
			return false;
		stack->roles = more;
		stack->room = room;
	}
	if (!memo->role)
		memo->role = seep_frame_role(&s->frames[frame]);
	stack->frames[stack->nr] = &s->frames[frame];
	stack->roles[stack->nr++] = memo->role;
	return true;
}

static const char *frame_key(struct seep_stacks *s, const struct seep_frame *f)
{
	struct seep_stacks_memo *memo = &s->memos[f - s->frames];

	if (!memo->key)
		memo->key = seep_frame_key(f);
	return memo->key;
}

static bool make_fingerprint(struct seep_stack *stack, struct seep_stacks *s)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */
	size_t i = seep_first_caller(stack->roles, stack->nr);

	for (; i < stack->nr; i++) {
		const char *key = frame_key(s, stack->frames[i]);

		if (!key)
			return false;
		if (!*key)
			continue;
		for (const char *c = key; *c; c++)
			h = (h ^ (unsigned char)*c) * 0x100000001b3ull;
		h = (h ^ '\n') * 0x100000001b3ull;
		/* What lies outside of main is the C library's. */
		if (!strcmp(key, "main"))
			break;
	}
	snprintf(stack->fingerprint, sizeof(stack->fingerprint), "v1:%016llx",
	    (unsigned long long)h);
	return true;
}

bool seep_stack_load(
    struct seep_stack *stack, struct seep_stacks *s, uint32_t number)
{
	stack->nr = 0;
	for (; number; number = s->nodes[number].parent) {
		const struct seep_stacks_address *a =
		    &s->addresses[s->nodes[number].address];

		if (s->max_depth && stack->nr >= s->max_depth) {
			if (!push(stack, s, s->addresses[s->cut].first))
				return false;
			break;
		}
		for (uint32_t i = 0; i < a->nr; i++) {
			if (!push(stack, s, a->first + i))
				return false;
		}
	}
	stack->blame = seep_blame(stack->roles, stack->nr);
	return make_fingerprint(stack, s);
}

void seep_stack_deinit(struct seep_stack *stack)
{
	free(stack->frames);
	free(stack->roles);
	*stack = (struct seep_stack){0};
}
