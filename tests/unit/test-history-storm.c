/* SPDX-License-Identifier: MIT */
/* When a reset is one of a storm: src/history/storm.c. */
#include <stdio.h>

#include "history/storm.h"
#include "test-history.h"

#define MSEC UINT64_C(1000)

/* What the next reset is like, and how long after the one before. */
typedef struct Step {
        unsigned times;
        uint64_t after_usec;
        const char *detail;
        StormVerdict verdict; /* of each */
} Step;

#define STORE STORM_VERDICT_STORE
#define COUNT STORM_VERDICT_COUNT

static HistoryRecord reset_at(uint64_t boottime_usec, const char *detail) {
        return (HistoryRecord) {
                .cause = RESET_CAUSE_HARD,
                .kind = RESET_KIND_HARD,
                .stage = BOARD_STAGE_MAIN,
                .detail = (char *) detail,
                .boot_id = "0123456789abcdef0123456789abcdef",
                .boottime_usec = boottime_usec,
        };
}

static void play(const Step steps[], size_t n) {
        Storm s = {};
        uint64_t now = 10 * MSEC;

        for (size_t i = 0; i < n; i++)
                for (unsigned k = 0; k < steps[i].times; k++) {
                        HistoryRecord r;

                        now += steps[i].after_usec;
                        r = reset_at(now, steps[i].detail);
                        if (storm_feed(&s, &r) != steps[i].verdict)
                                fail_msg("step %zu, reset %u", i, k);
                }
        storm_done(&s);
}

#define PLAY(...)                                               \
        do {                                                    \
                static const Step steps[] = { __VA_ARGS__ };    \
                play(steps, ELEMENTSOF(steps));                 \
        } while (0)

static void test_first_twenty_are_stored(void **state) {
        PLAY({ 20, 200 * MSEC, "a", STORE }, { 1000, 200 * MSEC, "a", COUNT });
}

static void test_pace(void **state) {
        PLAY({ 20, 200 * MSEC, "a", STORE }, { 50, 1999 * MSEC, "a", COUNT },
             { 1, 2000 * MSEC, "a", STORE }, { 19, 100 * MSEC, "a", STORE },
             { 5, 100 * MSEC, "a", COUNT });
        PLAY({ 100, 2000 * MSEC, "a", STORE });
}

static void test_another_one_ends_it(void **state) {
        PLAY({ 20, MSEC, "a", STORE }, { 3, MSEC, "a", COUNT }, { 1, MSEC, "b", STORE },
             { 20, MSEC, "a", STORE }, { 3, MSEC, "a", COUNT });
        PLAY({ 20, MSEC, NULL, STORE }, { 3, MSEC, NULL, COUNT }, { 1, MSEC, "", STORE });
}

static void test_alternating_is_no_storm(void **state) {
        Storm s = {};

        for (unsigned i = 0; i < 100; i++) {
                HistoryRecord r = reset_at(i * MSEC, i % 2 ? "a" : "b");

                assert_int_equal(storm_feed(&s, &r), STORE);
        }
        storm_done(&s);
}

/* Every field of the signature, and none of the others. */
static void test_signature(void **state) {
        HistoryRecord a = reset_at(0, "a"), b;

        b = a;
        b.traceback = (char *) "other";
        b.reason = RESET_REASON_WATCHDOG;
        b.run_reason = RUN_REASON_AUTO_RELOAD;
        b.uptime_usec = 1;
        b.realtime_usec = 1;
        b.detail = (char[]) { "a" };
        assert_true(storm_alike(&a, &b));

        b = a;
        b.cause = RESET_CAUSE_WDT;
        assert_false(storm_alike(&a, &b));
        b = a;
        b.kind = RESET_KIND_SOFT;
        assert_false(storm_alike(&a, &b));
        b = a;
        b.stage = BOARD_STAGE_BOOT;
        assert_false(storm_alike(&a, &b));
        b = a;
        b.exit_status = 1;
        assert_false(storm_alike(&a, &b));
        b = a;
        b.signal = 11;
        assert_false(storm_alike(&a, &b));
        b = a;
        b.detail = NULL;
        assert_false(storm_alike(&a, &b));
}

/* Exceptions are one storm whatever they say and wherever they come from; another event is another. */
static void test_events(void **state) {
        Storm s = {};
        char detail[32];

        for (unsigned i = 0; i < 100; i++) {
                HistoryRecord r = reset_at(i * 200 * MSEC, detail);

                (void) snprintf(detail, sizeof detail, "main.py: ValueError: %u", i);
                r.name = (char *) "exception";
                r.stage = i % 2 ? BOARD_STAGE_BOOT : BOARD_STAGE_MAIN;
                assert_int_equal(storm_feed(&s, &r), i < STORM_RUN_MAX ? STORE : COUNT);
        }
        HistoryRecord other = reset_at(100 * 200 * MSEC, detail);
        other.name = (char *) "deep-sleep";
        assert_int_equal(storm_feed(&s, &other), STORE);
        other.name = NULL;
        assert_int_equal(storm_feed(&s, &other), STORE);
        storm_done(&s);
}

static void test_clocks(void **state) {
        HistoryRecord back = reset_at(5 * MSEC, "a"), other;
        Storm s = {};

        for (unsigned i = 0; i < 30; i++) {
                HistoryRecord r = reset_at(1000 * MSEC + i, "a");

                assert_int_equal(storm_feed(&s, &r), i < STORM_RUN_MAX ? STORE : COUNT);
        }
        assert_int_equal(storm_feed(&s, &back), STORE); /* the clock went back */
        storm_done(&s);

        for (unsigned i = 0; i < 30; i++) {
                HistoryRecord r = reset_at(1000 * MSEC + i, "a");

                (void) storm_feed(&s, &r);
        }
        other = reset_at(1001 * MSEC, "a");
        other.boot_id[0] = 'f';
        assert_int_equal(storm_feed(&s, &other), STORE); /* another boot of the host */
        storm_done(&s);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_twenty_are_stored),
                cmocka_unit_test(test_pace),
                cmocka_unit_test(test_another_one_ends_it),
                cmocka_unit_test(test_alternating_is_no_storm),
                cmocka_unit_test(test_signature),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_clocks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
