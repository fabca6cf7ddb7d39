/* SPDX-License-Identifier: MIT */
/* trend.c - does a site still grow: judged over a series of snapshots */
#include "analyzer/model/trend.h"

#define MIN_SNAPSHOTS 4
#define MAX_VARIATION 4 /* times the growth; above it the site churns */

const char *seep_trend_name(enum seep_trend t)
{
	switch (t) {
	case SEEP_TREND_GREW:
		return "grew";
	case SEEP_TREND_GROWING:
		return "growing";
	case SEEP_TREND_STOPPED:
		return "stopped";
	case SEEP_TREND_CHURNING:
		return "churning";
	case SEEP_TREND_NONE:
		break;
	}
	return "none";
}

void seep_series_init(struct seep_series *s, uint32_t nr, uint64_t value)
{
	*s = (struct seep_series){
	    .first = value, .last = value, .most = value, .nr = nr};
	for (int i = 0; i < 4; i++)
		s->least[i] = UINT64_MAX;
}

static unsigned quarter(const struct seep_series *s, uint32_t index)
{
	return (unsigned)((uint64_t)(index - 1) * 4 / s->nr);
}

/* The present value also held at the indices from..to. */
static void held(struct seep_series *s, uint32_t from, uint32_t to)
{
	if (from > to)
		return;
	for (unsigned q = quarter(s, from); q <= quarter(s, to); q++) {
		if (s->least[q] > s->last)
			s->least[q] = s->last;
	}
}

void seep_series_add(struct seep_series *s, uint32_t index, uint64_t value)
{
	if (index <= s->at || index > s->nr)
		return;
	held(s, s->at + 1, index - 1);
	if (value > s->last) {
		s->grew_in++;
		s->grew_at = index;
	}
	s->variation += value > s->last ? value - s->last : s->last - value;
	s->last = value;
	if (value > s->most)
		s->most = value;
	s->at = index;
	held(s, index, index);
}

void seep_series_end(struct seep_series *s)
{
	held(s, s->at + 1, s->nr);
	s->at = s->nr;
}

enum seep_trend seep_series_trend(const struct seep_series *s)
{
	uint64_t growth = s->last - s->first;

	if (s->last <= s->first)
		return SEEP_TREND_NONE;
	if (s->nr < MIN_SNAPSHOTS) {
		if (s->variation / 2 > growth)
			return SEEP_TREND_CHURNING;
		if (s->nr == 3 && s->grew_at == 1)
			return SEEP_TREND_STOPPED;
		return s->nr > 1 && s->grew_in == s->nr ? SEEP_TREND_GROWING
							: SEEP_TREND_GREW;
	}
	if (s->variation / MAX_VARIATION > growth)
		return SEEP_TREND_CHURNING;
	for (int i = 0; i < 3; i++) {
		if (s->least[i + 1] <= s->least[i])
			return SEEP_TREND_STOPPED;
	}
	return SEEP_TREND_GROWING;
}

bool seep_series_is_usual(
    const struct seep_series *before, const struct seep_series *s)
{
	uint64_t variation = before->variation + s->variation;

	if (before->nr < MIN_SNAPSHOTS || !before->variation)
		return false;
	return s->last <= before->most ||
	       variation / MAX_VARIATION > s->last - before->first;
}
