/* SPDX-License-Identifier: MIT */
/* Runs Python code on the board for eval and exec: opens the REPL, enters the raw one, runs,
 * streams the output, leaves everything as the next user wants to find it, and says how it went. */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/ctl.h"

#define CODE_MAX (4u * 1024 * 1024)

/* Options that eval and exec share. */
enum {
        CODE_OPTION_RESUME = 0x100,
        CODE_OPTION_RESTART,
        CODE_OPTION_TAKE_OVER,
        CODE_OPTION_TIMEOUT,
        CODE_OPTION_BINARY,
        CODE_OPTION_SIZE,
};
#define CODE_OPTIONS                                                         \
        { "resume", no_argument, NULL, CODE_OPTION_RESUME },                 \
        { "restart", no_argument, NULL, CODE_OPTION_RESTART },               \
        { "take-over", no_argument, NULL, CODE_OPTION_TAKE_OVER },           \
        { "timeout", required_argument, NULL, CODE_OPTION_TIMEOUT }

#define CODE_OPTIONS_HELP                                                               \
        "  --resume          no soft reset first: keep the variables that are there\n"   \
        "  --restart         start main.py again afterwards (a soft reset)\n"            \
        "  --take-over       take the REPL from whoever uses it\n"                       \
        "  --timeout TIME    interrupt the code after TIME (\"10s\", \"2min\")\n"

#define CODE_EXIT_HELP                                                                  \
        "Exit codes:\n"                                                                 \
        "  0  done    1  the code ended with an exception    8  the board was reset by or\n" \
        "  during the code    124  time is up    130  Ctrl-C\n"

/* What the program prints goes here; NULL prints it. */
typedef int (*CodeOutput)(void *userdata, const char *data, size_t size);

typedef struct CodeRun {
        const char *verb;       /* what others see as the REPL's user */
        const char *code;
        size_t size;
        bool resume, restart, take_over;
        bool binary;            /* CR LF stays CR LF */
        uint64_t timeout_usec;  /* UINT64_MAX: none */
        CodeOutput output;
        CodeOutput error_output; /* the traceback; NULL prints it on stderr */
        void *userdata;
} CodeRun;

/* Fills from the options. Has complained when it returns an exit code > 0. */
int code_run_parse(CodeRun *run, const Invocation *in);

/* s as a Python string literal, which it cannot leave. */
void code_put_literal(FILE *f, const char *s);

/* → exit code */
int code_run(const Ctl *c, const CodeRun *run);
