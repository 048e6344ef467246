/* SPDX-License-Identifier: MIT */
/* What a status LED shows. */
#include "gpio/led-pattern.h"

#include <stddef.h>

#include "util/macros.h"

#define MSEC UINT64_C(1000)

/* blinks of on + off, then a pause, over and over. off 0: it is on and stays so. */
typedef struct Pattern {
        const char *name;
        unsigned colours;
        unsigned blinks;
        uint64_t on_usec, off_usec, pause_usec;
} Pattern;

/* SPEC 4.19 where it has the state; the others are ours. */
static const Pattern patterns[LED_STATE_MAX] = {
        [LED_STATE_OFF] = { "off" },
        [LED_STATE_RUNNING] = { "running" },
        [LED_STATE_WINDOW] = { "window", LED_YELLOW, 1, 125 * MSEC, 125 * MSEC },
        [LED_STATE_HOLD_SAFE] = { "hold-safe-mode", LED_YELLOW, 1, 400 * MSEC, 600 * MSEC },
        [LED_STATE_HOLD_FACTORY] = { "hold-factory-reset", LED_RED, 2, 150 * MSEC, 150 * MSEC, 400 * MSEC },
        [LED_STATE_SELECTED] = { "selected", LED_WHITE, 1, 50 * MSEC, 50 * MSEC },
        [LED_STATE_DONE] = { "done", LED_GREEN, 1, 100 * MSEC, 300 * MSEC, 5000 * MSEC },
        [LED_STATE_EXCEPTION] = { "exception", LED_RED, 2, 100 * MSEC, 300 * MSEC, 5000 * MSEC },
        [LED_STATE_SAFE_MODE] = { "safe-mode", LED_YELLOW, 3, 100 * MSEC, 300 * MSEC, 5000 * MSEC },
        [LED_STATE_TROUBLE] = { "trouble", LED_RED, 4, 100 * MSEC, 300 * MSEC, 5000 * MSEC },
        [LED_STATE_REPL] = { "repl", LED_WHITE, 1, 1000 * MSEC },
};

LedLook led_pattern_at(LedState state, uint64_t begin_usec, uint64_t now_usec) {
        const Pattern *p = &patterns[state];
        uint64_t blink = p->on_usec + p->off_usec, round = p->blinks * blink + p->pause_usec;
        uint64_t at, in_blink;

        if (p->blinks == 0 || p->off_usec == 0)
                return (LedLook) { p->colours, UINT64_MAX };

        at = (now_usec - begin_usec) % round;
        in_blink = at % blink;
        if (at >= p->blinks * blink)
                return (LedLook) { 0, now_usec + round - at };
        if (in_blink < p->on_usec)
                return (LedLook) { p->colours, now_usec + p->on_usec - in_blink };
        /* After the last blink the pause is dark too: one change less. */
        if (at >= (p->blinks - 1) * blink)
                return (LedLook) { 0, now_usec + round - at };
        return (LedLook) { 0, now_usec + blink - in_blink };
}

const char *led_state_to_string(LedState s) {
        return s >= 0 && s < LED_STATE_MAX ? patterns[s].name : NULL;
}
