/* SPDX-License-Identifier: MIT */
/* The life of a board as a pure function: (state, event, now) → (state, actions). No I/O, no clock, no
 * log in here; supervisor.c feeds it what happened and carries out what it answers. SPEC 1 and 2,
 * DESIGN 4. tests/unit/test-lifecycle.c walks it as a table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/token-bucket.h"
#include "mpyd/reset.h"

typedef enum LifeState {
        LIFE_OFF = 0,      /* no board, none is wanted */
        LIFE_WAITING,      /* the next board is decided; the rate limit, back-off or a HOLD keeps it */
        LIFE_POWERING_ON,  /* process started, no line of Python yet */
        LIFE_BOOTING,      /* _boot.py or boot.py */
        LIFE_RUNNING,      /* main.py */
        LIFE_IDLE,         /* REPL */
        LIFE_STOPPING,     /* it ends by itself, or is being made to */
        LIFE_DEEP_SLEEP,   /* no process until a time */
        LIFE_STUCK,        /* SIGKILL did not end it: never doubled, only waited for */
        LIFE_STATE_MAX,
        LIFE_STATE_INVALID = -EINVAL,
} LifeState;

typedef enum LifeEventType {
        LIFE_EVENT_POWER_ON,   /* the daemon is up: cause (SOFT: it took over), reason and detail say
                                * why; not before sleep_usec, when it keeps failing */
        LIFE_EVENT_SPAWN_FAILED, /* there is no process; detail */
        LIFE_EVENT_HOLD,       /* there is none yet: something comes before it (a held button, a factory
                                * reset), RELEASE follows; detail */
        LIFE_EVENT_RELEASE,    /* unrecorded: what was decided meanwhile is not durable yet */
        LIFE_EVENT_HELLO,      /* the board waits at the door */
        LIFE_EVENT_RECORDED,   /* the reset of this life is durable */
        LIFE_EVENT_STAGE,      /* stage began */
        LIFE_EVENT_ASKED,      /* the board asks for a reset: kind, raw_repl, sleep_usec */
        LIFE_EVENT_ORDER,      /* a reset is asked for: kind (soft or hard), detail; reason SOFTWARE when
                                * it is the supervisor that wants it, otherwise it is RESET_PIN */
        LIFE_EVENT_WATCHDOG,   /* a watchdog bites: detail */
        LIFE_EVENT_FAULT,      /* the board broke the link's rules: detail */
        LIFE_EVENT_EXITED,     /* the process is gone and reaped: exit_status or signal; detail: its
                                * last words, or NULL */
        LIFE_EVENT_WAKE,       /* a line ends the deep sleep: detail */
        LIFE_EVENT_TIMER,      /* the deadline of LifeDeadline passed */
        LIFE_EVENT_SHUTDOWN,   /* the daemon is asked to stop */
        LIFE_EVENT_TYPE_MAX,
} LifeEventType;

/* Times of one instant. Deadlines of a running process are on the monotonic clock (they stand still
 * while the host is suspended), waits and sleeps on the boot-time clock. */
typedef struct LifeNow {
        uint64_t monotonic_usec;
        uint64_t boottime_usec;
} LifeNow;

#define LIFE_DETAIL_MAX 256u

typedef struct LifeEvent {
        LifeEventType type;
        ResetCause cause;
        ResetReason reason;
        ResetKind kind;
        BoardStage stage;
        bool raw_repl;
        bool attended;   /* ASKED: somebody uses the REPL */
        bool leftover;   /* POWER_ON: an earlier run's board still lives; EXITED follows */
        bool unrecorded; /* RELEASE: RECORDED follows */
        uint64_t sleep_usec;
        int exit_status; /* -1: none */
        int signal;      /* 0: none */
        const char *detail;
} LifeEvent;

typedef enum LifeAction {
        LIFE_ACTION_RECORD,        /* store life->next as a reset; RECORDED follows */
        LIFE_ACTION_RECORD_END,    /* a life ended and no reset follows it now: store life->next's end */
        /* Start a process, with LINK_BOOT waiting for it if life->booted; HELLO or SPAWN_FAILED or EXITED
         * follows. Or HOLD. */
        LIFE_ACTION_SPAWN,
        LIFE_ACTION_BOOT,          /* open the door: LINK_BOOT with life->next */
        LIFE_ACTION_MARK_LATE,     /* the record was not durable in time */
        LIFE_ACTION_SEND_STOP,     /* forced stop, step 1 */
        LIFE_ACTION_SEND_ABORT,    /* step 2 */
        LIFE_ACTION_KILL,          /* step 3 */
        LIFE_ACTION_DISCARD_INPUT, /* hard reset: nothing typed before it counts (M35) */
        LIFE_ACTION_REPORT_STUCK,
        LIFE_ACTION_QUIT,          /* no board is left: the daemon may end */
        LIFE_ACTION_MAX,
} LifeAction;

