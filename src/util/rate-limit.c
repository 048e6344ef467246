/* SPDX-License-Identifier: MIT */
/* The arithmetic of a token bucket that fills in whole periods. */
#include "util/rate-limit.h"

RateLimit rate_limit_make(unsigned burst, unsigned refill, uint64_t period_usec,
                          uint64_t now_usec) {
        assert(period_usec > 0);

        return (RateLimit) {
                .burst = burst,
                .refill = refill,
                .period_usec = period_usec,
                .tokens = burst,
                .refilled_usec = now_usec,
        };
}

static void rate_limit_fill(RateLimit *l, uint64_t now_usec) {
        uint64_t periods, tokens;

        if (now_usec < l->refilled_usec)
                return;
        periods = (now_usec - l->refilled_usec) / l->period_usec;
        if (periods == 0)
                return;
        l->refilled_usec += periods * l->period_usec;
        if (__builtin_mul_overflow(periods, (uint64_t) l->refill, &tokens) || tokens > l->burst)
                tokens = l->burst;
        l->tokens = (unsigned) MIN(l->tokens + tokens, (uint64_t) l->burst);
}

bool rate_limit_take(RateLimit *l, uint64_t now_usec) {
        rate_limit_fill(l, now_usec);
        if (l->tokens == 0) {
                l->n_suppressed++;
                return false;
        }
        l->tokens--;
        return true;
}

uint64_t rate_limit_report(RateLimit *l, uint64_t now_usec) {
        uint64_t n;

        rate_limit_fill(l, now_usec);
        if (l->tokens == 0)
                return 0;
        n = l->n_suppressed;
        l->n_suppressed = 0;
        return n;
}
