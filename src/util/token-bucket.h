/* SPDX-License-Identifier: MIT */
/* The one rate limit of this project: a burst is quick, a storm is not (DESIGN 10, D36). Resets wait
 * by it, log lines pass or are counted by it (rate-limit.h). Pure: the caller brings the time. */
#pragma once

#include <stdint.h>

typedef struct TokenBucket {
        unsigned burst;          /* tokens when full, at least 1 */
        uint64_t interval_usec;  /* one more token each; 0 is no limit */
        uint64_t empty_at_usec;  /* the clock's time at which the bucket would have been empty */
} TokenBucket;

/* A full bucket. */
void token_bucket_init(TokenBucket *b, unsigned burst, uint64_t interval_usec, uint64_t now_usec);

/* Takes one token and returns how long to wait before using it: 0 while there are some. Tokens taken
 * in advance queue up behind each other. */
uint64_t token_bucket_take(TokenBucket *b, uint64_t now_usec);

/* How many tokens can be had without waiting; UINT_MAX without a limit. A clock that stepped back has
 * none to give until it has come to where it was. */
unsigned token_bucket_available(const TokenBucket *b, uint64_t now_usec);