#define LIFE_ACTIONS_MAX 6u
typedef struct LifeActions {
        LifeAction list[LIFE_ACTIONS_MAX];
        size_t n;
} LifeActions;

typedef struct LifeLimits {
        uint64_t start_timeout_usec;     /* spawn to the first stage */
        uint64_t commit_timeout_usec;    /* how long the door stays shut for the record */
        uint64_t interrupt_timeout_usec; /* forced stop */
        uint64_t abort_timeout_usec;
        uint64_t kill_timeout_usec;      /* SIGKILL to "stuck" */
        uint64_t backoff_min_usec;       /* boards that fail before their first stage */
        uint64_t backoff_max_usec;
        unsigned burst;
        uint64_t interval_usec;
} LifeLimits;

/* What ended the deep sleep that the last hard reset came out of, if it did. */
typedef enum LifeWake { LIFE_WAKE_NONE = 0, LIFE_WAKE_TIME, LIFE_WAKE_PIN } LifeWake;

/* What the next board is told and the history keeps. */
typedef struct LifeReset {
        ResetCause cause;
        ResetReason reason;
        ResetKind kind;
        RunReason run_reason;
        bool raw_repl;
        char detail[LIFE_DETAIL_MAX]; /* a sentence */
        /* how the life before ended; empty when there was none, or RECORD_END told it */
        BoardStage ended_stage;
        int ended_exit_status;
        int ended_signal;
        uint64_t ended_uptime_usec;
        SafeModeReason safe_mode;     /* safe-mode.c decides it when the reset is recorded */
        bool crashed;                 /* it ended without saying why */
        bool delayed;                 /* the rate limit holds the next board back */
        LifeWake wake;
} LifeReset;

typedef enum LifeClock { LIFE_CLOCK_NONE = 0, LIFE_CLOCK_MONOTONIC, LIFE_CLOCK_BOOTTIME } LifeClock;

/* How far a forced stop has gone; each step has a deadline. */
typedef enum LifeStopStep {
        LIFE_STOP_NONE = 0, /* the board ends by its own wish and is given time for it */
        LIFE_STOP_INTERRUPT,
        LIFE_STOP_ABORT,
        LIFE_STOP_KILL,
} LifeStopStep;

typedef struct Life {
        LifeLimits limits;
        LifeState state;
        TokenBucket bucket;

        BoardStage stage;         /* of the board that lives */
        BoardStage reached;       /* the same without "stopping": what it was doing when it ended */
        uint64_t started_boottime_usec;
        bool hello, recorded;
        bool booted;              /* it has LINK_BOOT, or will find it when it looks */

        LifeReset next;           /* the reset that begins (or began) this life */
        LifeReset intent;         /* how this life is meant to end, when intended */
        bool intended;
        bool promised;            /* the board said that it ends by itself, now */
        uint64_t sleep_usec;      /* intent: deep sleep */
        bool by_program;          /* intent: counts against the rate limit */
        char fault[LIFE_DETAIL_MAX]; /* not intended: why the supervisor killed it, or empty */
        LifeStopStep step;
        bool shutting_down;
        bool leftover;            /* the process is an earlier run's: next begins when it is gone */
        bool held;                /* WAITING for RELEASE, however long it takes */
        uint64_t hold_back_usec;  /* how long the first board waits: mpyd itself keeps failing */

        unsigned start_failures;  /* in a row */
        char problem[LIFE_DETAIL_MAX]; /* why no program runs; empty when one does */
        uint64_t n_soft, n_hard, n_crashes, n_delayed;

        LifeClock deadline_clock;
        uint64_t deadline_usec;
} Life;

void life_init(Life *l, const LifeLimits *limits, LifeNow now);
void life_set_limits(Life *l, const LifeLimits *limits, LifeNow now);

/* An event that cannot happen in a state is ignored, never an error: the board is not trusted. */
LifeActions life_handle(Life *l, const LifeEvent *e, LifeNow now);

/* True while a process exists or may exist. */
bool life_has_board(const Life *l);

const char *life_state_to_string(LifeState s);
const char *life_action_to_string(LifeAction a);
