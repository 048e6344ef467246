/* SPDX-License-Identifier: MIT */
/* Watchdogs and the stall: pure policies, walked as tables. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "daemon/stall.h"
#include "daemon/watchdog.h"
#include "util/parse.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC
#define START (1000 * SEC)
#define NEVER UINT64_MAX

enum { MACHINE = WATCHDOG_MACHINE, OTHER = WATCHDOG_MICROCONTROLLER, NONE = WATCHDOG_ID_INVALID };

/* One step of a story, at a time after START. */
typedef struct Step {
        uint64_t at;
        enum { SET, STOP, FEED, LOOK, HOLD, SOFT, HARD, SUSPEND, SLEEP, WAKE } what;
        int id;               /* SET, STOP, FEED; LOOK: who bites */
        uint64_t timeout, warn; /* SUSPEND: until, after START, in timeout */
        uint64_t wake;        /* LOOK: when to look again, after START; NEVER */
        int warns;            /* LOOK: bit mask of ids */
} Step;

static void look(Watchdog *w, const uint64_t fed[static WATCHDOG_ID_MAX], const Step *s, size_t n) {
        WatchdogVerdict v = watchdog_check(w, fed, START + s->at);
        uint64_t wake = s->wake == NEVER ? NEVER : START + s->wake;
        int warns = (v.warns[0] ? 1 : 0) | (v.warns[1] ? 2 : 0);

        if ((int) v.bites != s->id || v.wake_usec != wake || warns != s->warns)
                fail_msg("step %zu: %d bites, not %d; look again at %lld, not %lld; warns %d", n,
                         (int) v.bites, s->id, (long long) (v.wake_usec - START),
                         (long long) (wake - START), warns);
}

static void tell(const Step *steps, size_t n) {
        uint64_t fed[WATCHDOG_ID_MAX] = {};
        Watchdog w = {};

        for (size_t i = 0; i < n; i++) {
                const Step *s = &steps[i];
                LinkWatchdog m = { (WatchdogId) s->id, s->timeout, s->warn };

                switch (s->what) {
                case SET:
                case STOP:
                        assert_int_equal(watchdog_set(&w, &m, START + s->at), 0);
                        break;
                case FEED:
                        fed[s->id] = START + s->at;
                        break;
                case LOOK:
                        look(&w, fed, s, i);
                        break;
                case HOLD:
                        watchdog_hold(&w);
                        break;
                case SUSPEND:
                        watchdog_suspend(&w, START + s->timeout);
                        break;
                case SLEEP:
                case WAKE:
                        watchdog_host_sleeps(&w, s->what == SLEEP, START + s->at);
                        break;
                case SOFT:
                case HARD:
                        watchdog_begin_life(&w, s->what == SOFT, START + s->at);
                        break;
                }
        }
}
#define TELL(...) tell((const Step[]) { __VA_ARGS__ }, ELEMENTSOF(((const Step[]) { __VA_ARGS__ })))

static void test_host_sleeps(void **state) {
        /* The clock goes on meanwhile, and the first look is before the word that it has woken. */
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, SLEEP },
             { 1 * SEC, LOOK, NONE, .wake = 61 * SEC },
             { 3600 * SEC, LOOK, NONE, .wake = 3660 * SEC },
             { 3601 * SEC, WAKE },
             { 3601 * SEC, LOOK, NONE, .wake = 3606 * SEC }, /* they begin anew */
             { 3606 * SEC, LOOK, MACHINE, .wake = NEVER });
        /* Said twice, and woken up without having slept. */
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, WAKE },
             { 1 * SEC, LOOK, NONE, .wake = 5 * SEC },
             { 2 * SEC, SLEEP },
             { 4 * SEC, SLEEP },
             { 4 * SEC, LOOK, NONE, .wake = 62 * SEC },
             { 10 * SEC, WAKE },
             { 11 * SEC, WAKE },
             { 11 * SEC, LOOK, NONE, .wake = 15 * SEC });
        /* An operator's suspension goes on after it, or is over. */
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, SUSPEND, .timeout = 600 * SEC },
             { 2 * SEC, SLEEP },
             { 2 * SEC, LOOK, NONE, .wake = 600 * SEC },
             { 10 * SEC, WAKE },
             { 10 * SEC, LOOK, NONE, .wake = 600 * SEC },
             { 600 * SEC, LOOK, NONE, .wake = 605 * SEC });
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, SUSPEND, .timeout = 600 * SEC },
             { 2 * SEC, SLEEP },
             { 700 * SEC, LOOK, NONE, .wake = 760 * SEC },
             { 701 * SEC, WAKE },
             { 701 * SEC, LOOK, NONE, .wake = 706 * SEC });
}

