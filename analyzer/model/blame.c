/* SPDX-License-Identifier: MIT */
/* blame.c - which frame a person should look at, and what names a stack */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/model/blame.h"

/* ---- names -------------------------------------------------------------- */

static bool starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* Behind the bracket that closes the one at s; the end if none does. */
static const char *skip_brackets(const char *s, char open, char close)
{
	int depth = 0;

	for (; *s; s++) {
		if (*s == open) {
			depth++;
		} else if (*s == close && !(close == '>' && s[-1] == '-')) {
			if (--depth == 0)
				return s + 1;
		}
	}
	return s;
}

/* The symbol of "operator<<" and its like; words are left to the caller. */
static const char *copy_operator(const char *s, char **out)
{
	const char *end = s;

	if (starts(s, "()"))
		end = s + 2;
	else
		end = s + strspn(s, "<>=!+-*/%&|^~,[]");
	while (s < end)
		*(*out)++ = *s++;
	return s;
}

static bool is_operator(const char *start, const char *out)
{
	size_t len = (size_t)(out - start);

	return len >= 8 && !memcmp(out - 8, "operator", 8) &&
	       (len == 8 || out[-9] == ':');
}

/* After the parameters: where a local name goes on, or NULL at the end. */
static const char *after_parameters(const char *s)
{
	static const char *const words[] = {" const", " volatile", " &&", " &"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (starts(s, words[i]))
			s += strlen(words[i]);
	}
	return starts(s, "::") ? s : NULL;
}

/* Behind a '{lambda(int)#1}' or '{closure#0}', which become '{}'. */
static const char *copy_braces(const char *s, char **out)
{
	*(*out)++ = '{';
	*(*out)++ = '}';
	return skip_brackets(s, '{', '}');
}

static bool is_word(const char *start, const char *out, const char *word)
{
	return (size_t)(out - start) == strlen(word) &&
	       !memcmp(start, word, strlen(word));
}

static void cut_suffixes(char *start, char *out)
{
	char *dot;

	*out = '\0';
	/* "f.isra.0", "f.cold": not part of the source's name */
	dot = strchr(start + (*start != '\0'), '.');
	if (dot)
		*dot = '\0';
	/* Rust's hash: "::h0123456789abcdef" */
	out = start + strlen(start);
	if (out - start > 19 && starts(out - 19, "::h") &&
	    strspn(out - 16, "0123456789abcdef") == 16)
		out[-19] = '\0';
}

char *seep_function_normalise(const char *name)
{
	char *start = malloc(strlen(name) + 3), *out = start;
	const char *s = name;

	if (!start)
		return NULL;
	while (s && *s) {
		if (is_operator(start, out) && strchr("<>=!+-*/%&|^~,[(", *s)) {
			s = copy_operator(s, &out);
			if (*s == '<' || *s == '(')
				continue;
		}
		if (!*s)
			break;
		if (starts(s, "(anonymous namespace)")) {
			memcpy(out, s, 21);
			out += 21;
			s += 21;
		} else if (*s == '(' && is_word(start, out, "decltype")) {
			s = skip_brackets(s, '(', ')');
		} else if (*s == '(') {
			s = after_parameters(skip_brackets(s, '(', ')'));
		} else if (*s == '<' && out == start) {
			s++; /* Rust: "<T as Trait>::f" */
		} else if (*s == '<') {
			s = skip_brackets(s, '<', '>');
		} else if (*s == '>') {
			s++;
		} else if (*s == '[') {
			s = skip_brackets(s, '[', ']');
		} else if (*s == '{') {
			s = copy_braces(s, &out);
		} else if (starts(s, " as ")) {
			s += strcspn(s, ">");
		} else if (*s == ' ' &&
			   (starts(s, " [") || starts(s, " <") || !s[1])) {
			s++;
		} else if (*s == ' ' && is_operator(start, out)) {
			*out++ = *s++; /* operator new, operator int */
			while (*s && *s != '(')
				*out++ = *s++;
		} else if (*s == ' ') {
			out = start; /* a return type ends here */
			s++;
		} else {
			*out++ = *s++;
		}
	}
	cut_suffixes(start, out);
	if (!*start) { /* no name that we know how to read */
		free(start);
		return strdup(name);
	}
	return start;
}

/* ---- who is an allocator ------------------------------------------------ */

