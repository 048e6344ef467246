/* SPDX-License-Identifier: MIT */
/* The board's life: which state follows which, which deadline is armed, which reset is recorded. */
#include "daemon/lifecycle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/macros.h"

static void push(LifeActions *a, LifeAction action) {
        assert(a->n < LIFE_ACTIONS_MAX);
        a->list[a->n++] = action;
}

static void set_deadline(Life *l, LifeClock clock, LifeNow now, uint64_t after_usec) {
        uint64_t from = clock == LIFE_CLOCK_MONOTONIC ? now.monotonic_usec : now.boottime_usec;

        l->deadline_clock = after_usec == UINT64_MAX ? LIFE_CLOCK_NONE : clock;
        l->deadline_usec = after_usec > UINT64_MAX - from ? UINT64_MAX : from + after_usec;
}

static void clear_deadline(Life *l) {
        l->deadline_clock = LIFE_CLOCK_NONE;
}

static void _printf_(2, 3) say(char text[static LIFE_DETAIL_MAX], const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, LIFE_DETAIL_MAX, format, ap);
        va_end(ap);
}

static const char *stage_place(BoardStage s) {
        switch (s) {
        case BOARD_STAGE_BOOT_INTERNAL:
        case BOARD_STAGE_BOOT:
        case BOARD_STAGE_MAIN:
                return board_stage_to_string(s);
        case BOARD_STAGE_REPL:
                return "the REPL";
        case BOARD_STAGE_OFF:
        case BOARD_STAGE_STOPPING:
        case BOARD_STAGE_MAX:
        case BOARD_STAGE_INVALID:
                break;
        }
        return "start-up";
}

/* A reset that the program asked for counts against the rate limit; one from the REPL has a person or
 * a tool behind it, who waits for the prompt. With nobody there it is the program's as well: a timer
 * that main.py left behind, say. */
static bool asked_by_program(const Life *l, const LifeEvent *e) {
        return l->reached != BOARD_STAGE_REPL || !e->attended;
}

bool life_has_board(const Life *l) {
        switch (l->state) {
        case LIFE_POWERING_ON:
        case LIFE_BOOTING:
        case LIFE_RUNNING:
        case LIFE_IDLE:
        case LIFE_STOPPING:
        case LIFE_STUCK:
                return true;
        case LIFE_OFF:
        case LIFE_WAITING:
        case LIFE_DEEP_SLEEP:
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                break;
        }
        return false;
}

void life_init(Life *l, const LifeLimits *limits, LifeNow now) {
        *l = (Life) {
                .limits = *limits,
                .next.ended_exit_status = -1,
        };
        token_bucket_init(&l->bucket, limits->burst, limits->interval_usec, now.boottime_usec);
}

void life_set_limits(Life *l, const LifeLimits *limits, LifeNow now) {
        if (limits->burst != l->limits.burst || limits->interval_usec != l->limits.interval_usec)
                token_bucket_init(&l->bucket, limits->burst, limits->interval_usec,
                                  now.boottime_usec);
        l->limits = *limits;
}

/* ---- towards the next board ---- */

static void spawn(Life *l, LifeNow now, LifeActions *a) {
        l->state = LIFE_POWERING_ON;
        l->stage = l->reached = BOARD_STAGE_OFF;
        l->hello = false;
        /* A soft reset is recorded too, but the VM is not held up for the disk. */
        l->booted = l->next.kind == RESET_KIND_SOFT;
        l->intended = l->by_program = l->promised = false;
        l->held = false;
        l->fault[0] = '\0';
        l->step = LIFE_STOP_NONE;
        l->started_boottime_usec = now.boottime_usec;
        set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.start_timeout_usec);
        push(a, LIFE_ACTION_SPAWN);
}

/* l->next is decided: write it down, then start the board now or after a wait. The record is written
 * while the process starts; after a hard reset the board waits at the door for it (LIFE_EVENT_HELLO). */
