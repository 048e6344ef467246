/* SPDX-License-Identifier: MIT */
/* When the host may be rebooted as the last resort, [host]. Pure: the caller brings times and state. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct HostRebootFacts {
        bool enabled;
        uint64_t interval_usec;      /* from one to the next; 0: no budget */
        uint64_t min_uptime_usec;
        uint64_t uptime_usec;        /* CLOCK_BOOTTIME */
        uint64_t realtime_sec;
        uint64_t rebooted_sec;       /* wall clock at the last one that mpyd asked for; 0: never */
        uint64_t snooze_until_usec;  /* CLOCK_BOOTTIME; 0: not */
} HostRebootFacts;

/* How long to wait before it: 0 now, UINT64_MAX never (it is off). ret_why, static, says what it waits for.
 * A wall clock that has gone back counts as one that stood still; the time since the boot counts in any
 * case. */
uint64_t host_reboot_wait_usec(const HostRebootFacts *f, const char **ret_why);
