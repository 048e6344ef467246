/* SPDX-License-Identifier: MIT */
/* The watchdogs of a program as a pure function: when does which of them warn, when does it bite? No I/O
 * and no clock in here; supervisor-watchdog.c feeds it. All times are CLOCK_MONOTONIC. The deadlines stand still
 * while the host is suspended (DESIGN: the board slept too), also where that clock does not.
 *
 * Two timers that know nothing of each other (SPEC D10); the earlier one bites. A bite is a hard reset,
 * after which both are off; over a soft reset they run on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mpyd/board-link.h"
#include "mpyd/reset.h"
#include "util/macros.h"

typedef struct WatchdogTimer {
        bool armed;
        uint64_t timeout_usec;
        uint64_t warn_usec; /* before the bite; 0: no warning is wanted */
        uint64_t fed_usec;  /* when it was set or fed, as far as is known */
        bool warned;        /* since then */
} WatchdogTimer;

typedef struct Watchdog {
        WatchdogTimer timers[WATCHDOG_ID_MAX];
        bool held; /* no board is there to feed them */
        uint64_t suspended_until_usec; /* an operator has put them off, or the host sleeps; 0: neither */
        unsigned sleep_steps;          /* > 0: the host sleeps */
        uint64_t suspended_before_sleep_usec;
} Watchdog;

typedef struct WatchdogVerdict {
        WatchdogId bites;           /* WATCHDOG_ID_INVALID: none */
        bool warns[WATCHDOG_ID_MAX];
        uint64_t wake_usec;         /* look again then; UINT64_MAX: not before something is set */
} WatchdogVerdict;

/* Sets, sets anew or stops (timeout 0) a timer, as a board asks. -EINVAL for what the link's codec
 * refuses too, with nothing changed. */
int watchdog_set(Watchdog *w, const LinkWatchdog *m, uint64_t now_usec) _must_check_;

/* What follows at now. fed_usec: the feed words of the retained page, not later than now. A bite is told
 * once: all timers are off then. */
WatchdogVerdict watchdog_check(Watchdog *w, const uint64_t fed_usec[static WATCHDOG_ID_MAX],
                               uint64_t now_usec);

/* There is no board (it is held back, or asleep): nothing bites meanwhile. */
void watchdog_hold(Watchdog *w);

/* Nothing warns or bites before until_usec; then each timer begins anew. until_usec now or earlier: from now on they
 * count again. It goes on over resets of every kind, and holds for timers that are set meanwhile. */
void watchdog_suspend(Watchdog *w, uint64_t until_usec);

/* The host goes to sleep, or has woken up: meanwhile they are suspended, and an operator's suspension that reaches
 * further goes on after it. Should nobody say that it has woken, they count again after WATCHDOG_SLEEP_STEPS looks
 * that are a step apart: so much time in which we were running, for the clock may have gone on while we were not. */
#define WATCHDOG_SLEEP_STEP_USEC UINT64_C(60000000)
#define WATCHDOG_SLEEP_STEPS 15u
void watchdog_host_sleeps(Watchdog *w, bool begins, uint64_t now_usec);

/* A board starts. After a hard reset everything is off. After a soft one the timers run on, but for a
 * time in which we held the board back; whoever was to be warned is gone. */
void watchdog_begin_life(Watchdog *w, bool soft, uint64_t now_usec);

/* When the timer bites if it is not fed; UINT64_MAX when it is off. */
uint64_t watchdog_deadline(const Watchdog *w, WatchdogId id);
