/* SPDX-License-Identifier: MIT */
/* Bytes typed at the console that the VM has not read yet.
 *
 * Nothing typed is ever lost, and Ctrl-C is seen however much lies before it: up to LINK_INPUT_MAX
 * bytes (what a soft reset can hand on) are taken in at once. When nobody reads them, further ones
 * stay in the pipe, which pushes back on the supervisor and so on the pty; while user code runs,
 * the I/O thread looks into the pipe without taking anything out (input_peek), which it widens for
 * this to up to 1 MiB. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/macros.h"

int input_init(void) _must_check_;

/* ---- the I/O thread ---- */

/* Reads what the pipe has and the buffer takes. False when the pipe has no writer any more. */
bool input_fill(void);
/* The buffer is full: input_fill() would do nothing. */
bool input_is_full(void);
/* Looks for the interrupt character among bytes that are still in the pipe. */
void input_peek(void);
#define INPUT_PEEK_PERIOD_MSEC 20

/* ---- the VM's thread ---- */

bool input_available(void);
/* Takes up to size bytes that are there, possibly 0. */
size_t input_read(void *buf, size_t size);
/* Removes each c. True if there was one. With irq_lock() held. */
bool input_take_char_locked(int c);
