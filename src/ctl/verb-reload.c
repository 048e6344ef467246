/* SPDX-License-Identifier: MIT */
/* mpyctl reload: the configuration is read again, and what came of it is told; `systemctl reload` runs
 * this. */
#include <jansson.h>
#include <stdio.h>

#include "ctl/bus.h"
#include "ctl/style.h"

/* An exit code: whoever runs this in a script, or by systemctl, shall not take a typing error for done. */
static int judge(const Ctl *c, sd_bus *bus) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        json_t *properties = NULL;
        size_t n;
        int r;

        r = bus_get_properties(bus, &properties, &e);
        if (r < 0)
                return bus_explain(c, r, &e, "read what came of it");
        n = json_array_size(json_object_get(properties, "config_warnings"));
        json_decref(properties);
        if (n == 0)
                return CTL_EXIT_OK;
        complain("Read; everything but %s above is in force.", n == 1 ? "the mistake" : "the mistakes");
        advise("correct %s, then again: mpyctl reload", n == 1 ? "it" : "them");
        return CTL_EXIT_FAILURE;
}

static int reload_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        const char *line;
        int r;

        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        r = bus_call(bus, "Reload", &e, &reply, "");
        if (r < 0)
                return bus_explain(c, r, &e, "have the configuration read again");
        r = sd_bus_message_enter_container(reply, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(reply, "s", &line)) > 0)
                printf("%s\n", line);
        return r < 0 ? bus_explain(c, r, NULL, "read the answer") : judge(c, bus);
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