/* It is not for ever that nobody says it: fifteen looks, a minute apart while we run. */
static void test_host_sleeps_and_nobody_says_that_it_woke(void **state) {
        const LinkWatchdog m = { WATCHDOG_MACHINE, 5 * SEC, 0 };
        const uint64_t fed[WATCHDOG_ID_MAX] = {};
        uint64_t now = START;
        unsigned looks = 0;
        WatchdogVerdict v;
        Watchdog w = {};

        assert_int_equal(watchdog_set(&w, &m, now), 0);
        watchdog_host_sleeps(&w, true, now);
        for (v = watchdog_check(&w, fed, now); v.bites == WATCHDOG_ID_INVALID && looks < 100; looks++) {
                now = v.wake_usec;
                v = watchdog_check(&w, fed, now);
        }
        assert_int_equal(v.bites, WATCHDOG_MACHINE);
        assert_int_equal(looks, WATCHDOG_SLEEP_STEPS + 1);
        assert_true(now == START + WATCHDOG_SLEEP_STEPS * WATCHDOG_SLEEP_STEP_USEC + 5 * SEC);
}

static void test_suspended(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC, .warn = SEC },
             { 1 * SEC, SUSPEND, .timeout = 60 * SEC },
             { 1 * SEC, LOOK, NONE, .wake = 60 * SEC },
             { 59 * SEC, LOOK, NONE, .wake = 60 * SEC },             /* neither warned nor bitten */
             { 60 * SEC, LOOK, NONE, .wake = 64 * SEC },             /* they begin anew */
             { 64 * SEC, LOOK, NONE, .wake = 65 * SEC, .warns = 1 },
             { 65 * SEC, LOOK, MACHINE, .wake = NEVER });
        /* One that is set meanwhile, and a feed meanwhile, count from the end on, too. */
        TELL({ 0, SUSPEND, .timeout = 60 * SEC },
             { 10 * SEC, SET, OTHER, 5 * SEC },
             { 20 * SEC, FEED, OTHER },
             { 30 * SEC, LOOK, NONE, .wake = 60 * SEC },
             { 60 * SEC, LOOK, NONE, .wake = 65 * SEC },
             { 65 * SEC, LOOK, OTHER, .wake = NEVER });
        /* Taken back; a look that is late; and a reset of either kind does not end it. */
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, SUSPEND, .timeout = 60 * SEC },
             { 3 * SEC, SUSPEND, .timeout = 3 * SEC },
             { 3 * SEC, LOOK, NONE, .wake = 8 * SEC },
             { 8 * SEC, LOOK, MACHINE, .wake = NEVER });
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, SUSPEND, .timeout = 60 * SEC },
             { 70 * SEC, LOOK, MACHINE, .wake = NEVER });
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, SUSPEND, .timeout = 60 * SEC },
             { 2 * SEC, SOFT },
             { 50 * SEC, LOOK, NONE, .wake = 60 * SEC },
             { 51 * SEC, HARD },
             { 52 * SEC, SET, MACHINE, 5 * SEC },
             { 53 * SEC, LOOK, NONE, .wake = 60 * SEC },
             { 60 * SEC, LOOK, NONE, .wake = 65 * SEC });
}

static void test_bites_when_not_fed(void **state) {
        TELL({ 0, LOOK, NONE, .wake = NEVER },
             { 0, SET, MACHINE, 5 * SEC },
             { 0, LOOK, NONE, .wake = 5 * SEC },
             { 5 * SEC - 1, LOOK, NONE, .wake = 5 * SEC },
             { 5 * SEC, LOOK, MACHINE, .wake = NEVER },
             { 50 * SEC, LOOK, NONE, .wake = NEVER }); /* once */
}

