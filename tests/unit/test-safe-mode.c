/* SPDX-License-Identifier: MIT */
/* Strikes and safe mode: a pure policy, walked as a table. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/safe-mode.h"
#include "util/parse.h"

#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE
#define HOUR USEC_PER_HOUR
#define START (1000 * SEC)
#define NEVER UINT64_MAX

enum { NONE = SAFE_MODE_NONE, FAULT = SAFE_MODE_HARD_FAULT, WDT = SAFE_MODE_WATCHDOG,
       USER = SAFE_MODE_USER, DIP = SAFE_MODE_BROWNOUT };
enum { NO_DOOR = SAFE_MODE_DOOR_NONE, STRIKES = SAFE_MODE_DOOR_STRIKES,
       OPERATOR = SAFE_MODE_DOOR_OPERATOR, FLAG = SAFE_MODE_DOOR_FLAG, BUTTON = SAFE_MODE_DOOR_BUTTON };

static const SafeModeLimits limits = { 3, 10 * MINUTE, HOUR, 24 * HOUR };

/* One step of a story, at a time after START. */
typedef struct Step {
        uint64_t at;
        enum { HARD, SOFT, CRASH, BITE, ORDER, RESTART, POWER, HOST_FAULT, /* resets */
               END, LOOK, ASK_ENTER, ASK_LEAVE, CHOOSE_ENTER, CHOOSE_LEAVE } what;
        int reason, door;          /* after it */
        unsigned strikes, retries; /* after it */
        bool flag;
        bool retry, forgiven;      /* LOOK */
} Step;

static SafeModeReset reset_of(const Step *s) {
        SafeModeReset r = { .soft = s->what == SOFT, .flag = s->flag };

        r.fault = s->what == CRASH        ? SAFE_MODE_HARD_FAULT
                  : s->what == BITE       ? SAFE_MODE_WATCHDOG
                  : s->what == HOST_FAULT ? SAFE_MODE_BROWNOUT
                                          : SAFE_MODE_NONE;
        r.ordered = s->what == ORDER || s->what == RESTART;
        r.daemon_started = s->what == RESTART || s->what == POWER || s->what == HOST_FAULT;
        r.host_booted = s->what == POWER || s->what == HOST_FAULT;
        return r;
}

static void tell(const SafeModeLimits *l, const SafeModeState *from, const Step *steps, size_t n) {
        SafeMode m;

        safe_mode_init(&m, l, from ? from : &(SafeModeState) {});
        for (size_t i = 0; i < n; i++) {
                const Step *s = &steps[i];
                SafeModeNow now = { START + s->at, START + s->at };
                SafeModeState before = m.state;
                SafeModeVerdict v = {};
                SafeModeReset r;
                bool changed;

                switch (s->what) {
                case END:
                        safe_mode_on_end(&m, now);
                        break;
                case LOOK:
                        v = safe_mode_look(&m, now);
                        break;
                case ASK_ENTER:
                        safe_mode_ask_enter(&m, SAFE_MODE_DOOR_OPERATOR);
                        break;
                case ASK_LEAVE:
                        safe_mode_ask_leave(&m);
                        break;
                case CHOOSE_ENTER:
                case CHOOSE_LEAVE:
                        changed = safe_mode_choose(&m, s->what == CHOOSE_ENTER ? SAFE_MODE_DOOR_BUTTON
                                                                               : SAFE_MODE_DOOR_NONE, now);
                        assert_int_equal(changed, memcmp(&before, &m.state, sizeof before) != 0);
                        break;
                case HARD: case SOFT: case CRASH: case BITE: case ORDER: case RESTART: case POWER:
                case HOST_FAULT:
                        r = reset_of(s);
                        changed = safe_mode_on_reset(&m, &r, now);
                        assert_int_equal(changed, memcmp(&before, &m.state, sizeof before) != 0);
                        break;
                }
                if ((int) m.state.reason != s->reason || (int) m.state.door != s->door ||
                    m.state.strikes != s->strikes || m.state.retries != s->retries ||
                    v.retry != s->retry || v.forgiven != s->forgiven)
                        fail_msg("step %zu: reason %d, door %d, %u strikes, %u retries, retry %d, "
                                 "forgiven %d", i, (int) m.state.reason, (int) m.state.door,
                                 m.state.strikes, m.state.retries, v.retry, v.forgiven);
        }
}
#define TELL_FROM(from, ...) \
        tell(&limits, from, (const Step[]) { __VA_ARGS__ }, ELEMENTSOF(((const Step[]) { __VA_ARGS__ })))
#define TELL(...) TELL_FROM(NULL, __VA_ARGS__)

