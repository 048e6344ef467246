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

static const char *const safe_mode_reason_names[SAFE_MODE_REASON_MAX] = {
        [SAFE_MODE_NONE] = "NONE",
        [SAFE_MODE_BROWNOUT] = "BROWNOUT",
        [SAFE_MODE_FLASH_WRITE_FAIL] = "FLASH_WRITE_FAIL",
        [SAFE_MODE_GC_ALLOC_OUTSIDE_VM] = "GC_ALLOC_OUTSIDE_VM",
        [SAFE_MODE_HARD_FAULT] = "HARD_FAULT",
        [SAFE_MODE_INTERRUPT_ERROR] = "INTERRUPT_ERROR",
        [SAFE_MODE_MANUAL] = "MANUAL",
        [SAFE_MODE_NLR_JUMP_FAIL] = "NLR_JUMP_FAIL",
        [SAFE_MODE_NO_CIRCUITPY] = "NO_CIRCUITPY",
        [SAFE_MODE_NO_HEAP] = "NO_HEAP",
        [SAFE_MODE_PROGRAMMATIC] = "PROGRAMMATIC",
        [SAFE_MODE_SAFEMODE_PY_ERROR] = "SAFEMODE_PY_ERROR",
        [SAFE_MODE_SDK_FATAL_ERROR] = "SDK_FATAL_ERROR",
        [SAFE_MODE_STACK_OVERFLOW] = "STACK_OVERFLOW",
        [SAFE_MODE_USB_BOOT_DEVICE_NOT_INTERFACE_ZERO] = "USB_BOOT_DEVICE_NOT_INTERFACE_ZERO",
        [SAFE_MODE_USB_TOO_MANY_ENDPOINTS] = "USB_TOO_MANY_ENDPOINTS",
        [SAFE_MODE_USB_TOO_MANY_INTERFACE_NAMES] = "USB_TOO_MANY_INTERFACE_NAMES",
        [SAFE_MODE_USER] = "USER",
        [SAFE_MODE_WATCHDOG] = "WATCHDOG",
        [SAFE_MODE_EXCEPTION] = "EXCEPTION",
};

static const char *const safe_mode_door_names[SAFE_MODE_DOOR_MAX] = {
        [SAFE_MODE_DOOR_NONE] = "none",
        [SAFE_MODE_DOOR_STRIKES] = "strikes",
        [SAFE_MODE_DOOR_OPERATOR] = "operator",
        [SAFE_MODE_DOOR_FLAG] = "flag",
        [SAFE_MODE_DOOR_BUTTON] = "button",
};

/* CircuitPython's words where the cause is its own too. */
static const char *const safe_mode_reason_texts[SAFE_MODE_REASON_MAX] = {
        [SAFE_MODE_BROWNOUT] = "Power dipped. Make sure you are providing enough power.",
        [SAFE_MODE_FLASH_WRITE_FAIL] = "Failed to write internal flash.",
        [SAFE_MODE_GC_ALLOC_OUTSIDE_VM] = "Heap allocation when VM not running.",
        [SAFE_MODE_HARD_FAULT] = "Hard fault: memory access or instruction error.",
        [SAFE_MODE_INTERRUPT_ERROR] = "Interrupt error.",
        [SAFE_MODE_MANUAL] = "Unknown reason.",
        [SAFE_MODE_NLR_JUMP_FAIL] = "NLR jump failed. Likely memory corruption.",
        [SAFE_MODE_NO_CIRCUITPY] = "CIRCUITPY drive could not be found or created.",
        [SAFE_MODE_NO_HEAP] = "Unable to allocate to the heap.",
        [SAFE_MODE_PROGRAMMATIC] = "The `microcontroller` module was used to boot into safe mode.",
        [SAFE_MODE_SAFEMODE_PY_ERROR] = "Error in safemode.py.",
        [SAFE_MODE_SDK_FATAL_ERROR] = "Third-party firmware fatal error.",
        [SAFE_MODE_STACK_OVERFLOW] = "Stack overflow. Increase stack size.",
        [SAFE_MODE_USB_BOOT_DEVICE_NOT_INTERFACE_ZERO] = "Boot device must be first (interface #0).",
        [SAFE_MODE_USB_TOO_MANY_ENDPOINTS] = "USB devices need more endpoints than are available.",
        [SAFE_MODE_USB_TOO_MANY_INTERFACE_NAMES] = "USB devices specify too many interface names.",
        [SAFE_MODE_USER] = "Somebody asked for it.",
        [SAFE_MODE_WATCHDOG] = "Watchdog timer expired.",
        [SAFE_MODE_EXCEPTION] = "The program ended with an uncaught exception again and again.",
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
DEFINE_NAMES(safe_mode_reason, SafeModeReason)
DEFINE_NAMES(safe_mode_door, SafeModeDoor)

const char *safe_mode_reason_text(SafeModeReason r) {
        return name_of(safe_mode_reason_texts, ELEMENTSOF(safe_mode_reason_texts), (int) r);
}
