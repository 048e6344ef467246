/* SPDX-License-Identifier: MIT */
/* The button that is held while the board boots, as a pure function: what does letting go select? No I/O
 * and no clock in here. SPEC 3 (as on the pyboard: the LED counts the stages, letting go selects).
 *
 *  free at the reset ............................ a normal boot, at once: it costs no time
 *  let go before hold ........................... a normal boot
 *  let go from hold on .......................... safe mode
 *  let go from factory_hold on .................. factory reset
 *  not let go until stuck ....................... a normal boot, and a warning: that is no finger; and it
 *                                                 keeps no boot again until it was free once
 *
 * Nothing is selected before the button is let go, so a line that is stuck or wired wrongly can neither
 * wipe the board nor keep it out of its program. Times are CLOCK_MONOTONIC. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

typedef struct BootButtonLimits {
        uint64_t debounce_usec;     /* for so long it has to stay free to count as let go */
        uint64_t hold_usec;         /* > 0 */
        uint64_t factory_hold_usec; /* > hold_usec; 0: it does not select a factory reset */
        uint64_t stuck_usec;        /* > the two above */
} BootButtonLimits;

typedef enum BootButtonChoice {
        BOOT_BUTTON_WAIT = 0,     /* look again at wake_usec, or when the line changes */
        BOOT_BUTTON_NORMAL,
        BOOT_BUTTON_SAFE_MODE,
        BOOT_BUTTON_FACTORY_RESET,
        BOOT_BUTTON_STUCK,        /* boot normally, and warn */
        BOOT_BUTTON_CHOICE_MAX,
        BOOT_BUTTON_CHOICE_INVALID = -EINVAL,
} BootButtonChoice;

typedef struct BootButton {
        BootButtonLimits limits;
        uint64_t begin_usec; /* when it was found held */
        uint64_t free_usec;  /* since when it has been free; UINT64_MAX: it is held */
        bool decided;
        bool stuck;          /* it was found so, and has not been free since */
} BootButton;

typedef struct BootButtonVerdict {
        BootButtonChoice choice;
        /* What letting go now selects, for the LED: NORMAL, SAFE_MODE or FACTORY_RESET. */
        BootButtonChoice would;
        uint64_t wake_usec; /* WAIT: look again then; else UINT64_MAX */
} BootButtonVerdict;

/* -EINVAL when the limits are not in order, with nothing changed. */
int boot_button_init(BootButton *b, const BootButtonLimits *limits) _must_check_;
/* The same for new ones; whether it is stuck is remembered. */
int boot_button_set_limits(BootButton *b, const BootButtonLimits *limits) _must_check_;

/* A hard reset: how is the line now? */
BootButtonVerdict boot_button_begin(BootButton *b, bool held, uint64_t now_usec);

/* Until something is chosen: for each change of the line, and at wake_usec. now_usec is when it changed,
 * or when it was looked at. */
BootButtonVerdict boot_button_look(BootButton *b, bool held, uint64_t now_usec);
