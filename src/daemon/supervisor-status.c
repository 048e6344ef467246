/* SPDX-License-Identifier: MIT */
/* What the supervisor shows of itself: the control bus' properties and the service's status line. */
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "daemon/supervisor-private.h"
#include "mpyd/control.h"
#include "mpyd/retained.h"
#include "util/parse.h"
#include "util/text.h"

/* Paths and the like may hold any bytes; D-Bus takes valid UTF-8 only. */
static int append_string(sd_bus_message *m, const char *s) {
        _cleanup_free_ char *clean = NULL;
        size_t size = s ? strlen(s) : 0;

        clean = malloc(4 * size + 4);
        if (!clean)
                return -ENOMEM;
        (void) text_sanitise(clean, 4 * size + 4, s ?: "", size, true);
        return sd_bus_message_append(m, "s", clean);
}

static int append_u64(sd_bus_message *m, uint64_t v) {
        return sd_bus_message_append(m, "t", v);
}

/* One function a property, named as the property: CONTROL_PROPERTIES makes the table below, so that a
 * property without a function does not link. */
static int show_Version(Supervisor *s, sd_bus_message *m) {
        return append_string(m, MPYD_VERSION);
}
static int show_Pid(Supervisor *s, sd_bus_message *m) {
        return sd_bus_message_append(m, "u", (uint32_t) getpid());
}
static int show_StartedAt(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->started_realtime_usec);
}
static int show_State(Supervisor *s, sd_bus_message *m) {
        return append_string(m, life_state_to_string(s->life.state));
}
static int show_Stage(Supervisor *s, sd_bus_message *m) {
        return append_string(m, board_stage_to_string(s->life.stage));
}
static int show_Problem(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->life.problem);
}
static int show_BoardPid(Supervisor *s, sd_bus_message *m) {
        return sd_bus_message_append(m, "u", (uint32_t) board_process_pid(s->board));
}
static int show_Confinement(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->confinement);
}
static int show_BoardStartedAt(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->board ? s->board_realtime_usec : 0);
}
static int show_BoardStartedBoottime(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->board ? s->life.started_boottime_usec : 0);
}
static int show_StageBoottime(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->stage_boottime_usec);
}
static int show_NextBootBoottime(Supervisor *s, sd_bus_message *m) {
        bool waits = s->life.state == LIFE_WAITING || s->life.state == LIFE_DEEP_SLEEP;

        return append_u64(m, waits && s->life.deadline_clock == LIFE_CLOCK_BOOTTIME
                                     ? s->life.deadline_usec
                                     : 0);
}
static int show_ResetCause(Supervisor *s, sd_bus_message *m) {
        return append_string(m, reset_cause_to_string(s->shown.cause));
}
static int show_ResetReason(Supervisor *s, sd_bus_message *m) {
        return append_string(m, reset_reason_to_string(s->shown.reason));
}
static int show_RunReason(Supervisor *s, sd_bus_message *m) {
        return append_string(m, run_reason_to_string(s->shown.run_reason));
}
static int show_LastReset(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->last_reset);
}
static int show_LastTraceback(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->last_traceback);
}
static int show_LastTracebackAt(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->last_traceback_usec);
}
static int show_SoftResets(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->life.n_soft);
}
static int show_HardResets(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->life.n_hard);
}
static int show_Crashes(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->life.n_crashes);
}
static int show_ResetsDelayed(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->life.n_delayed);
}
static int append_timeout(Supervisor *s, sd_bus_message *m, WatchdogId id) {
        const WatchdogTimer *t = &s->watchdog.timers[id];

        return append_u64(m, t->armed ? t->timeout_usec : 0);
}
static int append_fed(Supervisor *s, sd_bus_message *m, WatchdogId id) {
        return append_u64(m, s->watchdog.timers[id].armed ? supervisor_watchdog_fed_usec(s, id) : 0);
}
static int show_WatchdogTimeout(Supervisor *s, sd_bus_message *m) {
        return append_timeout(s, m, WATCHDOG_MACHINE);
}
static int show_WatchdogFedBefore(Supervisor *s, sd_bus_message *m) {
        return append_fed(s, m, WATCHDOG_MACHINE);
}
static int show_Watchdog2Timeout(Supervisor *s, sd_bus_message *m) {
        return append_timeout(s, m, WATCHDOG_MICROCONTROLLER);
}
static int show_Watchdog2FedBefore(Supervisor *s, sd_bus_message *m) {
        return append_fed(s, m, WATCHDOG_MICROCONTROLLER);
}
static int show_StalledBoottime(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->stalled_boottime_usec);
}
static int show_HeapMax(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->heap_max);
}
static int show_FlashQuota(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->flash_quota);
}
/* The board's words are passed on as they are. */
static int append_word(Supervisor *s, sd_bus_message *m, RetainedWord w) {
        return append_u64(m, s->board ? retained_word_get(retained_word(s->retained, w)) : 0);
}
static int show_HeapSize(Supervisor *s, sd_bus_message *m) {
        return append_word(s, m, RETAINED_WORD_HEAP_SIZE);
}
static int show_HeapFree(Supervisor *s, sd_bus_message *m) {
        return append_word(s, m, RETAINED_WORD_HEAP_FREE);
}
static int show_GcCount(Supervisor *s, sd_bus_message *m) {
        return append_word(s, m, RETAINED_WORD_GC_COUNT);
}
static int show_GcLastUsec(Supervisor *s, sd_bus_message *m) {
        return append_word(s, m, RETAINED_WORD_GC_LAST);
}
static int show_GcLongestUsec(Supervisor *s, sd_bus_message *m) {
        return append_word(s, m, RETAINED_WORD_GC_LONGEST);
}
static int show_SafeMode(Supervisor *s, sd_bus_message *m) {
        SafeModeReason r = s->safe_mode.state.reason;

        return append_string(m, r == SAFE_MODE_NONE ? "" : safe_mode_reason_to_string(r));
}
static int show_SafeModeText(Supervisor *s, sd_bus_message *m) {
        char text[SAFE_MODE_TEXT_MAX];

        safe_mode_describe(&s->safe_mode, s->safe_mode_flag, text);
        return append_string(m, text);
}
static int show_SafeModeRetryBoottime(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->safe_mode.retry_usec == UINT64_MAX ? 0 : s->safe_mode.retry_usec);
}
static int show_Strikes(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->safe_mode.state.strikes);
}
static int show_RestartBoottime(Supervisor *s, sd_bus_message *m) {
        bool never = s->recovery.due_usec == UINT64_MAX || supervisor_repl_runs(s);

        return append_u64(m, never ? 0 : s->recovery.due_usec);
}
static int show_WatchdogsSuspendedUsec(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, supervisor_watchdog_suspended_usec(s));
}