static void begin(Life *l, uint64_t wait_usec, LifeNow now, LifeActions *a) {
        if (l->next.kind == RESET_KIND_SOFT)
                l->n_soft++;
        else
                l->n_hard++;

        l->recorded = false;
        push(a, LIFE_ACTION_RECORD);
        if (l->next.kind != RESET_KIND_SOFT)
                push(a, LIFE_ACTION_DISCARD_INPUT);

        if (wait_usec == 0) {
                spawn(l, now, a);
                return;
        }
        l->state = LIFE_WAITING;
        set_deadline(l, LIFE_CLOCK_BOOTTIME, now, wait_usec);
}

/* A life that had no process before it: power-on, wake, an order while nothing runs. */
static LifeReset reset_from_nothing(ResetCause cause, ResetReason reason, const char *detail) {
        LifeReset r = {
                .cause = cause,
                .reason = reason,
                .kind = RESET_KIND_HARD,
                .run_reason = RUN_REASON_STARTUP,
                .ended_exit_status = -1,
        };

        say(r.detail, "%s", detail);
        return r;
}

/* Out of deep sleep, by its alarm (detail NULL) or by an order. How the life ended that went to sleep
 * was recorded then. */
static void wake(Life *l, ResetCause cause, ResetReason reason, const char *detail, LifeNow now,
                 LifeActions *a) {
        char slept[LIFE_DETAIL_MAX];

        bool delayed = l->next.delayed;

        say(slept, "wake after %.180s", l->next.detail);
        l->next = reset_from_nothing(cause, reason, detail ? detail : slept);
        l->next.delayed = delayed;
        begin(l, 0, now, a);
}

static uint64_t backoff(const Life *l) {
        unsigned doublings = MIN(l->start_failures > 0 ? l->start_failures - 1 : 0, 20u);
        uint64_t wait = l->limits.backoff_min_usec;

        while (doublings-- > 0 && wait < l->limits.backoff_max_usec)
                wait = wait > UINT64_MAX / 2 ? UINT64_MAX : wait * 2;
        return MIN(wait, l->limits.backoff_max_usec);
}

static void intend(Life *l, ResetKind kind, ResetReason reason, bool by_program, const char *detail) {
        l->intended = true;
        l->by_program = by_program;
        l->intent = (LifeReset) {
                .kind = kind,
                .reason = reason,
                .run_reason = RUN_REASON_STARTUP,
                .ended_exit_status = -1,
        };
        switch (kind) {
        case RESET_KIND_SOFT:
                l->intent.cause = RESET_CAUSE_SOFT;
                l->intent.reason = l->next.reason; /* a soft reset leaves it as it was */
                l->intent.run_reason = l->reached == BOARD_STAGE_REPL ? RUN_REASON_REPL_RELOAD
                                                                      : RUN_REASON_SUPERVISOR_RELOAD;
                break;
        case RESET_KIND_DEEPSLEEP:
                l->intent.cause = RESET_CAUSE_DEEPSLEEP;
                break;
        case RESET_KIND_HARD:
        case RESET_KIND_MAX:
        case RESET_KIND_INVALID:
                l->intent.cause = RESET_CAUSE_HARD;
                break;
        }
        say(l->intent.detail, "%s", detail);
}

/* ---- forced stop ---- */

static void step_kill(Life *l, LifeNow now, LifeActions *a) {
        l->state = LIFE_STOPPING;
        l->step = LIFE_STOP_KILL;
        set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.kill_timeout_usec);
        push(a, LIFE_ACTION_KILL);
}

static void step_abort(Life *l, LifeNow now, LifeActions *a) {
        l->state = LIFE_STOPPING;
        l->step = LIFE_STOP_ABORT;
        set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.abort_timeout_usec);
        push(a, LIFE_ACTION_SEND_ABORT);
}

static void step_interrupt(Life *l, LifeNow now, LifeActions *a) {
        l->state = LIFE_STOPPING;
        l->step = LIFE_STOP_INTERRUPT;
        set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.interrupt_timeout_usec);
        push(a, LIFE_ACTION_SEND_STOP);
}

/* ---- events ---- */

