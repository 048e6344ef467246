/* SPDX-License-Identifier: MIT */
/* What all of mpyctl shares: the settings of one invocation, the verbs, the exit codes. */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/macros.h"

/* Documented in each --help: scripts rely on them, never renumber. */
enum {
        CTL_EXIT_OK = 0,
        CTL_EXIT_EXCEPTION = 1,     /* the Python code ended with an exception */
        CTL_EXIT_FAILURE = 2,       /* anything without a number of its own */
        CTL_EXIT_NOT_RUNNING = 3,   /* no daemon, as systemctl says it */
        CTL_EXIT_PERMISSION = 4,
        CTL_EXIT_BUSY = 5,          /* somebody else uses the REPL */
        CTL_EXIT_NO_BOARD = 6,      /* the daemon runs, the board does not */
        CTL_EXIT_LOST = 7,          /* the daemon went away, or the REPL was taken over */
        CTL_EXIT_RESET = 8,         /* the board was reset before the code had ended */
        CTL_EXIT_NOT_FOUND = 9,     /* no such entry in the history, no such file */
        CTL_EXIT_USAGE = 64,
        CTL_EXIT_TIMEOUT = 124,     /* as timeout(1) */
        CTL_EXIT_INTERRUPTED = 130, /* Ctrl-C */
};

typedef struct Ctl {
        const char *run_dir;   /* borrowed from the command line or the environment */
        const char *state_dir;
        const char *host;      /* run there, by ssh; NULL is here */
        bool json;
} Ctl;

typedef struct Invocation {
        struct {
                int key;             /* the val of the verb's struct option */
                const char *argument; /* NULL when it takes none */
        } options[32];
        size_t n_options;
        char **arguments;            /* borrowed from argv, NULL-terminated */
        size_t n_arguments;
} Invocation;

#define ANY_NUMBER SIZE_MAX /* of arguments */

typedef struct Verb {
        const char *name;
        const char *summary;         /* one line of the general help */
        const char *help;            /* the whole of --help, without the common tail */
        const char *letters;         /* as for getopt(3), the verb's own */
        const struct option *options; /* the verb's own, with an empty last entry; may be NULL */
        size_t min_arguments;
        size_t max_arguments;        /* or ANY_NUMBER */
        const char *usage;           /* what follows the name in "Usage: mpyctl NAME " */
        int (*run)(const Ctl *c, const Invocation *in); /* → exit code */
        /* With -H, in place of running it there: for what has one foot here. NULL: all of it is there.
         * The directories of c are those given on the command line, or NULL. */
        int (*run_far)(const Ctl *c, const Invocation *in);
} Verb;

extern const Verb verb_status, verb_top, verb_repl, verb_reset, verb_interrupt, verb_eval, verb_exec,
        verb_history, verb_log, verb_run, verb_ls, verb_tree, verb_cat, verb_edit, verb_df, verb_cp, verb_mkdir,
        verb_touch, verb_mv, verb_rm, verb_reload, verb_restart, verb_notify, verb_snooze,
        verb_safe_mode, verb_doctor, verb_factory_reset, verb_metrics, verb_mip, verb_pin;

/* All of mpyctl but main(): parses, goes to the other host or runs the verb. verbs: in the order
 * of the general help, then a NULL. Returns the exit code. */
int ctl_main(int argc, char *argv[], const Verb *const verbs[]) _must_check_;
