/* SPDX-License-Identifier: MIT */
/* What the log could not be rid of at once is tried again by the event loop. */
#pragma once

#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct LogPump LogPump;

/* One a process: it is the log's wake function. event is borrowed and must outlive it. */
int log_pump_new(LogPump **ret, sd_event *event) _must_check_;

/* Tries a last time, for a moment. */
LogPump *log_pump_free(LogPump *p);
DEFINE_CLEANUP(LogPump *, log_pump_free)
