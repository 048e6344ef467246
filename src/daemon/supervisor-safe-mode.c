/* SPDX-License-Identifier: MIT */
/* Strikes and safe mode put into effect: safe-mode.c decides, here are its timers, the durable mark, the
 * flag, and what is told. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "util/log.h"

static SafeModeNow safe_mode_now(void) {
        LifeNow now = supervisor_now();

        return (SafeModeNow) { now.monotonic_usec, now.boottime_usec };
}

static SafeModeLimits limits_from(const Config *c) {
        return (SafeModeLimits) {
                .strikes = c->safe_mode.strikes,
                .stable_usec = c->safe_mode.stable_after_usec,
                .retry_min_usec = c->safe_mode.retry_min_usec,
                .retry_max_usec = MAX(c->safe_mode.retry_max_usec, c->safe_mode.retry_min_usec),
        };
}

/* ---- durable ---- */

/* A disk that does not answer is not waited for by the loop; the board waits for it at the door, as for
 * the record of its reset. */
static void write_state(Supervisor *s) {
        int r;

        s->host_mark.safe_mode = s->safe_mode.state;
        if (s->state_dir_fd < 0)
                return;
        r = host_mark_write_soon(s->state_dir_fd, &s->host_mark, s->mark_fd);
        if (r < 0)
                log_warning_errno(r, "Failed to note strikes and safe mode, ignoring (a power cut would "
                                     "forget them): %m");
        else
                s->n_marks_pending++;
}

static int on_mark_written(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Supervisor *s = userdata;
        eventfd_t n = 0;

        if (eventfd_read(fd, &n) < 0)
                return 0;
        s->n_marks_pending -= (unsigned) MIN(n, (eventfd_t) s->n_marks_pending);
        if (s->n_marks_pending == 0 && !s->recording)
                supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_RECORDED });
        return 0;
}

/* ---- what is told ---- */

static void tell(Supervisor *s, const SafeModeState *before) {
        const SafeModeState *now = &s->safe_mode.state;
        char text[SAFE_MODE_TEXT_MAX], strikes[16];
        const char *fields[] = {
                "MPYD_SAFE_MODE", safe_mode_reason_to_string(now->reason),
                "MPYD_SAFE_MODE_DOOR", safe_mode_door_to_string(now->door),
                "MPYD_STRIKES", strikes, NULL,
        };

        (void) snprintf(strikes, sizeof strikes, "%u", now->strikes);
        if (now->reason != SAFE_MODE_NONE &&
            (now->reason != before->reason || now->door != before->door)) {
                safe_mode_describe(&s->safe_mode, s->safe_mode_flag, text);
                text[0] = 'S';
                if (text[strlen(text) - 1] == '.') /* some reasons are sentences */
                        text[strlen(text) - 1] = '\0';
                journal_log(JOURNAL_SAFE_MODE, fields, "%s. Neither boot.py nor main.py runs.", text);
                (void) history_add_event(s->history, "safe-mode", text);
        } else if (now->reason == SAFE_MODE_NONE && before->reason != SAFE_MODE_NONE) {
                journal_log(JOURNAL_SAFE_MODE_LEFT, fields, "Safe mode is over%s.",
                            now->retries > 0 ? ": the program is tried again" : "");
                (void) history_add_event(s->history, "safe-mode-left",
                                         now->retries > 0 ? "a try" : NULL);
        } else if (now->strikes > before->strikes)
                journal_log(JOURNAL_STRIKE, fields, "Abnormal end number %u without a stable time between "
                            "(%u lead to safe mode).", now->strikes, s->safe_mode.limits.strikes);
}

/* ---- decisions ---- */

/* Why the end that led to this reset was abnormal. */
static SafeModeReason fault_of(const Supervisor *s, const LifeReset *next, bool oom) {
        if (!s->had_board)
                return s->host_fault;
        if (s->recovery_gave_up && next->kind != RESET_KIND_SOFT)
                return SAFE_MODE_EXCEPTION;
        if (next->cause == RESET_CAUSE_WDT)
                return SAFE_MODE_WATCHDOG;
        if (!next->crashed)
                return SAFE_MODE_NONE;
        if (oom)
                return SAFE_MODE_NO_HEAP;
        if (s->last_words) /* of board_exit_fatal(), or of the board's fault.c */
                return next->ended_signal == 0 ? SAFE_MODE_NLR_JUMP_FAIL : SAFE_MODE_STACK_OVERFLOW;
        return SAFE_MODE_HARD_FAULT;
}

