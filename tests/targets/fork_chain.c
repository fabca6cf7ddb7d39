/* SPDX-License-Identifier: MIT */
/*
 * A chain of forks, each process the child of the one before. Each frees some
 * blocks of its forebears, moves others with realloc (then they are its own),
 * and leaves the rest: those are nobody's leak (L8).
 */
#include "truth.h"
#include <sys/wait.h>

#define DEPTH  12
#define BLOCKS 30

static void *blocks[DEPTH + 1][BLOCKS];

int main(void)
{
	for (int level = 0;; level++) {
		int status;
		pid_t pid;

		for (int i = 0; i < BLOCKS; i++)
			blocks[level][i] = KEEP(malloc(100 + i), 100 + i);
		for (int k = 0; k < level; k++) {
			free(blocks[k][level]);
			KEEP(realloc(blocks[k][level + 15], 3000), 3000);
		}
		truth_state();
		if (level == DEPTH)
			return level;
		pid = fork();
		if (!pid) {
			truth_reset();
			continue;
		}
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != DEPTH)
			truth_die("the child ended badly");
		return DEPTH;
	}
}
