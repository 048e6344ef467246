/* SPDX-License-Identifier: MIT */
/* How many lines a chatty source may log: a token bucket that, once empty, stays shut until a fair
 * number of lines is in it again, so that a flood gives one block of lines and one "N suppressed" each
 * period, not an alternation of both. Pure: the caller brings the time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"
#include "util/token-bucket.h"

typedef struct RateLimit {
        TokenBucket bucket;
        unsigned reopen;       /* lines that it must hold to open again */
        bool shut;
        uint64_t n_suppressed; /* since the last line that passed */
} RateLimit;

/* burst lines at once, one more each interval_usec (0: no limit); once shut it opens again when there
 * are reopen lines, or all of the burst if that is less. */
RateLimit rate_limit_make(unsigned burst, uint64_t interval_usec, unsigned reopen, uint64_t now_usec);

/* May one more line pass? A line that may not is counted. A clock that steps back only waits. */
bool rate_limit_take(RateLimit *l, uint64_t now_usec) _must_check_;

/* The number of lines that were suppressed, once there is room to say so; 0 otherwise. Costs no
 * token and forgets the number. */
uint64_t rate_limit_report(RateLimit *l, uint64_t now_usec) _must_check_;