static void test_feeding_puts_it_off(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 4 * SEC, FEED, MACHINE },
             { 5 * SEC, LOOK, NONE, .wake = 9 * SEC },
             { 8 * SEC, FEED, MACHINE },
             { 8999999, FEED, MACHINE },
             { 9 * SEC, LOOK, NONE, .wake = 13999999 },
             { 13999999, LOOK, MACHINE, .wake = NEVER });
}

/* A feed between the deadline and a late look is not too late: nobody had bitten. One that is older than
 * the setting does not count, and feeding one of them does not feed the other. */
static void test_which_feed_counts(void **state) {
        TELL({ 0, SET, MACHINE, 1 * SEC }, { 1500 * MSEC, FEED, MACHINE },
             { 1600 * MSEC, LOOK, NONE, .wake = 2500 * MSEC });
        TELL({ 0, FEED, MACHINE }, { 9 * SEC, SET, MACHINE, 1 * SEC },
             { 9 * SEC, LOOK, NONE, .wake = 10 * SEC });
        TELL({ 0, SET, MACHINE, 1 * SEC }, { 900 * MSEC, FEED, OTHER },
             { 1 * SEC, LOOK, MACHINE, .wake = NEVER });
}

static void test_set_anew(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC },
             { 1 * SEC, SET, MACHINE, 100 * MSEC },
             { 1 * SEC, LOOK, NONE, .wake = 1100 * MSEC },
             { 1050 * MSEC, SET, MACHINE, 24 * USEC_PER_HOUR },
             { 2 * SEC, LOOK, NONE, .wake = 1050 * MSEC + 24 * USEC_PER_HOUR });
}

static void test_earlier_one_bites(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC }, { 0, SET, OTHER, 3 * SEC },
             { 0, LOOK, NONE, .wake = 3 * SEC }, { 3 * SEC, LOOK, OTHER, .wake = NEVER });
        TELL({ 0, SET, MACHINE, 5 * SEC }, { 0, SET, OTHER, 7 * SEC },
             { 8 * SEC, LOOK, MACHINE, .wake = NEVER }, /* both are over: whose time came first */
             { 9 * SEC, LOOK, NONE, .wake = NEVER });
        TELL({ 0, SET, MACHINE, 7 * SEC }, { 0, SET, OTHER, 5 * SEC },
             { 8 * SEC, LOOK, OTHER, .wake = NEVER });
}

static void test_stopping_one_leaves_the_other(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC }, { 0, SET, OTHER, 3 * SEC }, { 1 * SEC, STOP, OTHER },
             { 3 * SEC, LOOK, NONE, .wake = 5 * SEC }, { 5 * SEC, LOOK, MACHINE, .wake = NEVER });
}

static void test_refused(void **state) {
        static const LinkWatchdog bad[] = {
                { WATCHDOG_MACHINE, 0, 0 }, /* cannot be stopped */
                { WATCHDOG_MACHINE, LINK_WATCHDOG_MIN_USEC - 1, 0 },
                { WATCHDOG_MACHINE, LINK_WATCHDOG_MAX_USEC + 1, 0 },
                { WATCHDOG_MACHINE, UINT64_MAX, 0 },
                { WATCHDOG_MACHINE, 1 * SEC, 1 * SEC },
                { WATCHDOG_ID_MAX, 1 * SEC, 0 },
                { WATCHDOG_ID_INVALID, 1 * SEC, 0 },
        };
        Watchdog w = {}, before;

        assert_int_equal(watchdog_set(&w, &(LinkWatchdog) { WATCHDOG_MACHINE, 5 * SEC, 0 }, START), 0);
        before = w;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(watchdog_set(&w, &bad[i], START), -EINVAL);
                assert_memory_equal(&w, &before, sizeof w);
        }
}

