/* SPDX-License-Identifier: MIT */
/* Text for terminals: how wide it is, how to cut it, how to make it harmless. UTF-8. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

/* Terminal columns of s. Bytes that are not UTF-8 and control characters count as one. */
size_t text_width(const char *s);

/* How many bytes of s fit in columns; *ret_width is what they take. */
size_t text_fit(const char *s, size_t columns, size_t *ret_width);

/* A copy without anything that could move the cursor or colour the terminal: control characters
 * and invalid bytes become "?" (line feeds stay when keep_lines). Text from scripts is not
 * trusted. NULL when out of memory. */
char *text_printable(const char *s, bool keep_lines);

/* Damerau-free edit distance, for "did you mean"; at most 64 bytes of each are looked at. */
unsigned text_distance(const char *a, const char *b);

/* One word for a POSIX shell that means exactly s. NULL when out of memory. */
char *text_shell_quote(const char *s);

/* "2026-01-31 12:00:05" in local time, or "never" for 0. Returns buf. */
#define TIMESTAMP_MAX 64
char *format_timestamp(char *buf, size_t size, uint64_t realtime_usec);

/* What --since takes → wall clock µs: a time span ago ("2h", "3 days", "3 days ago"), "now",
 * "today", "yesterday", "2026-01-31", "2026-01-31 12:00[:30]" (also with T), "12:00[:30]"
 * (today), "@unix". Local time. -EINVAL when it is none of these, -ERANGE before 1970. */
int parse_since(const char *s, uint64_t now_realtime_usec, uint64_t *ret) _must_check_;
