/* SPDX-License-Identifier: MIT */
/* The vocabulary of a board's life: why it reset, how, and how far it got. Both programs, the
 * history and the control bus use these numbers and names; they are stored on disk and sent over
 * the wire, so a value is never reused or renumbered. */
#pragma once

#include <errno.h>

/* machine.reset_cause(), SPEC 2.3 and D9: the numbers of the esp32 port, never 0. */
typedef enum ResetCause {
        RESET_CAUSE_PWRON = 1,     /* first board of a host boot */
        RESET_CAUSE_HARD = 2,      /* machine.reset(), operator, crash */
        RESET_CAUSE_WDT = 3,       /* watchdog */
        RESET_CAUSE_DEEPSLEEP = 4, /* wake from machine.deepsleep() */
        RESET_CAUSE_SOFT = 5,      /* Ctrl-D, machine.soft_reset(), hand-over */
        RESET_CAUSE_MAX,
        RESET_CAUSE_INVALID = -EINVAL,
} ResetCause;

/* microcontroller.cpu.reset_reason, SPEC 2.3 and 4.14. A soft reset leaves it as it was. */
typedef enum ResetReason {
        RESET_REASON_POWER_ON = 0,
        RESET_REASON_BROWNOUT,
        RESET_REASON_SOFTWARE,
        RESET_REASON_DEEP_SLEEP_ALARM,
        RESET_REASON_RESET_PIN,
        RESET_REASON_WATCHDOG,
        RESET_REASON_UNKNOWN,
        RESET_REASON_RESCUE_DEBUG,
        RESET_REASON_MAX,
        RESET_REASON_INVALID = -EINVAL,
} ResetReason;

/* What a board, a person or the supervisor asks for. */
typedef enum ResetKind {
        RESET_KIND_SOFT = 0,  /* finalisers run; pins, REPL mode and unread input are handed on */
        RESET_KIND_HARD,      /* the process is killed; nothing but the retained page is kept */
        RESET_KIND_DEEPSLEEP, /* as hard, after a time without a board */
        RESET_KIND_MAX,
        RESET_KIND_INVALID = -EINVAL,
} ResetKind;

/* supervisor.runtime.run_reason, SPEC 4.13. */
typedef enum RunReason {
        RUN_REASON_STARTUP = 0,
        RUN_REASON_AUTO_RELOAD,
        RUN_REASON_SUPERVISOR_RELOAD,
        RUN_REASON_REPL_RELOAD,
        RUN_REASON_MAX,
        RUN_REASON_INVALID = -EINVAL,
} RunReason;

/* How far a board has got. The order is the order of a boot (SPEC 1.1, S27). */
typedef enum BoardStage {
        BOARD_STAGE_OFF = 0,  /* no process, or not a line of Python run yet */
        BOARD_STAGE_BOOT_INTERNAL, /* the frozen _boot.py */
        BOARD_STAGE_BOOT,     /* boot.py or boot.mpy */
        BOARD_STAGE_MAIN,     /* main.py or main.mpy */
        BOARD_STAGE_REPL,     /* friendly or raw REPL */
        BOARD_STAGE_STOPPING, /* finalisers; no user code is started any more */
        BOARD_STAGE_MAX,
        BOARD_STAGE_INVALID = -EINVAL,
} BoardStage;

/* How a stage ended (SPEC 1.3). */
typedef enum StageResult {
        STAGE_RESULT_OK = 0,      /* ran to its end */
        STAGE_RESULT_MISSING,     /* no such file: not an error (S38, S53) */
        STAGE_RESULT_EXCEPTION,   /* uncaught exception */
        STAGE_RESULT_INTERRUPTED, /* uncaught KeyboardInterrupt */
        STAGE_RESULT_EXIT,        /* SystemExit: machine.soft_reset(), sys.exit() */
        STAGE_RESULT_ABORTED,     /* VM abort, second step of a forced stop */
        STAGE_RESULT_MAX,
        STAGE_RESULT_INVALID = -EINVAL,
} StageResult;