static void test_strikes_lead_to_safe_mode(void **state) {
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 1 * SEC, CRASH, NONE, NO_DOOR, 1, 0 },
             { 2 * SEC, BITE, NONE, NO_DOOR, 2, 0 },
             { 3 * SEC, CRASH, FAULT, STRIKES, 3, 0 });
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 }, /* the last fault gives the reason */
             { 1 * SEC, CRASH, NONE, NO_DOOR, 1, 0 },
             { 2 * SEC, CRASH, NONE, NO_DOOR, 2, 0 },
             { 3 * SEC, BITE, WDT, STRIKES, 3, 0 });
}

static void test_what_is_no_strike(void **state) {
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 1 * SEC, CRASH, NONE, NO_DOOR, 1, 0 },
             { 2 * SEC, HARD, NONE, NO_DOOR, 1, 0 }, /* machine.reset(): the documented pattern */
             { 3 * SEC, SOFT, NONE, NO_DOOR, 1, 0 },
             { 4 * SEC, RESTART, NONE, NO_DOOR, 1, 0 },
             { 5 * SEC, CRASH, NONE, NO_DOOR, 2, 0 },
             { 6 * SEC, POWER, NONE, NO_DOOR, 2, 0 });
        /* power cycles, each after a short run */
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 }, { 1, POWER, NONE, NO_DOOR, 0, 0 },
             { 2, POWER, NONE, NO_DOOR, 0, 0 }, { 3, POWER, NONE, NO_DOOR, 0, 0 },
             { 4, POWER, NONE, NO_DOOR, 0, 0 });
}

/* The button that is held at boot, and the factory reset: after the reset was decided, before its board. */
static void test_a_person_at_the_board_chooses(void **state) {
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 1 * SEC, CHOOSE_ENTER, USER, BUTTON, 0, 0 },
             { 2 * SEC, SOFT, USER, BUTTON, 0, 0 },
             { 3 * SEC, CRASH, USER, BUTTON, 0, 0 },
             { 4 * SEC, HARD, NONE, NO_DOOR, 0, 0 });
        /* Over the strikes' own safe mode it does not end by itself. */
        TELL_FROM((&(SafeModeState) { .strikes = 2 }),
                  { 0, CRASH, FAULT, STRIKES, 3, 0 },
                  { 1 * SEC, CHOOSE_ENTER, USER, BUTTON, 3, 0 },
                  { 2 * HOUR, LOOK, USER, BUTTON, 3, 0 });
        TELL_FROM((&(SafeModeState) { .strikes = 2, .retries = 4 }),
                  { 0, CRASH, FAULT, STRIKES, 3, 4 },
                  { 1 * SEC, CHOOSE_LEAVE, NONE, NO_DOOR, 0, 0 },
                  { 25 * HOUR, LOOK, NONE, NO_DOOR, 0, 0 });
        TELL({ 0, POWER, USER, FLAG, 0, 0, .flag = true },
             { 1 * SEC, CHOOSE_LEAVE, USER, FLAG, 0, 0 });
}

/* A host that goes down by what a program may have caused: a motor that pulls the supply down. */
static void test_host_faults_are_strikes(void **state) {
        TELL_FROM((&(SafeModeState) { .strikes = 2 }), { 0, HOST_FAULT, DIP, STRIKES, 3, 0 });
}

static void test_an_order_forgives(void **state) {
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 1 * SEC, CRASH, NONE, NO_DOOR, 1, 0 },
             { 2 * SEC, CRASH, NONE, NO_DOOR, 2, 0 },
             { 3 * SEC, ORDER, NONE, NO_DOOR, 0, 0 });
}

static void test_stable_time_forgives(void **state) {
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 1 * SEC, CRASH, NONE, NO_DOOR, 1, 0 },
             { 1 * SEC + 10 * MINUTE - 1, LOOK, NONE, NO_DOOR, 1, 0 },
             { 1 * SEC + 10 * MINUTE, LOOK, NONE, NO_DOOR, 0, 0, .forgiven = true },
             { 1 * SEC + 11 * MINUTE, LOOK, NONE, NO_DOOR, 0, 0 });
        /* nobody had looked: forgiven all the same, before the end is counted */
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 0, CRASH, NONE, NO_DOOR, 1, 0 },
             { 0, CRASH, NONE, NO_DOOR, 2, 0 },
             { 10 * MINUTE, CRASH, NONE, NO_DOOR, 1, 0 });
        /* lives count together, the time without a board does not */
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 0, CRASH, NONE, NO_DOOR, 1, 0 },
             { 5 * MINUTE, END, NONE, NO_DOOR, 1, 0 }, /* deep sleep */
             { 24 * HOUR, LOOK, NONE, NO_DOOR, 1, 0 },
             { 24 * HOUR, HARD, NONE, NO_DOOR, 1, 0 },
             { 24 * HOUR + 4 * MINUTE, SOFT, NONE, NO_DOOR, 1, 0 },
             { 24 * HOUR + 5 * MINUTE, LOOK, NONE, NO_DOOR, 0, 0, .forgiven = true });
}

