/* SPDX-License-Identifier: MIT */
/* The history for other programs: JSON lines and CSV. */
#pragma once

#include "ctl/ctl.h"
#include "history/history.h"

/* Prints what q asks for, oldest first. format: "jsonl" or "csv" (RFC 4180, with a head; texts as they are).
 * Has complained when it returns an exit code > 0. */
int history_export(const Ctl *c, const HistoryQuery *q, const char *format) _must_check_;
