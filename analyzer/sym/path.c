/* SPDX-License-Identifier: MIT */
/* path.c - file names as the compiler wrote them, made absolute and clean */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/sym/path.h"

/*
 * In place. Over a symbolic link a/../b is another file than b; compilers
 * write it for include folders (/usr/lib/gcc/x/12/../../../include), where
 * people expect the short name.
 */
static void clean(char *path)
{
	bool is_absolute = path[0] == '/';
	size_t root = is_absolute, out = root, in = 0;

	while (path[in]) {
		size_t n = strcspn(path + in, "/");
		const char *part = path + in;

		in += n;
		in += path[in] == '/';
		if (!n || (n == 1 && part[0] == '.'))
			continue;
		if (n == 2 && part[0] == '.' && part[1] == '.') {
			size_t last = out;

			while (last > root && path[last - 1] != '/')
				last--;
			if (out == root && is_absolute)
				continue;
			if (out > root &&
			    !(out - last == 2 && path[last] == '.' &&
				path[last + 1] == '.')) {
				out = last > root ? last - 1 : root;
				continue;
			}
		}
		if (out > root)
			path[out++] = '/';
		memmove(path + out, part, n);
		out += n;
	}
	if (!out)
		path[out++] = '.';
	path[out] = '\0';
}

char *seep_path_join(const char *folder, const char *name)
{
	size_t f = folder && name[0] != '/' ? strlen(folder) : 0;
	size_t n = strlen(name);
	char *path = malloc(f + n + 3);

	if (!path)
		return NULL;
	if (f) {
		memcpy(path, folder, f);
		path[f++] = '/';
	}
	memcpy(path + f, name, n + 1);
	clean(path);
	return path;
}