static void power_on(Life *l, LifeNow now, LifeActions *a) {
        if (l->hold_back_usec > 0)
                say(l->problem, "mpyd keeps failing: %.200s", l->next.detail);
        begin(l, l->hold_back_usec, now, a);
}

static void on_power_on(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        if (l->state != LIFE_OFF || l->shutting_down)
                return;
        l->next = reset_from_nothing(e->cause, e->reason, e->detail);
        if (e->cause == RESET_CAUSE_SOFT) {
                l->next.kind = RESET_KIND_SOFT;
                l->next.run_reason = RUN_REASON_SUPERVISOR_RELOAD;
        }
        l->hold_back_usec = e->sleep_usec;
        if (e->leftover) {
                l->leftover = true;
                step_kill(l, now, a);
        } else
                power_on(l, now, a);
}

static void open_door(Life *l, LifeNow now, LifeActions *a) {
        l->booted = true;
        set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.start_timeout_usec);
        push(a, LIFE_ACTION_BOOT);
}

static void on_hello(Life *l, LifeNow now, LifeActions *a) {
        if (l->state != LIFE_POWERING_ON || l->hello)
                return;
        l->hello = true;
        if (l->booted)
                set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.start_timeout_usec);
        else if (l->recorded)
                open_door(l, now, a);
        else
                set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.commit_timeout_usec);
}

static void on_recorded(Life *l, LifeNow now, LifeActions *a) {
        l->recorded = true;
        if (l->state == LIFE_POWERING_ON && l->hello && !l->booted)
                open_door(l, now, a);
}

static void on_stage(Life *l, const LifeEvent *e, LifeNow now) {
        static const LifeState states[BOARD_STAGE_MAX] = {
                [BOARD_STAGE_OFF] = LIFE_STATE_INVALID,
                [BOARD_STAGE_BOOT_INTERNAL] = LIFE_BOOTING,
                [BOARD_STAGE_BOOT] = LIFE_BOOTING,
                [BOARD_STAGE_MAIN] = LIFE_RUNNING,
                [BOARD_STAGE_REPL] = LIFE_IDLE,
                [BOARD_STAGE_STOPPING] = LIFE_STOPPING,
        };

        /* Stages only go forward. */
        if (!life_has_board(l) || !l->hello || !l->booted || e->stage <= l->stage ||
            e->stage >= BOARD_STAGE_MAX)
                return;

        l->stage = e->stage;
        if (e->stage != BOARD_STAGE_STOPPING)
                l->reached = e->stage;
        if (l->state == LIFE_STUCK)
                return;
        if (e->stage > BOARD_STAGE_BOOT_INTERNAL && e->stage != BOARD_STAGE_STOPPING) {
                l->start_failures = 0;
                l->problem[0] = '\0';
        }
        if (l->state == LIFE_STOPPING)
                return; /* the forced stop goes on, whatever the board has reached meanwhile */

        l->state = states[e->stage];
        if (l->state == LIFE_STOPPING)
                set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.interrupt_timeout_usec);
        else
                clear_deadline(l);
}

static void on_fault(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        if (!life_has_board(l) || l->state == LIFE_STUCK || l->step == LIFE_STOP_KILL)
                return;
        l->intended = false;
        say(l->fault, "%s", e->detail);
        step_kill(l, now, a);
}

/* Not given to the program's good will, and never taken back. Whoever ends anyway is left to that end:
 * it has a deadline of its own. */
static void on_watchdog(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        if (!life_has_board(l) || l->state == LIFE_STUCK || l->step == LIFE_STOP_KILL ||
            l->shutting_down)
                return;
        intend(l, RESET_KIND_HARD, RESET_REASON_WATCHDOG, true, e->detail);
        l->intent.cause = RESET_CAUSE_WDT;
        step_kill(l, now, a);
}

