/* SPDX-License-Identifier: MIT */
/* The bucket is one number: when it would have been empty. It fills by time passing. */
#include "daemon/token-bucket.h"

#include "util/macros.h"

void token_bucket_init(TokenBucket *b, unsigned burst, uint64_t interval_usec, uint64_t now_usec) {
        uint64_t full = burst > 0 ? burst : 1;

        interval_usec = MIN(interval_usec, INT64_MAX / 4 / full); /* levels are signed */
        *b = (TokenBucket) {
                .burst = (unsigned) full,
                .interval_usec = interval_usec,
                /* Wraps below zero for a clock that has just started; all uses are differences. */
                .empty_at_usec = now_usec - full * interval_usec,
        };
}

uint64_t token_bucket_take(TokenBucket *b, uint64_t now_usec) {
        uint64_t full_usec = b->burst * b->interval_usec;
        int64_t level_usec;

        if (b->interval_usec == 0)
                return 0;

        level_usec = (int64_t) (now_usec - b->empty_at_usec);
        if (level_usec > (int64_t) full_usec) {
                b->empty_at_usec = now_usec - full_usec;
                level_usec = (int64_t) full_usec;
        }

        b->empty_at_usec += b->interval_usec;
        level_usec -= (int64_t) b->interval_usec;
        return level_usec >= 0 ? 0 : (uint64_t) -level_usec;
}
