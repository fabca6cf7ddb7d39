/* SPDX-License-Identifier: MIT */
/* The program around first_lib.c. */
int first_state(void);

int main(void)
{
	return first_state();
}
