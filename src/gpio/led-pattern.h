/* SPDX-License-Identifier: MIT */
/* What a status LED shows, as a pure function of (state, time). SPEC 4.19; for one LED without colours
 * every colour is “on”, so patterns differ in rhythm too. Times are CLOCK_MONOTONIC. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum LedState {
        LED_STATE_OFF = 0,     /* no board: stopped, deep sleep */
        LED_STATE_RUNNING,     /* off, and the script's if it wants it */
        LED_STATE_WINDOW,      /* yellow, 4 Hz: a press now means safe mode */
        LED_STATE_HOLD_SAFE,   /* letting go selects safe mode: yellow, one long blink a second */
        LED_STATE_HOLD_FACTORY, /* letting go selects factory reset: red, two long blinks a second */
        LED_STATE_SELECTED,    /* what was selected is being done: white, quick */
        LED_STATE_DONE,        /* main.py ended: green, one blink */
        LED_STATE_EXCEPTION,   /* red, two blinks */
        LED_STATE_SAFE_MODE,   /* yellow, three blinks */
        LED_STATE_TROUBLE,     /* no board can be started, or it is stuck: red, four blinks */
        LED_STATE_REPL,        /* white */
        LED_STATE_MAX,
        LED_STATE_INVALID = -EINVAL,
} LedState;

enum { LED_RED = 1 << 0, LED_GREEN = 1 << 1, LED_BLUE = 1 << 2 };
#define LED_YELLOW (LED_RED | LED_GREEN)
#define LED_WHITE (LED_RED | LED_GREEN | LED_BLUE)

typedef struct LedLook {
        unsigned colours;   /* which are on; 0: dark */
        uint64_t wake_usec; /* it changes then; UINT64_MAX: never */
} LedLook;

/* How it looks at now when the state began at begin_usec (not later than now). */
LedLook led_pattern_at(LedState state, uint64_t begin_usec, uint64_t now_usec);

const char *led_state_to_string(LedState s);
