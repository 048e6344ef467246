/* SPDX-License-Identifier: MIT */
/* The run mark: a file in the run directory by which one run of the daemon learns how the one before it
 * ended, and from that why it starts. */
#pragma once

#include <stdint.h>

#include "mpyd/reset.h"
#include "util/macros.h"

#define RUN_DETAIL_MAX 160u

typedef struct RunStart {
        ResetCause cause;         /* SOFT: the run before handed over */
        ResetReason reason;
        char detail[RUN_DETAIL_MAX]; /* a sentence */
        unsigned failures;        /* runs in a row that ended without a clean stop soon after their start */
} RunStart;

/* Reads how the last run ended and marks a new one as begun. A mark of another boot of the host, or
 * none, is a power-on. */
RunStart run_began(int run_dir_fd, const char *boot_id);

/* This run has lasted: what comes after it is not a crash loop. */
void run_lasted(int run_dir_fd, const char *boot_id);

/* This run ends in good order. */
void run_ended(int run_dir_fd, const char *boot_id);

/* The same, and the next one takes over what it left with the service manager: the board sees a soft
 * reset, which leaves its reason as it was. */
void run_handed_over(int run_dir_fd, const char *boot_id, ResetReason reason);

/* How the service manager saw a run end: $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS of systemd.exec(5).
 * NULL is fine for any. For ExecStopPost=, which a crash cannot skip. */
int run_note_result(int run_dir_fd, const char *result, const char *code, const char *status)
        _must_check_;

/* How long to wait before the board is started, after so many failures in a row. */
uint64_t run_hold_back_usec(unsigned failures);
