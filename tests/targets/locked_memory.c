/* SPDX-License-Identifier: MIT */
/* All memory locked, present and future (D49): prints its resident KiB. */
#include "truth.h"
#include <sys/mman.h>

int main(void)
{
	static char text[65536];
	int fd;
	char *at;

	KEEP(malloc(100), 100);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return 77;
	for (int i = 0; i < 5000; i++)
		KEEP(malloc(100 + i), 100 + i);
	fd = open("/proc/self/status", O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		truth_die("status");
	at = strstr(text, "VmRSS:");
	if (!at)
		truth_die("no VmRSS");
	dprintf(1, "%d\n", atoi(at + 6));
	truth_state();
	return 0;
}
