/* SPDX-License-Identifier: MIT */
/* The evidence of a board's reset. */
#include "daemon/reset-evidence.h"

#include <signal.h>

#include "util/macros.h"

#define SOURCE_WAIT "waitid(2) of the board's process"

static void add_crash(Evidence *e, const LifeReset *r, const BoardEnd *end) {
        if (end->last_words)
                evidence_add(e, "last-words", CONFIDENCE_CERTAIN, "board link", "%s", end->last_words);
        if (r->ended_signal == SIGKILL && end->oom)
                evidence_add(e, "oom-kill", CONFIDENCE_LIKELY, "/proc/vmstat",
                             "the kernel killed for want of memory while the board lived");
        if (r->ended_signal > 0)
                evidence_add(e, "signal", CONFIDENCE_CERTAIN, SOURCE_WAIT, "signal %d (SIG%s)",
                             r->ended_signal, sigabbrev_np(r->ended_signal) ?: "?");
        else
                evidence_add(e, "exit-status", CONFIDENCE_CERTAIN, SOURCE_WAIT, "exit status %d",
                             r->ended_exit_status);
}

/* Who wanted it; NULL when that is not known. */
static const char *wish(const LifeReset *r, const char **ret_source) {
        if (r->cause == RESET_CAUSE_WDT) {
                *ret_source = "supervisor's clock";
                return "watchdog";
        }
        if (r->cause == RESET_CAUSE_DEEPSLEEP) {
                *ret_source = "supervisor's clock";
                return "wake-alarm";
        }
        if (r->reason == RESET_REASON_RESET_PIN && r->cause == RESET_CAUSE_HARD) {
                *ret_source = "control bus";
                return "operator";
        }
        if (r->reason == RESET_REASON_SOFTWARE && r->cause == RESET_CAUSE_HARD) {
                *ret_source = "board link";
                return "program";
        }
        return NULL;
}

Evidence reset_evidence(const LifeReset *r, const BoardEnd *end) {
        const char *source, *finding = wish(r, &source);
        Evidence e = {};

        if (r->crashed)
                add_crash(&e, r, end);
        else if (finding)
                evidence_add(&e, finding, CONFIDENCE_CERTAIN, source, "%s", r->detail);
        return e;
}
