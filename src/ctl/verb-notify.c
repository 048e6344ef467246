/* SPDX-License-Identifier: MIT */
/* mpyctl notify: tells the owner something, as a crash would be told. */
#include "ctl/bus.h"

#include <stdio.h>

static int notify_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        r = bus_call(bus, "Notify", &e, NULL, "s", in->n_arguments > 0 ? in->arguments[0] : "");
        if (r < 0)
                return bus_explain(c, r, &e, "tell the owner");
        if (!c->json)
                printf("On its way. A failure is told by: mpyctl log\n");
        return CTL_EXIT_OK;
}

const Verb verb_notify = {
        .name = "notify",
        .summary = "try [notify]: tell the owner something",
        .usage = "[TEXT]",
        .help = "Sends TEXT to whoever [notify] in mpyd.conf names: a command, a webhook, or both,\n"
                "as the event notify-test. What waits for another try is tried now, too.\n\n"
                "Examples:\n"
                "  mpyctl notify\n"
                "  mpyctl notify \"greenhouse 3 is on the air\"\n\n"
                "Exit codes:\n"
                "  0  it is on its way    2  [notify] names nobody    4  not allowed\n",
        .letters = "",
        .max_arguments = 1,
        .run = notify_run,
};