/* Once before each bite that threatens. */
static void test_warning(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC, .warn = 2 * SEC },
             { 0, LOOK, NONE, .wake = 3 * SEC },
             { 3 * SEC, LOOK, NONE, .wake = 5 * SEC, .warns = 1 },
             { 3 * SEC + 1, LOOK, NONE, .wake = 5 * SEC },
             { 4 * SEC, FEED, MACHINE },
             { 4 * SEC, LOOK, NONE, .wake = 7 * SEC },
             { 8 * SEC, LOOK, NONE, .wake = 9 * SEC, .warns = 1 },
             { 9 * SEC, LOOK, MACHINE, .wake = NEVER });
        /* Both at once: the bite is all that is left to do. */
        TELL({ 0, SET, MACHINE, 5 * SEC, .warn = 2 * SEC }, { 5 * SEC, LOOK, MACHINE, .wake = NEVER });
        TELL({ 0, SET, MACHINE, 5 * SEC, .warn = 2 * SEC }, { 0, SET, OTHER, 4 * SEC, .warn = 1 * SEC },
             { 3 * SEC, LOOK, NONE, .wake = 4 * SEC, .warns = 3 });
}

static void test_soft_reset(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC, .warn = 2 * SEC },
             { 1 * SEC, SOFT },
             { 3 * SEC, LOOK, NONE, .wake = 5 * SEC }, /* nobody is left to be warned */
             { 4 * SEC, FEED, MACHINE },               /* the next VM feeds it */
             { 5 * SEC, LOOK, NONE, .wake = 9 * SEC },
             { 9 * SEC, LOOK, MACHINE, .wake = NEVER });
}

static void test_hard_reset(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC }, { 0, SET, OTHER, 3 * SEC }, { 1 * SEC, HARD },
             { 60 * SEC, LOOK, NONE, .wake = NEVER });
}

/* The rate limit is not the program's fault. */
static void test_held_back(void **state) {
        TELL({ 0, SET, MACHINE, 5 * SEC }, { 1 * SEC, HOLD }, { 30 * SEC, LOOK, NONE, .wake = NEVER },
             { 60 * SEC, SOFT }, { 60 * SEC, LOOK, NONE, .wake = 65 * SEC },
             { 65 * SEC, LOOK, MACHINE, .wake = NEVER });
        TELL({ 0, SET, MACHINE, 5 * SEC }, { 1 * SEC, HOLD }, { 60 * SEC, HARD },
             { 90 * SEC, LOOK, NONE, .wake = NEVER });
}

/* Feeds from the future are now, and the end of time is no overflow. */
static void test_strange_times(void **state) {
        Watchdog w = {};
        uint64_t fed[WATCHDOG_ID_MAX] = { UINT64_MAX, UINT64_MAX };
        WatchdogVerdict v;

        assert_int_equal(watchdog_set(&w, &(LinkWatchdog) { WATCHDOG_MACHINE, 5 * SEC, 0 }, START), 0);
        v = watchdog_check(&w, fed, START + 60 * SEC);
        assert_int_equal(v.bites, WATCHDOG_ID_INVALID);
        assert_int_equal(v.wake_usec, START + 65 * SEC);
        v = watchdog_check(&w, fed, UINT64_MAX - 1);
        assert_int_equal(v.bites, WATCHDOG_ID_INVALID);
        assert_int_equal(watchdog_deadline(&w, WATCHDOG_MACHINE), UINT64_MAX);
        assert_int_equal(watchdog_deadline(&w, WATCHDOG_MICROCONTROLLER), UINT64_MAX);
}

/* Whatever happens: nothing bites before its time, everything has bitten once its time is over. */
static void test_random(void **state) {
        srandom(1);
        for (unsigned round = 0; round < 300; round++) {
                uint64_t now = START, fed[WATCHDOG_ID_MAX] = {}, due[WATCHDOG_ID_MAX] = { NEVER, NEVER };
                uint64_t timeout[WATCHDOG_ID_MAX] = {};
                Watchdog w = {};

                for (unsigned i = 0; i < 200; i++) {
                        int id = (int) (random() % WATCHDOG_ID_MAX);
                        uint64_t first;
                        WatchdogVerdict v;

                        now += (uint64_t) random() % (30 * MSEC);
                        switch (random() % 4) {
                        case 0:
                                timeout[id] = LINK_WATCHDOG_MIN_USEC + (uint64_t) random() % SEC;
                                assert_int_equal(
                                        watchdog_set(&w, &(LinkWatchdog) { (WatchdogId) id, timeout[id], 0 },
                                                     now), 0);
                                due[id] = now + timeout[id];
                                break;
                        case 1:
                                fed[id] = now;
                                if (due[id] != NEVER)
                                        due[id] = now + timeout[id];
                                break;
                        default:
                                break;
                        }
                        first = MIN(due[0], due[1]);
                        v = watchdog_check(&w, fed, now);
                        assert_int_equal(v.bites >= 0, first <= now);
                        if (v.bites >= 0) {
                                assert_true(due[v.bites] == first);
                                due[0] = due[1] = NEVER;
                        } else
                                assert_true(v.wake_usec == first);
                }
        }
}

