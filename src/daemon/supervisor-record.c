/* SPDX-License-Identifier: MIT */
/* A reset told once: its evidence, its row in the history and its line in the journal. The answer of the
 * history opens the door to the board. Ends that no board follows, and exceptions, get rows too. */
#include "daemon/supervisor-private.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "daemon/journal.h"
#include "daemon/reset-evidence.h"
#include "host/host-facts.h"
#include "host/host.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/text.h"

typedef struct Recording {
        Supervisor *supervisor;
        bool late; /* its board was let in without it */
} Recording;

static void on_recorded(void *userdata, int64_t id) {
        _cleanup_free_ Recording *rec = userdata;
        Supervisor *s = rec->supervisor;

        if (!s->history) /* answers on the way out */
                return;
        if (rec->late && id > 0)
                (void) history_mark_late(s->history, id);
        if (rec != s->recording)
                return; /* of a life that is over already */
        s->recording = NULL;
        if (s->n_marks_pending == 0) /* strikes are durable too */
                supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_RECORDED });
}

static void describe_reset(const LifeReset *r, char *buf, size_t size) {
        char span[TIMESPAN_MAX];

        if (r->ended_stage == BOARD_STAGE_OFF && r->ended_uptime_usec == 0)
                (void) snprintf(buf, size, "%s: %s", reset_cause_to_string(r->cause), r->detail);
        else
                (void) snprintf(buf, size, "%s: %s, after %s", reset_cause_to_string(r->cause),
                                r->detail,
                                format_timespan(span, sizeof span, r->ended_uptime_usec));
}

/* One line in the journal about the end of a life, and what came of it. */
static void tell_end(JournalEvent event, const LifeReset *r, const char *text) {
        bool begins = event == JOURNAL_RESET || event == JOURNAL_CRASH || event == JOURNAL_WATCHDOG;
        char signal[16], status[16], uptime[24];
        const char *fields[] = {
                "MPYD_RESET_DETAIL", r->detail,
                "MPYD_STAGE",        board_stage_to_string(r->ended_stage),
                "MPYD_UPTIME_USEC",  uptime,
                "MPYD_EXIT_STATUS",  r->ended_exit_status >= 0 ? status : NULL,
                "MPYD_SIGNAL",       r->ended_signal > 0 ? signal : NULL,
                begins ? "MPYD_RESET_CAUSE" : NULL, /* only of what begins: the list ends here else */
                reset_cause_to_string(r->cause),
                "MPYD_RESET_REASON", reset_reason_to_string(r->reason),
                "MPYD_RESET_KIND",   reset_kind_to_string(r->kind),
                "MPYD_RUN_REASON",   run_reason_to_string(r->run_reason),
                NULL,
        };

        (void) snprintf(uptime, sizeof uptime, "%" PRIu64, r->ended_uptime_usec);
        (void) snprintf(signal, sizeof signal, "%d", r->ended_signal);
        (void) snprintf(status, sizeof status, "%d", r->ended_exit_status);
        journal_log(event, fields, "%s.", text);
}

static void tell_reset(Supervisor *s, const LifeReset *r) {
        char text[LIFE_DETAIL_MAX + 96];

        describe_reset(r, text, sizeof text);
        tell_end(r->cause == RESET_CAUSE_WDT ? JOURNAL_WATCHDOG
                 : r->crashed                ? JOURNAL_CRASH
                                             : JOURNAL_RESET,
                 r, text);
        (void) free_and_strdup(&s->last_reset, text);
        control_server_emit_reset(s->control, reset_cause_to_string(r->cause), r->detail);
        system_bus_emit(s->system_bus, "BoardReset", reset_cause_to_string(r->cause), r->detail);
}

/* Why the reset is what it is, as JSON; the caller frees it. */
static char *take_evidence(Supervisor *s, const LifeReset *next, bool oom) {
        BoardEnd end = { .last_words = s->last_words, .oom = oom };
        Evidence e = s->evidence.n > 0 ? s->evidence : reset_evidence(next, &end);

        s->evidence = (Evidence) {}; /* of the daemon's start: told once */
        return evidence_to_json(&e);
}

