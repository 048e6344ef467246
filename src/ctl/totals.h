/* SPDX-License-Identifier: MIT */
/* Lifetime totals in words. */
#pragma once

#include <stddef.h>

#include "history/history.h"

/* "1,203 resets since 2026-01-31 12:00:05 (4 power-ons, 900 soft, 299 hard); 3 crashes, 41
 * exceptions": what there is of it. Returns buf. */
char *totals_sentence(const HistoryTotals *t, char *buf, size_t size);

/* All of them, one a line, on stdout. */
void totals_print(const HistoryTotals *t);
