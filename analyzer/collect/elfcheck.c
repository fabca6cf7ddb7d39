/* SPDX-License-Identifier: MIT */
/*
 * elfcheck.c - whether a program can be traced, told before it runs
 *
 * What a preload cannot reach: static programs, another C library, another word
 * size, programs that change their user, and programs with a malloc of their
 * own or a sanitizer's. Everything else is tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "analyzer/collect/launch.h"

#ifdef __x86_64__
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#define OUR_MACHINE EM_NONE
#endif

#define MAX_SCRIPTS 5 /* as the kernel */

static struct seep_error *cannot(const char *path, const char *why)
{
	return seep_error_new(
	    SEEP_ERROR_NOT_MEASURED, "'%s' cannot be traced: %s", path, why);
}

/* AT_SECURE: the loader then ignores a preload. */
static bool changes_user(int fd)
{
	char caps[64];
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	    (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID)))
		return false;
	if ((st.st_mode & S_ISUID) && st.st_uid != geteuid())
		return true;
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) &&
	    st.st_gid != getegid())
		return true;
	return geteuid() &&
	       fgetxattr(fd, "security.capability", caps, sizeof(caps)) > 0;
}

struct facts {
	bool has_interp, is_pie_flagged, has_soname;
	char interp[PATH_MAX];
	const char *sanitizer; /* its name, or NULL */
	bool own_malloc;
};

static const char *sanitizer_of_library(const char *name)
{
	static const struct {
		const char *prefix, *name;
	} known[] = {
	    {"libasan.so", "AddressSanitizer"},
	    {"libhwasan.so", "HWAddressSanitizer"},
	    {"libtsan.so", "ThreadSanitizer"},
	    {"liblsan.so", "LeakSanitizer"},
	    {"libclang_rt.asan", "AddressSanitizer"},
	    {"libclang_rt.hwasan", "HWAddressSanitizer"},
	    {"libclang_rt.tsan", "ThreadSanitizer"},
	    {"libclang_rt.msan", "MemorySanitizer"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strncmp(name, known[i].prefix, strlen(known[i].prefix)))
			return known[i].name;
	return NULL;
}

static const char *sanitizer_of_symbol(const char *name)
{
	if (strncmp(name, "__", 2))
		return NULL;
	if (!strcmp(name, "__asan_init"))
		return "AddressSanitizer";
	if (!strcmp(name, "__hwasan_init"))
		return "HWAddressSanitizer";
	if (!strcmp(name, "__tsan_init"))
		return "ThreadSanitizer";
	if (!strcmp(name, "__msan_init"))
		return "MemorySanitizer";
	return NULL;
}

static void read_dynamic(
    Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh, struct facts *f)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Dyn dyn;

	for (int i = 0; data && gelf_getdyn(data, i, &dyn); i++) {
		const char *name;

		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_SONAME)
			f->has_soname = true;
		if (dyn.d_tag == DT_FLAGS_1 && (dyn.d_un.d_val & DF_1_PIE))
			f->is_pie_flagged = true;
		if (dyn.d_tag != DT_NEEDED)
			continue;
		name = elf_strptr(elf, sh->sh_link, dyn.d_un.d_val);
		if (name && !f->sanitizer)
			f->sanitizer = sanitizer_of_library(name);
	}
}

/* Defined here and called malloc, whatever its binding: a hidden one cannot be
 * replaced, a visible one comes before ours. */
static void read_symbols(
    Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh, struct facts *f)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Sym sym;

	for (int i = 0; data && gelf_getsym(data, i, &sym); i++) {
		const char *name;

		if (sym.st_shndx == SHN_UNDEF)
			continue;
		name = elf_strptr(elf, sh->sh_link, sym.st_name);
		if (!name)
			continue;
		if (!f->sanitizer)
			f->sanitizer = sanitizer_of_symbol(name);
		if (!strcmp(name, "malloc") &&
		    (GELF_ST_TYPE(sym.st_info) == STT_FUNC ||
			GELF_ST_TYPE(sym.st_info) == STT_GNU_IFUNC))
			f->own_malloc = true;
	}
}