static void on_asked(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        char detail[LIFE_DETAIL_MAX];
        const char *place = stage_place(l->reached);
        bool by_program = asked_by_program(l, e), raw;

        if (!life_has_board(l) || l->state == LIFE_STUCK || l->step == LIFE_STOP_KILL)
                return;
        if (l->reached == BOARD_STAGE_OFF) { /* a board that fails to start, however it puts it */
                on_fault(l, &(LifeEvent) { .detail = "it asked for a reset before its first stage" },
                         now, a);
                return;
        }

        if (l->promised) { /* or it could put its own end off for ever */
                on_fault(l, &(LifeEvent) { .detail = "it asked for another reset while it ended" }, now,
                         a);
                return;
        }

        switch (e->kind) {
        case RESET_KIND_SOFT:
                l->promised = true;
                /* The raw REPL is a tool's that is there. When the order is another one's and nobody is, the
                 * program is meant to start. */
                raw = e->raw_repl && (!l->intended || e->attended);
                if (!l->intended) {
                        say(detail, "soft reset from %s", place);
                        intend(l, RESET_KIND_SOFT, l->next.reason, by_program, detail);
                }
                l->intent.raw_repl = raw;
                l->state = LIFE_STOPPING;
                set_deadline(l, LIFE_CLOCK_MONOTONIC, now, l->limits.abort_timeout_usec);
                if (l->step == LIFE_STOP_NONE || l->step == LIFE_STOP_INTERRUPT)
                        l->step = LIFE_STOP_ABORT; /* nothing is left to ask it for but to be gone */
                break;
        case RESET_KIND_HARD:
                say(detail, "machine.reset() from %s", place);
                intend(l, RESET_KIND_HARD, RESET_REASON_SOFTWARE, by_program, detail);
                step_kill(l, now, a);
                break;
        case RESET_KIND_DEEPSLEEP:
                say(detail, "machine.deepsleep() from %s", place);
                intend(l, RESET_KIND_DEEPSLEEP, RESET_REASON_DEEP_SLEEP_ALARM, by_program, detail);
                l->sleep_usec = e->sleep_usec;
                step_kill(l, now, a);
                break;
        case RESET_KIND_MAX:
        case RESET_KIND_INVALID:
                break;
        }
}

static void on_order(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        ResetReason reason = e->reason == RESET_REASON_SOFTWARE ? RESET_REASON_SOFTWARE
                                                                : RESET_REASON_RESET_PIN;

        if (l->shutting_down || (e->kind != RESET_KIND_SOFT && e->kind != RESET_KIND_HARD))
                return;

        switch (l->state) {
        case LIFE_WAITING:
                l->next = reset_from_nothing(RESET_CAUSE_HARD, reason, e->detail);
                begin(l, 0, now, a);
                break;
        case LIFE_DEEP_SLEEP:
                wake(l, RESET_CAUSE_HARD, reason, e->detail, now, a);
                break;
        case LIFE_BOOTING:
        case LIFE_RUNNING:
        case LIFE_IDLE:
                intend(l, e->kind, reason, false, e->detail);
                if (reason == RESET_REASON_SOFTWARE)
                        l->intent.run_reason = RUN_REASON_SUPERVISOR_RELOAD;
                if (e->kind == RESET_KIND_HARD)
                        step_kill(l, now, a);
                else
                        step_interrupt(l, now, a);
                break;
        case LIFE_POWERING_ON:
        case LIFE_STOPPING:
                /* A fresh board is on its way; only "hard" wants more than that. */
                if (e->kind == RESET_KIND_HARD && l->step != LIFE_STOP_KILL) {
                        intend(l, RESET_KIND_HARD, reason, false, e->detail);
                        step_kill(l, now, a);
                } else if (l->intended && l->intent.kind == RESET_KIND_DEEPSLEEP)
                        /* It is being killed for a sleep that nobody wants any more. */
                        intend(l, RESET_KIND_HARD, reason, false, e->detail);
                break;
        case LIFE_OFF:
        case LIFE_STUCK:
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                break;
        }
}

