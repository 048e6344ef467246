/* SPDX-License-Identifier: MIT */
/* The button that is held at boot, the reset button and the LED: pure policies, walked as tables. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "gpio/boot-button.h"
#include "gpio/led-pattern.h"
#include "gpio/reset-button.h"
#include "util/parse.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC
#define START (1000 * SEC)
#define NEVER UINT64_MAX

/* ---- held at boot ---- */

enum { WAIT = BOOT_BUTTON_WAIT, NORMAL = BOOT_BUTTON_NORMAL, SAFE = BOOT_BUTTON_SAFE_MODE,
       FACTORY = BOOT_BUTTON_FACTORY_RESET, STUCK = BOOT_BUTTON_STUCK };

static const BootButtonLimits boot_limits = { 20 * MSEC, 1 * SEC, 10 * SEC, 60 * SEC };

typedef struct BootStep {
        uint64_t at;
        bool held;
        int choice, would;
        uint64_t wake; /* after START */
} BootStep;

static void tell_boot(const BootButtonLimits *limits, const BootStep *steps, size_t n) {
        BootButton b;

        assert_int_equal(boot_button_init(&b, limits), 0);
        for (size_t i = 0; i < n; i++) {
                const BootStep *s = &steps[i];
                BootButtonVerdict v = (i == 0 ? boot_button_begin : boot_button_look)(
                        &b, s->held, START + s->at);
                uint64_t wake = s->wake == NEVER ? NEVER : START + s->wake;

                if ((int) v.choice != s->choice || (int) v.would != s->would || v.wake_usec != wake)
                        fail_msg("step %zu: choice %d, not %d; would %d, not %d; wake %lld, not %lld",
                                 i, (int) v.choice, s->choice, (int) v.would, s->would,
                                 (long long) (v.wake_usec - START), (long long) (wake - START));
        }
}
#define BOOT_WITH(limits, ...) \
        tell_boot(limits, (const BootStep[]) { __VA_ARGS__ }, \
                  ELEMENTSOF(((const BootStep[]) { __VA_ARGS__ })))
#define BOOT(...) BOOT_WITH(&boot_limits, __VA_ARGS__)

static void test_boot_free_costs_nothing(void **state) {
        BOOT({ 0, false, NORMAL, NORMAL, NEVER });
}

static void test_boot_let_go_in_time(void **state) {
        BOOT({ 0, true, WAIT, NORMAL, 1 * SEC },
             { 400 * MSEC, false, WAIT, NORMAL, 420 * MSEC },
             { 420 * MSEC, false, NORMAL, NORMAL, NEVER });
        BOOT({ 0, true, WAIT, NORMAL, 1 * SEC }, /* one microsecond before it would be safe mode */
             { 1 * SEC - 1, false, WAIT, NORMAL, 1 * SEC - 1 + 20 * MSEC },
             { 2 * SEC, false, NORMAL, NORMAL, NEVER });
}

static void test_boot_held_is_safe_mode(void **state) {
        BOOT({ 0, true, WAIT, NORMAL, 1 * SEC },
             { 1 * SEC, true, WAIT, SAFE, 10 * SEC },
             { 2 * SEC, false, WAIT, SAFE, 2020 * MSEC },
             { 2020 * MSEC, false, SAFE, SAFE, NEVER },
             { 3 * SEC, true, NORMAL, NORMAL, NEVER }); /* told once */
}

static void test_boot_held_on_is_factory_reset(void **state) {
        BOOT({ 0, true, WAIT, NORMAL, 1 * SEC },
             { 1 * SEC, true, WAIT, SAFE, 10 * SEC },
             { 10 * SEC, true, WAIT, FACTORY, 60 * SEC },
             { 11 * SEC, false, WAIT, FACTORY, 11020 * MSEC },
             { 11020 * MSEC, false, FACTORY, FACTORY, NEVER });
}

static void test_boot_bounces(void **state) {
        BOOT({ 0, true, WAIT, NORMAL, 1 * SEC },
             { 5 * MSEC, false, WAIT, NORMAL, 25 * MSEC }, /* pressed and not yet at rest */
             { 8 * MSEC, true, WAIT, NORMAL, 1 * SEC },
             { 9995 * MSEC, false, WAIT, SAFE, 10015 * MSEC }, /* opens, and bounces over the border */
             { 10001 * MSEC, true, WAIT, FACTORY, 60 * SEC },
             { 10002 * MSEC, false, WAIT, FACTORY, 10022 * MSEC },
             { 10022 * MSEC, false, FACTORY, FACTORY, NEVER });
}

