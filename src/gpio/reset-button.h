/* SPDX-License-Identifier: MIT */
/* The reset button of a board that runs, as a pure function of its line's changes. SPEC 2.3 (RESET_PIN),
 * 4.2, C3: what does a press mean? No I/O and no clock in here.
 *
 *  pressed and let go ........................... reset
 *  held for long ................................ safe mode, while it is still held
 *  pressed again within the double-press window . safe mode; the window opens with each boot that a
 *                                                 press caused
 *  held since before we looked .................. nothing until it is let go: it may be stuck
 *
 * Times are CLOCK_MONOTONIC, of the kernel's edges where there are any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

typedef struct ResetButtonLimits {
        uint64_t debounce_usec; /* a level counts when it has stayed for so long */
        uint64_t long_usec;     /* > debounce_usec */
        uint64_t double_usec;   /* 0: no second press is looked for */
} ResetButtonLimits;

typedef enum ResetButtonPress {
        RESET_BUTTON_NONE = 0,
        RESET_BUTTON_RESET,
        RESET_BUTTON_SAFE_MODE_LONG,   /* held for long */
        RESET_BUTTON_SAFE_MODE_DOUBLE, /* “You pressed the reset button during boot.” */
        RESET_BUTTON_PRESS_MAX,
        RESET_BUTTON_PRESS_INVALID = -EINVAL,
} ResetButtonPress;

typedef struct ResetButton {
        ResetButtonLimits limits;
        bool level;            /* as the line was last seen */
        uint64_t level_usec;   /* since when */
        bool pressed;          /* debounced */
        uint64_t pressed_usec; /* when the press began */
        bool spent;            /* this press has had its effect, or was there before us */
        bool window;           /* a boot that a press caused is young */
        uint64_t window_usec;  /* when it began */
} ResetButton;

typedef struct ResetButtonVerdict {
        ResetButtonPress press;
        uint64_t wake_usec; /* look again then; UINT64_MAX: not before the line changes */
} ResetButtonVerdict;

/* level: how the line is now; a button that is down already counts when it has been let go once. */
int reset_button_init(ResetButton *b, const ResetButtonLimits *limits, bool level, uint64_t now_usec)
        _must_check_;

/* For each change of the line, in order, and at wake_usec. An answer is given once. */
ResetButtonVerdict reset_button_look(ResetButton *b, bool level, uint64_t now_usec);

/* Whether a press that begins then is a second one. */
bool reset_button_in_window(const ResetButton *b, uint64_t at_usec);

/* A board boots. by_press: the button's own reset; only then a second press means safe mode. */
void reset_button_on_boot(ResetButton *b, bool by_press, uint64_t now_usec);
