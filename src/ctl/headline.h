/* SPDX-License-Identifier: MIT */
/* The board's state in words, and the line that mpyctl status and top begin with. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/style.h"

struct json_t;

/* A state of the board's life in words, with its colour and, where a person should act, what to do. */
typedef struct StateWords {
        const char *state;
        const char *words;
        Style style;
        const char *next_step;
} StateWords;

/* Never NULL. */
const StateWords *state_words(const char *state);

/* Code runs that somebody has entered at the REPL; the REPL waits for some, the raw one too. */
bool repl_state_runs(const struct json_t *p);
bool is_at_prompt(const struct json_t *p);

/* What runs, in a line: "running main.py for 3min 12s". p: the daemon's properties. */
void headline_print(FILE *f, const struct json_t *p);

/* "3min 12s" since a time on CLOCK_BOOTTIME. Returns buf. */
const char *since_boottime(char *buf, size_t size, uint64_t usec);