static void test_boot_stuck_boots_normally(void **state) {
        BOOT({ 0, true, WAIT, NORMAL, 1 * SEC },
             { 1 * SEC, true, WAIT, SAFE, 10 * SEC },
             { 10 * SEC, true, WAIT, FACTORY, 60 * SEC },
             { 60 * SEC, true, STUCK, NORMAL, NEVER },
             { 61 * SEC, false, NORMAL, NORMAL, NEVER }); /* let go after all: it selects nothing */
}

/* It keeps one boot waiting, not each; and counts again once it has been seen free, whenever that is. */
static void test_boot_stuck_is_remembered(void **state) {
        BootButton b;

        assert_int_equal(boot_button_init(&b, &boot_limits), 0);
        (void) boot_button_begin(&b, true, START);
        assert_int_equal(boot_button_look(&b, true, START + 60 * SEC).choice, STUCK);
        assert_int_equal(boot_button_begin(&b, true, START + 70 * SEC).choice, NORMAL);
        assert_int_equal(boot_button_set_limits(&b, &boot_limits), 0);
        assert_int_equal(boot_button_begin(&b, true, START + 80 * SEC).choice, NORMAL);
        assert_int_equal(boot_button_look(&b, false, START + 90 * SEC).choice, NORMAL);
        assert_int_equal(boot_button_begin(&b, true, START + 100 * SEC).choice, WAIT);
        assert_int_equal(boot_button_look(&b, true, START + 160 * SEC).choice, STUCK);
        assert_int_equal(boot_button_begin(&b, false, START + 170 * SEC).choice, NORMAL);
        assert_int_equal(boot_button_begin(&b, true, START + 180 * SEC).choice, WAIT);
}

static void test_boot_without_factory_reset(void **state) {
        static const BootButtonLimits limits = { 20 * MSEC, 1 * SEC, 0, 60 * SEC };

        BOOT_WITH(&limits,
                  { 0, true, WAIT, NORMAL, 1 * SEC },
                  { 1 * SEC, true, WAIT, SAFE, 60 * SEC },
                  { 59 * SEC, false, WAIT, SAFE, 59020 * MSEC },
                  { 59020 * MSEC, false, SAFE, SAFE, NEVER });
}

static void test_boot_limits(void **state) {
        static const BootButtonLimits wrong[] = {
                { 0, 0, 0, 60 * SEC },              /* no hold time */
                { 0, 1 * SEC, 1 * SEC, 60 * SEC },  /* both at once */
                { 0, 10 * SEC, 1 * SEC, 60 * SEC }, /* the other way round */
                { 0, 1 * SEC, 10 * SEC, 10 * SEC }, /* stuck before it can select */
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                BootButton b = { .begin_usec = 42 };

                assert_int_equal(boot_button_init(&b, &wrong[i]), -EINVAL);
                assert_int_equal(b.begin_usec, 42);
        }
}

/* ---- reset button ---- */

enum { NONE = RESET_BUTTON_NONE, RESET = RESET_BUTTON_RESET, LONG = RESET_BUTTON_SAFE_MODE_LONG,
       DOUBLE = RESET_BUTTON_SAFE_MODE_DOUBLE };

static const ResetButtonLimits reset_limits = { 20 * MSEC, 3 * SEC, 1 * SEC };

typedef struct ResetStep {
        uint64_t at;
        enum { DOWN, UP, BOOT_BY_PRESS, BOOT_OTHERWISE } what;
        int press;
        uint64_t wake; /* after START */
} ResetStep;

static void tell_reset(bool down, const ResetStep *steps, size_t n) {
        ResetButton b;

        assert_int_equal(reset_button_init(&b, &reset_limits, down, START), 0);
        for (size_t i = 0; i < n; i++) {
                const ResetStep *s = &steps[i];
                uint64_t wake = s->wake == NEVER ? NEVER : START + s->wake;
                ResetButtonVerdict v;

                if (s->what == BOOT_BY_PRESS || s->what == BOOT_OTHERWISE) {
                        reset_button_on_boot(&b, s->what == BOOT_BY_PRESS, START + s->at);
                        continue;
                }
                v = reset_button_look(&b, s->what == DOWN, START + s->at);
                if ((int) v.press != s->press || v.wake_usec != wake)
                        fail_msg("step %zu: %d, not %d; wake %lld, not %lld", i, (int) v.press, s->press,
                                 (long long) (v.wake_usec - START), (long long) (wake - START));
        }
}
#define PRESS_FROM(down, ...) \
        tell_reset(down, (const ResetStep[]) { __VA_ARGS__ }, \
                   ELEMENTSOF(((const ResetStep[]) { __VA_ARGS__ })))
