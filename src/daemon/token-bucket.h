/* SPDX-License-Identifier: MIT */
/* Rate limit for resets: a burst is quick, a storm is not (DESIGN 10, D36). Pure. */
#pragma once

#include <stdint.h>

typedef struct TokenBucket {
        unsigned burst;          /* tokens when full, at least 1 */
        uint64_t interval_usec;  /* one more token each; 0 is no limit */
        uint64_t empty_at_usec;  /* the clock's time at which the bucket would have been empty */
} TokenBucket;

void token_bucket_init(TokenBucket *b, unsigned burst, uint64_t interval_usec, uint64_t now_usec);

/* Takes one token and returns how long to wait before using it: 0 while there are some. Tokens taken
 * in advance queue up behind each other. */
uint64_t token_bucket_take(TokenBucket *b, uint64_t now_usec);
