/* SPDX-License-Identifier: MIT */
/* Starts a program again that nobody looks after, as a pure function. DESIGN 10, “After main.py”; SPEC 1.3,
 * S48: MicroPython stays at the REPL when a program has ended, which leaves a board in the field dead.
 *
 *  ended by an uncaught exception, nobody at the REPL .. soft reset after a while that doubles each time;
 *                                                        after so many in a row a hard reset that is a strike
 *  stopped by Ctrl-C, or left out by a tool ............ soft reset, idle_restart after its user has gone
 *  returned ............................................ nothing: it meant to
 *
 * While somebody uses the REPL nothing happens, nor while code runs that they have left there. Times are
 * CLOCK_BOOTTIME. repl is RETAINED_WORD_REPL. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "mpyd/reset.h"
#include "util/macros.h"

typedef struct RecoveryLimits {
        uint64_t after_exception_usec; /* the first wait; 0: never */
        unsigned reloads;              /* soft resets in a row before the hard one */
        uint64_t idle_restart_usec;    /* 0: never */
        uint64_t lasted_usec;          /* a program that ran for so long has not failed in a row */
} RecoveryLimits;

typedef enum RecoveryWhy {
        RECOVERY_NO_NEED = 0, /* it runs, it returned, or there is none */
        RECOVERY_EXCEPTION,   /* boot.py or main.py ended with one */
        RECOVERY_STOPPED,     /* a person or a tool stopped it, or kept it from starting */
        RECOVERY_WHY_MAX,
        RECOVERY_WHY_INVALID = -EINVAL,
} RecoveryWhy;

typedef struct Recovery {
        RecoveryLimits limits;
        RecoveryWhy why;
        bool at_repl;
        bool attended;        /* somebody uses the REPL */
        bool had_user;        /* in this life, at its REPL */
        uint64_t repl_seen;   /* its word when its user came or went, or the wait began anew */
        unsigned reloads;     /* in a row, for exceptions */
        uint64_t due_usec;    /* UINT64_MAX: not */
} Recovery;

typedef enum RecoveryAction {
        RECOVERY_NOTHING = 0,
        RECOVERY_RELOAD,      /* soft reset */
        RECOVERY_HARD_RESET,  /* and a strike */
        RECOVERY_ACTION_MAX,
        RECOVERY_ACTION_INVALID = -EINVAL,
} RecoveryAction;

#define RECOVERY_RELOADS_MAX 100u

/* reloads: of the daemon's run before; what is too large counts as the largest. */
void recovery_init(Recovery *r, const RecoveryLimits *limits, uint64_t reloads);
void recovery_set_limits(Recovery *r, const RecoveryLimits *limits, uint64_t now_usec);

/* A board begins. ours: by an action of this module. */
void recovery_on_reset(Recovery *r, bool ours);

/* A stage has ended; ran_usec: how long it had run. */
void recovery_on_stage_end(Recovery *r, BoardStage stage, StageResult result, uint64_t ran_usec);

/* The REPL begins. main_left_out: a tool wanted it at once (S52). */
void recovery_on_repl(Recovery *r, bool main_left_out, uint64_t now_usec);

void recovery_on_user(Recovery *r, bool attended, uint64_t repl, uint64_t now_usec);

/* Code of the REPL runs, or has run since its user came or went, or the wait began anew. */
bool recovery_repl_used(const Recovery *r, uint64_t repl);

/* What is due at now; told once. Where code was run meanwhile, or runs, the wait begins anew. */
RecoveryAction recovery_look(Recovery *r, uint64_t repl, uint64_t now_usec);
