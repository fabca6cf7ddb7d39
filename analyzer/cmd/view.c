/* SPDX-License-Identifier: MIT */
/* view.c - the options that report, growth and diff share */
#include "analyzer/cmd/view.h"

/* Sites of a text report that get names, with some room for filters. */
#define RESOLVE_TOP 400

const char *const seep_view_formats[] = {"text", "json", NULL};
const char *const seep_report_formats[] = {"text", "json", "folded", NULL};
const char *const seep_view_sorts[] = {[SEEP_SORT_BYTES] = "bytes",
    [SEEP_SORT_BLOCKS] = "blocks",
    [SEEP_SORT_AGE] = "age",
    [SEEP_SORT_ALLOCS] = "allocs",
    [SEEP_SORT_TEMPORARY] = "temporary",
    NULL};

void seep_view_query(const struct seep_view *v, struct seep_query_options *ret)
{
	bool everything = v->format != SEEP_VIEW_TEXT || v->all || v->module ||
			  v->sort != SEEP_SORT_BYTES || v->top == 0;

	*ret = (struct seep_query_options){
	    .pid = v->process,
	    .module = v->module,
	    .min_bytes = v->min_bytes,
	    .sort = (enum seep_sort)v->sort,
	    .resolve_top = everything ? SIZE_MAX : RESOLVE_TOP,
	    .idle_sites = everything,
	    .trends = v->format == SEEP_VIEW_TEXT,
	    .debuginfod = v->debuginfod,
	    .debuginfod_timeout_s =
		(unsigned)((v->debuginfod_timeout_ms + 999) / 1000),
	};
}

void seep_view_text(const struct seep_view *v, struct seep_text_options *ret)
{
	*ret = (struct seep_text_options){
	    .top = v->all		  ? 0
		   : v->top == UINT64_MAX ? SEEP_TEXT_TOP
					  : v->top,
	    .depth = v->depth,
	    .all_processes = v->all,
	    .idle_sites =
		v->sort == SEEP_SORT_ALLOCS || v->sort == SEEP_SORT_TEMPORARY,
	};
}

size_t seep_view_json_top(const struct seep_view *v)
{
	return v->all || v->top == UINT64_MAX ? 0 : v->top;
}
