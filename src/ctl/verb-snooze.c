/* SPDX-License-Identifier: MIT */
/* mpyctl snooze: for a while mpyd does not reboot the host, so that somebody can work on it. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/style.h"
#include "mpyd/control.h"
#include "util/parse.h"

/* Negative when text is neither off nor a time within a day. */
static int parse_time(const char *text, uint64_t *ret) {
        if (streq(text, "off")) {
                *ret = 0;
                return 0;
        }
        if (parse_timespan(text, ret) < 0)
                return -EINVAL;
        return *ret > CONTROL_SNOOZE_MAX_USEC || *ret == 0 ? -ERANGE : 0;
}

static int snooze_run(const Ctl *c, const Invocation *in) {
        char span[TIMESPAN_MAX];
        uint64_t usec;
        int r;

        if (parse_time(in->arguments[0], &usec) < 0) {
                complain("\"%s\" is neither off nor a time up to 24h; write one such as 15min.",
                         in->arguments[0]);
                return CTL_EXIT_USAGE;
        }
        r = bus_order(c, "put off reboots of the host", "Snooze", "t", usec);
        if (r != CTL_EXIT_OK || c->json)
                return r;
        if (usec == 0)
                printf("The host may be rebooted again, where [host] reboot allows it.\n");
        else
                printf("mpyd does not reboot the host for %s; resets of the board go on.\n",
                       format_timespan(span, sizeof span, usec));
        return CTL_EXIT_OK;
}

const Verb verb_snooze = {
        .name = "snooze",
        .summary = "put off reboots of the host",
        .usage = "TIME|off",
        .help = "For TIME, 24h at most, mpyd does not reboot the host, whatever [host] reboot says:\n"
                "for somebody who works on it. The board is reset as ever. It is kept over a restart\n"
                "of mpyd and forgotten when the host boots.\n\n"
                "Examples:\n"
                "  mpyctl snooze 15min\n"
                "  mpyctl snooze off\n\n"
                "Exit codes:\n"
                "  0  done    4  not allowed    64  not a time\n",
        .letters = "",
        .min_arguments = 1,
        .max_arguments = 1,
        .run = snooze_run,
};