/* The watchdogs that a program can set, D10: each has its own time, the earlier one bites. */
typedef enum WatchdogId {
        WATCHDOG_MACHINE = 0,      /* machine.WDT: nothing stops it but a hard reset */
        WATCHDOG_MICROCONTROLLER,  /* microcontroller.watchdog: can be stopped */
        WATCHDOG_ID_MAX,
        WATCHDOG_ID_INVALID = -EINVAL,
} WatchdogId;

/* supervisor.runtime.safe_mode_reason, SPEC 4.18. The last one is ours: a program that ends with an
 * uncaught exception again and again. */
typedef enum SafeModeReason {
        SAFE_MODE_NONE = 0,
        SAFE_MODE_BROWNOUT,
        SAFE_MODE_FLASH_WRITE_FAIL,
        SAFE_MODE_GC_ALLOC_OUTSIDE_VM,
        SAFE_MODE_HARD_FAULT,
        SAFE_MODE_INTERRUPT_ERROR,
        SAFE_MODE_MANUAL,
        SAFE_MODE_NLR_JUMP_FAIL,
        SAFE_MODE_NO_CIRCUITPY,
        SAFE_MODE_NO_HEAP,
        SAFE_MODE_PROGRAMMATIC,
        SAFE_MODE_SAFEMODE_PY_ERROR,
        SAFE_MODE_SDK_FATAL_ERROR,
        SAFE_MODE_STACK_OVERFLOW,
        SAFE_MODE_USB_BOOT_DEVICE_NOT_INTERFACE_ZERO,
        SAFE_MODE_USB_TOO_MANY_ENDPOINTS,
        SAFE_MODE_USB_TOO_MANY_INTERFACE_NAMES,
        SAFE_MODE_USER,
        SAFE_MODE_WATCHDOG,
        SAFE_MODE_EXCEPTION,
        SAFE_MODE_REASON_MAX,
        SAFE_MODE_REASON_INVALID = -EINVAL,
} SafeModeReason;

/* Who opened the door to safe mode: that decides how it ends. */
typedef enum SafeModeDoor {
        SAFE_MODE_DOOR_NONE = 0, /* not in it */
        SAFE_MODE_DOOR_STRIKES,  /* too many abnormal ends: tried again after a while */
        SAFE_MODE_DOOR_OPERATOR, /* mpyctl safe-mode enter */
        SAFE_MODE_DOOR_FLAG,     /* a file, or the kernel's command line: as long as it is there */
        SAFE_MODE_DOOR_BUTTON,
        SAFE_MODE_DOOR_MAX,
        SAFE_MODE_DOOR_INVALID = -EINVAL,
} SafeModeDoor;

/* Each name is what people meet: Python's constant for causes, reasons and run reasons, the file's
 * name for stages, lower case words otherwise. NULL for a number outside of the enum.
 * The way back answers the enum's _INVALID for an unknown name (or NULL). */
const char *reset_cause_to_string(ResetCause c);
ResetCause reset_cause_from_string(const char *s);
const char *reset_reason_to_string(ResetReason r);
ResetReason reset_reason_from_string(const char *s);
const char *reset_kind_to_string(ResetKind k);
ResetKind reset_kind_from_string(const char *s);
const char *run_reason_to_string(RunReason r);
RunReason run_reason_from_string(const char *s);
const char *board_stage_to_string(BoardStage s);
BoardStage board_stage_from_string(const char *s);
const char *stage_result_to_string(StageResult r);
StageResult stage_result_from_string(const char *s);
const char *watchdog_id_to_string(WatchdogId w);
WatchdogId watchdog_id_from_string(const char *s);
const char *safe_mode_reason_to_string(SafeModeReason r);
SafeModeReason safe_mode_reason_from_string(const char *s);
const char *safe_mode_door_to_string(SafeModeDoor d);
SafeModeDoor safe_mode_door_from_string(const char *s);

/* What follows “You are in safe mode because:” (SPEC 4.18); NULL for NONE and outside of the enum. */
const char *safe_mode_reason_text(SafeModeReason r);
