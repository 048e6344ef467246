/* SPDX-License-Identifier: MIT */
/* When is a record one of a storm? Pure: the times are the records' own. Resets and events take
 * turns in one storm (an exception, a reset, an exception, …), so each kind has a Storm of its own. */
#pragma once

#include "history/history.h"

#define STORM_GAP_USEC UINT64_C(2000000)    /* further apart than this it is no storm */
#define STORM_RUN_MAX 20u                   /* so many alike in a row have a row each */
#define STORM_WRITE_USEC UINT64_C(30000000) /* the number of the others is written this often */

typedef enum StormVerdict {
        STORM_VERDICT_STORE = 0, /* it gets a row */
        STORM_VERDICT_COUNT,     /* it is one more repeat of the row before */
        STORM_VERDICT_MAX,
        STORM_VERDICT_INVALID = -EINVAL,
} StormVerdict;

typedef struct Storm {
        HistoryRecord last;       /* the one before; its detail and name are ours */
        unsigned run; /* alike and close together up to it, with it; 0: none yet */
} Storm;

/* Events: the same name. Resets: the same cause, kind, stage, exit status, signal, detail and flags. */
bool storm_alike(const HistoryRecord *a, const HistoryRecord *b);

/* What becomes of r, the next of its kind after all that were fed before. */
StormVerdict storm_feed(Storm *s, const HistoryRecord *r);

void storm_done(Storm *s);
