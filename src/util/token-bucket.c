/* SPDX-License-Identifier: MIT */
/* The bucket is one number: when it would have been empty. It fills by time passing. */
#include "util/token-bucket.h"

#include <limits.h>

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

/* What is in it, as time; negative when tokens were taken in advance. */
static int64_t level_usec(const TokenBucket *b, uint64_t now_usec) {
        return MIN((int64_t) (now_usec - b->empty_at_usec),
                   (int64_t) (b->burst * b->interval_usec));
}

uint64_t token_bucket_take(TokenBucket *b, uint64_t now_usec) {
        int64_t level;

        if (b->interval_usec == 0)
                return 0;
        level = level_usec(b, now_usec) - (int64_t) b->interval_usec;
        b->empty_at_usec = now_usec - (uint64_t) level;
        return level >= 0 ? 0 : (uint64_t) -level;
}

unsigned token_bucket_available(const TokenBucket *b, uint64_t now_usec) {
        int64_t level;

        if (b->interval_usec == 0)
                return UINT_MAX;
        level = level_usec(b, now_usec);
        return level > 0 ? (unsigned) ((uint64_t) level / b->interval_usec) : 0;
}