static void test_safe_mode_lasts(void **state) {
        TELL_FROM((&(SafeModeState) { SAFE_MODE_HARD_FAULT, SAFE_MODE_DOOR_STRIKES, 3, 0 }),
                  { 0, RESTART, FAULT, STRIKES, 3, 0 },     /* of the daemon */
                  { 1 * SEC, SOFT, FAULT, STRIKES, 3, 0 },  /* Ctrl-D: D11 */
                  { 2 * SEC, CRASH, FAULT, STRIKES, 3, 0 }, /* at its REPL */
                  { 3 * SEC, BITE, FAULT, STRIKES, 3, 0 },
                  { 20 * MINUTE, LOOK, FAULT, STRIKES, 3, 0 }, /* stable there means nothing */
                  { 21 * MINUTE, HARD, NONE, NO_DOOR, 0, 0 }); /* C10 */
}

static void test_tried_again_after_a_while(void **state) {
        uint64_t t = 0;

        TELL({ t, POWER, NONE, NO_DOOR, 0, 0 },
             { t, CRASH, NONE, NO_DOOR, 1, 0 },
             { t, CRASH, NONE, NO_DOOR, 2, 0 },
             { t, CRASH, FAULT, STRIKES, 3, 0 },
             { t + HOUR - 1, LOOK, FAULT, STRIKES, 3, 0 },
             { t + HOUR, LOOK, FAULT, STRIKES, 3, 0, .retry = true },
             { t + HOUR, LOOK, FAULT, STRIKES, 3, 0 }, /* told once */
             { t + HOUR, ORDER, NONE, NO_DOOR, 2, 1 },
             { t + HOUR, CRASH, FAULT, STRIKES, 3, 1 }, /* one is enough, and it waits longer */
             { t + 3 * HOUR - 1, LOOK, FAULT, STRIKES, 3, 1 },
             { t + 3 * HOUR, LOOK, FAULT, STRIKES, 3, 1, .retry = true },
             { t + 3 * HOUR, ORDER, NONE, NO_DOOR, 2, 2 },
             { t + 3 * HOUR + 10 * MINUTE, LOOK, NONE, NO_DOOR, 0, 0, .forgiven = true });
}

static void test_waits_a_day_at_most(void **state) {
        static const SafeModeState old = { SAFE_MODE_HARD_FAULT, SAFE_MODE_DOOR_STRIKES, 3, 900 };

        TELL_FROM(&old,
                  { 0, RESTART, FAULT, STRIKES, 3, 900 },
                  { 24 * HOUR - 1, LOOK, FAULT, STRIKES, 3, 900 },
                  { 24 * HOUR, LOOK, FAULT, STRIKES, 3, 900, .retry = true });
}

/* A flickering supply does not give a broken program new lives. */
static void test_a_boot_of_the_host_is_a_try(void **state) {
        TELL_FROM((&(SafeModeState) { SAFE_MODE_HARD_FAULT, SAFE_MODE_DOOR_STRIKES, 3, 0 }),
                  { 0, POWER, NONE, NO_DOOR, 2, 1 },
                  { 1 * SEC, CRASH, FAULT, STRIKES, 3, 1 });
}

static void test_an_operator_asks(void **state) {
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 1, ASK_ENTER, NONE, NO_DOOR, 0, 0 },
             { 2, ORDER, USER, OPERATOR, 0, 0 },
             { 48 * HOUR, LOOK, USER, OPERATOR, 0, 0 }, /* never by itself */
             { 48 * HOUR, ASK_LEAVE, USER, OPERATOR, 0, 0 },
             { 48 * HOUR, ORDER, NONE, NO_DOOR, 0, 0 });
        /* out of what strikes have led to: forgiven, and no try */
        TELL_FROM((&(SafeModeState) { SAFE_MODE_HARD_FAULT, SAFE_MODE_DOOR_STRIKES, 3, 2 }),
                  { 0, RESTART, FAULT, STRIKES, 3, 2 },
                  { 1, ASK_LEAVE, FAULT, STRIKES, 3, 2 },
                  { 2, ORDER, NONE, NO_DOOR, 0, 0 });
        /* who is in it by strikes and asks for it stays in it until he leaves */
        TELL_FROM((&(SafeModeState) { SAFE_MODE_HARD_FAULT, SAFE_MODE_DOOR_STRIKES, 3, 0 }),
                  { 0, RESTART, FAULT, STRIKES, 3, 0 },
                  { 1, ASK_ENTER, FAULT, STRIKES, 3, 0 },
                  { 2, ORDER, USER, OPERATOR, 3, 0 },
                  { 48 * HOUR, LOOK, USER, OPERATOR, 3, 0 });
        /* the wish outlives a soft reset that comes between */
        TELL({ 0, POWER, NONE, NO_DOOR, 0, 0 },
             { 1, ASK_ENTER, NONE, NO_DOOR, 0, 0 },
             { 1, SOFT, NONE, NO_DOOR, 0, 0 },
             { 2, ORDER, USER, OPERATOR, 0, 0 });
}

