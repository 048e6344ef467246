/* SPDX-License-Identifier: MIT */
/* What verbs that reset the board have in common: verb-reset.c. */
#pragma once

#include "ctl/ctl.h"

/* Calls a method of the control bus that resets the board (types and arguments as for bus_call()) and, if
 * wait, waits until the next board runs, which it tells. kind: "hard" or "soft", for that line; doing: what
 * an error says that could not be done. Returns the exit code. */
int reset_and_wait(const Ctl *c, bool wait, const char *kind, const char *doing, const char *method,
                   const char *types, ...) _must_check_;
