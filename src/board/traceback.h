/* SPDX-License-Identifier: MIT */
/* The text of the exception that ended a stage: caught while pyexec prints it, so that it is
 * printed once (an exception's __str__ may have effects) and reads as the person at the console saw
 * it. */
#pragma once

#include <stddef.h>

/* Only stages are of interest, not lines at the REPL. */
void traceback_enable(int enable);
/* User code has ended: what is printed from here on is the exception, if there is one. */
void traceback_begin(void);
void traceback_add(const char *text, size_t size);
/* Ends it. *ret is valid until the next traceback_begin(). */
size_t traceback_end(const char **ret);
