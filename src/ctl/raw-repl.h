/* SPDX-License-Identifier: MIT */
/* Client of MicroPython's raw REPL with raw-paste (SPEC 1.8, 8.1, 8.2) over a connected socket. It
 * blocks, with a deadline on everything; a second descriptor may call it off at any moment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

typedef struct RawRepl RawRepl;

/* What a program prints, as it comes; is_error: the traceback. < 0 ends the wait with that
 * error. */
typedef int (*RawReplOutput)(void *userdata, bool is_error, const char *data, size_t size);

/* Something happened on the watched descriptor. Return 0 to go on, an error to stop waiting
 * (what the console holds by then is still delivered). */
typedef int (*RawReplWatch)(void *userdata);

/* fd: the console, borrowed. cancel_fd: readable when the user wants out (borrowed, not read;
 * -EBADF for none). */
int raw_repl_new(RawRepl **ret, int fd, int cancel_fd) _must_check_;
RawRepl *raw_repl_free(RawRepl *r);
DEFINE_CLEANUP(RawRepl *, raw_repl_free)

/* While a program runs, fd is watched too. */
void raw_repl_set_watch(RawRepl *r, int fd, RawReplWatch watch, void *userdata);

/* The functions below answer 0, or
 *   -ETIMEDOUT   nothing of what was expected came in time
 *   -ECANCELED   cancel_fd became readable
 *   -ECONNRESET  the console was closed
 *   -EPROTO      the other side does not speak raw-paste
 *   or what an output or watch callback returned. */

/* From any state to the prompt of the raw REPL: interrupts what runs; soft_reset: and starts a
 * fresh VM (boot.py runs, main.py does not). timeout_usec for each of the two steps. */
int raw_repl_enter(RawRepl *r, bool soft_reset, uint64_t timeout_usec) _must_check_;

/* Runs code and passes on what it prints. deadline_usec on CLOCK_MONOTONIC, UINT64_MAX for none.
 * *ret_exception: it ended with a traceback. *ret_soft_reset: it ended by SystemExit, and the board
 * resets (S26); raw_repl_leave() waits for that. */
int raw_repl_exec(RawRepl *r, const char *code, size_t size, uint64_t deadline_usec,
                  RawReplOutput output, void *userdata, bool *ret_exception, bool *ret_soft_reset)
        _must_check_;

/* Ctrl-C to a program that runs (raw_repl_exec() was called off), then waits for its end as
 * raw_repl_exec() does. */
int raw_repl_interrupt(RawRepl *r, uint64_t timeout_usec, RawReplOutput output, void *userdata);

/* Back to the friendly prompt; restart: and from there a soft reset, so that main.py runs. To be
 * called in any case, also after errors: the next user must not find a raw REPL. */
int raw_repl_leave(RawRepl *r, bool restart, uint64_t timeout_usec);
