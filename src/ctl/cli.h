/* SPDX-License-Identifier: MIT */
/* The command line: options that every verb takes, a verb's own, suggestions for what is
 * misspelt. */
#pragma once

#include "ctl/ctl.h"

typedef enum CliAction {
        CLI_RUN = 0,   /* run *ret_verb */
        CLI_HELP,      /* print the help of *ret_verb, or the general one when it is NULL */
        CLI_VERSION,
        CLI_ERROR,     /* has complained */
        CLI_ACTION_MAX,
        CLI_ACTION_INVALID = -EINVAL,
} CliAction;

/* c has the defaults already. Borrows all strings from argv, which getopt may reorder. */
CliAction cli_parse(int argc, char *argv[], const Verb *const verbs[], Ctl *c,
                    const Verb **ret_verb, Invocation *in);

/* The name nearest to s by spelling, or NULL when none is near. */
const char *cli_suggest(const char *s, const char *const names[], size_t n);

/* The argument of the last use of option key, or NULL; and whether it was used at all. */
const char *invocation_argument(const Invocation *in, int key);
bool invocation_has(const Invocation *in, int key);
