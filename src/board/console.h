/* SPDX-License-Identifier: MIT */
/* What Python prints: gathered for 1 ms, or until the VM sleeps, and written to the console's pipe.
 * The VM's thread writes, both threads flush. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

int console_init(void) _must_check_;

/* The VM's thread. Waits while the pipe is full and nobody reads it; Ctrl-C and abort end that. */
void console_write(const char *data, size_t size);
/* Waits until all is in the pipe, heeding nothing. Returns how many bytes this life has written. */
uint64_t console_flush_all(void);
/* Writes what the pipe takes, before the VM sleeps. */
void console_flush_idle(void);
/* A write would not wait. */
bool console_is_writable(void);

/* The I/O thread: the descriptor that tells when to flush, the flush, and whether there is more
 * that waits for the pipe. */
int console_timer_fd(void);
void console_flush_timer(void);
bool console_is_blocked(void);
