/* SPDX-License-Identifier: MIT */
/* Why a reset of a board was taken for what it was: what the life cycle knows, with its sources. Pure. */
#pragma once

#include "daemon/lifecycle.h"
#include "host/evidence.h"

/* What is known of a process that ended, beyond how. */
typedef struct BoardEnd {
        const char *last_words; /* what the port itself said before it gave up, or NULL */
        bool oom;               /* the kernel killed for want of memory in that life */
} BoardEnd;

/* r is the reset that follows a board's life (not a power-on). */
Evidence reset_evidence(const LifeReset *r, const BoardEnd *end);
