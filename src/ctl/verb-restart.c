/* SPDX-License-Identifier: MIT */
/* mpyctl restart: systemd restarts the daemon, and with it the board. */
#include <stdio.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/style.h"
#include "mpyd/control.h"

#define SYSTEMCTL "systemctl"
#define UNIT "mpyd.service"

enum { OPTION_KEEP_PINS = 0x100 };

static int restart_run(const Ctl *c, const Invocation *in) {
        static char *const argv[] = { (char *) SYSTEMCTL, (char *) "restart", (char *) UNIT, NULL };

        if (!run_dir_is_the_services(c)) {
                complain(SYSTEMCTL " restarts the mpyd of %s, not the one of %s.", CONTROL_DEFAULT_RUN_DIR, c->run_dir);
                advise("restart that one by what started it, or leave --run-dir and MPYD_RUN_DIR out");
                return CTL_EXIT_FAILURE;
        }
        if (invocation_has(in, OPTION_KEEP_PINS)) {
                _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
                _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
                int r = bus_connect_or_explain(c, &bus);

                if (r > 0)
                        return r;
                r = bus_call(bus, "HandOver", &e, NULL, "");
                if (r < 0)
                        return bus_explain(c, r, &e, "have mpyd hand over to its successor");
        }
        (void) execvp(SYSTEMCTL, argv);
        complain("Failed to run " SYSTEMCTL ": %s.", strerrordesc_np(errno) ?: "?");
        advise("restart mpyd by what started it");
        return CTL_EXIT_FAILURE;
}

static const struct option options[] = {
        { "keep-pins", no_argument, NULL, OPTION_KEEP_PINS },
        {},
};

const Verb verb_restart = {
        .name = "restart",
        .summary = "restart mpyd, by systemd",
        .usage = "[--keep-pins]",
        .help = "Restarts mpyd.service: the board ends and a new one boots, with cause HARD_RESET as\n"
                "after the reset button. The REPL's terminal and RTC memory survive.\n\n"
                "Options:\n"
                "  --keep-pins  hand over, as an upgrade of the package does: to the program it is\n"
                "               a soft reset, and GPIO lines keep their levels\n\n"
                "Examples:\n"
                "  sudo mpyctl restart --keep-pins\n\n"
                "Exit codes:\n"
                "  those of systemctl; 2  there is none, or it did not start this mpyd\n",
        .letters = "",
        .options = options,
        .max_arguments = 0,
        .run = restart_run,
};
