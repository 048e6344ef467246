/* SPDX-License-Identifier: MIT */
/* The host mark: a file in the state directory, durable, that says at the next start how the last run of
 * the daemon on this disk ended. The run mark (run-mark.h) knows the same within one boot of the host;
 * this one outlives it, and tells a shutdown in good order from a cut of the power. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mpyd/reset.h"
#include "util/macros.h"

#define HOST_PANIC_ID_MAX 96u
#define HOST_REBOOT_WHY_MAX 32u

/* What safe-mode.c of the daemon must not forget at a restart or a power cut. */
typedef struct SafeModeState {
        SafeModeReason reason;    /* NONE: not in safe mode */
        SafeModeDoor door;        /* NONE exactly then */
        unsigned strikes;         /* abnormal ends since the last stable time */
        unsigned retries;         /* of normal boots out of safe mode, since then */
} SafeModeState;
#define SAFE_MODE_COUNT_MAX 1000u /* of strikes and retries */

typedef struct HostMark {
        enum {
                HOST_MARK_NONE = 0, /* there is none, or it is not one */
                HOST_MARK_RUNNING,
                HOST_MARK_STOPPED,  /* in good order */
        } state;
        char boot_id[33];
        bool under_voltage;         /* seen since that boot */
        bool watchdog_armed;        /* a hardware watchdog was running */
        char panic_id[HOST_PANIC_ID_MAX]; /* newest record of a panic that was known then; may be empty */
        SafeModeState safe_mode;
        uint64_t rebooted_sec;      /* wall clock when mpyd last asked for a reboot; 0: never */
        char reboot_why[HOST_REBOOT_WHY_MAX]; /* it has asked for one since this boot: a word; empty: not */
} HostMark;

/* NONE for whatever cannot be read. */
HostMark host_mark_read(int dir_fd);

/* Replaces the mark durably, without waiting: a number other than 0 is written to the eventfd done_fd when
 * that has succeeded or failed (a failure is for the next read to find out). */
int host_mark_write_soon(int dir_fd, const HostMark *m, int done_fd) _must_check_;

/* Replaces the mark durably; waits for the disk for timeout_usec at most (-ETIMEDOUT: it is written all the
 * same when the disk lets it be). */
int host_mark_write(int dir_fd, const HostMark *m, uint64_t timeout_usec) _must_check_;

/* The file's text and back, for tests and fuzzers. -EBADMSG for what is not exactly a mark. */
#define HOST_MARK_TEXT_MAX 384u
void host_mark_format(const HostMark *m, char ret[static HOST_MARK_TEXT_MAX]);
int host_mark_parse(const char *text, HostMark *ret) _must_check_;
