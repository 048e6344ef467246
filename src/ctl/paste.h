/* SPDX-License-Identifier: MIT */
/* Makes what is pasted (or piped) into the friendly REPL arrive as it was: the REPL indents by
 * itself, which ruins indented text. A filter over bytes, without I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/macros.h"

#define PROMPT ">>> " /* of the friendly REPL */

/* The end of the board's output, to know whether it is at a prompt. */
typedef struct PromptWatch {
        char line[8];  /* the first bytes of the line that is being printed */
        size_t n;      /* of all its bytes */
} PromptWatch;

void prompt_watch_feed(PromptWatch *p, const char *data, size_t size);
bool prompt_watch_is_ready(const PromptWatch *p); /* ">>> " and nothing after it */

/* Bytes from the keyboard. The terminal marks pastes (ESC [200~ … ESC [201~). */
typedef struct PasteFilter {
        char held[8];     /* a marker that may be beginning */
        size_t n_held;
        bool pasting;
        char *text;       /* the paste so far, until its end tells whether it has lines */
        size_t size, allocated;
        bool line_ended;  /* piped: a line begins with the next byte */
        bool after_cr;
} PasteFilter;

void paste_filter_done(PasteFilter *f);

/* Filters in → appends to *out (grown with realloc). ready: the board is at its prompt. Pasted
 * text of several lines goes as Ctrl-E text Ctrl-D at a prompt; one line, or at no prompt, as it
 * is. */
int paste_filter_keys(PasteFilter *f, bool ready, const char *in, size_t size, char **out,
                      size_t *out_size) _must_check_;

/* Piped input: LF and CR LF become CR; with at_prompt each line begins with Ctrl-U, which takes the
 * REPL's own indentation away. */
int paste_filter_pipe(PasteFilter *f, bool at_prompt, const char *in, size_t size, char **out,
                      size_t *out_size) _must_check_;