/* Nobody asked for this end: what does it look like from outside? */
static void describe_crash(const Life *l, const LifeEvent *e, char text[static LIFE_DETAIL_MAX]) {
        const char *place = stage_place(l->reached);

        if (l->fault[0] == '\0' && e->detail)
                say(text, "crashed in %s: %.180s", place, e->detail);
        else if (l->fault[0] != '\0')
                say(text, "killed in %s: %s", place, l->fault);
        else if (e->signal != 0)
                say(text, "crashed in %s: signal %d (SIG%s)", place, e->signal,
                    sigabbrev_np(e->signal) ?: "?");
        else
                say(text, "ended in %s without saying why: exit status %d", place, e->exit_status);
}

/* The earlier run's board is gone at last, and the reset that had to wait for it begins. */
static void on_leftover_gone(Life *l, LifeNow now, LifeActions *a) {
        l->leftover = false;
        l->step = LIFE_STOP_NONE;
        if (l->shutting_down) {
                l->state = LIFE_OFF;
                push(a, LIFE_ACTION_QUIT);
                return;
        }
        l->problem[0] = '\0';
        power_on(l, now, a);
}

static void on_exited(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        uint64_t wait_usec = 0, uptime = now.boottime_usec - l->started_boottime_usec;
        LifeReset r;

        if (!life_has_board(l))
                return;
        clear_deadline(l);
        if (l->leftover) {
                on_leftover_gone(l, now, a);
                return;
        }

        /* Meant to end by itself, and a signal that was not ours ended it: a finaliser that crashed, the
         * OOM killer. */
        if (l->intended && l->step != LIFE_STOP_KILL && e->signal != 0)
                l->intended = false;
        if (l->intended)
                r = l->intent;
        else {
                char detail[LIFE_DETAIL_MAX];

                describe_crash(l, e, detail);
                r = reset_from_nothing(RESET_CAUSE_HARD, RESET_REASON_UNKNOWN, detail);
                r.crashed = true;
        }
        if (r.kind == RESET_KIND_SOFT)
                r.wake = l->next.wake;
        r.ended_stage = l->reached;
        r.ended_exit_status = e->exit_status;
        r.ended_signal = e->signal;
        r.ended_uptime_usec = uptime;

        l->stage = BOARD_STAGE_OFF;
        if (r.crashed)
                l->n_crashes++;
        if (l->shutting_down) {
                l->next = r;
                l->state = LIFE_OFF;
                push(a, LIFE_ACTION_RECORD_END);
                push(a, LIFE_ACTION_QUIT);
                return;
        }
        l->next = r;

        if (l->intended && r.kind == RESET_KIND_DEEPSLEEP) {
                /* Sleeping for a millisecond in a loop is a storm like any other. */
                if (l->by_program)
                        wait_usec = token_bucket_take(&l->bucket, now.boottime_usec);
                if (wait_usec > l->sleep_usec) {
                        l->n_delayed++;
                        l->next.delayed = true;
                        say(l->problem, "resets come too fast");
                }
                l->state = LIFE_DEEP_SLEEP;
                set_deadline(l, LIFE_CLOCK_BOOTTIME, now, MAX(l->sleep_usec, wait_usec));
                push(a, LIFE_ACTION_RECORD_END);
                return;
        }
        if (!l->intended && l->reached <= BOARD_STAGE_BOOT_INTERNAL) {
                l->start_failures++;
                say(l->problem, "the board does not start: %s", r.detail);
                wait_usec = backoff(l);
        } else if (l->by_program || !l->intended) {
                wait_usec = token_bucket_take(&l->bucket, now.boottime_usec);
                if (wait_usec > 0) {
                        l->n_delayed++;
                        l->next.delayed = true;
                        say(l->problem, "resets come too fast");
                }
        }

        begin(l, wait_usec, now, a);
}

static void on_spawn_failed(Life *l, const LifeEvent *e, LifeNow now) {
        if (l->state != LIFE_POWERING_ON || l->hello)
                return;
        /* The reset that led here stays the one that the next try completes. */
        l->start_failures++;
        l->state = LIFE_WAITING;
        say(l->problem, "the board does not start: %s", e->detail);
        set_deadline(l, LIFE_CLOCK_BOOTTIME, now, backoff(l));
}