#define PRESS(...) PRESS_FROM(false, __VA_ARGS__)

static void test_reset_short_press(void **state) {
        PRESS({ 1 * SEC, DOWN, NONE, 1020 * MSEC },
              { 1020 * MSEC, DOWN, NONE, 4 * SEC },
              { 1200 * MSEC, UP, NONE, 1220 * MSEC },
              { 1220 * MSEC, UP, RESET, NEVER },
              { 9 * SEC, UP, NONE, NEVER }); /* told once */
}

static void test_reset_bounces_are_one_press(void **state) {
        PRESS({ 1000 * MSEC, DOWN, NONE, 1020 * MSEC },
              { 1002 * MSEC, UP, NONE, NEVER },
              { 1003 * MSEC, DOWN, NONE, 1023 * MSEC },
              { 1023 * MSEC, DOWN, NONE, 4003 * MSEC },
              { 1300 * MSEC, UP, NONE, 1320 * MSEC },
              { 1301 * MSEC, DOWN, NONE, 4003 * MSEC },
              { 1305 * MSEC, UP, NONE, 1325 * MSEC },
              { 1325 * MSEC, UP, RESET, NEVER });
}

static void test_reset_spike_is_no_press(void **state) {
        PRESS({ 1000 * MSEC, DOWN, NONE, 1020 * MSEC },
              { 1019 * MSEC, UP, NONE, NEVER },
              { 2000 * MSEC, UP, NONE, NEVER });
}

static void test_reset_long_press_is_safe_mode(void **state) {
        PRESS({ 1 * SEC, DOWN, NONE, 1020 * MSEC },
              { 1020 * MSEC, DOWN, NONE, 4 * SEC },
              { 4 * SEC, DOWN, LONG, NEVER }, /* while it is still held */
              { 9 * SEC, UP, NONE, 9020 * MSEC },
              { 9020 * MSEC, UP, NONE, NEVER }); /* and letting go does not reset again */
        PRESS({ 1 * SEC, DOWN, NONE, 1020 * MSEC }, /* we came late: the loop was busy */
              { 9 * SEC, UP, LONG, 9020 * MSEC },
              { 9020 * MSEC, UP, NONE, NEVER });
}

static void test_reset_second_press_in_the_window(void **state) {
        PRESS({ 0, BOOT_BY_PRESS },
              { 500 * MSEC, DOWN, NONE, 520 * MSEC },
              { 520 * MSEC, DOWN, DOUBLE, NEVER },
              { 600 * MSEC, UP, NONE, 620 * MSEC },
              { 620 * MSEC, UP, NONE, NEVER },
              /* the window is used up */
              { 700 * MSEC, DOWN, NONE, 720 * MSEC },
              { 720 * MSEC, DOWN, NONE, 3700 * MSEC },
              { 800 * MSEC, UP, NONE, 820 * MSEC },
              { 820 * MSEC, UP, RESET, NEVER });
}

/* A look came between an edge and its being read: the edge's own time is older than the look. A level that
 * has only just come has not stayed. */
static void test_reset_times_out_of_order(void **state) {
        ResetButtonVerdict v;
        ResetButton b;

        assert_int_equal(reset_button_init(&b, &reset_limits, false, START), 0);
        (void) reset_button_look(&b, true, START + 100 * MSEC);
        (void) reset_button_look(&b, false, START + 99 * MSEC);
        (void) reset_button_look(&b, true, START + 98 * MSEC);
        v = reset_button_look(&b, false, START + 101 * MSEC);
        assert_int_equal(v.press, RESET_BUTTON_NONE);
        assert_false(b.pressed);
        v = reset_button_look(&b, false, START + 200 * MSEC);
        assert_int_equal(v.press, RESET_BUTTON_NONE);
}

static void test_reset_window_closes(void **state) {
        PRESS({ 0, BOOT_BY_PRESS },
              { 1 * SEC + 1, DOWN, NONE, 1 * SEC + 1 + 20 * MSEC },
              { 1100 * MSEC, UP, NONE, 1120 * MSEC },
              { 1120 * MSEC, UP, RESET, NEVER });
        PRESS({ 0, BOOT_OTHERWISE }, /* a boot that no press caused has none */
              { 500 * MSEC, DOWN, NONE, 520 * MSEC },
              { 520 * MSEC, DOWN, NONE, 3500 * MSEC },
              { 600 * MSEC, UP, NONE, 620 * MSEC },
              { 620 * MSEC, UP, RESET, NEVER });
}

