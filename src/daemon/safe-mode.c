/* SPDX-License-Identifier: MIT */
/* Strikes and safe mode. */
#include "daemon/safe-mode.h"

#include <stdio.h>
#include <string.h>

static void enter(SafeMode *s, SafeModeReason reason, SafeModeDoor door) {
        s->state.reason = reason;
        s->state.door = door;
}

static void leave(SafeMode *s, unsigned strikes, unsigned retries) {
        s->state = (SafeModeState) { .strikes = strikes, .retries = retries };
        s->ran_usec = 0; /* what ran in safe mode says nothing about the program */
}

/* The next abnormal end leads back. */
static void leave_for_a_try(SafeMode *s, unsigned retries) {
        leave(s, s->limits.strikes > 0 ? s->limits.strikes - 1 : 0, MIN(retries, SAFE_MODE_COUNT_MAX));
}

static uint64_t retry_after(const SafeMode *s) {
        uint64_t wait = s->limits.retry_min_usec;

        for (unsigned i = 0; i < s->state.retries && wait < s->limits.retry_max_usec; i++)
                wait = wait > UINT64_MAX / 2 ? UINT64_MAX : wait * 2;
        return MIN(wait, s->limits.retry_max_usec);
}

static void arm_retry(SafeMode *s, SafeModeNow now) {
        bool by_itself = s->state.door == SAFE_MODE_DOOR_STRIKES;

        if (!by_itself)
                s->retry_usec = UINT64_MAX;
        else if (s->retry_usec == UINT64_MAX)
                s->retry_usec = now.boottime_usec + retry_after(s);
}

void safe_mode_init(SafeMode *s, const SafeModeLimits *limits, const SafeModeState *state) {
        *s = (SafeMode) { .limits = *limits, .state = *state, .retry_usec = UINT64_MAX };
}

void safe_mode_set_limits(SafeMode *s, const SafeModeLimits *limits) {
        s->limits = *limits;
}

void safe_mode_ask_enter(SafeMode *s, SafeModeDoor door) {
        s->wish = SAFE_MODE_WISH_ENTER;
        s->wish_door = door;
}

void safe_mode_ask_leave(SafeMode *s) {
        s->wish = SAFE_MODE_WISH_LEAVE;
}

void safe_mode_on_end(SafeMode *s, SafeModeNow now) {
        if (s->lives)
                s->ran_usec += now.monotonic_usec - s->life_usec;
        s->lives = false;
}

static bool is_stable(const SafeMode *s, SafeModeNow now) {
        uint64_t ran = s->ran_usec + (s->lives ? now.monotonic_usec - s->life_usec : 0);

        return s->state.reason == SAFE_MODE_NONE && ran >= s->limits.stable_usec;
}

/* True when there was something to forgive. */
static bool forgive(SafeMode *s) {
        bool any = s->state.strikes > 0 || s->state.retries > 0;

        s->state.strikes = s->state.retries = 0;
        return any;
}

static void strike(SafeMode *s, SafeModeReason fault) {
        s->state.strikes = MIN(s->state.strikes + 1, SAFE_MODE_COUNT_MAX);
        s->ran_usec = 0;
        if (s->limits.strikes > 0 && s->state.strikes >= s->limits.strikes)
                enter(s, fault, SAFE_MODE_DOOR_STRIKES);
}

static void decide_from_safe_mode(SafeMode *s, const SafeModeReset *r) {
        if (r->fault != SAFE_MODE_NONE || (r->daemon_started && !r->host_booted))
                return;
        if (r->host_booted && s->state.door == SAFE_MODE_DOOR_STRIKES)
                leave_for_a_try(s, s->state.retries + 1);
        else
                leave(s, 0, 0);
}

