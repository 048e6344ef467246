/* SPDX-License-Identifier: MIT */
/* mpyctl interrupt: Ctrl-C without a REPL. */
#include <stdio.h>

#include "ctl/bus.h"

static int interrupt_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        r = bus_call(bus, "Interrupt", &e, NULL, "");
        if (r < 0)
                return bus_explain(c, r, &e, "interrupt the program");
        return CTL_EXIT_OK;
}

const Verb verb_interrupt = {
        .name = "interrupt",
        .summary = "raise KeyboardInterrupt in the program that runs",
        .usage = "",
        .help = "Raises KeyboardInterrupt in the program that runs, as Ctrl-C at the REPL does,\n"
                "without taking the REPL from anybody. At a prompt it does nothing. A program\n"
                "that catches it goes on: mpyctl reset is stronger.\n\n"
                "Examples:\n"
                "  mpyctl interrupt\n\n"
                "Exit codes:\n"
                "  0  sent    6  no board runs\n",
        .letters = "",
        .max_arguments = 0,
        .run = interrupt_run,
};