static void test_reset_held_from_before(void **state) {
        PRESS_FROM(true,
                   { 100 * SEC, DOWN, NONE, NEVER },
                   { 200 * SEC, UP, NONE, 200020 * MSEC },
                   { 200020 * MSEC, UP, NONE, NEVER },
                   { 201 * SEC, DOWN, NONE, 201020 * MSEC },
                   { 201100 * MSEC, UP, NONE, 201120 * MSEC },
                   { 201120 * MSEC, UP, RESET, NEVER });
}

/* ---- LED ---- */

/* What somebody sees who looks at an LED: every change in the first total_usec. */
static void watch(LedState s, const LedLook *expected, size_t n, uint64_t total_usec) {
        uint64_t now = START;

        for (size_t i = 0; now < START + total_usec; i++) {
                LedLook l = led_pattern_at(s, START, now);

                assert_true(i < n);
                assert_int_equal(l.colours, expected[i].colours);
                assert_int_equal(l.wake_usec - START, expected[i].wake_usec);
                /* the same at any moment until then */
                l = led_pattern_at(s, START, l.wake_usec - 1);
                assert_int_equal(l.colours, expected[i].colours);
                now = START + expected[i].wake_usec;
        }
}

static void test_led_blinks(void **state) {
        watch(LED_STATE_SAFE_MODE,
              (const LedLook[]) {
                      { LED_YELLOW, 100 * MSEC }, { 0, 400 * MSEC },
                      { LED_YELLOW, 500 * MSEC }, { 0, 800 * MSEC },
                      { LED_YELLOW, 900 * MSEC }, { 0, 6200 * MSEC },
                      { LED_YELLOW, 6300 * MSEC },
              }, 7, 6300 * MSEC);
        watch(LED_STATE_WINDOW,
              (const LedLook[]) {
                      { LED_YELLOW, 125 * MSEC }, { 0, 250 * MSEC },
                      { LED_YELLOW, 375 * MSEC }, { 0, 500 * MSEC },
              }, 4, 500 * MSEC);
}

static void test_led_steady(void **state) {
        static const struct { LedState s; unsigned colours; } steady[] = {
                { LED_STATE_OFF, 0 }, { LED_STATE_RUNNING, 0 }, { LED_STATE_REPL, LED_WHITE },
        };

        for (size_t i = 0; i < ELEMENTSOF(steady); i++) {
                LedLook l = led_pattern_at(steady[i].s, START, START + 77 * SEC);

                assert_int_equal(l.colours, steady[i].colours);
                assert_true(l.wake_usec == NEVER); /* it costs no wake-up */
        }
}

/* With one LED all colours are alike: a person has to tell the states by their rhythm. */
static void test_led_states_differ_in_one_colour(void **state) {
        for (LedState a = LED_STATE_WINDOW; a < LED_STATE_REPL; a++)
                for (LedState b = a + 1; b < LED_STATE_REPL; b++) {
                        bool differ = false;

                        for (uint64_t t = 0; t < 8 * SEC && !differ; t += 25 * MSEC)
                                differ = !led_pattern_at(a, START, START + t).colours !=
                                         !led_pattern_at(b, START, START + t).colours;
                        if (!differ)
                                fail_msg("%s looks like %s", led_state_to_string(a),
                                         led_state_to_string(b));
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_boot_free_costs_nothing),
                cmocka_unit_test(test_boot_let_go_in_time),
                cmocka_unit_test(test_boot_held_is_safe_mode),
                cmocka_unit_test(test_boot_held_on_is_factory_reset),
                cmocka_unit_test(test_boot_bounces),
                cmocka_unit_test(test_boot_stuck_boots_normally),
                cmocka_unit_test(test_boot_stuck_is_remembered),
                cmocka_unit_test(test_boot_without_factory_reset),
                cmocka_unit_test(test_boot_limits),
                cmocka_unit_test(test_reset_short_press),
                cmocka_unit_test(test_reset_bounces_are_one_press),
                cmocka_unit_test(test_reset_spike_is_no_press),
                cmocka_unit_test(test_reset_long_press_is_safe_mode),
                cmocka_unit_test(test_reset_second_press_in_the_window),
                cmocka_unit_test(test_reset_times_out_of_order),
                cmocka_unit_test(test_reset_window_closes),
                cmocka_unit_test(test_reset_held_from_before),
                cmocka_unit_test(test_led_blinks),
                cmocka_unit_test(test_led_steady),
                cmocka_unit_test(test_led_states_differ_in_one_colour),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