/* The family itself. */
static const char *const family[] = {"malloc", "calloc", "realloc",
    "reallocarray", "memalign", "aligned_alloc", "posix_memalign", "valloc",
    "pvalloc", "cfree", "free", "operator new*", "operator delete*",
    "__libc_malloc", "__libc_calloc", "__libc_realloc", "__libc_memalign",
    "__libc_valloc", "__libc_pvalloc", "__libc_reallocarray",
    "__GI___libc_malloc", "__GI___libc_calloc", "__GI___libc_realloc",
    "mallocx", "rallocx", "xallocx", "je_*", "tc_*", "mi_*", "tcmalloc::*",
    "__rust_alloc*", "__rust_realloc", "__rdl_*", "__rg_*", NULL};

/* Functions whose caller is the one to look at. */
static const char *const wrappers[] = {
    /* C++ and Rust libraries */
    "std::*", "__gnu_cxx::*", "__cxxabiv1::*", "__cxa_allocate_exception",
    "boost::container::*", "boost::make_shared*", "boost::detail::*",
    "alloc::*", "core::*", "hashbrown::*", "llvm::SmallVector*", "llvm::safe_*",
    "llvm::allocate_buffer", "llvm::BumpPtrAllocatorImpl::*",
    "llvm::MallocAllocator::*", "llvm::AllocatorBase::*", "llvm::DenseMap*",
    "llvm::StringMap*", "llvm::FoldingSetBase::*", "llvm::make_unique",
    "QArrayData::*", "QListData::*", "QHashData::*", "QString::QString",
    "absl::container_internal::*",
    /* the C library, where names reach out of it */
    "strdup", "__strdup", "strndup", "__strndup", "wcsdup", "asprintf",
    "vasprintf", "__asprintf_chk", "__vasprintf_chk", "getline", "getdelim",
    "__getdelim", "fopen", "fopen64", "fdopen", "open_memstream", "opendir",
    "scandir", "glob", "getcwd", "realpath", "_dl_*",
    /* GNU programs, binutils, gcc */
    "xmalloc*", "xcalloc", "xrealloc*", "xzalloc", "xnmalloc", "xnrealloc",
    "x2realloc", "x2nrealloc", "xpalloc", "xcharalloc", "xmemdup*", "xstrdup",
    "xstrndup", "xasprintf", "xvasprintf", "ximalloc", "xirealloc", "xicalloc",
    "xizalloc", "ximemdup*", "xinmalloc", "xireallocarray", "rpl_malloc",
    "rpl_calloc", "rpl_realloc", "do_xmalloc", "xmem_*", "_obstack_*",
    "obstack_*", "call_chunkfun", "objalloc_*", "_objalloc_*", "ggc_*alloc*",
    "memory_block_pool::*", "concat", "sh_malloc", "sh_calloc", "sh_realloc",
    "sh_xmalloc", "sh_xrealloc", "savestring", "strbuf_grow",
    "mem_pool_*alloc*",
    /* usual names of private wrappers */
    "safe_malloc", "safe_calloc", "safe_realloc", "safe_strdup",
    "checked_malloc", "checked_calloc", "checked_realloc", "my_malloc",
    "my_calloc", "my_realloc", "my_strdup", "emalloc", "ecalloc", "erealloc",
    "estrdup", "smalloc", "pg_malloc*", "pg_realloc", "pg_strdup", "kmalloc",
    "kzalloc",
    /* glib */
    "g_malloc*", "g_realloc*", "g_try_malloc*", "g_try_realloc*",
    "g_slice_alloc*", "g_slice_copy", "g_strdup*", "g_strndup", "g_strconcat",
    "g_memdup*", "g_aligned_alloc*", "g_array_maybe_expand",
    "g_ptr_array_maybe_expand", "g_string_maybe_expand", "g_string_expand",
    /* python, perl, lua, ruby, php */
    "PyMem_*", "_PyMem_*", "PyObject_Malloc", "PyObject_Calloc",
    "PyObject_Realloc", "_PyObject_Malloc", "_PyObject_Calloc",
    "_PyObject_Realloc", "_PyObject_New*", "_PyObject_GC_*", "PyObject_GC_*",
    "PyType_GenericAlloc", "_PyType_AllocNoTrack", "gc_alloc", "Perl_safesys*",
    "Perl_more_bodies", "S_more_sv", "Perl_more_sv", "Perl_newSV_type",
    "S_more_bodies", "Perl_sv_grow*", "Perl_savepv*", "Perl_safe*alloc",
    "l_alloc", "luaM_*", "ruby_x*alloc*", "objspace_x*alloc*", "_emalloc*",
    "_erealloc*", "_ecalloc*", "_estrdup*", "zend_mm_*",
    /* sqlite, redis, nginx, apr, postgres, openssl, libxml2, jq, zlib */
    "sqlite3MemMalloc", "sqlite3MemRealloc", "sqlite3Malloc*",
    "sqlite3Realloc*", "sqlite3DbMalloc*", "sqlite3DbRealloc*",
    "sqlite3DbStrDup", "sqlite3DbStrNDup", "sqlite3_malloc*",
    "sqlite3_realloc*", "sqlite3PageMalloc", "sqlite3ScratchMalloc",
    "mallocWithAlarm", "dbMallocRawFinish", "dbReallocFinish", "pcache1Alloc",
    "zmalloc*", "zcalloc*", "zrealloc*", "ztrymalloc*", "ztrycalloc*",
    "ztryrealloc*", "zstrdup", "sdsnewlen", "_sdsnewlen", "sdsMakeRoomFor*",
    "_sdsMakeRoomFor", "ngx_alloc", "ngx_calloc", "ngx_palloc*", "ngx_pcalloc",
    "ngx_pnalloc", "ngx_pmemalign", "ngx_memalign", "apr_palloc*",
    "apr_pcalloc*", "apr_pstrdup", "apr_allocator_alloc", "allocator_alloc",
    "palloc*", "repalloc*", "pstrdup", "AllocSet*", "MemoryContextAlloc*",
    "CRYPTO_malloc", "CRYPTO_zalloc", "CRYPTO_calloc", "CRYPTO_realloc",
    "CRYPTO_strdup", "CRYPTO_strndup", "CRYPTO_memdup", "CRYPTO_clear_realloc",
    "CRYPTO_aligned_alloc", "OPENSSL_malloc", "OPENSSL_zalloc", "xmlMalloc*",
    "xmlMemMalloc*", "xmlMemRealloc*", "xmlStrdup", "xmlStrndup",
    "xmlMemStrdup*", "jv_mem_*", "zcalloc", NULL};

