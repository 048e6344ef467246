/* SPDX-License-Identifier: MIT */
/* mpyctl reload: the configuration is read again, and what came of it is told; `systemctl reload` runs
 * this. */
#include <stdio.h>

#include "ctl/bus.h"
#include "ctl/style.h"

/* An exit code: whoever runs this in a script, or by systemctl, shall not take a typing error for done. */
static int judge(size_t n_mistakes) {
        if (n_mistakes == 0)
                return CTL_EXIT_OK;
        complain("Read; everything but %s above is in force.", n_mistakes == 1 ? "the mistake" : "the mistakes");
        advise("correct %s, then again: mpyctl reload", n_mistakes == 1 ? "it" : "them");
        return CTL_EXIT_FAILURE;
}

static int reload_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        size_t n_mistakes = 0;
        const char *line;
        int mistake, r;

        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        r = bus_call(bus, "Reload", &e, &reply, "");
        if (r < 0)
                return bus_explain(c, r, &e, "have the configuration read again");
        r = sd_bus_message_enter_container(reply, 'a', "(bs)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(bs)", &mistake, &line)) > 0) {
                printf("%s\n", line);
                n_mistakes += mistake != 0;
        }
        return r < 0 ? bus_explain(c, r, NULL, "read the answer") : judge(n_mistakes);
}

const Verb verb_reload = {
        .name = "reload",
        .summary = "have mpyd.conf read again",
        .usage = "",
        .help = "Has mpyd.conf and mpyd.conf.d/*.conf read again, and prints a line for each\n"
                "mistake in them and for each change that waits for a reset of the board or a\n"
                "restart of mpyd. Everything else is in force when this returns. The board runs on.\n\n"
                "Examples:\n"
                "  mpyctl reload\n\n"
                "Exit codes:\n"
                "  0  read    2  read, but there are mistakes in it    4  not allowed\n",
        .letters = "",
        .max_arguments = 0,
        .run = reload_run,
};
