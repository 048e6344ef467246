/* SPDX-License-Identifier: MIT */
/* Strikes and safe mode as a pure function: does the board that begins now run its program? No I/O, no
 * clock, no log in here; supervisor-safe-mode.c feeds it. DESIGN 6 and 10, SPEC 3, 4.2, D11, D36, D38.
 *
 * Only abnormal ends are strikes: never a clean stop, a power cycle, an order, a reset by the program. So
 * many of them, with no stable time between, and the next board begins in safe mode. It stays there over
 * soft resets, over a restart of the daemon and over its own crashes; the next hard reset leaves it (C10),
 * except that
 *   strikes: it is tried again by itself after a while, which doubles with each try, and one more abnormal
 *            end is enough then; a boot of the host is such a try too, since a flickering supply must not
 *            give a broken program five lives each time;
 *   flag:    it lasts as long as the file is there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host/host-mark.h"
#include "mpyd/reset.h"

typedef struct SafeModeLimits {
        unsigned strikes;         /* 0: strikes never lead to safe mode */
        uint64_t stable_usec;     /* a board that has run for so long is forgiven everything */
        uint64_t retry_min_usec;  /* first try; it doubles up to: */
        uint64_t retry_max_usec;
} SafeModeLimits;

typedef struct SafeMode {
        SafeModeLimits limits;
        SafeModeState state;      /* kept in the host mark, durable before the board runs */

        enum { SAFE_MODE_WISH_NONE = 0, SAFE_MODE_WISH_ENTER, SAFE_MODE_WISH_LEAVE,
               SAFE_MODE_WISH_RETRY } wish;
        SafeModeDoor wish_door;

        bool lives;               /* a board runs */
        uint64_t life_usec;       /* since when, CLOCK_MONOTONIC */
        uint64_t ran_usec;        /* lives that are over, since the last strike or safe mode */
        uint64_t retry_usec;      /* when it is tried again, CLOCK_BOOTTIME; UINT64_MAX: not by itself */
} SafeMode;

/* A reset that is decided. */
typedef struct SafeModeReset {
        bool soft;
        SafeModeReason fault;     /* why the end before it was abnormal; NONE: it was not */
        bool ordered;             /* somebody asked for it from outside */
        bool daemon_started;      /* first board of this run of the daemon */
        bool host_booted;         /* and of this boot of the host */
        bool flag;                /* the flag is there */
} SafeModeReset;

typedef struct SafeModeNow {
        uint64_t monotonic_usec, boottime_usec;
} SafeModeNow;

typedef struct SafeModeVerdict {
        bool retry;               /* time for a try: give the order for a hard reset */
        bool forgiven;            /* strikes are forgotten: the state has changed */
} SafeModeVerdict;

void safe_mode_init(SafeMode *s, const SafeModeLimits *limits, const SafeModeState *state);
void safe_mode_set_limits(SafeMode *s, const SafeModeLimits *limits);

/* For the hard reset that the caller orders next. */
void safe_mode_ask_enter(SafeMode *s, SafeModeDoor door);
void safe_mode_ask_leave(SafeMode *s);

/* Decides about the board that begins; s->state is what it begins with. True when the state has changed
 * and must be made durable. A board's life begins with it. */
bool safe_mode_on_reset(SafeMode *s, const SafeModeReset *r, SafeModeNow now);

/* For the board that on_reset has decided about and that has not begun: a person at it chose. NONE: not in safe
 * mode (a flag holds it all the same), and nothing is held against the program. True as above. */
bool safe_mode_choose(SafeMode *s, SafeModeDoor door, SafeModeNow now);

/* The board has ended and no other one follows at once. */
void safe_mode_on_end(SafeMode *s, SafeModeNow now);

/* What is due at now; each is told once. */
SafeModeVerdict safe_mode_look(SafeMode *s, SafeModeNow now);

/* When to look next, on either clock; UINT64_MAX: no need. */
void safe_mode_wakes(const SafeMode *s, uint64_t *ret_monotonic_usec, uint64_t *ret_boottime_usec);

/* Why it is in safe mode and how it ends, as a sentence; "" when it is not. */
#define SAFE_MODE_TEXT_MAX 256u
void safe_mode_describe(const SafeMode *s, const char *flag_path, char ret[static SAFE_MODE_TEXT_MAX]);
