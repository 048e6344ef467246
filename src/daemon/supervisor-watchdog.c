/* SPDX-License-Identifier: MIT */
/* Watchdogs and the progress of the VM put into effect: watchdog.c and stall.c decide, here are their
 * timers, the words of the retained page, and what is told. */
#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "mpyd/control.h"
#include "mpyd/retained.h"
#include "util/log.h"

#define STALLS_TOLD_MAX 3u /* in one life: a program that stalls for ever in turns fills no log */

/* ---- watchdogs ---- */

static void read_feeds(Supervisor *s, uint64_t now, uint64_t ret[static WATCHDOG_ID_MAX]) {
        static const RetainedWord words[WATCHDOG_ID_MAX] = {
                [WATCHDOG_MACHINE] = RETAINED_WORD_FEED_MACHINE,
                [WATCHDOG_MICROCONTROLLER] = RETAINED_WORD_FEED_MICROCONTROLLER,
        };

        for (WatchdogId id = 0; id < WATCHDOG_ID_MAX; id++)
                ret[id] = retained_word_time(retained_word(s->retained, words[id]), now);
}

static void tell_resumed(Supervisor *s) {
        if (!s->suspension_told)
                return;
        s->suspension_told = false;
        log_notice("The watchdogs count again.");
        (void) history_add_event(s->history, "watchdogs-resumed", NULL);
}

static void bite(Supervisor *s, WatchdogId id, uint64_t timeout_usec) {
        char detail[LIFE_DETAIL_MAX], span[TIMESPAN_MAX];

        (void) snprintf(detail, sizeof detail, "%s was not fed for %s in %s",
                        watchdog_id_to_string(id), format_timespan(span, sizeof span, timeout_usec),
                        s->life.reached == BOARD_STAGE_OFF ? "start-up"
                                                           : board_stage_to_string(s->life.reached));
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_WATCHDOG, .detail = detail });
}

/* Looks at all timers and sets ours for the next time. */
static void check_watchdogs(Supervisor *s) {
        uint64_t feeds[WATCHDOG_ID_MAX], timeouts[WATCHDOG_ID_MAX], now = now_usec(CLOCK_MONOTONIC);
        bool suspended = s->watchdog.suspended_until_usec > 0;
        WatchdogVerdict v;

        for (WatchdogId id = 0; id < WATCHDOG_ID_MAX; id++)
                timeouts[id] = s->watchdog.timers[id].timeout_usec;
        read_feeds(s, now, feeds);
        v = watchdog_check(&s->watchdog, feeds, now);
        supervisor_set_timer(s->watchdog_timer, v.wake_usec);
        if (suspended && s->watchdog.suspended_until_usec == 0)
                tell_resumed(s);
        if (v.bites >= 0) {
                bite(s, v.bites, timeouts[v.bites]);
                return;
        }
        for (WatchdogId id = 0; id < WATCHDOG_ID_MAX; id++)
                if (v.warns[id])
                        supervisor_send(s, &(LinkMessage) {
                                        .type = LINK_WATCHDOG_WARNING,
                                        .watchdog_warning = { id },
                                });
}

static int on_watchdog_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        check_watchdogs(userdata);
        return 0;
}

void supervisor_watchdog_suspend(Supervisor *s, uint64_t usec, const char *who) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        char text[LIFE_DETAIL_MAX], span[TIMESPAN_MAX];

        if (usec == 0 && s->watchdog.suspended_until_usec == 0)
                return;
        watchdog_suspend(&s->watchdog, now + MIN(usec, CONTROL_SUSPEND_MAX_USEC));
        if (usec > 0) {
                (void) snprintf(text, sizeof text, "for %s, by %s", format_timespan(span, sizeof span, usec), who);
                s->suspension_told = true;
                log_notice("The watchdogs are suspended %s.", text);
                (void) history_add_event(s->history, "watchdogs-suspended", text);
        }
        check_watchdogs(s);
}

uint64_t supervisor_watchdog_suspended_usec(const Supervisor *s) {
        uint64_t now = now_usec(CLOCK_MONOTONIC), until = s->watchdog.suspended_until_usec;

        return until > now ? until - now : 0;
}

void supervisor_watchdog_set(Supervisor *s, const LinkWatchdog *m) {
        bool was_armed = s->watchdog.timers[m->id].armed;
        char span[TIMESPAN_MAX];

        /* The codec has checked it already. */
        if (watchdog_set(&s->watchdog, m, now_usec(CLOCK_MONOTONIC)) < 0)
                return;
        if (m->timeout_usec == 0)
                log_debug("%s is off.", watchdog_id_to_string(m->id));
        else
                log_full(was_armed ? LOG_DEBUG : LOG_INFO, 0, NULL, "%s is armed: %s.",
                         watchdog_id_to_string(m->id),
                         format_timespan(span, sizeof span, m->timeout_usec));
        check_watchdogs(s);
}

/* ---- progress ---- */

static void look_at_vm(Supervisor *s);

static bool vm_runs(const Supervisor *s) {
        return s->life.state == LIFE_BOOTING || s->life.state == LIFE_RUNNING ||
               s->life.state == LIFE_IDLE;
}

static uint64_t progress_token(Supervisor *s) {
        return retained_word_get(retained_word(s->retained, RETAINED_WORD_PROGRESS));
}

static bool vm_waits(Supervisor *s) {
        return retained_word_get(retained_word(s->retained, RETAINED_WORD_WAITING)) != 0;
}

static void log_stall(Supervisor *s, JournalEvent e, const char *text) {
        const char *stage = board_stage_to_string(s->life.stage);
        char pid[16];

        (void) snprintf(pid, sizeof pid, "%d", (int) board_process_pid(s->board));
        journal_log(e, (const char *const[]) { "MPYD_STAGE", stage, "MPYD_BOARD_PID", pid, NULL }, "%s",
                    text);
}

