/* SPDX-License-Identifier: MIT */
/* mpyctl safe-mode: boot without the owner's scripts, and back. */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/reset-wait.h"
#include "ctl/style.h"
#include "util/parse.h"

enum { OPTION_NO_WAIT = 0x100 };

static void print_state(const json_t *p) {
        const char *text = property_string(p, "safe_mode_text");
        uint64_t retry = property_u64(p, "safe_mode_retry_boottime"), now = now_usec(CLOCK_BOOTTIME);
        uint64_t strikes = property_u64(p, "strikes");
        char span[TIMESPAN_MAX];

        if (*text)
                printf("The board is in %s\n", text);
        else
                printf("The board is not in safe mode.\n");
        if (retry > now)
                printf("The program is tried again in %s.\n",
                       format_timespan(span, sizeof span, retry - now));
        if (strikes > 0)
                printf("Abnormal ends since the last stable time: %ju\n", (uintmax_t) strikes);
}

static int show_status(const Ctl *c) {
        json_t *p;
        int r;

        r = bus_read_state(c, NULL, &p);
        if (r > 0)
                return r;
        if (c->json) {
                json_t *o = json_object();

                json_object_set(o, "safe_mode", json_object_get(p, "safe_mode"));
                json_object_set(o, "safe_mode_text", json_object_get(p, "safe_mode_text"));
                json_object_set(o, "safe_mode_retry_boottime",
                                json_object_get(p, "safe_mode_retry_boottime"));
                json_object_set(o, "strikes", json_object_get(p, "strikes"));
                json_dumpf(o, stdout, JSON_INDENT(2));
                fputc('\n', stdout);
                json_decref(o);
        } else
                print_state(p);
        json_decref(p);
        return CTL_EXIT_OK;
}

static int safe_mode_run(const Ctl *c, const Invocation *in) {
        const char *what = in->n_arguments > 0 ? in->arguments[0] : "status";
        uint64_t wait = invocation_has(in, OPTION_NO_WAIT) ? 0 : RESET_WAIT_USEC;

        if (streq(what, "status"))
                return show_status(c);
        if (streq(what, "enter"))
                return reset_and_wait(c, wait, "hard, into safe mode", "enter safe mode", "SafeMode", "b", 1);
        if (streq(what, "leave"))
                return reset_and_wait(c, wait, "hard, out of safe mode", "leave safe mode", "SafeMode", "b",
                                      0);
        complain("\"%s\" is not one of enter, leave and status.", what);
        return CTL_EXIT_USAGE;
}

static const struct option options[] = {
        { "no-wait", no_argument, NULL, OPTION_NO_WAIT },
        {},
};

const Verb verb_safe_mode = {
        .name = "safe-mode",
        .summary = "boot without boot.py and main.py, and back",
        .usage = "[enter|leave|status]",
        .help = "In safe mode neither boot.py nor main.py runs; the REPL and the files work. For a\n"
                "program that cannot be stopped, or that resets the board before one can type.\n\n"
                "  enter    reset the board into safe mode\n"
                "  leave    reset it, and run its program again; any hard reset does that\n"
                "  status   whether it is in safe mode, why, and when it is tried again (default)\n\n"
                "Safe mode after too many abnormal ends is left by itself after an hour, and then\n"
                "after two, up to a day. A file \"safe-mode\" in the state directory, a file\n"
                "\"mpyd-safe-mode\" on the boot partition or mpyd.safe_mode on the kernel's command\n"
                "line holds the board in it.\n\n"
                "Options:\n"
                "  --no-wait    return when the reset is accepted\n\n"
                "Examples:\n"
                "  mpyctl -H pi@greenhouse safe-mode enter\n"
                "  mpyctl --json safe-mode | jq -r .safe_mode\n\n"
                "Exit codes:\n"
                "  0  done    2  it is so already, or a flag holds it    6  the board cannot be reset\n"
                "  now    124  no board came\n",
        .letters = "",
        .options = options,
        .max_arguments = 1,
        .run = safe_mode_run,
};
