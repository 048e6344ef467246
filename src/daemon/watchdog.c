/* SPDX-License-Identifier: MIT */
/* Watchdogs: deadlines, warnings, bites. */
#include "daemon/watchdog.h"

#include <string.h>

static uint64_t later(uint64_t t, uint64_t usec) {
        return usec > UINT64_MAX - t ? UINT64_MAX : t + usec;
}

int watchdog_set(Watchdog *w, const LinkWatchdog *m, uint64_t now_usec) {
        if (!watchdog_id_to_string(m->id))
                return -EINVAL;
        if (m->timeout_usec == 0) {
                if (m->id == WATCHDOG_MACHINE)
                        return -EINVAL; /* nothing stops it */
                w->timers[m->id] = (WatchdogTimer) {};
                return 0;
        }
        if (m->timeout_usec < LINK_WATCHDOG_MIN_USEC || m->timeout_usec > LINK_WATCHDOG_MAX_USEC ||
            m->warn_usec >= m->timeout_usec)
                return -EINVAL;
        w->timers[m->id] = (WatchdogTimer) {
                .armed = true,
                .timeout_usec = m->timeout_usec,
                .warn_usec = m->warn_usec,
                .fed_usec = now_usec,
        };
        return 0;
}

uint64_t watchdog_deadline(const Watchdog *w, WatchdogId id) {
        const WatchdogTimer *t = &w->timers[id];

        return t->armed ? later(t->fed_usec, t->timeout_usec) : UINT64_MAX;
}

/* Notes a feed. A word older than the last setting belongs to the time before it. */
static void take_feed(WatchdogTimer *t, uint64_t fed_usec, uint64_t now_usec) {
        fed_usec = MIN(fed_usec, now_usec);
        if (fed_usec <= t->fed_usec)
                return;
        t->fed_usec = fed_usec;
        t->warned = false;
}

/* The time in which they were suspended does not count. */
static void resume(Watchdog *w) {
        for (WatchdogId id = 0; id < WATCHDOG_ID_MAX; id++)
                if (w->suspended_until_usec > w->timers[id].fed_usec) {
                        w->timers[id].fed_usec = w->suspended_until_usec;
                        w->timers[id].warned = false;
                }
        w->suspended_until_usec = 0;
}

WatchdogVerdict watchdog_check(Watchdog *w, const uint64_t fed_usec[static WATCHDOG_ID_MAX],
                               uint64_t now_usec) {
        WatchdogVerdict v = { .bites = WATCHDOG_ID_INVALID, .wake_usec = UINT64_MAX };
        uint64_t earliest = UINT64_MAX;

        if (w->sleep_steps > 0 && w->suspended_until_usec <= now_usec && --w->sleep_steps > 0)
                w->suspended_until_usec = now_usec + WATCHDOG_SLEEP_STEP_USEC;
        if (w->held)
                return v;
        if (w->suspended_until_usec > now_usec) {
                v.wake_usec = w->suspended_until_usec;
                return v;
        }
        resume(w);
        for (WatchdogId id = 0; id < WATCHDOG_ID_MAX; id++) {
                WatchdogTimer *t = &w->timers[id];
                uint64_t deadline, warning;

                if (!t->armed)
                        continue;
                take_feed(t, fed_usec[id], now_usec);
                deadline = watchdog_deadline(w, id);
                if (deadline <= now_usec && deadline < earliest) {
                        earliest = deadline;
                        v.bites = id;
                }
                warning = t->warn_usec > 0 && !t->warned ? deadline - t->warn_usec : UINT64_MAX;
                if (warning <= now_usec) {
                        t->warned = v.warns[id] = true;
                        warning = UINT64_MAX;
                }
                v.wake_usec = MIN(v.wake_usec, MIN(deadline, warning));
        }
        if (v.bites < 0)
                return v;
        memset(w->timers, 0, sizeof w->timers);
        return (WatchdogVerdict) { .bites = v.bites, .wake_usec = UINT64_MAX };
}

void watchdog_suspend(Watchdog *w, uint64_t until_usec) {
        w->suspended_until_usec = until_usec;
}

void watchdog_host_sleeps(Watchdog *w, bool begins, uint64_t now_usec) {
        if (begins == (w->sleep_steps > 0))
                return;
        if (begins)
                w->suspended_before_sleep_usec = w->suspended_until_usec;
        w->sleep_steps = begins ? WATCHDOG_SLEEP_STEPS : 0;
        watchdog_suspend(w, MAX(w->suspended_before_sleep_usec,
                                begins ? now_usec + WATCHDOG_SLEEP_STEP_USEC : now_usec));
}

void watchdog_hold(Watchdog *w) {
        w->held = true;
}

void watchdog_begin_life(Watchdog *w, bool soft, uint64_t now_usec) {
        bool held = w->held;

        w->held = false;
        for (WatchdogId id = 0; id < WATCHDOG_ID_MAX; id++) {
                WatchdogTimer *t = &w->timers[id];

                if (!soft)
                        *t = (WatchdogTimer) {};
                t->warn_usec = 0;
                t->warned = false;
                if (t->armed && held)
                        t->fed_usec = now_usec;
        }
}
