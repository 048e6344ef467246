/* SPDX-License-Identifier: MIT */
/* mpyctl factory-reset: the board's files as they come with the package. */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/reset-wait.h"
#include "ctl/style.h"
#include "util/parse.h"

enum { OPTION_WIPE = 0x100, OPTION_KEEP_CONFIG, OPTION_YES };

#define WAIT_USEC (120 * USEC_PER_SEC) /* more than the daemon gives it */

/* True when a person at the terminal agrees. */
static bool confirm(bool wipe) {
        char answer[16] = "";

        fprintf(stderr, "All files of the board are %s, and its program is gone. Type yes to go on: ",
                wipe ? "erased" : "set aside");
        if (!fgets(answer, sizeof answer, stdin))
                fputc('\n', stderr);
        return streq(answer, "yes\n");
}

/* What has come of it: the board runs in either case. */
static int show_result(const Ctl *c) {
        const char *result;
        json_t *p;
        bool done;
        int r;

        r = bus_read_state(c, NULL, &p);
        if (r > 0)
                return r;
        result = property_string(p, "factory_reset");
        done = strncmp(result, "done", 4) == 0;
        if (done)
                printf("Factory reset %s.\n", result);
        else {
                complain("The factory reset has not been done (%s).", *result ? result : "mpyd was restarted");
                advise("mpyctl log");
        }
        json_decref(p);
        return done ? CTL_EXIT_OK : CTL_EXIT_FAILURE;
}

static int factory_reset_run(const Ctl *c, const Invocation *in) {
        int wipe = invocation_has(in, OPTION_WIPE), keep = invocation_has(in, OPTION_KEEP_CONFIG), r;

        if (!invocation_has(in, OPTION_YES)) {
                if (!isatty(STDIN_FILENO)) {
                        complain("Without a terminal nobody can be asked; say --yes.");
                        return CTL_EXIT_USAGE;
                }
                if (!confirm(wipe)) {
                        complain("Nothing was done.");
                        return CTL_EXIT_FAILURE;
                }
        }
        r = reset_and_wait(c, WAIT_USEC, "hard, to factory state", "reset the board to factory state",
                           "FactoryReset", "bb", wipe, keep);
        return r == CTL_EXIT_OK ? show_result(c) : r;
}

static const struct option options[] = {
        { "wipe", no_argument, NULL, OPTION_WIPE },
        { "keep-config", no_argument, NULL, OPTION_KEEP_CONFIG },
        { "yes", no_argument, NULL, OPTION_YES },
        {},
};

const Verb verb_factory_reset = {
        .name = "factory-reset",
        .summary = "put the board's files back to those of the package",
        .usage = "[--wipe] [--keep-config] [--yes]",
        .help = "Resets the board; before it starts again, what is on its flash is set aside and the\n"
                "default files take its place ([board] defaults). RTC memory is emptied, safe mode left\n"
                "and all strikes are forgotten. mpyd.conf and the history stay. It asks before.\n\n"
                "What was set aside is in before-factory-reset/N in the state directory; it is removed\n"
                "when the disk gets full, and by the third factory reset after that one. One that is\n"
                "interrupted, by a power cut, is completed at the next boot.\n\n"
                "Options:\n"
                "  --wipe           erase the files instead\n"
                "  --keep-config    settings.toml stays where it is\n"
                "  --yes            do not ask\n\n"
                "Examples:\n"
                "  mpyctl factory-reset\n"
                "  mpyctl -H pi@greenhouse factory-reset --yes\n\n"
                "Exit codes:\n"
                "  0  done    2  not done, and why    4  not allowed    6  the board cannot be reset\n"
                "  now    64  nobody could be asked    124  no board came\n",
        .letters = "",
        .options = options,
        .max_arguments = 0,
        .run = factory_reset_run,
};
