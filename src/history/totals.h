/* SPDX-License-Identifier: MIT */
/* Lifetime totals: under which names a record counts, and sums by name. Pure. */
#pragma once

#include "history/history.h"

#define TOTALS_NAMES_MAX 4u

/* Into ret; how many. The name of an event is the record's own. */
size_t totals_names(const HistoryRecord *r, const char *ret[static TOTALS_NAMES_MAX]);

/* Adds n to the total of that name, held at the ends of the range. -E2BIG: t is full. */
int totals_add(HistoryTotals *t, const char *name, int64_t n) _must_check_;
/* All that r counts as, n times; names beyond the last that fits are left out. */
void totals_add_record(HistoryTotals *t, const HistoryRecord *r, int64_t n);
