/* SPDX-License-Identifier: MIT */
/* Three blocks leaked in a loop, others freed (L4: it really allocates). */
#include "truth.h"

int main(void)
{
	for (int i = 0; i < 3; i++)
		KEEP(malloc(32), 32);
	for (int i = 0; i < 1000; i++)
		free(CHURN(malloc(100 + i), 100 + i));
	KEEP(calloc(7, 1000), 7000);
	KEEP(malloc(5000000), 5000000);
	KEEP(malloc(1), 1);
	KEEP(malloc(0), 0);
	truth_state();
	return 0;
}