static void on_hold(Life *l, const LifeEvent *e) {
        if (l->state != LIFE_POWERING_ON || l->hello)
                return;
        l->state = LIFE_WAITING;
        l->held = true;
        say(l->problem, "%s", e->detail);
        clear_deadline(l);
}

static void on_release(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        if (!l->held)
                return;
        l->problem[0] = '\0';
        if (e->unrecorded)
                l->recorded = false;
        spawn(l, now, a);
}

/* A sleep that the rate limit has made longer is not ended early: a bouncing contact is a storm, too. */
static void on_wake(Life *l, const LifeEvent *e, LifeNow now, LifeActions *a) {
        if (l->state != LIFE_DEEP_SLEEP || l->next.delayed)
                return;
        wake(l, RESET_CAUSE_DEEPSLEEP, RESET_REASON_DEEP_SLEEP_ALARM, e->detail, now, a);
        l->next.wake = LIFE_WAKE_PIN;
}

static void on_timer_powering_on(Life *l, LifeNow now, LifeActions *a) {
        char span[64];

        if (l->hello && !l->booted) {
                push(a, LIFE_ACTION_MARK_LATE);
                open_door(l, now, a);
                return;
        }
        (void) snprintf(span, sizeof span, "no sign of life for %.1f s",
                        (double) l->limits.start_timeout_usec / 1e6);
        on_fault(l, &(LifeEvent) { .type = LIFE_EVENT_FAULT, .detail = span }, now, a);
}

static void on_timer_stopping(Life *l, LifeNow now, LifeActions *a) {
        switch (l->step) {
        case LIFE_STOP_NONE:
        case LIFE_STOP_INTERRUPT:
                step_abort(l, now, a);
                break;
        case LIFE_STOP_ABORT:
                if (!l->intended)
                        say(l->fault, "it did not come to its end");
                step_kill(l, now, a);
                break;
        case LIFE_STOP_KILL:
                l->state = LIFE_STUCK;
                clear_deadline(l);
                if (l->leftover)
                        say(l->problem, "the board of an earlier run of mpyd cannot be killed: it hangs "
                                        "in the kernel");
                else
                        say(l->problem, "the board cannot be killed: it hangs in the kernel, in %s",
                            stage_place(l->reached));
                push(a, LIFE_ACTION_REPORT_STUCK);
                if (l->shutting_down)
                        push(a, LIFE_ACTION_QUIT);
                break;
        }
}

static void on_timer(Life *l, LifeNow now, LifeActions *a) {
        uint64_t clock = l->deadline_clock == LIFE_CLOCK_MONOTONIC ? now.monotonic_usec
                                                                   : now.boottime_usec;

        if (l->deadline_clock == LIFE_CLOCK_NONE || clock < l->deadline_usec)
                return;
        clear_deadline(l);

        switch (l->state) {
        case LIFE_WAITING:
                spawn(l, now, a);
                break;
        case LIFE_DEEP_SLEEP:
                wake(l, RESET_CAUSE_DEEPSLEEP, RESET_REASON_DEEP_SLEEP_ALARM, NULL, now, a);
                l->next.wake = LIFE_WAKE_TIME;
                break;
        case LIFE_POWERING_ON:
                on_timer_powering_on(l, now, a);
                break;
        case LIFE_STOPPING:
                on_timer_stopping(l, now, a);
                break;
        case LIFE_OFF:
        case LIFE_BOOTING:
        case LIFE_RUNNING:
        case LIFE_IDLE:
        case LIFE_STUCK:
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                break;
        }
}

