/* SPDX-License-Identifier: MIT */
/* minidebug.c - unpacks .gnu_debugdata, an ELF file with symbols, by xz */
#include <stdint.h>
#include <stdlib.h>

#include "config.h"

#include "analyzer/sym/minidebug.h"

#ifdef HAVE_LZMA
#include <lzma.h>

#define MAX_BYTES  (64u << 20)
#define MAX_MEMORY (64u << 20)

void *seep_minidebug_unpack(const void *xz, size_t xz_bytes, size_t *ret_bytes)
{
	/* Its size stands at its end; doubling is simpler than to trust it. */
	for (size_t room = 8 * xz_bytes + 4096; room <= MAX_BYTES; room *= 2) {
		uint64_t memory = MAX_MEMORY;
		size_t in = 0, out = 0;
		void *bytes = malloc(room);
		lzma_ret ret;

		if (!bytes)
			return NULL;
		ret = lzma_stream_buffer_decode(
		    &memory, 0, NULL, xz, &in, xz_bytes, bytes, &out, room);
		if (ret == LZMA_OK) {
			*ret_bytes = out;
			return bytes;
		}
		free(bytes);
		if (ret != LZMA_BUF_ERROR)
			return NULL;
	}
	return NULL;
}

#else

void *seep_minidebug_unpack(const void *xz, size_t xz_bytes, size_t *ret_bytes)
{
	(void)xz, (void)xz_bytes, (void)ret_bytes;
	return NULL;
}

#endif
