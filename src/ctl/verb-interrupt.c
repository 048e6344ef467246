/* SPDX-License-Identifier: MIT */
/* mpyctl interrupt: Ctrl-C without a REPL. */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/headline.h"
#include "ctl/style.h"
#include "util/parse.h"

#define PATIENCE_USEC (2 * USEC_PER_SEC)
#define STEP_USEC (100 * USEC_PER_MSEC)

/* A program may catch it, or have no ear for it: who has sent it wants to know. */
static int follow(const Ctl *c, sd_bus *bus) {
        uint64_t end = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
        bool prompt;

        do {
                _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
                json_t *p = NULL;
                int r = bus_get_properties(bus, &p, &e);

                if (r < 0)
                        return bus_explain(c, r, &e, "see what became of it");
                prompt = is_at_prompt(p);
                json_decref(p);
                if (!prompt)
                        (void) usleep(STEP_USEC);
        } while (!prompt && now_usec(CLOCK_MONOTONIC) < end);
        if (prompt)
                return CTL_EXIT_OK;
        complain("It was sent; after 2 s the program still runs.");
        advise("mpyctl reset is stronger, and mpyctl safe-mode enter comes up without the program");
        return CTL_EXIT_TIMEOUT;
}

static int interrupt_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        json_t *p = NULL;
        bool prompt;
        int r;

        r = bus_read_state(c, &bus, &p);
        if (r > 0)
                return r;
        prompt = is_at_prompt(p);
        json_decref(p);
        if (prompt)
                fprintf(stderr, "No program runs: the board is at its prompt. If a callback runs there, it is "
                                "interrupted.\n");
        r = bus_call(bus, "Interrupt", &e, &reply, "");
        return r < 0 ? bus_explain(c, r, &e, "interrupt the program") : prompt ? CTL_EXIT_OK : follow(c, bus);
}

const Verb verb_interrupt = {
        .name = "interrupt",
        .summary = "raise KeyboardInterrupt in the program that runs",
        .usage = "",
        .help = "Raises KeyboardInterrupt in the program that runs, as Ctrl-C at the REPL does,\n"
                "without taking the REPL from anybody. At a prompt it ends a callback (of a\n"
                "timer, of a pin) that runs there just then, or does nothing. A program that\n"
                "catches it goes on, and that is told after 2 s: mpyctl reset is stronger.\n\n"
                "Examples:\n"
                "  mpyctl interrupt\n\n"
                "Exit codes:\n"
                "  0  the prompt is back    6  no board runs    124  the program goes on\n",
        .letters = "",
        .max_arguments = 0,
        .run = interrupt_run,
};
