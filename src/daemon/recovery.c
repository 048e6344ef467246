/* SPDX-License-Identifier: MIT */
/* When is a program started again? */
#include "daemon/recovery.h"

#include "mpyd/retained.h"

/* Doubles with each reload in a row. */
static uint64_t after_exception(const Recovery *r) {
        uint64_t wait = r->limits.after_exception_usec;

        for (unsigned i = 0; i < r->reloads && wait <= UINT64_MAX / 4; i++)
                wait *= 2;
        return wait;
}

static void arm(Recovery *r, uint64_t now_usec) {
        uint64_t wait = 0;

        /* Who has looked at an exception may come back: he gets the time of a person. */
        if (r->why == RECOVERY_EXCEPTION && !r->had_user)
                wait = after_exception(r);
        else if (r->why != RECOVERY_NO_NEED)
                wait = r->limits.idle_restart_usec;
        r->due_usec = wait > 0 && r->at_repl && !r->attended ? now_usec + wait : UINT64_MAX;
}

void recovery_init(Recovery *r, const RecoveryLimits *limits, uint64_t reloads) {
        *r = (Recovery) {
                .limits = *limits,
                .reloads = (unsigned) MIN(reloads, (uint64_t) RECOVERY_RELOADS_MAX),
                .due_usec = UINT64_MAX,
        };
}

void recovery_set_limits(Recovery *r, const RecoveryLimits *limits, uint64_t now_usec) {
        r->limits = *limits;
        arm(r, now_usec);
}

void recovery_on_reset(Recovery *r, bool ours) {
        if (!ours)
                r->reloads = 0;
        r->why = RECOVERY_NO_NEED;
        r->at_repl = r->had_user = false;
        r->repl_seen = 0;
        r->due_usec = UINT64_MAX;
}

void recovery_on_stage_end(Recovery *r, BoardStage stage, StageResult result, uint64_t ran_usec) {
        if (stage != BOARD_STAGE_BOOT && stage != BOARD_STAGE_MAIN)
                return;
        if (ran_usec >= r->limits.lasted_usec)
                r->reloads = 0;
        switch (result) {
        case STAGE_RESULT_EXCEPTION:
                r->why = RECOVERY_EXCEPTION;
                break;
        case STAGE_RESULT_INTERRUPTED:
                r->why = RECOVERY_STOPPED;
                break;
        case STAGE_RESULT_OK:
                if (stage == BOARD_STAGE_MAIN)
                        r->reloads = 0;
                break;
        case STAGE_RESULT_MISSING:
        case STAGE_RESULT_EXIT:
        case STAGE_RESULT_ABORTED:
        case STAGE_RESULT_MAX:
        case STAGE_RESULT_INVALID:
                break;
        }
}

void recovery_on_repl(Recovery *r, bool main_left_out, uint64_t now_usec) {
        r->at_repl = true;
        r->had_user = r->attended;
        if (main_left_out && r->why == RECOVERY_NO_NEED)
                r->why = RECOVERY_STOPPED;
        arm(r, now_usec);
}

void recovery_on_user(Recovery *r, bool attended, uint64_t repl, uint64_t now_usec) {
        if (attended == r->attended)
                return;
        r->attended = attended;
        r->repl_seen = repl;
        r->had_user |= attended && r->at_repl;
        arm(r, now_usec);
}

bool recovery_repl_used(const Recovery *r, uint64_t repl) {
        bool runs = (repl | r->repl_seen) & RETAINED_REPL_RUNS;
        bool ran = repl / RETAINED_REPL_ONE != r->repl_seen / RETAINED_REPL_ONE;

        return runs || ran;
}

RecoveryAction recovery_look(Recovery *r, uint64_t repl, uint64_t now_usec) {
        if (now_usec < r->due_usec)
                return RECOVERY_NOTHING;
        if (recovery_repl_used(r, repl)) {
                r->repl_seen = repl;
                arm(r, now_usec);
                return RECOVERY_NOTHING;
        }
        r->due_usec = UINT64_MAX;
        if (r->why != RECOVERY_EXCEPTION || r->had_user)
                return RECOVERY_RELOAD;
        if (r->reloads >= r->limits.reloads) {
                r->reloads = 0;
                return RECOVERY_HARD_RESET;
        }
        r->reloads++;
        return RECOVERY_RELOAD;
}