static void read_facts(Elf *elf, int fd, struct facts *f)
{
	Elf_Scn *scn = NULL;
	size_t nr = 0;

	elf_getphdrnum(elf, &nr);
	for (size_t i = 0; i < nr; i++) {
		GElf_Phdr ph;
		ssize_t n;

		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_INTERP)
			continue;
		n = pread(
		    fd, f->interp, sizeof(f->interp) - 1, (off_t)ph.p_offset);
		if (n > 0 && (uint64_t)n > ph.p_filesz)
			n = (ssize_t)ph.p_filesz;
		f->interp[n > 0 ? n : 0] = '\0';
		f->has_interp = true;
	}
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh))
			continue;
		if (sh.sh_type == SHT_DYNAMIC)
			read_dynamic(elf, scn, &sh, f);
		else if (sh.sh_type == SHT_DYNSYM || sh.sh_type == SHT_SYMTAB)
			read_symbols(elf, scn, &sh, f);
	}
}

static struct seep_error *judge(
    const char *path, const GElf_Ehdr *eh, const struct facts *f)
{
	const char *loader = strrchr(f->interp, '/');

	loader = loader ? loader + 1 : f->interp;
	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return cannot(
		    path, "it is a 32-bit program; trace a 64-bit build of it");
	if (OUR_MACHINE != EM_NONE && eh->e_machine != OUR_MACHINE)
		return cannot(path, "it is for another kind of processor");
	/* The loader itself, used as a command, is a library without one. */
	if (!f->has_interp && !(f->has_soname && !f->is_pie_flagged))
		return cannot(path,
		    "it is statically linked; link it dynamically "
		    "(without -static)");
	if (f->has_interp && strncmp(loader, "ld-linux", 8) &&
	    strncmp(loader, "ld64.so", 7))
		return seep_error_new(SEEP_ERROR_NOT_MEASURED,
		    "'%s' cannot be traced: its loader is '%s', only programs "
		    "for glibc can be; build it against glibc",
		    path, f->interp);
	if (f->sanitizer)
		return seep_error_new(SEEP_ERROR_NOT_MEASURED,
		    "'%s' cannot be traced: it was built with %s, which "
		    "brings its own malloc; build it without -fsanitize",
		    path, f->sanitizer);
	if (f->own_malloc)
		return cannot(path,
		    "it defines its own malloc; link the allocator "
		    "dynamically, or build without it");
	return NULL;
}

static struct seep_error *check_elf(const char *path, int fd)
{
	struct seep_error *err = NULL;
	struct facts f = {0};
	GElf_Ehdr eh;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	/* What libelf cannot read the kernel may still run, or refuse. */
	if (!elf)
		return NULL;
	if (elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &eh)) {
		read_facts(elf, fd, &f);
		err = judge(path, &eh, &f);
	}
	elf_end(elf);
	return err;
}

/* "#!INTERPRETER ARGUMENT" */
static struct seep_error *check_script(const char *path, char *head, int depth)
{
	char *interp = head + 2 + strspn(head + 2, " \t");

	interp[strcspn(interp, " \t\n")] = '\0';
	if (!*interp || depth >= MAX_SCRIPTS)
		return seep_error_new(SEEP_ERROR_NOT_EXEC,
		    "'%s': its #! line names no interpreter", path);
	if (access(interp, F_OK) < 0)
		return seep_error_new(SEEP_ERROR_NOT_EXEC,
		    "'%s': its interpreter '%s' does not exist", path, interp);
	return seep_launch_check(interp, depth + 1);
}

struct seep_error *seep_launch_check(const char *path, int depth)
{
	_cleanup_(seep_closep) int fd = -1;
	char head[PATH_MAX];
	ssize_t n;

	/* Executable but not readable: it cannot be checked, only tried. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	n = pread(fd, head, sizeof(head) - 1, 0);
	if (n < 4)
		return NULL;
	head[n] = '\0';
	if (head[0] == '#' && head[1] == '!')
		return check_script(path, head, depth);
	if (memcmp(head, ELFMAG, SELFMAG))
		return NULL;
	if (changes_user(fd))
		return cannot(path,
		    "it changes its user when it starts (setuid, setgid or "
		    "capabilities), so nothing can be preloaded; trace it as "
		    "that user");
	return check_elf(path, fd);
}
