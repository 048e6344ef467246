/* SPDX-License-Identifier: MIT */
/* Text of unknown origin: made fit for a terminal, the journal and D-Bus, and what a traceback says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length of the UTF-8 character that starts at s (at most size bytes), 0 when there is none:
 * overlong forms, surrogates and what is beyond U+10FFFF are none. */
size_t utf8_character(const char *s, size_t size);

/* Copies size bytes of in to out as valid UTF-8 without control characters: those (C0, DEL, C1) and
 * bytes that are not UTF-8 become \xNN; tab stays, newline only with keep_newline. What does not
 * fit in room bytes (at least 4, with the NUL) is cut and ends in "…". Returns the length. */
size_t text_sanitise(char *out, size_t room, const char *in, size_t size, bool keep_newline);

/* The last line that is not empty, which tells a traceback's exception, without its newline. */
const char *text_last_line(const char *text, size_t *ret_size);

/* Whether the exception that a traceback ends with is KeyboardInterrupt: somebody's wish, and no error. */
bool text_is_interrupt(const char *traceback);