/* ---- the stall ---- */

typedef struct StallStep {
        uint64_t at, token;
        bool waits;
        bool begins, over, reset;
        uint64_t wake;
} StallStep;

static void watch(uint64_t limit, const StallStep *steps, size_t n) {
        Stall s;

        stall_begin(&s, 0, START);
        for (size_t i = 0; i < n; i++) {
                const StallStep *t = &steps[i];
                StallVerdict v = stall_check(&s, t->token, t->waits, limit, START + t->at);

                if (v.begins != t->begins || v.over != t->over || v.reset != t->reset ||
                    v.wake_usec != START + t->wake)
                        fail_msg("step %zu: begins %d, over %d, reset %d, wake %lld", i, v.begins, v.over,
                                 v.reset, (long long) (v.wake_usec - START));
        }
}
#define WATCH(limit, ...) \
        watch(limit, (const StallStep[]) { __VA_ARGS__ }, ELEMENTSOF(((const StallStep[]) { __VA_ARGS__ })))

static void test_stall_is_reported(void **state) {
        WATCH(0,
              { 1 * SEC, 1, .wake = 3500 * MSEC },
              { 3500 * MSEC, 1, .wake = 6 * SEC },
              { 10900 * MSEC, 1, .wake = 11 * SEC },
              { 11 * SEC, 1, .begins = true, .wake = 13500 * MSEC },
              { 60 * SEC, 1, .wake = 62500 * MSEC }, /* once, and never a reset */
              { 61 * SEC, 2, .over = true, .wake = 63500 * MSEC },
              { 62 * SEC, 3, .wake = 64500 * MSEC });
}

static void test_waiting_is_no_stall(void **state) {
        WATCH(5 * SEC,
              { 4 * SEC, 0, .waits = true, .wake = 5250 * MSEC },
              { 4000 * SEC, 0, .waits = true, .wake = 4001250 * MSEC },
              { 4004 * SEC, 0, .wake = 4005 * SEC },
              { 4005 * SEC, 0, .begins = true, .reset = true, .wake = 4006250 * MSEC });
}

static void test_stall_resets_when_configured(void **state) {
        WATCH(2 * SEC, { 1999 * MSEC, 0, .wake = 2 * SEC },
              { 2 * SEC, 0, .begins = true, .reset = true, .wake = 2500 * MSEC },
              { 3 * SEC, 0, .wake = 3500 * MSEC });
        /* Reported after the usual time, reset after the longer one. */
        WATCH(60 * SEC, { 10 * SEC, 0, .begins = true, .wake = 12500 * MSEC },
              { 59 * SEC, 0, .wake = 60 * SEC }, { 60 * SEC, 0, .reset = true, .wake = 62500 * MSEC });
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bites_when_not_fed),
                cmocka_unit_test(test_suspended),
                cmocka_unit_test(test_host_sleeps),
                cmocka_unit_test(test_host_sleeps_and_nobody_says_that_it_woke),
                cmocka_unit_test(test_feeding_puts_it_off),
                cmocka_unit_test(test_which_feed_counts),
                cmocka_unit_test(test_set_anew),
                cmocka_unit_test(test_earlier_one_bites),
                cmocka_unit_test(test_stopping_one_leaves_the_other),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_warning),
                cmocka_unit_test(test_soft_reset),
                cmocka_unit_test(test_hard_reset),
                cmocka_unit_test(test_held_back),
                cmocka_unit_test(test_strange_times),
                cmocka_unit_test(test_random),
                cmocka_unit_test(test_stall_is_reported),
                cmocka_unit_test(test_waiting_is_no_stall),
                cmocka_unit_test(test_stall_resets_when_configured),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