static void tell_stall(Supervisor *s) {
        uint64_t usec = now_usec(CLOCK_MONOTONIC) - s->stall.seen_usec;
        char text[256], span[TIMESPAN_MAX];

        s->stalled_boottime_usec = now_usec(CLOCK_BOOTTIME) - usec;
        if (s->n_stalls++ >= STALLS_TOLD_MAX)
                return;
        (void) snprintf(text, sizeof text,
                        "The board is stalled in %s: for %s it has neither run Python nor waited.",
                        board_stage_to_string(s->life.stage), format_timespan(span, sizeof span, usec));
        log_stall(s, JOURNAL_BOARD_STALLED, text);
        (void) history_add_event(s->history, journal_event_to_string(JOURNAL_BOARD_STALLED), text);
}

static void tell_stall_over(Supervisor *s) {
        s->stalled_boottime_usec = 0;
        if (s->n_stalls <= STALLS_TOLD_MAX)
                log_stall(s, JOURNAL_BOARD_GOES_ON, "The board goes on.");
}

static void reset_stalled(Supervisor *s) {
        char detail[LIFE_DETAIL_MAX], span[TIMESPAN_MAX];

        (void) snprintf(detail, sizeof detail, "stalled in %s for %s ([watchdog] stall-after)",
                        board_stage_to_string(s->life.stage),
                        format_timespan(span, sizeof span, s->config.watchdog.stall_after_usec));
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_WATCHDOG, .detail = detail });
}

/* An idle board costs no wake-up: while it waits nobody looks, and it tells when it goes on. The order
 * counts: see show_waiting() in the board's wait.c. */
static bool leave_to_board(Supervisor *s) {
        if (!vm_waits(s))
                return false;
        retained_word_set(retained_word(s->retained, RETAINED_WORD_TELL_AWAKE), 1);
        return vm_waits(s);
}

static void look_at_vm(Supervisor *s) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        StallVerdict v;

        if (!vm_runs(s)) {
                supervisor_set_timer(s->stall_timer, UINT64_MAX);
                return;
        }
        v = stall_check(&s->stall, progress_token(s), vm_waits(s) || s->watchdog.sleep_steps > 0,
                        supervisor_watchdog_suspended_usec(s) > 0 ? 0 : s->config.watchdog.stall_after_usec, now);
        supervisor_set_timer(s->stall_timer, leave_to_board(s) ? UINT64_MAX : v.wake_usec);
        if (v.begins)
                tell_stall(s);
        if (v.over)
                tell_stall_over(s);
        if (v.reset)
                reset_stalled(s);
}

static int on_stall_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        look_at_vm(userdata);
        return 0;
}

void supervisor_on_awake(Supervisor *s) {
        int enabled;

        if (!vm_runs(s) || sd_event_source_get_enabled(s->stall_timer, &enabled) != 0)
                return; /* somebody is looking already */
        stall_begin(&s->stall, progress_token(s), now_usec(CLOCK_MONOTONIC));
        look_at_vm(s);
}

/* ---- with the board's life ---- */

void supervisor_watchdog_spawn(Supervisor *s) {
        watchdog_begin_life(&s->watchdog, s->life.next.kind == RESET_KIND_SOFT,
                            now_usec(CLOCK_MONOTONIC));
        s->n_stalls = 0;
}

void supervisor_watchdog_follow(Supervisor *s) {
        bool runs = vm_runs(s);

        if (!life_has_board(&s->life))
                watchdog_hold(&s->watchdog);
        check_watchdogs(s);
        if (runs == s->vm_watched)
                return;
        s->vm_watched = runs;
        s->stalled_boottime_usec = 0;
        if (runs)
                stall_begin(&s->stall, progress_token(s), now_usec(CLOCK_MONOTONIC));
        look_at_vm(s);
}

void supervisor_watchdog_host_sleeps(Supervisor *s, bool begins) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        watchdog_host_sleeps(&s->watchdog, begins, now);
        check_watchdogs(s);
        if (vm_runs(s)) { /* it has had no chance to go on */
                stall_begin(&s->stall, progress_token(s), now);
                look_at_vm(s);
        }
}

uint64_t supervisor_watchdog_fed_usec(Supervisor *s, WatchdogId id) {
        uint64_t feeds[WATCHDOG_ID_MAX], now = now_usec(CLOCK_MONOTONIC);

        read_feeds(s, now, feeds);
        return now - MIN(now, MAX(feeds[id], s->watchdog.timers[id].fed_usec));
}

int supervisor_watchdog_new(Supervisor *s) {
        static const sd_event_time_handler_t handlers[] = { on_watchdog_timer, on_stall_timer };
        sd_event_source **timers[] = { &s->watchdog_timer, &s->stall_timer };

        for (size_t i = 0; i < ELEMENTSOF(handlers); i++) {
                /* Accuracy 1 µs for the bite; a stall is not that urgent. */
                int r = sd_event_add_time(s->event, timers[i], CLOCK_MONOTONIC, UINT64_MAX,
                                          i == 0 ? 1 : 0, handlers[i], s);

                if (r >= 0)
                        r = sd_event_source_set_enabled(*timers[i], SD_EVENT_OFF);
                /* A bite comes before everything else that is due. */
                if (r >= 0 && i == 0)
                        r = sd_event_source_set_priority(*timers[i], SD_EVENT_PRIORITY_IMPORTANT);
                if (r < 0)
                        return log_error_errno(r, "Failed to make a timer: %m");
        }
        return 0;
}

void supervisor_watchdog_done(Supervisor *s) {
        sd_event_source_disable_unref(s->watchdog_timer);
        sd_event_source_disable_unref(s->stall_timer);
}
