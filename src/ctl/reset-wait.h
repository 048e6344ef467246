/* SPDX-License-Identifier: MIT */
/* What verbs that reset the board have in common: verb-reset.c. */
#pragma once

#include "ctl/ctl.h"

#include <stdint.h>

#define RESET_WAIT_USEC (UINT64_C(20) * 1000000) /* a forced stop, and a rate limit that holds back */

/* Calls a method of the control bus that resets the board (types and arguments as for bus_call()) and waits for
 * up to wait_usec (0: not at all) until the next board runs, which it tells. kind: "hard" or "soft", for that line; doing: what
 * an error says that could not be done. Returns the exit code. */
int reset_and_wait(const Ctl *c, uint64_t wait_usec, const char *kind, const char *doing, const char *method,
                   const char *types, ...) _must_check_;
