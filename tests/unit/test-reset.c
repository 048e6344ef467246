/* SPDX-License-Identifier: MIT */
/* Names and numbers of the life of a board: src/contracts/reset.c. They are on disks and wires, so
 * the table here is written out once more: a change of either side must be noticed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>

#include "mpyd/reset.h"
#include "util/macros.h"

typedef struct Name {
        int value;
        const char *name;
} Name;

#define DEFINE_CHECK(noun, Type, max)                                                     \
        static void check_##noun(const Name *names, size_t n) {                           \
                static const int outside[] = { -1, INT_MIN, -EINVAL, max, INT_MAX };      \
                size_t known = 0;                                                         \
                                                                                          \
                for (size_t i = 0; i < n; i++) {                                          \
                        Type v = (Type) names[i].value;                                   \
                                                                                          \
                        assert_string_equal(noun##_to_string(v), names[i].name);          \
                        assert_int_equal(noun##_from_string(names[i].name), v);           \
                }                                                                         \
                for (int v = 0; v < (int) max; v++)                                       \
                        known += noun##_to_string((Type) v) != NULL;                      \
                assert_int_equal(known, n);                                               \
                for (size_t i = 0; i < ELEMENTSOF(outside); i++)                          \
                        assert_null(noun##_to_string((Type) outside[i]));                 \
                assert_int_equal(noun##_from_string(NULL), -EINVAL);                      \
                assert_int_equal(noun##_from_string(""), -EINVAL);                        \
                assert_int_equal(noun##_from_string("nonsense"), -EINVAL);                \
        }

DEFINE_CHECK(reset_cause, ResetCause, RESET_CAUSE_MAX)
DEFINE_CHECK(reset_reason, ResetReason, RESET_REASON_MAX)
DEFINE_CHECK(reset_kind, ResetKind, RESET_KIND_MAX)
DEFINE_CHECK(run_reason, RunReason, RUN_REASON_MAX)
DEFINE_CHECK(board_stage, BoardStage, BOARD_STAGE_MAX)
DEFINE_CHECK(stage_result, StageResult, STAGE_RESULT_MAX)
DEFINE_CHECK(watchdog_id, WatchdogId, WATCHDOG_ID_MAX)
DEFINE_CHECK(safe_mode_reason, SafeModeReason, SAFE_MODE_REASON_MAX)
DEFINE_CHECK(safe_mode_door, SafeModeDoor, SAFE_MODE_DOOR_MAX)

static void test_reset_cause(void **state) {
        static const Name names[] = {
                { 1, "PWRON_RESET" },     { 2, "HARD_RESET" }, { 3, "WDT_RESET" },
                { 4, "DEEPSLEEP_RESET" }, { 5, "SOFT_RESET" },
        };

        check_reset_cause(names, ELEMENTSOF(names));
        assert_null(reset_cause_to_string((ResetCause) 0)); /* never 0 (D9) */
}

static void test_reset_reason(void **state) {
        static const Name names[] = {
                { 0, "POWER_ON" },  { 1, "BROWNOUT" }, { 2, "SOFTWARE" }, { 3, "DEEP_SLEEP_ALARM" },
                { 4, "RESET_PIN" }, { 5, "WATCHDOG" }, { 6, "UNKNOWN" },  { 7, "RESCUE_DEBUG" },
        };

        check_reset_reason(names, ELEMENTSOF(names));
}

static void test_reset_kind(void **state) {
        static const Name names[] = { { 0, "soft" }, { 1, "hard" }, { 2, "deepsleep" } };

        check_reset_kind(names, ELEMENTSOF(names));
}

static void test_run_reason(void **state) {
        static const Name names[] = {
                { 0, "STARTUP" },
                { 1, "AUTO_RELOAD" },
                { 2, "SUPERVISOR_RELOAD" },
                { 3, "REPL_RELOAD" },
        };

        check_run_reason(names, ELEMENTSOF(names));
}

static void test_board_stage(void **state) {
        static const Name names[] = {
                { 0, "off" },     { 1, "_boot.py" }, { 2, "boot.py" },
                { 3, "main.py" }, { 4, "repl" },     { 5, "stopping" },
        };

        check_board_stage(names, ELEMENTSOF(names));
}

static void test_stage_result(void **state) {
        static const Name names[] = {
                { 0, "ok" },          { 1, "missing" }, { 2, "exception" },
                { 3, "interrupted" }, { 4, "exit" },    { 5, "aborted" },
        };

        check_stage_result(names, ELEMENTSOF(names));
}

static void test_watchdog_id(void **state) {
        static const Name names[] = { { 0, "machine.WDT" }, { 1, "microcontroller.watchdog" } };

        check_watchdog_id(names, ELEMENTSOF(names));
}

/* Some names only: what all of them are is in the contract, and each must have one and a text. */
static void test_safe_mode_reason(void **state) {
        Name names[SAFE_MODE_REASON_MAX] = {};

        for (int v = 0; v < SAFE_MODE_REASON_MAX; v++) {
                const char *name = safe_mode_reason_to_string((SafeModeReason) v);

                assert_non_null(name);
                names[v] = (Name) { v, name };
                if (v == SAFE_MODE_NONE)
                        assert_null(safe_mode_reason_text((SafeModeReason) v));
                else
                        assert_non_null(safe_mode_reason_text((SafeModeReason) v));
        }
        check_safe_mode_reason(names, ELEMENTSOF(names));
        assert_int_equal(safe_mode_reason_from_string("HARD_FAULT"), 4); /* SPEC 4.18 */
        assert_int_equal(safe_mode_reason_from_string("WATCHDOG"), 18);
        assert_null(safe_mode_reason_text(SAFE_MODE_REASON_MAX));
}

static void test_safe_mode_door(void **state) {
        static const Name names[] = {
                { SAFE_MODE_DOOR_NONE, "none" },         { SAFE_MODE_DOOR_STRIKES, "strikes" },
                { SAFE_MODE_DOOR_OPERATOR, "operator" }, { SAFE_MODE_DOOR_FLAG, "flag" },
                { SAFE_MODE_DOOR_BUTTON, "button" },
        };

        check_safe_mode_door(names, ELEMENTSOF(names));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reset_cause), cmocka_unit_test(test_reset_reason),
                cmocka_unit_test(test_reset_kind),  cmocka_unit_test(test_run_reason),
                cmocka_unit_test(test_board_stage), cmocka_unit_test(test_stage_result),
                cmocka_unit_test(test_watchdog_id),
                cmocka_unit_test(test_safe_mode_reason),
                cmocka_unit_test(test_safe_mode_door),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
