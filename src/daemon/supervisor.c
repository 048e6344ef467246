/* SPDX-License-Identifier: MIT */
/* The board's life put into effect: events from the process (supervisor-board.c), the timers, the history
 * and the operator go to lifecycle.c; what it answers is done here, and shown. */
#include "daemon/supervisor-private.h"

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-event.h>

#include "daemon/journal.h"
#include "util/log.h"
#include "util/parse.h"

#define DEADLINE_LATE_USEC (5 * USEC_PER_SEC) /* then the loop is ill, not busy */

LifeNow supervisor_now(void) {
        return (LifeNow) {
                .monotonic_usec = now_usec(CLOCK_MONOTONIC),
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
        };
}

void supervisor_set_timer(sd_event_source *timer, uint64_t usec) {
        if (usec == UINT64_MAX) {
                (void) sd_event_source_set_enabled(timer, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(timer, usec);
        (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* ---- actions ---- */

static void quit(Supervisor *s) {
        (void) history_add_event(s->history, "daemon-stop",
                                 s->board ? s->life.problem : "in good order");
        if (s->hands_over)
                run_handed_over(s->run_dir_fd, s->boot_id, s->reason_before_stop);
        else
                run_ended(s->run_dir_fd, s->boot_id);
        supervisor_host_ended(s);
        (void) sd_event_exit(s->event, 0);
}

static void act(Supervisor *s, LifeAction action) {
        log_debug("action: %s", life_action_to_string(action));
        switch (action) {
        case LIFE_ACTION_RECORD:
                supervisor_record(s);
                break;
        case LIFE_ACTION_RECORD_END:
                supervisor_record_end(s);
                break;
        case LIFE_ACTION_SPAWN:
                if (s->life.next.kind != RESET_KIND_SOFT && supervisor_boot_hold(s))
                        break;
                supervisor_watchdog_spawn(s);
                supervisor_board_spawn(s);
                if (s->life.next.kind != RESET_KIND_SOFT)
                        supervisor_host_look(s);
                break;
        case LIFE_ACTION_BOOT:
                supervisor_board_boot(s);
                break;
        case LIFE_ACTION_MARK_LATE:
                supervisor_record_is_late(s);
                break;
        case LIFE_ACTION_SEND_STOP:
                supervisor_send(s, &(LinkMessage) { .type = LINK_STOP });
                break;
        case LIFE_ACTION_SEND_ABORT:
                journal_log(JOURNAL_PROGRAM_ABORTED,
                            (const char *const[]) {
                                    "MPYD_STAGE", board_stage_to_string(s->life.reached), NULL,
                            },
                            "The program does not stop, aborting it.");
                supervisor_send(s, &(LinkMessage) { .type = LINK_ABORT });
                break;
        case LIFE_ACTION_KILL:
                supervisor_board_kill(s);
                break;
        case LIFE_ACTION_DISCARD_INPUT:
                console_discard_input(s->console);
                break;
        case LIFE_ACTION_REPORT_STUCK:
                supervisor_board_report_stuck(s);
                break;
        case LIFE_ACTION_QUIT:
                quit(s);
                break;
        case LIFE_ACTION_MAX:
                break;
        }
}

/* ---- the deadline ---- */

int supervisor_on_life_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        supervisor_dispatch(userdata, &(LifeEvent) { .type = LIFE_EVENT_TIMER });
        return 0;
}

static void arm_deadline(Supervisor *s) {
        for (LifeClock c = LIFE_CLOCK_MONOTONIC; c <= LIFE_CLOCK_BOOTTIME; c++) {
                sd_event_source *timer = s->life_timers[c - 1];

                if (s->life.deadline_clock != c) {
                        (void) sd_event_source_set_enabled(timer, SD_EVENT_OFF);
                        continue;
                }
                (void) sd_event_source_set_time(timer, s->life.deadline_usec);
                (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        }
}

/* A disk that hangs is not held against us: no restart would mend it, and the board runs on without. */
const char *supervisor_check(void *userdata) {
        const Supervisor *s = userdata;
        LifeNow now = supervisor_now();
        uint64_t t = s->life.deadline_clock == LIFE_CLOCK_MONOTONIC ? now.monotonic_usec
                                                                    : now.boottime_usec;

        if (s->life.deadline_clock != LIFE_CLOCK_NONE && t > s->life.deadline_usec &&
            t - s->life.deadline_usec > DEADLINE_LATE_USEC)
                return "a deadline of the board has passed and nothing was done";
        return NULL;
}

static void show_change(Supervisor *s) {
        char text[LIFE_DETAIL_MAX + 32];

        if (s->life.state == s->shown_state && s->life.stage == s->shown_stage)
                return;
        if (s->life.stage != s->shown_stage)
                s->stage_boottime_usec = now_usec(CLOCK_BOOTTIME);
        s->shown_state = s->life.state;
        s->shown_stage = s->life.stage;
        control_server_emit_state(s->control, life_state_to_string(s->life.state),
                                  board_stage_to_string(s->life.stage));
        system_bus_emit(s->system_bus, "StateChanged", life_state_to_string(s->life.state),
                        board_stage_to_string(s->life.stage));
        supervisor_describe(s, text, sizeof text);
        service_notify(s->service, "STATUS=%s", text);
}

static void tell_delay(Supervisor *s) {
        uint64_t t = now_usec(CLOCK_BOOTTIME), wait = s->life.deadline_usec - MIN(t, s->life.deadline_usec);
        char span[TIMESPAN_MAX], usec[24];

        (void) snprintf(usec, sizeof usec, "%" PRIu64, wait);
        journal_log(JOURNAL_BOOT_DELAYED, (const char *const[]) { "MPYD_DELAY_USEC", usec, NULL },
                    "The next boot is held back (%s) for %s.", s->life.problem,
                    format_timespan(span, sizeof span, wait));
}

/* The history's thread is not to take the processor from a board that starts by a soft reset: the loop
 * would have woken it just before. Under load that was half of the reset's time. */
static void release_history(Supervisor *s) {
        bool starts = (s->life.state == LIFE_POWERING_ON || s->life.state == LIFE_BOOTING) &&
                      s->life.stage < BOARD_STAGE_BOOT;

        if (!s->history_held || starts)
                return;
        s->history_held = false;
        history_hold(s->history, false);
}

/* An action may report back at once (a process that cannot be started): such an event is handled
 * before this returns, after the actions that came before it; it is always the last one's. */
void supervisor_dispatch(Supervisor *s, const LifeEvent *e) {
        LifeState before = s->life.state;
        LifeActions a = life_handle(&s->life, e, supervisor_now());
        bool sleeps_longer = s->life.state == LIFE_DEEP_SLEEP && s->life.next.delayed;
        bool waits = s->life.state != before && (s->life.state == LIFE_WAITING || sleeps_longer);

        for (size_t i = 0; i < a.n; i++)
                act(s, a.list[i]);
        if (waits && !s->life.held)
                tell_delay(s);
        arm_deadline(s);
        supervisor_watchdog_follow(s);
        supervisor_safe_mode_follow(s);
        supervisor_panel_follow(s);
        supervisor_host_follow(s);
        show_change(s);
        release_history(s);
}
