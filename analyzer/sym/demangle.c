/* SPDX-License-Identifier: MIT */
/*
 * demangle.c - names as the linker knows them -> as people wrote them
 *
 * Parameters are left out: a frame has file and line, which tell overloads
 * apart better than the parameter types that make a template's name fill the
 * screen. Template arguments stay, as they are part of which code it is.
 *
 * A name is input. The demangler limits its recursion, but a few hundred bytes
 * of back references can still ask for gigabytes of text, and stop it we must
 * from within: we leave its output callback by longjmp. That is safe because
 * the callback forms keep what they build on the stack.
 */
#include <setjmp.h>
#include <string.h>

#include "config.h"

#ifdef HAVE_LIBIBERTY_DEMANGLE_H
#include <libiberty/demangle.h>
#else
#include <demangle.h>
#endif

#include "analyzer/sym/sym.h"

#define MAX_NAME_BYTES	    8192
#define MAX_DLANG_BYTES	    512 /* its demangler has no callback */
#define MAX_DEMANGLED_BYTES 16384
/* Pieces of output, also empty ones: bounds the time. */
#define MAX_PIECES 200000

struct text {
	char *bytes; /* volatile over the jump only as a whole: on the heap */
	size_t nr;
	size_t nr_pieces;
	jmp_buf full;
};

static void append(const char *piece, size_t n, void *ctx)
{
	struct text *t = ctx;

	if (n > MAX_DEMANGLED_BYTES - t->nr)
		n = MAX_DEMANGLED_BYTES - t->nr;
	if (n)
		memcpy(t->bytes + t->nr, piece, n);
	t->nr += n;
	if (t->nr == MAX_DEMANGLED_BYTES || ++t->nr_pieces > MAX_PIECES)
		longjmp(t->full, 1);
}

/* Inside of a template argument it is unreadable, and everywhere. */
static void shorten_strings(char *s)
{
	static const char lengthy[] =
	    "std::__cxx11::basic_string<char, std::char_traits<char>, "
	    "std::allocator<char> >";
	static const char brief[] = "std::string";

	while ((s = strstr(s, lengthy))) {
		const char *rest = s + sizeof(lengthy) - 1;

		memcpy(s, brief, sizeof(brief) - 1);
		s += sizeof(brief) - 1;
		/* "> >" is one name's end and another's: now it is one's. */
		rest += rest[0] == ' ' && rest[1] == '>';
		memmove(s, rest, strlen(rest) + 1);
	}
}

static char *run(const char *name,
    int (*demangle)(const char *, int, demangle_callbackref, void *),
    int options)
{
	struct text *t = malloc(sizeof(*t));
	char *bytes = malloc(MAX_DEMANGLED_BYTES + 4);
	char *ret = NULL;

	if (!t || !bytes)
		goto out;
	*t = (struct text){.bytes = bytes};
	if (setjmp(t->full))
		strcpy(bytes + t->nr, "...");
	else if (demangle(name, options, append, t) && t->nr)
		bytes[t->nr] = '\0';
	else
		goto out;
	shorten_strings(bytes);
	ret = strdup(bytes);
out:
	free(t);
	free(bytes);
	return ret;
}

static char *demangle_plain(const char *name)
{
	char *ret = NULL;

	if (name[0] != '_')
		return NULL;
	switch (name[1]) {
	case 'R':
		return run(name, rust_demangle_callback, DMGL_RUST);
	case 'Z':
		/* Rust's older scheme is C++ names with a hash at the end. */
		if (name[2] == 'N')
			ret = run(name, rust_demangle_callback, DMGL_RUST);
		return ret ? ret
			   : run(name, cplus_demangle_v3_callback, DMGL_ANSI);
	case 'D':
		if (strlen(name) <= MAX_DLANG_BYTES)
			ret = dlang_demangle(name, DMGL_DLANG);
		return ret;
	case 'G': /* _GLOBAL__sub_I_...: constructors of a file */
		return run(name, cplus_demangle_v3_callback, DMGL_ANSI);
	default:
		return NULL;
	}
}

char *seep_sym_demangle(const char *name)
{
	size_t n = strnlen(name, MAX_NAME_BYTES + 1);
	_cleanup_(seep_freep) char *plain = NULL;
	const char *suffix;

	if (n > MAX_NAME_BYTES)
		return NULL;
	/* What the linker (@VERSION) and LLVM's LTO (.llvm.123) add. */
	suffix = memchr(name, '@', n);
	if (!suffix)
		suffix = strstr(name, ".llvm.");
	if (!suffix || suffix == name)
		return demangle_plain(name);
	plain = strndup(name, (size_t)(suffix - name));
	return plain ? demangle_plain(plain) : NULL;
}