/* Modules that only ever allocate on behalf of somebody else. */
static const char *const c_library[] = {"libc.so*", "libc-2.*", "ld-2.*",
    "ld-linux*", "ld64.so*", "ld-musl*", "libpthread*", "libdl*.so*", NULL};
static const char *const other_libraries[] = {"libstdc++.so*", "libc++.so*",
    "libc++abi.so*", "libgcc_s.so*", "libasan.so*", NULL};

static const char *const allocator_libraries[] = {
    "libjemalloc.so*", "libtcmalloc*", "libmimalloc*", "libseep.so*", NULL};

static bool matches(const char *text, const char *const *patterns)
{
	for (; *patterns; patterns++) {
		/* most patterns fail at their first letter */
		if (**patterns == *text && !fnmatch(*patterns, text, 0))
			return true;
	}
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool seep_module_is_ours(const char *path)
{
	return path && starts(base_name(path), "libseep.so");
}

bool seep_module_is_libc(const char *path)
{
	return path && matches(base_name(path), c_library);
}

static bool is_library(const char *module)
{
	return matches(module, c_library) || matches(module, other_libraries);
}

enum seep_role seep_frame_role(const struct seep_frame *f)
{
	const char *module = f->module ? base_name(f->module) : "";
	enum seep_role role = SEEP_ROLE_CALLER;
	char *name;

	if (f->truncated)
		return SEEP_ROLE_NONE;
	if (matches(module, allocator_libraries))
		return SEEP_ROLE_ALLOCATOR;
	name = f->function ? seep_function_normalise(f->function) : NULL;
	if (name && matches(name, family))
		role = SEEP_ROLE_ALLOCATOR;
	else if ((name && matches(name, wrappers)) || is_library(module))
		role = SEEP_ROLE_WRAPPER;
	free(name);
	return role;
}

size_t seep_blame(const enum seep_role *roles, size_t nr)
{
	size_t wrapper = nr;

	for (size_t i = 0; i < nr; i++) {
		if (roles[i] == SEEP_ROLE_CALLER)
			return i;
		if (roles[i] == SEEP_ROLE_WRAPPER && wrapper == nr)
			wrapper = i;
	}
	return wrapper < nr ? wrapper : 0;
}

size_t seep_first_caller(const enum seep_role *roles, size_t nr)
{
	size_t i = 0;

	while (i < nr && roles[i] == SEEP_ROLE_ALLOCATOR)
		i++;
	return i;
}

char *seep_frame_key(const struct seep_frame *f)
{
	const char *module;
	char *key = NULL;

	if (f->truncated)
		return strdup("");
	if (f->function)
		return seep_function_normalise(f->function);
	if (!f->module)
		return strdup("?"); /* an address that changes with each run */
	module = base_name(f->module);
	/* The C library's offsets change with each of its updates. */
	if (is_library(module))
		return strdup(module);
	if (asprintf(&key, "%s+0x%llx", module, (unsigned long long)f->offset) <
	    0)
		return NULL;
	return key;
}