/* What life->next says of the life that ended, stamped with now. The traceback is that life's. */
static HistoryRecord make_record(Supervisor *s) {
        const LifeReset *next = &s->life.next;
        HistoryRecord r = {
                .detail = (char *) next->detail,
                .stage = next->ended_stage,
                .exit_status = next->ended_exit_status,
                .signal = next->ended_signal,
                .uptime_usec = next->ended_uptime_usec,
                .traceback = s->traceback,
                .crashed = next->crashed,
                .realtime_usec = now_usec(CLOCK_REALTIME),
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
                .clock_synced = host_clock_synced(),
        };

        memcpy(r.boot_id, s->boot_id, sizeof r.boot_id);
        return r;
}

void supervisor_record(Supervisor *s) {
        const LifeReset *next = &s->life.next;
        /* The kernel kills with SIGKILL; for other ends, and every soft reset is one, the file is not read. */
        bool oom = next->crashed && next->ended_signal == SIGKILL && s->oom_kills >= 0 &&
                   host_facts_oom_kills(s->host_root_fd) > s->oom_kills;
        _cleanup_free_ char *evidence = take_evidence(s, next, oom);
        HistoryRecord r = make_record(s);
        Recording *rec = malloc(sizeof *rec);
        int q;

        s->shown = *next;
        r.cause = next->cause;
        r.reason = next->reason;
        r.kind = next->kind;
        r.run_reason = next->run_reason;
        r.delayed = next->delayed;
        r.evidence = evidence;
        tell_reset(s, next);
        supervisor_pins_reset(s, next->kind);
        supervisor_safe_mode_decide(s, oom);
        supervisor_recovery_begin(s);
        supervisor_panel_boot(s, next->kind);
        if (next->kind == RESET_KIND_SOFT) { /* nobody waits for its row, and the board wants to start */
                s->history_held = true;
                history_hold(s->history, true);
        }
        q = rec ? 0 : -ENOMEM;
        if (q >= 0) {
                *rec = (Recording) { .supervisor = s };
                q = history_add(s->history, &r, on_recorded, rec);
        }
        s->recording = q >= 0 ? rec : NULL;
        if (q < 0) {
                free(rec);
                (void) journal_log_errno(JOURNAL_RECORD_FAILED, q,
                                         "Failed to record this reset, booting all the same: %m");
                /* Nothing will answer: the commit timeout opens the door. */
        }
        free(s->traceback);
        s->traceback = NULL;
        free(s->last_words);
        s->last_words = NULL;
}

void supervisor_record_is_late(Supervisor *s) {
        if (s->recording)
                s->recording->late = true;
        journal_log(JOURNAL_RECORD_LATE, NULL,
                    "The disk did not take the record of this reset in time; booting.");
}

/* When another board starts, and whether one does, nobody knows yet. */
void supervisor_record_end(Supervisor *s) {
        JournalEvent event = s->life.state == LIFE_DEEP_SLEEP ? JOURNAL_DEEP_SLEEP : JOURNAL_BOARD_STOP;
        char text[LIFE_DETAIL_MAX + 96], span[TIMESPAN_MAX];
        HistoryRecord r = make_record(s);
        int q;

        supervisor_pins_reset(s, RESET_KIND_HARD);
        supervisor_safe_mode_end(s);
        r.name = (char *) journal_event_to_string(event);
        (void) snprintf(text, sizeof text, "The board has ended: %s, after %s", r.detail,
                        format_timespan(span, sizeof span, r.uptime_usec));
        tell_end(event, &s->life.next, text);
        q = history_add(s->history, &r, NULL, NULL);
        if (q < 0)
                (void) journal_log_errno(JOURNAL_RECORD_FAILED, q,
                                         "Failed to record how this board ended, ignoring: %m");
        free(s->traceback);
        s->traceback = NULL;
}

/* On disk at once: the reset that ends this life may never be recorded, when the power goes. */
void supervisor_record_exception(Supervisor *s, BoardStage stage, const char *traceback) {
        HistoryRecord r = make_record(s);
        char detail[LIFE_DETAIL_MAX];
        const char *exception;
        size_t size;
        int q;

        exception = text_last_line(traceback, &size);
        (void) snprintf(detail, sizeof detail, "%s: %.*s", board_stage_to_string(stage), (int) size, exception);
        r.name = (char *) "exception";
        r.detail = detail;
        r.stage = stage;
        r.exit_status = -1;
        r.signal = 0;
        r.crashed = false;
        r.uptime_usec = r.boottime_usec - MIN(s->life.started_boottime_usec, r.boottime_usec);
        q = history_add(s->history, &r, NULL, NULL);
        if (q < 0)
                (void) journal_log_errno(JOURNAL_RECORD_FAILED, q,
                                         "Failed to record this exception, ignoring: %m");
}
