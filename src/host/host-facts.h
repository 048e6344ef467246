/* SPDX-License-Identifier: MIT */
/* What this Linux machine shows about its last boot, and about its power: read from /proc and /sys, or
 * from a recorded tree of the same form. Nothing is concluded here; host-fuse.c does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host/host-mark.h"

#define HOST_PATH_MAX 96u

/* WDIOF_* of linux/watchdog.h, as bootstatus has them. */
#define HOST_WDIOF_POWERUNDER 0x10u
#define HOST_WDIOF_CARDRESET 0x20u

/* The BCM2835's PM_RSTS, as the firmware hands it on. */
#define HOST_RSTS_WATCHDOG 0x20u   /* HADWRF: also an ordinary reboot, which uses the watchdog */
#define HOST_RSTS_POWER_ON 0x1000u /* HADPOR */

typedef struct HostFacts {
        char boot_id[33];           /* of this boot; empty: not known */
        HostMark mark;              /* of the run before */
        char panic_id[HOST_PANIC_ID_MAX], panic_path[HOST_PATH_MAX]; /* newest record of a panic */
        uint32_t bootstatus;        /* of all watchdogs */
        char bootstatus_path[HOST_PATH_MAX];
        bool watchdog_armed;        /* a hardware watchdog runs */
        bool rsts_known;
        uint32_t rsts;
        bool under_voltage;         /* since this boot */
        char under_voltage_path[HOST_PATH_MAX];
} HostFacts;

/* root_fd: the directory that has proc, sys, var (usually /). state_fd: where the host mark is. What
 * cannot be read is not there. */
HostFacts host_facts_gather(int root_fd, int state_fd);

/* Only boot_id, without dashes. -ENOENT. */
int host_facts_boot_id(int root_fd, char ret[static 33]) _must_check_;

/* Has there been under-voltage since the host booted? *ret_path, when not NULL, says where it stands. */
bool host_facts_under_voltage(int root_fd, char ret_path[HOST_PATH_MAX]);

/* Opens the files that under-voltage shows in; the kernel reports a change of them by POLLPRI, once after
 * each time that they were read. Returns how many. */
#define HOST_POWER_FILES_MAX 4u
size_t host_facts_open_power(int root_fd, int ret_fds[static HOST_POWER_FILES_MAX]);

/* A hardware watchdog as the kernel shows it (Documentation/ABI/testing/sysfs-class-watchdog). */
typedef struct HostWatchdog {
        char name[24];     /* watchdog0 */
        char identity[48]; /* "Broadcom BCM2835 Watchdog timer" */
        bool active;       /* it runs */
        uint32_t timeout_sec;
        bool nowayout;     /* it cannot be stopped */
} HostWatchdog;
#define HOST_WATCHDOGS_MAX 4u
size_t host_facts_watchdogs(int root_fd, HostWatchdog ret[static HOST_WATCHDOGS_MAX]);

/* Whether a hardware watchdog runs. */
bool host_facts_watchdog_armed(int root_fd);

/* How many processes the kernel has killed for want of memory since it booted; -ENOENT. */
int64_t host_facts_oom_kills(int root_fd);
