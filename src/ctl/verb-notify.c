/* SPDX-License-Identifier: MIT */
/* mpyctl notify: tells the owner something, as a crash would be told. */
#include "ctl/bus.h"

#include <stdio.h>

static int notify_run(const Ctl *c, const Invocation *in) {
        int r = bus_order(c, "tell the owner", "Notify", "s", in->n_arguments > 0 ? in->arguments[0] : "");

        if (r == CTL_EXIT_OK && !c->json)
                printf("On its way. A failure is told by: mpyctl log\n");
        return r;
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
