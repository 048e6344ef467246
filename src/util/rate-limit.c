/* SPDX-License-Identifier: MIT */
/* When the bucket of lines is shut, and how many lines found it so. */
#include "util/rate-limit.h"

RateLimit rate_limit_make(unsigned burst, uint64_t interval_usec, unsigned reopen,
                          uint64_t now_usec) {
        RateLimit l = {};

        token_bucket_init(&l.bucket, burst, interval_usec, now_usec);
        l.reopen = MIN(MAX(reopen, 1u), l.bucket.burst);
        return l;
}

static bool is_open(RateLimit *l, uint64_t now_usec) {
        if (l->shut)
                l->shut = token_bucket_available(&l->bucket, now_usec) < l->reopen;
        return !l->shut;
}

bool rate_limit_take(RateLimit *l, uint64_t now_usec) {
        if (!is_open(l, now_usec)) {
                l->n_suppressed++;
                return false;
        }
        (void) token_bucket_take(&l->bucket, now_usec);
        l->shut = token_bucket_available(&l->bucket, now_usec) == 0;
        return true;
}

uint64_t rate_limit_report(RateLimit *l, uint64_t now_usec) {
        uint64_t n;

        if (!is_open(l, now_usec))
                return 0;
        n = l->n_suppressed;
        l->n_suppressed = 0;
        return n;
}
