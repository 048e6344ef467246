/* SPDX-License-Identifier: MIT */
/* Does the VM still go on? A pure function of the progress token in the retained page, which the VM's
 * own loop counts up (no timer and no other thread does), and of the flag that is set while it waits. A
 * board that neither advances nor waits is stalled: it is stuck in C code, or its process is stopped. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STALL_REPORT_USEC UINT64_C(10000000) /* so long without progress is worth a line */

typedef struct Stall {
        uint64_t token;      /* as last seen */
        uint64_t seen_usec;  /* when it was last known to advance or to wait; CLOCK_MONOTONIC */
        bool told, reset_told;
} Stall;

typedef struct StallVerdict {
        bool begins;         /* stalled since seen_usec: report it */
        bool over;           /* what was reported has ended */
        bool reset;          /* the limit is reached */
        uint64_t wake_usec;  /* look again then */
} StallVerdict;

/* A board's life begins, or its VM has just been seen to go on. */
void stall_begin(Stall *s, uint64_t token, uint64_t now_usec);

/* limit_usec: reset after so long, 0 for never. Each answer is given once in a stall. */
StallVerdict stall_check(Stall *s, uint64_t token, bool waits, uint64_t limit_usec, uint64_t now_usec);
