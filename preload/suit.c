/* SPDX-License-Identifier: MIT */
/* suit.c - can the program that is about to be executed take the preload? */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#include "preload/suit.h"
#include "preload/sys.h"

#define NAME_MAX_ 512
#define SCRIPTS	  4 /* interpreters of interpreters, as the kernel counts */

static long read_at(long fd, void *buf, size_t len, uint64_t off)
{
	return seep_sys(SYS_pread64, fd, buf, len, off);
}

struct image {
	uint64_t dyn_off, dyn_len, interp_off, interp_len;
	uint64_t load_addr[8], load_off[8], load_len[8];
	int nr_loads;
};

static void read_segments(long fd, const ElfW(Ehdr) * eh, struct image *im)
{
	memset(im, 0, sizeof(*im));
	for (int i = 0; i < eh->e_phnum && i < 64; i++) {
		ElfW(Phdr) ph;

		if (read_at(fd, &ph, sizeof(ph),
			eh->e_phoff + (uint64_t)i * sizeof(ph)) !=
		    (long)sizeof(ph))
			return;
		if (ph.p_type == PT_INTERP) {
			im->interp_off = ph.p_offset;
			im->interp_len = ph.p_filesz;
		} else if (ph.p_type == PT_DYNAMIC) {
			im->dyn_off = ph.p_offset;
			im->dyn_len = ph.p_filesz;
		} else if (ph.p_type == PT_LOAD && im->nr_loads < 8) {
			im->load_addr[im->nr_loads] = ph.p_vaddr;
			im->load_off[im->nr_loads] = ph.p_offset;
			im->load_len[im->nr_loads++] = ph.p_filesz;
		}
	}
}

static uint64_t file_offset(const struct image *im, uint64_t addr)
{
	for (int i = 0; i < im->nr_loads; i++)
		if (addr - im->load_addr[i] < im->load_len[i])
			return addr - im->load_addr[i] + im->load_off[i];
	return 0;
}

/* Is it linked to a runtime that insists on being first? */
static bool needs_sanitizer(long fd, const struct image *im)
{
	static const char *const names[] = {
	    "libasan.so", "libtsan.so", "libhwasan.so"};
	ElfW(Dyn) d;
	uint64_t strings = 0;

	for (int pass = 0; pass < 2; pass++)
		for (uint64_t at = 0;
		     at + sizeof(d) <= im->dyn_len && at < 512 * sizeof(d);
		     at += sizeof(d)) {
			char name[16] = "";

			if (read_at(fd, &d, sizeof(d), im->dyn_off + at) !=
				(long)sizeof(d) ||
			    d.d_tag == DT_NULL)
				break;
			if (d.d_tag == DT_STRTAB)
				strings = file_offset(im, d.d_un.d_ptr);
			if (!pass || d.d_tag != DT_NEEDED || !strings)
				continue;
			read_at(
			    fd, name, sizeof(name) - 1, strings + d.d_un.d_val);
			for (int i = 0; i < 3; i++)
				if (!strncmp(name, names[i], strlen(names[i])))
					return true;
		}
	return false;
}

static bool elf_suits(long fd, const ElfW(Ehdr) * eh)
{
	char interp[NAME_MAX_], *base;
	struct image im;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_machine != SEEP_ELF_MACHINE ||
	    eh->e_phentsize != sizeof(ElfW(Phdr)))
		return false;
	read_segments(fd, eh, &im);
	if (im.interp_len && im.interp_len < sizeof(interp) &&
	    read_at(fd, interp, im.interp_len, im.interp_off) ==
		(long)im.interp_len) {
		interp[im.interp_len] = '\0';
		base = strrchr(interp, '/');
		if (!strncmp(base ? base + 1 : interp, "ld-musl", 7))
			return false;
	}
	return !needs_sanitizer(fd, &im);
}

/* The interpreter named in the first line of a script. */
static bool script_interpreter(long fd, char *name)
{
	char line[NAME_MAX_];
	long n = read_at(fd, line, sizeof(line) - 1, 0);
	char *p = line + 2;
	size_t len;

	if (n < 4 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	p += strspn(p, " \t");
	len = strcspn(p, " \t\n");
	if (!len)
		return false;
	memcpy(name, p, len);
	name[len] = '\0';
	return true;
}

bool seep_suits_fd(int given)
{
	char name[NAME_MAX_];
	long fd = given;
	bool ret = true;

	for (int depth = 0; depth < SCRIPTS; depth++) {
		ElfW(Ehdr) eh;
		bool more;

		if (read_at(fd, &eh, sizeof(eh), 0) >= (long)sizeof(eh) &&
		    !memcmp(eh.e_ident, ELFMAG, SELFMAG)) {
			ret = elf_suits(fd, &eh);
			break;
		}
		more = script_interpreter(fd, name);
		if (!more)
			break;
		if (fd != given)
			seep_sys(SYS_close, fd);
		fd = seep_sys(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return true;
	}
	if (fd != given)
		seep_sys(SYS_close, fd);
	return ret;
}

bool seep_suits_path(const char *path)
{
	long fd = seep_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	bool ret;

	if (fd < 0)
		return true;
	ret = seep_suits_fd((int)fd);
	seep_sys(SYS_close, fd);
	return ret;
}

bool seep_suits_name(const char *name, const char *path_list)
{
	char path[NAME_MAX_];
	size_t name_len = strlen(name);

	if (strchr(name, '/'))
		return seep_suits_path(name);
	if (!path_list)
		path_list = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(path_list, ":");

		if (len + name_len + 2 <= sizeof(path)) {
			memcpy(path, path_list, len);
			if (len)
				path[len++] = '/';
			memcpy(path + len, name, name_len + 1);
			if (!seep_sys(SYS_faccessat, AT_FDCWD, path, 1))
				return seep_suits_path(path);
		}
		path_list += strcspn(path_list, ":");
		if (!*path_list++)
			return true;
	}
}
