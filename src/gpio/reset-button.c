/* SPDX-License-Identifier: MIT */
/* What does a press of the reset button mean? */
#include "gpio/reset-button.h"

#include <errno.h>

int reset_button_init(ResetButton *b, const ResetButtonLimits *limits, bool level, uint64_t now_usec) {
        if (limits->long_usec <= limits->debounce_usec)
                return -EINVAL;
        *b = (ResetButton) {
                .limits = *limits,
                .level = level, .level_usec = now_usec,
                .pressed = level, .pressed_usec = now_usec, .spent = level,
        };
        return 0;
}

bool reset_button_in_window(const ResetButton *b, uint64_t at_usec) {
        return b->window && at_usec - b->window_usec <= b->limits.double_usec;
}

/* The line has stayed as it is for the debounce time: does that begin or end a press? */
static ResetButtonPress settle(ResetButton *b) {
        if (b->level == b->pressed)
                return RESET_BUTTON_NONE;

        b->pressed = b->level;
        if (b->pressed) {
                b->pressed_usec = b->level_usec;
                b->spent = reset_button_in_window(b, b->pressed_usec);
                b->window = false;
                return b->spent ? RESET_BUTTON_SAFE_MODE_DOUBLE : RESET_BUTTON_NONE;
        }
        return b->spent ? RESET_BUTTON_NONE : RESET_BUTTON_RESET;
}

ResetButtonVerdict reset_button_look(ResetButton *b, bool level, uint64_t now_usec) {
        ResetButtonVerdict v = { RESET_BUTTON_NONE, UINT64_MAX };

        /* The kernel's time of an edge may lie before the moment of a look that came in between. */
        now_usec = MAX(now_usec, b->level_usec);
        /* What was long enough the old way counts before the change does. */
        if (now_usec - b->level_usec >= b->limits.debounce_usec)
                v.press = settle(b);
        if (level != b->level) {
                b->level = level;
                b->level_usec = now_usec;
        }

        /* A press that has become long, even if it is being let go just now. */
        if (v.press == RESET_BUTTON_NONE && b->pressed && !b->spent &&
            now_usec - b->pressed_usec >= b->limits.long_usec) {
                b->spent = true;
                v.press = RESET_BUTTON_SAFE_MODE_LONG;
        }

        if (b->level != b->pressed)
                v.wake_usec = b->level_usec + b->limits.debounce_usec;
        else if (b->pressed && !b->spent)
                v.wake_usec = b->pressed_usec + b->limits.long_usec;
        return v;
}

void reset_button_on_boot(ResetButton *b, bool by_press, uint64_t now_usec) {
        b->window = by_press && b->limits.double_usec > 0;
        b->window_usec = now_usec;
}
