/* SPDX-License-Identifier: MIT */
/* The history, from the daemon when it runs, else from the state directory. */
#pragma once

#include <systemd/sd-bus.h>

#include "ctl/ctl.h"
#include "history/history.h"

/* Newest first, as many as q->limit asks for (any number). *ret is freed with
 * history_records_free(). *ret_live: the daemon answered. Has complained when it returns an exit
 * code > 0. */
int history_fetch(const Ctl *c, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n,
                  bool *ret_live);

/* The same offline only, and silent: a negative errno. */
int history_fetch_offline(const Ctl *c, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n)
        _must_check_;

/* Lifetime totals. Has complained when it returns an exit code > 0; the other two are silent. */
int history_fetch_totals(const Ctl *c, HistoryTotals *ret);
int history_fetch_totals_live(sd_bus *bus, HistoryTotals *ret, sd_bus_error *e) _must_check_;
int history_fetch_totals_offline(const Ctl *c, HistoryTotals *ret) _must_check_;

/* "hard reset" for HARD_RESET, "?" for what is none. */
const char *reset_cause_words(ResetCause cause);