static void test_a_flag_holds_it(void **state) {
        TELL({ 0, POWER, USER, FLAG, 0, 0, .flag = true },
             { 1, SOFT, USER, FLAG, 0, 0 },
             { 2, ORDER, USER, FLAG, 0, 0, .flag = true },
             { 48 * HOUR, LOOK, USER, FLAG, 0, 0 },
             { 49 * HOUR, HARD, NONE, NO_DOOR, 0, 0 }); /* it has been taken away */
}

static void test_off(void **state) {
        static const SafeModeLimits off = { 0, 10 * MINUTE, HOUR, 24 * HOUR };
        const Step steps[] = {
                { 0, POWER, NONE, NO_DOOR, 0, 0 },      { 1, CRASH, NONE, NO_DOOR, 1, 0 },
                { 2, CRASH, NONE, NO_DOOR, 2, 0 },      { 3, CRASH, NONE, NO_DOOR, 3, 0 },
                { 4, CRASH, NONE, NO_DOOR, 4, 0 },      { 5, ASK_ENTER, NONE, NO_DOOR, 4, 0 },
                { 6, ORDER, USER, OPERATOR, 4, 0 },
        };

        tell(&off, NULL, steps, ELEMENTSOF(steps));
}

static void test_counts_are_bounded(void **state) {
        static const SafeModeLimits off = { 0, 10 * MINUTE, HOUR, 24 * HOUR };
        SafeMode m;

        safe_mode_init(&m, &off, &(SafeModeState) {});
        for (unsigned i = 0; i < SAFE_MODE_COUNT_MAX + 5; i++)
                (void) safe_mode_on_reset(&m, &(SafeModeReset) { .fault = SAFE_MODE_HARD_FAULT },
                                          (SafeModeNow) { START + i, START + i });
        assert_int_equal(m.state.strikes, SAFE_MODE_COUNT_MAX);
}

/* An idle board costs no wake-up: nothing to forgive, nothing to try. */
static void test_wakes(void **state) {
        uint64_t monotonic, boottime;
        SafeMode m;

        safe_mode_init(&m, &limits, &(SafeModeState) {});
        (void) safe_mode_on_reset(&m, &(SafeModeReset) { .daemon_started = true, .host_booted = true },
                                  (SafeModeNow) { START, START });
        safe_mode_wakes(&m, &monotonic, &boottime);
        assert_true(monotonic == NEVER && boottime == NEVER);

        (void) safe_mode_on_reset(&m, &(SafeModeReset) { .fault = SAFE_MODE_HARD_FAULT },
                                  (SafeModeNow) { START + 5, START + 7 });
        safe_mode_wakes(&m, &monotonic, &boottime);
        assert_true(monotonic == START + 5 + 10 * MINUTE && boottime == NEVER);

        m.state.strikes = 2;
        (void) safe_mode_on_reset(&m, &(SafeModeReset) { .fault = SAFE_MODE_HARD_FAULT },
                                  (SafeModeNow) { START + 5, START + 7 });
        safe_mode_wakes(&m, &monotonic, &boottime);
        assert_true(monotonic == NEVER && boottime == START + 7 + HOUR);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_strikes_lead_to_safe_mode),
                cmocka_unit_test(test_what_is_no_strike),
                cmocka_unit_test(test_a_person_at_the_board_chooses),
                cmocka_unit_test(test_host_faults_are_strikes),
                cmocka_unit_test(test_an_order_forgives),
                cmocka_unit_test(test_stable_time_forgives),
                cmocka_unit_test(test_safe_mode_lasts),
                cmocka_unit_test(test_tried_again_after_a_while),
                cmocka_unit_test(test_waits_a_day_at_most),
                cmocka_unit_test(test_a_boot_of_the_host_is_a_try),
                cmocka_unit_test(test_an_operator_asks),
                cmocka_unit_test(test_a_flag_holds_it),
                cmocka_unit_test(test_off),
                cmocka_unit_test(test_counts_are_bounded),
                cmocka_unit_test(test_wakes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
