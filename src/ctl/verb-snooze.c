/* SPDX-License-Identifier: MIT */
/* mpyctl snooze: for a while mpyd does not reboot the host, or no watchdog bites, so that somebody can work on it. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/style.h"
#include "mpyd/control.h"
#include "util/parse.h"

enum { OPTION_WATCHDOGS = 0x100 };

/* Negative when text is neither off nor a time up to max. */
static int parse_time(const char *text, uint64_t max, uint64_t *ret) {
        if (streq(text, "off")) {
                *ret = 0;
                return 0;
        }
        if (parse_timespan(text, ret) < 0)
                return -EINVAL;
        return *ret > max || *ret == 0 ? -ERANGE : 0;
}

static int snooze_run(const Ctl *c, const Invocation *in) {
        bool watchdogs = invocation_has(in, OPTION_WATCHDOGS);
        char span[TIMESPAN_MAX];
        uint64_t usec;
        int r;

        if (parse_time(in->arguments[0], watchdogs ? CONTROL_SUSPEND_MAX_USEC : CONTROL_SNOOZE_MAX_USEC, &usec) < 0) {
                complain("\"%s\" is neither off nor a time up to %s; write one such as 5min.", in->arguments[0],
                         watchdogs ? "15min" : "24h");
                return CTL_EXIT_USAGE;
        }
        r = watchdogs ? bus_order(c, "suspend the watchdogs", "SuspendWatchdogs", "t", usec)
                      : bus_order(c, "put off reboots of the host", "Snooze", "t", usec);
        if (r != CTL_EXIT_OK || c->json)
                return r;
        if (watchdogs && usec == 0)
                printf("The watchdogs count again, from now on.\n");
        else if (watchdogs)
                printf("No watchdog of the program bites for %s; then they count anew.\n",
                       format_timespan(span, sizeof span, usec));
        else if (usec == 0)
                printf("The host may be rebooted again, where [host] reboot allows it.\n");
        else
                printf("mpyd does not reboot the host for %s; resets of the board go on.\n",
                       format_timespan(span, sizeof span, usec));
        return CTL_EXIT_OK;
}

static const struct option options[] = {
        { "watchdogs", no_argument, NULL, OPTION_WATCHDOGS },
        {},
};

const Verb verb_snooze = {
        .name = "snooze",
        .summary = "put off reboots of the host, or the watchdogs' bite",
        .usage = "[--watchdogs] TIME|off",
        .help = "For TIME, 24h at most, mpyd does not reboot the host, whatever [host] reboot says:\n"
                "for somebody who works on it. The board is reset as ever. It is kept over a restart\n"
                "of mpyd and forgotten when the host boots.\n\n"
                "Options:\n"
                "  --watchdogs  no watchdog of the program bites for TIME, 15min at most, nor is a board\n"
                "               that stalls reset: while new files come, say. A restart of mpyd ends it.\n\n"
                "Examples:\n"
                "  mpyctl snooze 15min\n"
                "  mpyctl snooze off\n"
                "  mpyctl snooze --watchdogs 5min && scp -r lib greenhouse:/var/lib/mpyd/flash/\n\n"
                "Exit codes:\n"
                "  0  done    4  not allowed    64  not a time\n",
        .letters = "",
        .options = options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = snooze_run,
};