static void on_shutdown(Life *l, LifeNow now, LifeActions *a) {
        bool again = l->shutting_down;

        l->shutting_down = true;
        switch (l->state) {
        case LIFE_OFF:
        case LIFE_WAITING:
        case LIFE_DEEP_SLEEP:
                l->state = LIFE_OFF;
                l->held = false;
                clear_deadline(l);
                push(a, LIFE_ACTION_QUIT);
                break;
        case LIFE_BOOTING:
        case LIFE_RUNNING:
        case LIFE_IDLE:
                intend(l, RESET_KIND_HARD, RESET_REASON_RESET_PIN, false, "mpyd stopped");
                step_interrupt(l, now, a);
                break;
        case LIFE_POWERING_ON:
                intend(l, RESET_KIND_HARD, RESET_REASON_RESET_PIN, false, "mpyd stopped");
                step_kill(l, now, a);
                break;
        case LIFE_STOPPING:
                if (again && l->step != LIFE_STOP_KILL)
                        step_kill(l, now, a);
                break;
        case LIFE_STUCK:
                push(a, LIFE_ACTION_QUIT);
                break;
        case LIFE_STATE_MAX:
        case LIFE_STATE_INVALID:
                break;
        }
}

LifeActions life_handle(Life *l, const LifeEvent *e, LifeNow now) {
        LifeActions a = {};

        switch (e->type) {
        case LIFE_EVENT_POWER_ON:
                on_power_on(l, e, now, &a);
                break;
        case LIFE_EVENT_SPAWN_FAILED:
                on_spawn_failed(l, e, now);
                break;
        case LIFE_EVENT_HOLD:
                on_hold(l, e);
                break;
        case LIFE_EVENT_RELEASE:
                on_release(l, e, now, &a);
                break;
        case LIFE_EVENT_HELLO:
                on_hello(l, now, &a);
                break;
        case LIFE_EVENT_RECORDED:
                on_recorded(l, now, &a);
                break;
        case LIFE_EVENT_STAGE:
                on_stage(l, e, now);
                break;
        case LIFE_EVENT_ASKED:
                on_asked(l, e, now, &a);
                break;
        case LIFE_EVENT_ORDER:
                on_order(l, e, now, &a);
                break;
        case LIFE_EVENT_WATCHDOG:
                on_watchdog(l, e, now, &a);
                break;
        case LIFE_EVENT_FAULT:
                on_fault(l, e, now, &a);
                break;
        case LIFE_EVENT_EXITED:
                on_exited(l, e, now, &a);
                break;
        case LIFE_EVENT_WAKE:
                on_wake(l, e, now, &a);
                break;
        case LIFE_EVENT_TIMER:
                on_timer(l, now, &a);
                break;
        case LIFE_EVENT_SHUTDOWN:
                on_shutdown(l, now, &a);
                break;
        case LIFE_EVENT_TYPE_MAX:
                break;
        }
        return a;
}

const char *life_state_to_string(LifeState s) {
        static const char *const names[LIFE_STATE_MAX] = {
                [LIFE_OFF] = "off",
                [LIFE_WAITING] = "waiting",
                [LIFE_POWERING_ON] = "powering-on",
                [LIFE_BOOTING] = "booting",
                [LIFE_RUNNING] = "running",
                [LIFE_IDLE] = "idle",
                [LIFE_STOPPING] = "stopping",
                [LIFE_DEEP_SLEEP] = "deep-sleep",
                [LIFE_STUCK] = "stuck",
        };
        return s >= 0 && s < LIFE_STATE_MAX ? names[s] : NULL;
}

const char *life_action_to_string(LifeAction a) {
        static const char *const names[LIFE_ACTION_MAX] = {
                [LIFE_ACTION_RECORD] = "record",
                [LIFE_ACTION_RECORD_END] = "record-end",
                [LIFE_ACTION_SPAWN] = "spawn",
                [LIFE_ACTION_BOOT] = "boot",
                [LIFE_ACTION_MARK_LATE] = "mark-late",
                [LIFE_ACTION_SEND_STOP] = "send-stop",
                [LIFE_ACTION_SEND_ABORT] = "send-abort",
                [LIFE_ACTION_KILL] = "kill",
                [LIFE_ACTION_DISCARD_INPUT] = "discard-input",
                [LIFE_ACTION_REPORT_STUCK] = "report-stuck",
                [LIFE_ACTION_QUIT] = "quit",
        };
        return (unsigned) a < LIFE_ACTION_MAX ? names[a] : NULL;
}
