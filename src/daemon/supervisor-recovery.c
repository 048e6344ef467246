/* SPDX-License-Identifier: MIT */
/* Starting a program again that nobody looks after: recovery.c decides, here are its timer, the count in the
 * retained page, and what is told. */
#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/supervisor-private.h"
#include "mpyd/retained.h"
#include "util/log.h"

static RecoveryLimits limits_from(const Config *c) {
        return (RecoveryLimits) {
                .after_exception_usec = c->recovery.after_exception_usec,
                .reloads = c->recovery.reloads,
                .idle_restart_usec = c->recovery.idle_restart_usec,
                .lasted_usec = c->safe_mode.stable_after_usec,
        };
}

static uint64_t *reloads_word(Supervisor *s) {
        return retained_word(s->retained, RETAINED_WORD_RELOADS);
}

uint64_t supervisor_repl_word(const Supervisor *s) {
        return s->life.state == LIFE_IDLE ? retained_word_get(retained_word(s->retained, RETAINED_WORD_REPL)) : 0;
}

bool supervisor_repl_runs(const Supervisor *s) {
        return supervisor_repl_word(s) & RETAINED_REPL_RUNS;
}

/* Also when the code has ended: what it has printed may still be on its way. */
bool supervisor_repl_used(void *userdata) {
        const Supervisor *s = userdata;

        return s->life.state == LIFE_IDLE && recovery_repl_used(&s->recovery, supervisor_repl_word(s));
}

/* After each change of what recovery.c knows. */
static void follow(Supervisor *s) {
        retained_word_set(reloads_word(s), s->recovery.reloads);
        supervisor_set_timer(s->recovery_timer, s->recovery.due_usec);
}

void supervisor_recovery_begin(Supervisor *s) {
        recovery_on_reset(&s->recovery, s->recovering);
        s->recovering = false;
        follow(s);
}

void supervisor_recovery_stage_end(Supervisor *s, BoardStage stage, StageResult result) {
        uint64_t ran = now_usec(CLOCK_BOOTTIME) - s->stage_boottime_usec;

        recovery_on_stage_end(&s->recovery, stage, result, ran);
}

/* In safe mode the program is not meant to run. */
void supervisor_recovery_repl(Supervisor *s) {
        if (s->life.next.safe_mode != SAFE_MODE_NONE)
                return;
        recovery_on_repl(&s->recovery, s->life.next.raw_repl, now_usec(CLOCK_BOOTTIME));
        follow(s);
}

void supervisor_recovery_user(void *userdata, bool in_use) {
        Supervisor *s = userdata;

        recovery_on_user(&s->recovery, in_use, supervisor_repl_word(s), now_usec(CLOCK_BOOTTIME));
        supervisor_panel_follow(s);
        if (s->recovery_timer)
                follow(s);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;
        bool failed = s->recovery.why == RECOVERY_EXCEPTION;
        unsigned reloads = s->recovery.reloads;
        LifeEvent e = { .type = LIFE_EVENT_ORDER, .reason = RESET_REASON_SOFTWARE };
        char detail[LIFE_DETAIL_MAX];

        switch (recovery_look(&s->recovery, supervisor_repl_word(s), now_usec(CLOCK_BOOTTIME))) {
        case RECOVERY_RELOAD:
                e.kind = RESET_KIND_SOFT;
                if (s->recovery.reloads > reloads)
                        (void) snprintf(detail, sizeof detail, "the program had ended with an uncaught "
                                        "exception, it is started again (try %u)", s->recovery.reloads);
                else
                        (void) snprintf(detail, sizeof detail, "the program %s and nobody uses the REPL, it "
                                        "is started again", failed ? "had failed" : "had been stopped");
                break;
        case RECOVERY_HARD_RESET:
                e.kind = RESET_KIND_HARD;
                s->recovery_gave_up = true;
                (void) snprintf(detail, sizeof detail, "the program ended with an uncaught exception again "
                                "after %u tries", reloads);
                break;
        case RECOVERY_NOTHING:
        case RECOVERY_ACTION_MAX:
        case RECOVERY_ACTION_INVALID:
                follow(s);
                return 0;
        }
        s->recovering = true;
        e.detail = detail;
        follow(s);
        supervisor_dispatch(s, &e);
        return 0;
}

void supervisor_recovery_reload(Supervisor *s) {
        RecoveryLimits limits = limits_from(&s->config);

        recovery_set_limits(&s->recovery, &limits, now_usec(CLOCK_BOOTTIME));
        follow(s);
}

int supervisor_recovery_new(Supervisor *s) {
        RecoveryLimits limits = limits_from(&s->config);
        int r;

        recovery_init(&s->recovery, &limits, retained_word_get(reloads_word(s)));
        r = sd_event_add_time(s->event, &s->recovery_timer, CLOCK_BOOTTIME, UINT64_MAX, USEC_PER_SEC / 10,
                              on_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->recovery_timer, SD_EVENT_OFF);
        return r < 0 ? log_error_errno(r, "Failed to make a timer: %m") : 0;
}

void supervisor_recovery_done(Supervisor *s) {
        s->recovery_timer = sd_event_source_disable_unref(s->recovery_timer);
}
