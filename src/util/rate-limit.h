/* SPDX-License-Identifier: MIT */
/* How many lines a chatty source may log: a token bucket that fills in whole periods, so that a
 * flood gives one block of lines and one "N suppressed" each period, not an alternation of both.
 * Pure: the caller brings the time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

typedef struct RateLimit {
        unsigned burst;        /* lines at once, the bucket's size */
        unsigned refill;       /* lines more for each period */
        uint64_t period_usec;  /* not 0 */

        unsigned tokens;
        uint64_t refilled_usec;
        uint64_t n_suppressed; /* since the last line that passed */
} RateLimit;

/* A full bucket. */
RateLimit rate_limit_make(unsigned burst, unsigned refill, uint64_t period_usec, uint64_t now_usec);

/* May one more line pass? A line that may not is counted. A clock that steps back only waits. */
bool rate_limit_take(RateLimit *l, uint64_t now_usec) _must_check_;

/* The number of lines that were suppressed, once there is room to say so; 0 otherwise. Costs no
 * token and forgets the number. */
uint64_t rate_limit_report(RateLimit *l, uint64_t now_usec) _must_check_;