void supervisor_safe_mode_decide(Supervisor *s, bool oom) {
        LifeReset *next = &s->life.next;
        SafeModeState before = s->safe_mode.state;
        SafeModeReset r = {
                .soft = next->kind == RESET_KIND_SOFT,
                .fault = fault_of(s, next, oom),
                .ordered = next->reason == RESET_REASON_RESET_PIN,
                .daemon_started = !s->had_board,
                .host_booted = !s->had_board && s->host_booted,
        };

        if (!r.soft)
                r.flag = host_safe_mode_flag(s->host_root_fd, s->state_dir_fd, s->safe_mode_flag);
        if (safe_mode_on_reset(&s->safe_mode, &r, safe_mode_now())) {
                write_state(s);
                tell(s, &before);
        }
        s->had_board = true;
        if (!r.soft)
                s->recovery_gave_up = false;
        next->safe_mode = s->safe_mode.state.reason;
}

void supervisor_safe_mode_choose(Supervisor *s, SafeModeDoor door) {
        SafeModeState before = s->safe_mode.state;

        if (safe_mode_choose(&s->safe_mode, door, safe_mode_now())) {
                write_state(s);
                tell(s, &before);
        }
        s->life.next.safe_mode = s->safe_mode.state.reason;
}

void supervisor_safe_mode_end(Supervisor *s) {
        safe_mode_on_end(&s->safe_mode, safe_mode_now());
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;
        SafeModeVerdict v = safe_mode_look(&s->safe_mode, safe_mode_now());

        if (v.forgiven)
                write_state(s);
        if (v.retry)
                supervisor_dispatch(s, &(LifeEvent) {
                                    .type = LIFE_EVENT_ORDER, .kind = RESET_KIND_HARD,
                                    .reason = RESET_REASON_SOFTWARE,
                                    .detail = "the time of safe mode is over, the program is tried again",
                            });
        supervisor_safe_mode_follow(s);
        return 0;
}

void supervisor_safe_mode_follow(Supervisor *s) {
        uint64_t wakes[ELEMENTSOF(s->safe_mode_timers)];

        safe_mode_wakes(&s->safe_mode, &wakes[0], &wakes[1]);
        for (size_t i = 0; i < ELEMENTSOF(wakes); i++)
                supervisor_set_timer(s->safe_mode_timers[i], wakes[i]);
}

/* ---- operators ---- */

int supervisor_safe_mode_ask(Supervisor *s, bool enter, SafeModeDoor door, const char *who) {
        char detail[LIFE_DETAIL_MAX];
        bool is_in = s->safe_mode.state.reason != SAFE_MODE_NONE;

        if (s->life.state == LIFE_STUCK || s->life.state == LIFE_OFF || s->life.shutting_down)
                return -EBUSY;
        if (!enter && !is_in)
                return -EALREADY;
        if (!enter && host_safe_mode_flag(s->host_root_fd, s->state_dir_fd, s->safe_mode_flag))
                return -EEXIST;
        if (enter && is_in && s->safe_mode.state.door == door)
                return -EALREADY;
        if (enter)
                safe_mode_ask_enter(&s->safe_mode, door);
        else
                safe_mode_ask_leave(&s->safe_mode);
        (void) snprintf(detail, sizeof detail, "%s asked %s safe mode", who, enter ? "for" : "to leave");
        supervisor_dispatch(s, &(LifeEvent) {
                            .type = LIFE_EVENT_ORDER, .kind = RESET_KIND_HARD, .detail = detail,
                    });
        return 0;
}

/* ---- making and freeing ---- */

void supervisor_safe_mode_reload(Supervisor *s) {
        SafeModeLimits limits = limits_from(&s->config);

        safe_mode_set_limits(&s->safe_mode, &limits);
        supervisor_safe_mode_follow(s);
}

/* After supervisor_host_begin(), which has read the mark. */
int supervisor_safe_mode_new(Supervisor *s) {
        static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };
        SafeModeLimits limits = limits_from(&s->config);
        int r = 0;

        safe_mode_init(&s->safe_mode, &limits, &s->host_mark.safe_mode);
        s->mark_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->mark_fd < 0)
                return log_error_errno(errno, "Failed to make an eventfd: %m");
        r = sd_event_add_io(s->event, &s->mark_source, s->mark_fd, EPOLLIN, on_mark_written, s);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(clocks); i++) {
                r = sd_event_add_time(s->event, &s->safe_mode_timers[i], clocks[i], UINT64_MAX,
                                      USEC_PER_SEC, on_timer, s);
                if (r >= 0)
                        r = sd_event_source_set_enabled(s->safe_mode_timers[i], SD_EVENT_OFF);
        }
        return r < 0 ? log_error_errno(r, "Failed to make a timer: %m") : 0;
}

void supervisor_safe_mode_done(Supervisor *s) {
        sd_event_source_disable_unref(s->mark_source);
        for (size_t i = 0; i < ELEMENTSOF(s->safe_mode_timers); i++)
                sd_event_source_disable_unref(s->safe_mode_timers[i]);
        safe_close(s->mark_fd);
}
