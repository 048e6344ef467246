/* SPDX-License-Identifier: MIT */
/* Stalled or not. */
#include "daemon/stall.h"

#include "util/macros.h"

#define CHECKS_PER_SPAN 4u

void stall_begin(Stall *s, uint64_t token, uint64_t now_usec) {
        *s = (Stall) { .token = token, .seen_usec = now_usec };
}

StallVerdict stall_check(Stall *s, uint64_t token, bool waits, uint64_t limit_usec,
                         uint64_t now_usec) {
        uint64_t report = limit_usec > 0 ? MIN(limit_usec, STALL_REPORT_USEC) : STALL_REPORT_USEC;
        StallVerdict v = {};
        uint64_t stalled, next;

        if (token != s->token || waits) {
                v.over = s->told;
                stall_begin(s, token, now_usec);
        }
        stalled = now_usec - s->seen_usec;
        v.begins = stalled >= report && !s->told;
        v.reset = limit_usec > 0 && stalled >= limit_usec && !s->reset_told;
        s->told |= v.begins;
        s->reset_told |= v.reset;

        next = !s->told ? report : limit_usec > 0 && !s->reset_told ? limit_usec : UINT64_MAX;
        v.wake_usec = now_usec + report / CHECKS_PER_SPAN;
        if (next != UINT64_MAX)
                v.wake_usec = MIN(v.wake_usec, s->seen_usec + next);
        return v;
}
