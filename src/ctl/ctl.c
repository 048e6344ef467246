/* SPDX-License-Identifier: MIT */
/* From the command line to a verb's exit code; the help. */
#include "ctl/ctl.h"

#include <stdio.h>

#include "ctl/cli.h"
#include "ctl/remote.h"
#include "ctl/style.h"
#include "mpyd/control.h"

static const char exit_codes[] =
        "Exit codes of every verb:\n"
        "  0 success   1 the Python code ended with an exception   2 another failure\n"
        "  3 mpyd is not running   4 permission denied   5 the REPL is in use   6 no board runs\n"
        "  7 connection lost   8 the board was reset meanwhile   9 no such entry or file\n"
        "  64 wrong usage   124 time is up   130 Ctrl-C   (with -H: 255 from ssh)\n";

static const char common_help[] =
        "Options of every verb:\n"
        "  -H, --host USER@HOST   do it there, by ssh\n"
        "      --json             data for programs\n"
        "      --run-dir DIR      where mpyd listens (MPYD_RUN_DIR, " CONTROL_DEFAULT_RUN_DIR ")\n"
        "      --state-dir DIR    where its history and files are when it does not run\n"
        "                         (MPYD_STATE_DIR, " CONTROL_DEFAULT_STATE_DIR ")\n"
        "  -h, --help             help, also of a verb\n"
        "      --version          version of mpyctl\n";

static void print_help(const Verb *const verbs[], const Verb *verb) {
        const char *bold = style_on(stdout, STYLE_BOLD), *off = style_off(stdout);

        if (verb) {
                printf("%sUsage: mpyctl %s%s%s%s\n\n%s\n%s", bold, verb->name,
                       *verb->usage ? " " : "", verb->usage, off, verb->help, common_help);
                return;
        }
        printf("%sUsage: mpyctl [OPTIONS] VERB [ARGUMENTS]%s\n\n"
               "Looks after a board that mpyd runs.\n\nVerbs:\n",
               bold, off);
        for (size_t i = 0; verbs[i]; i++)
                printf("  %s%-10s%s %s\n", bold, verbs[i]->name, off, verbs[i]->summary);
        printf("  %s%-10s%s %s\n", bold, "help", off, "help, also of a verb: mpyctl help repl");
        printf("\n%s\n%s", common_help, exit_codes);
}

static const char *from_environment(const char *name, const char *default_value) {
        const char *s = getenv(name);

        return s && *s ? s : default_value;
}

/* Output that could not be written is a failure, whatever the verb thought. */
static int finish(int code) {
        if (fflush(stdout) != 0 || ferror(stdout)) {
                if (errno != EPIPE)
                        complain("Failed to write the output: %m.");
                return code == CTL_EXIT_OK ? CTL_EXIT_FAILURE : code;
        }
        return code;
}

int ctl_main(int argc, char *argv[], const Verb *const verbs[]) {
        Ctl c = {};
        _cleanup_free_ char *linked = NULL;
        const char *run_dir, *state_dir;
        const Verb *verb;
        Invocation in;

        style_init();
        switch (cli_parse(argc, argv, verbs, &c, &verb, &in)) {
        case CLI_HELP:
                print_help(verbs, verb);
                return finish(argc > 1 ? CTL_EXIT_OK : CTL_EXIT_USAGE);
        case CLI_VERSION:
                puts("mpyctl " MPYD_VERSION);
                return finish(CTL_EXIT_OK);
        case CLI_RUN:
                break;
        case CLI_ERROR:
        case CLI_ACTION_MAX:
        case CLI_ACTION_INVALID:
                return CTL_EXIT_USAGE;
        }
        run_dir = c.run_dir;
        state_dir = c.state_dir;
        if (c.host && verb->run_far)
                return finish(verb->run_far(&c, &in));
        if (c.host)
                return remote_run(&c, verb, &in, run_dir, state_dir);
        if (!c.run_dir)
                c.run_dir = from_environment("MPYD_RUN_DIR", CONTROL_DEFAULT_RUN_DIR);
        if (!c.state_dir)
                c.state_dir = from_environment("MPYD_STATE_DIR", NULL);
        if (!c.state_dir && streq(c.run_dir, CONTROL_DEFAULT_RUN_DIR))
                c.state_dir = CONTROL_DEFAULT_STATE_DIR;
        if (!c.state_dir) { /* another board's, not the installed one's */
                if (asprintf(&linked, "%s/" CONTROL_STATE_LINK, c.run_dir) < 0)
                        return CTL_EXIT_FAILURE;
                c.state_dir = linked;
        }
        return finish(verb->run(&c, &in));
}
