/* SPDX-License-Identifier: MIT */
/* mpyctl reset: the reset button, or Ctrl-D. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/reset-wait.h"
#include "ctl/style.h"
#include "util/parse.h"

enum { OPTION_SOFT = 0x100, OPTION_HARD, OPTION_NO_WAIT };

#define POLL_USEC (20 * USEC_PER_MSEC)

/* Until another board than the one of `before` has run its first line. */
static uint64_t count_resets(const json_t *p) {
        return property_u64(p, "soft_resets") + property_u64(p, "hard_resets");
}

static int wait_new_board(const Ctl *c, sd_bus *bus, uint64_t before, bool ran, uint64_t resets, uint64_t wait_usec,
                          const char *kind) {
        uint64_t end = now_usec(CLOCK_MONOTONIC) + wait_usec;

        for (;;) {
                _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
                struct timespec ts = { .tv_nsec = (long) (POLL_USEC * 1000) };
                json_t *p = NULL;
                bool late = now_usec(CLOCK_MONOTONIC) > end;
                int r;

                r = bus_get_properties(bus, &p, &e);
                if (r < 0)
                        return bus_explain(c, r, &e, "see the board come back");
                if (property_u64(p, "board_pid") > 0 &&
                    property_u64(p, "board_started_boottime") != before &&
                    !streq(property_string(p, "state"), "powering-on")) {
                        const char *cause = property_string(p, "reset_cause");

                        if (streq(kind, "hard") && streq(cause, "SOFT_RESET"))
                                printf("The board was reset (hard), and its program has soft-reset it since.\n");
                        else if (streq(kind, "soft") && !ran)
                                printf("No program ran that could end softly; the board was started anew: %s.\n", cause);
                        else
                                printf("The board was reset (%s): %s.\n", kind, cause);
                        json_decref(p);
                        return CTL_EXIT_OK;
                }
                if (count_resets(p) > resets && streq(property_string(p, "state"), "deep-sleep")) {
                        printf("The board was reset (%s), and its program is in deep sleep.\n", kind);
                        json_decref(p);
                        return CTL_EXIT_OK;
                }
                if (late) {
                        const char *problem = property_string(p, "problem");

                        complain("The reset was accepted, but no board runs yet (state %s%s%s).",
                                 property_string(p, "state"), *problem ? ": " : "", problem);
                        advise("mpyctl status, mpyctl log");
                        json_decref(p);
                        return CTL_EXIT_TIMEOUT;
                }
                json_decref(p);
                (void) nanosleep(&ts, NULL);
        }
}

int reset_and_wait(const Ctl *c, uint64_t wait_usec, const char *kind, const char *doing, const char *method,
                   const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        uint64_t before, resets;
        bool ran;
        va_list ap;
        json_t *p;
        int r;

        r = bus_read_state(c, &bus, &p);
        if (r > 0)
                return r;
        before = property_u64(p, "board_started_boottime");
        resets = count_resets(p);
        ran = property_u64(p, "board_pid") > 0;
        json_decref(p);
        va_start(ap, types);
        r = bus_callv(bus, method, &e, NULL, types, ap);
        va_end(ap);
        if (r < 0)
                return bus_explain(c, r, &e, doing);
        return wait_usec > 0 ? wait_new_board(c, bus, before, ran, resets, wait_usec, kind) : CTL_EXIT_OK;
}

static int reset_run(const Ctl *c, const Invocation *in) {
        const char *kind = invocation_has(in, OPTION_SOFT) ? "soft" : "hard";

        if (invocation_has(in, OPTION_SOFT) && invocation_has(in, OPTION_HARD)) {
                complain("A reset is either --soft or --hard.");
                return CTL_EXIT_USAGE;
        }
        return reset_and_wait(c, invocation_has(in, OPTION_NO_WAIT) ? 0 : RESET_WAIT_USEC, kind,
                              "reset the board", "Reset", "s", kind);
}

static const struct option options[] = {
        { "soft", no_argument, NULL, OPTION_SOFT },
        { "hard", no_argument, NULL, OPTION_HARD },
        { "no-wait", no_argument, NULL, OPTION_NO_WAIT },
        {},
};

const Verb verb_reset = {
        .name = "reset",
        .summary = "reset the board",
        .usage = "[--soft|--hard]",
        .help = "Resets the board and waits until the next one runs.\n\n"
                "Options:\n"
                "  --hard       as the reset button does: the program is gone at once (default)\n"
                "  --soft       as Ctrl-D at the prompt: finalisers run, the REPL stays in its mode\n"
                "               while somebody uses it\n"
                "  --no-wait    return when the reset is accepted\n\n"
                "Examples:\n"
                "  mpyctl reset\n"
                "  mpyctl -H pi@greenhouse reset --soft\n\n"
                "Exit codes:\n"
                "  0  the next board runs    6  the board cannot be reset now    124  none came\n",
        .letters = "",
        .options = options,
        .max_arguments = 0,
        .run = reset_run,
};
