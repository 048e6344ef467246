/* SPDX-License-Identifier: MIT */
/* When is a reset one of a storm? Pure: the times are the records' own. */
#pragma once

#include "history/history.h"

#define STORM_GAP_USEC UINT64_C(2000000)    /* resets further apart than this are no storm */
#define STORM_RUN_MAX 20u                   /* so many alike in a row have a row each */
#define STORM_WRITE_USEC UINT64_C(30000000) /* the number of the others is written this often */

typedef enum StormVerdict {
        STORM_VERDICT_STORE = 0, /* it gets a row */
        STORM_VERDICT_COUNT,     /* it is one more repeat of the row before */
        STORM_VERDICT_MAX,
        STORM_VERDICT_INVALID = -EINVAL,
} StormVerdict;

typedef struct Storm {
        HistoryReset last;       /* the reset before; its detail is ours */
        unsigned run; /* resets alike and close together up to it, with it; 0: none yet */
} Storm;

/* Same cause, kind, stage, exit status, signal and detail. */
bool storm_alike(const HistoryReset *a, const HistoryReset *b);

/* What becomes of r, the next reset after all that were fed before. */
StormVerdict storm_feed(Storm *s, const HistoryReset *r);

void storm_done(Storm *s);