static int show_SnoozeBoottime(Supervisor *s, sd_bus_message *m) {
        return append_u64(m, s->snooze_until_usec > now_usec(CLOCK_BOOTTIME) ? s->snooze_until_usec : 0);
}
static int show_ReplState(Supervisor *s, sd_bus_message *m) {
        uint64_t repl = supervisor_repl_word(s);

        if (s->life.state != LIFE_IDLE)
                return append_string(m, "");
        if (repl & RETAINED_REPL_RUNS)
                return append_string(m, repl & RETAINED_REPL_RAW ? "raw-running" : "running");
        return append_string(m, repl & RETAINED_REPL_RAW ? "raw" : "prompt");
}
static int show_ConsolePath(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->repl_link);
}
static int show_ConsoleHolder(Supervisor *s, sd_bus_message *m) {
        return append_string(m, console_holder(s->console));
}
static int show_HistoryState(Supervisor *s, sd_bus_message *m) {
        return append_string(m, history_state(s->history));
}
static int show_ConfigWarnings(Supervisor *s, sd_bus_message *m) {
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (size_t i = 0; r >= 0 && i < s->config.n_warnings; i++)
                r = append_string(m, s->config.warnings[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
static int show_Warnings(Supervisor *s, sd_bus_message *m) {
        const char *const lines[] = { s->button_problem, s->boot.problem, s->led_problem };
        int r = sd_bus_message_open_container(m, 'a', "s");

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(lines); i++)
                if (lines[i])
                        r = append_string(m, lines[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
static int show_FactoryReset(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->factory_reset.result);
}
static int show_FlashDir(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->flash_dir);
}
static int show_StateDir(Supervisor *s, sd_bus_message *m) {
        return append_string(m, s->options.state_dir);
}

int supervisor_property(void *userdata, const char *name, sd_bus_message *reply) {
#define X(name, type, meaning) { #name, show_##name },
        static const struct {
                const char *name;
                int (*show)(Supervisor *s, sd_bus_message *m);
        } properties[] = { CONTROL_PROPERTIES(X) };
#undef X

        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (streq(properties[i].name, name))
                        return properties[i].show(userdata, reply);
        return -ENOENT;
}

void supervisor_describe(const Supervisor *s, char *buf, size_t size) {
        const Life *l = &s->life;
        char span[TIMESPAN_MAX];

        switch (l->state) {
        case LIFE_WAITING:
        case LIFE_DEEP_SLEEP:
                if (l->held)
                        (void) snprintf(buf, size, "Waiting: %s.", l->problem);
                else if (l->deadline_clock == LIFE_CLOCK_NONE)
                        (void) snprintf(buf, size, "Asleep until it is reset.");
                else
                        (void) snprintf(buf, size, "%s, next boot in %s.",
                                        l->state == LIFE_WAITING ? "Waiting" : "Asleep",
                                        format_timespan(span, sizeof span,
                                                        l->deadline_usec -
                                                                MIN(l->deadline_usec,
                                                                    now_usec(CLOCK_BOOTTIME))));
                break;
        case LIFE_BOOTING:
        case LIFE_RUNNING:
                (void) snprintf(buf, size, "Running %s.", board_stage_to_string(l->stage));
                break;
        case LIFE_IDLE:
                (void) snprintf(buf, size, s->safe_mode.state.reason == SAFE_MODE_NONE
                                                   ? "At the REPL."
                                                   : "In safe mode, at the REPL.");
                break;
        case LIFE_STUCK:
                (void) snprintf(buf, size, "%s", l->problem);
                break;
        case LIFE_OFF:
        case LIFE_POWERING_ON:
        case LIFE_STOPPING:
                (void) snprintf(buf, size, "%s.", life_state_to_string(l->state));
                break;
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                break;
        }
}
