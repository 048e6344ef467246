/* SPDX-License-Identifier: MIT */
/* Between a hard reset and its board: the button that is held (SPEC 3), then the factory reset that it or
 * somebody else has asked for. The life cycle waits (LIFE_EVENT_HOLD) until there is nothing left to do. */
#include <stdio.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "util/log.h"

#define STUCK_USEC (30 * USEC_PER_SEC) /* on top of the longest hold: that is no finger */

static BootButtonLimits limits_from(const Config *c) {
        return (BootButtonLimits) {
                .debounce_usec = c->safe_mode.button_debounce_usec,
                .hold_usec = c->safe_mode.hold_usec,
                .factory_hold_usec = c->safe_mode.factory_hold_usec,
                .stuck_usec = MAX(c->safe_mode.hold_usec, c->safe_mode.factory_hold_usec) + STUCK_USEC,
        };
}

static void hold(Supervisor *s, BootPhase phase) {
        s->boot.phase = phase;
        supervisor_dispatch(s, &(LifeEvent) {
                            .type = LIFE_EVENT_HOLD,
                            .detail = phase == BOOT_PHASE_BUTTON ? "its safe-mode button is held"
                                                                 : "a factory reset is under way",
                    });
}

static void release(Supervisor *s) {
        s->boot.phase = BOOT_PHASE_OVER;
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_RELEASE,
                                              .unrecorded = s->n_marks_pending > 0 });
        s->boot.phase = BOOT_PHASE_NONE;
}

/* ---- the button ---- */

static void tell_stuck(Supervisor *s) {
        (void) free_and_strdup(&s->boot.problem, "[safe-mode] button: it does not open; is it stuck, or is "
                                                 "button-active wrong? It is ignored until it does");
        journal_log(JOURNAL_BUTTON_STUCK, NULL, "The button of [safe-mode] button = %s does not open. It is "
                    "ignored until it does; the board boots.", s->config.safe_mode.button);
}

static void choose(Supervisor *s, BootButtonChoice choice) {
        switch (choice) {
        case BOOT_BUTTON_SAFE_MODE:
                supervisor_safe_mode_choose(s, SAFE_MODE_DOOR_BUTTON);
                break;
        case BOOT_BUTTON_FACTORY_RESET:
                supervisor_factory_reset_want(s, FACTORY_RESET_ERASE_NEEDED, "the safe-mode button");
                break;
        case BOOT_BUTTON_STUCK:
                tell_stuck(s);
                break;
        case BOOT_BUTTON_WAIT:
        case BOOT_BUTTON_NORMAL:
        case BOOT_BUTTON_CHOICE_MAX:
        case BOOT_BUTTON_CHOICE_INVALID:
                break;
        }
        if (supervisor_factory_reset_begin(s))
                hold(s, BOOT_PHASE_FACTORY_RESET);
        else
                release(s);
}

static void look(Supervisor *s, bool level, uint64_t now) {
        bool held = level == (s->config.safe_mode.button_active != 0);
        BootButtonVerdict v = boot_button_look(&s->boot.policy, held, now);

        if (!held && s->boot.problem && s->boot.button) { /* it was stuck */
                free(s->boot.problem);
                s->boot.problem = NULL;
        }
        if (s->boot.phase != BOOT_PHASE_BUTTON)
                return;
        s->boot.would = v.would;
        supervisor_set_timer(s->boot.timer, v.wake_usec);
        if (v.choice != BOOT_BUTTON_WAIT)
                choose(s, v.choice);
        else
                supervisor_panel_follow(s);
}

static void on_button(void *userdata, bool level, uint64_t monotonic_usec) {
        look(userdata, level, monotonic_usec);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;
        int level = s->boot.button ? gpio_request_get(s->boot.button) : -ENODEV;

        /* A line that has gone is not held. */
        look(s, level >= 0 ? level : !s->config.safe_mode.button_active, now_usec(CLOCK_MONOTONIC));
        return 0;
}

/* One that was not there before may have come: a chip on USB. */
static void take_button(Supervisor *s) {
        if (s->boot.button && gpio_request_get(s->boot.button) < 0)
                s->boot.button = gpio_request_free(s->boot.button);
        if (s->boot.button || !s->config.safe_mode.button_enabled)
                return;
        s->boot.button = supervisor_panel_button(s, "[safe-mode] button", s->config.safe_mode.button,
                                                 s->config.safe_mode.button_bias,
                                                 s->config.safe_mode.button_active, on_button,
                                                 &s->boot.problem);
}

/* True when it is held. */
static bool button_is_held(Supervisor *s) {
        BootButtonLimits limits = limits_from(&s->config);
        BootButtonVerdict v;
        int level;

        take_button(s);
        level = s->boot.button ? gpio_request_get(s->boot.button) : -ENODEV;
        if (level < 0 || !s->config.safe_mode.button_enabled)
                return false;
        (void) !boot_button_set_limits(&s->boot.policy, &limits); /* they are in order: config.c sees to it */
        v = boot_button_begin(&s->boot.policy, level == (s->config.safe_mode.button_active != 0),
                              now_usec(CLOCK_MONOTONIC));
        if (v.choice != BOOT_BUTTON_WAIT)
                return false;
        s->boot.would = v.would;
        supervisor_set_timer(s->boot.timer, v.wake_usec);
        return true;
}

/* ---- the time before the board ---- */

bool supervisor_boot_hold(Supervisor *s) {
        if (s->boot.phase == BOOT_PHASE_OVER)
                return false;
        if (s->boot.phase != BOOT_PHASE_NONE) { /* another reset was ordered meanwhile */
                hold(s, s->boot.phase);
                return true;
        }
        if (button_is_held(s)) {
                log_notice("The safe-mode button is held: the board waits for what letting go selects.");
                hold(s, BOOT_PHASE_BUTTON);
                return true;
        }
        if (supervisor_factory_reset_begin(s)) {
                hold(s, BOOT_PHASE_FACTORY_RESET);
                return true;
        }
        return false;
}

void supervisor_boot_factory_reset_over(Supervisor *s) {
        if (s->boot.phase == BOOT_PHASE_FACTORY_RESET)
                release(s);
}

LedState supervisor_boot_led(const Supervisor *s) {
        if (s->boot.phase == BOOT_PHASE_FACTORY_RESET)
                return LED_STATE_SELECTED;
        if (s->boot.phase != BOOT_PHASE_BUTTON)
                return LED_STATE_INVALID;
        return s->boot.would == BOOT_BUTTON_SAFE_MODE       ? LED_STATE_HOLD_SAFE
               : s->boot.would == BOOT_BUTTON_FACTORY_RESET ? LED_STATE_HOLD_FACTORY
                                                            : LED_STATE_OFF;
}

int supervisor_boot_new(Supervisor *s) {
        int r = sd_event_add_time(s->event, &s->boot.timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, s);

        if (r >= 0) /* behind the edges that have come */
                r = sd_event_source_set_priority(s->boot.timer, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->boot.timer, SD_EVENT_OFF);
        return r < 0 ? log_error_errno(r, "Failed to make a timer: %m") : 0;
}

void supervisor_boot_done(Supervisor *s) {
        s->boot.button = gpio_request_free(s->boot.button);
        s->boot.timer = sd_event_source_disable_unref(s->boot.timer);
        free(s->boot.problem);
        s->boot.problem = NULL;
}
