/* SPDX-License-Identifier: MIT */
/* Under systemd the event loop has real-time priority (mpyd.service: the lowest, as watchdog(8) has it), so that
 * a watchdog bites in time on a busy machine. This keeps it from costing the machine anything. */
#pragma once

#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct RealTime RealTime;

/* A loop that works for so long without having to wait once gets SIGXCPU (LimitRTTIME=, getrlimit(2)) and
 * makes a pause of 5 ms: the others get the processor, and the kernel counts anew. A loop that does not even come
 * to the end of its turn is killed at the hard limit, as one that hangs. Without that limit, or without the
 * priority, nothing happens. SIGXCPU must be blocked in all threads; event is borrowed and must outlive it. */
int real_time_new(RealTime **ret, sd_event *event) _must_check_;

RealTime *real_time_free(RealTime *t);
DEFINE_CLEANUP(RealTime *, real_time_free)
