/* SPDX-License-Identifier: MIT */
/* mpyctl interrupt: Ctrl-C without a REPL. */
#include <stdio.h>

#include "ctl/bus.h"

static int interrupt_run(const Ctl *c, const Invocation *in) {
        return bus_order(c, "interrupt the program", "Interrupt", "");
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
