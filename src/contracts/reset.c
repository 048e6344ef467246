/* SPDX-License-Identifier: MIT */
/* Names of the vocabulary in include/mpyd/reset.h: a table beside each enum. */
#include "mpyd/reset.h"

#include <stddef.h>
#include <string.h>

#include "util/macros.h"

static const char *const reset_cause_names[RESET_CAUSE_MAX] = {
        [RESET_CAUSE_PWRON] = "PWRON_RESET",
        [RESET_CAUSE_HARD] = "HARD_RESET",
        [RESET_CAUSE_WDT] = "WDT_RESET",
        [RESET_CAUSE_DEEPSLEEP] = "DEEPSLEEP_RESET",
        [RESET_CAUSE_SOFT] = "SOFT_RESET",
};

static const char *const reset_reason_names[RESET_REASON_MAX] = {
        [RESET_REASON_POWER_ON] = "POWER_ON",
        [RESET_REASON_BROWNOUT] = "BROWNOUT",
        [RESET_REASON_SOFTWARE] = "SOFTWARE",
        [RESET_REASON_DEEP_SLEEP_ALARM] = "DEEP_SLEEP_ALARM",
        [RESET_REASON_RESET_PIN] = "RESET_PIN",
        [RESET_REASON_WATCHDOG] = "WATCHDOG",
        [RESET_REASON_UNKNOWN] = "UNKNOWN",
        [RESET_REASON_RESCUE_DEBUG] = "RESCUE_DEBUG",
};

static const char *const reset_kind_names[RESET_KIND_MAX] = {
        [RESET_KIND_SOFT] = "soft",
        [RESET_KIND_HARD] = "hard",
        [RESET_KIND_DEEPSLEEP] = "deepsleep",
};

static const char *const run_reason_names[RUN_REASON_MAX] = {
        [RUN_REASON_STARTUP] = "STARTUP",
        [RUN_REASON_AUTO_RELOAD] = "AUTO_RELOAD",
        [RUN_REASON_SUPERVISOR_RELOAD] = "SUPERVISOR_RELOAD",
        [RUN_REASON_REPL_RELOAD] = "REPL_RELOAD",
};

static const char *const board_stage_names[BOARD_STAGE_MAX] = {
        [BOARD_STAGE_OFF] = "off",
        [BOARD_STAGE_BOOT_INTERNAL] = "_boot.py",
        [BOARD_STAGE_BOOT] = "boot.py",
        [BOARD_STAGE_MAIN] = "main.py",
        [BOARD_STAGE_REPL] = "repl",
        [BOARD_STAGE_STOPPING] = "stopping",
};

static const char *const stage_result_names[STAGE_RESULT_MAX] = {
        [STAGE_RESULT_OK] = "ok",
        [STAGE_RESULT_MISSING] = "missing",
        [STAGE_RESULT_EXCEPTION] = "exception",
        [STAGE_RESULT_INTERRUPTED] = "interrupted",
        [STAGE_RESULT_EXIT] = "exit",
        [STAGE_RESULT_ABORTED] = "aborted",
};

static const char *const watchdog_id_names[WATCHDOG_ID_MAX] = {
        [WATCHDOG_MACHINE] = "machine.WDT",
        [WATCHDOG_MICROCONTROLLER] = "microcontroller.watchdog",
};

static const char *name_of(const char *const names[], size_t n, int value) {
        return value >= 0 && (size_t) value < n ? names[value] : NULL;
}

static int value_of(const char *const names[], size_t n, const char *s) {
        for (size_t i = 0; s && i < n; i++)
                if (names[i] && streq(names[i], s))
                        return (int) i;
        return -EINVAL;
}

#define DEFINE_NAMES(noun, Type)                                                       \
        const char *noun##_to_string(Type v) {                                         \
                return name_of(noun##_names, ELEMENTSOF(noun##_names), (int) v);       \
        }                                                                              \
        Type noun##_from_string(const char *s) {                                       \
                return (Type) value_of(noun##_names, ELEMENTSOF(noun##_names), s);     \
        }

DEFINE_NAMES(reset_cause, ResetCause)
DEFINE_NAMES(reset_reason, ResetReason)
DEFINE_NAMES(reset_kind, ResetKind)
DEFINE_NAMES(run_reason, RunReason)
DEFINE_NAMES(board_stage, BoardStage)
DEFINE_NAMES(stage_result, StageResult)
DEFINE_NAMES(watchdog_id, WatchdogId)
