/* SPDX-License-Identifier: MIT */
/* The end of a life. The process ends, or waits to be killed; the supervisor starts the next
 * one. */
#pragma once

#include <stdint.h>

#include "util/macros.h"

/* Finalisers, then the REPL's mode and the unread input go to the supervisor. */
_Noreturn void reset_soft(void);

/* machine.reset(): no Python runs any more, not even finalisers (S4). */
_Noreturn void reset_hard(void);

/* machine.deepsleep(): the same, with a time after which the supervisor starts the next life;
 * UINT64_MAX for none. */
_Noreturn void reset_deepsleep(uint64_t usec);
