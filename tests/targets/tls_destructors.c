/* SPDX-License-Identifier: MIT */
/* Destructors of thread-specific data that allocate and free, 4 rounds (D10).
 */
#include "truth.h"
#include <pthread.h>

#define THREADS 40
#define ROUNDS	4

struct data {
	int round;
	void *block;
};

static pthread_key_t keys[3];

static void destroy(void *argument)
{
	struct data *d = argument;
	struct data *again;

	free(d->block);
	KEEP(malloc(81), 81);
	free(CHURN(malloc(82), 82));
	if (d->round + 1 < ROUNDS) {
		again = CHURN(malloc(sizeof(*again)), sizeof(*again));
		again->round = d->round + 1;
		again->block = CHURN(malloc(2000), 2000);
		for (int i = 0; i < 3; i++) {
			if (pthread_getspecific(keys[i]) == NULL) {
				pthread_setspecific(keys[i], again);
				again = NULL;
				break;
			}
		}
		if (again)
			truth_die("no free key");
	}
	free(d);
}

static void *begin(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		struct data *d = CHURN(malloc(sizeof(*d)), sizeof(*d));

		d->round = 0;
		d->block = CHURN(malloc(90 + i), 90 + i);
		pthread_setspecific(keys[i], d);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < 3; i++)
		pthread_key_create(&keys[i], destroy);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, begin, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	truth_state();
	return 0;
}