static void decide(SafeMode *s, const SafeModeReset *r) {
        switch (s->wish) {
        case SAFE_MODE_WISH_ENTER:
                enter(s, SAFE_MODE_USER, s->wish_door);
                return;
        case SAFE_MODE_WISH_LEAVE:
                leave(s, 0, 0);
                return;
        case SAFE_MODE_WISH_RETRY:
                leave_for_a_try(s, s->state.retries + 1);
                return;
        case SAFE_MODE_WISH_NONE:
                break;
        }
        if (s->state.reason != SAFE_MODE_NONE)
                decide_from_safe_mode(s, r);
        else if (r->fault != SAFE_MODE_NONE)
                strike(s, r->fault);
        else if (r->ordered && !r->daemon_started) /* somebody takes care */
                (void) forgive(s);
}

bool safe_mode_on_reset(SafeMode *s, const SafeModeReset *r, SafeModeNow now) {
        SafeModeState before = s->state;

        /* What had run for long enough is forgiven before its end is counted. */
        if (is_stable(s, now))
                (void) forgive(s);
        safe_mode_on_end(s, now);

        if (!r->soft) {
                decide(s, r);
                if (s->state.reason == SAFE_MODE_NONE && r->flag)
                        enter(s, SAFE_MODE_USER, SAFE_MODE_DOOR_FLAG);
                s->wish = SAFE_MODE_WISH_NONE;
        }
        s->lives = true;
        s->life_usec = now.monotonic_usec;
        arm_retry(s, now);
        return memcmp(&before, &s->state, sizeof before) != 0;
}

bool safe_mode_choose(SafeMode *s, SafeModeDoor door, SafeModeNow now) {
        SafeModeState before = s->state;

        if (door != SAFE_MODE_DOOR_NONE)
                enter(s, SAFE_MODE_USER, door);
        else if (s->state.door == SAFE_MODE_DOOR_FLAG)
                (void) forgive(s);
        else
                leave(s, 0, 0);
        arm_retry(s, now);
        return memcmp(&before, &s->state, sizeof before) != 0;
}

SafeModeVerdict safe_mode_look(SafeMode *s, SafeModeNow now) {
        SafeModeVerdict v = { .retry = s->retry_usec <= now.boottime_usec };

        if (v.retry) {
                s->retry_usec = UINT64_MAX;
                s->wish = SAFE_MODE_WISH_RETRY;
        }
        if (is_stable(s, now))
                v.forgiven = forgive(s);
        return v;
}

void safe_mode_wakes(const SafeMode *s, uint64_t *ret_monotonic_usec, uint64_t *ret_boottime_usec) {
        bool forgives = s->lives && s->state.reason == SAFE_MODE_NONE &&
                        (s->state.strikes > 0 || s->state.retries > 0);
        uint64_t rest = s->limits.stable_usec - MIN(s->ran_usec, s->limits.stable_usec);

        *ret_monotonic_usec = forgives ? s->life_usec + rest : UINT64_MAX;
        *ret_boottime_usec = s->retry_usec;
}

void safe_mode_describe(const SafeMode *s, const char *flag_path, char ret[static SAFE_MODE_TEXT_MAX]) {
        switch (s->state.door) {
        case SAFE_MODE_DOOR_NONE:
        case SAFE_MODE_DOOR_MAX:
        case SAFE_MODE_DOOR_INVALID:
                ret[0] = '\0';
                break;
        case SAFE_MODE_DOOR_STRIKES:
                (void) snprintf(ret, SAFE_MODE_TEXT_MAX, "safe mode after %u abnormal ends, the last one "
                                "%s: %s", s->state.strikes, safe_mode_reason_to_string(s->state.reason),
                                safe_mode_reason_text(s->state.reason));
                break;
        case SAFE_MODE_DOOR_OPERATOR:
                (void) snprintf(ret, SAFE_MODE_TEXT_MAX, "safe mode: an operator asked for it");
                break;
        case SAFE_MODE_DOOR_FLAG:
                (void) snprintf(ret, SAFE_MODE_TEXT_MAX, "safe mode as long as %.200s is there",
                                flag_path ?: "its flag");
                break;
        case SAFE_MODE_DOOR_BUTTON:
                (void) snprintf(ret, SAFE_MODE_TEXT_MAX, "safe mode: its button was held");
                break;
        }
}
