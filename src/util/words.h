/* SPDX-License-Identifier: MIT */
/* Lists of words with blanks between, as configuration has them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The next word of *at, which moves behind it; its length, 0 at the end. */
size_t words_next(const char **at, const char **ret);

/* Whether one of the patterns (fnmatch(3), each shorter than 64 bytes) is text. */
bool words_match(const char *patterns, const char *text);
