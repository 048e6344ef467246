/* SPDX-License-Identifier: MIT */
/* Text to numbers and back, for configuration and command lines. No function touches *ret on
 * failure; -EINVAL is "not of that form", -ERANGE "too large". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define USEC_INFINITY UINT64_MAX

/* yes/no, true/false, on/off, 1/0, any case. */
int parse_boolean(const char *s, bool *ret) _must_check_;

/* Decimal digits only: no sign, no blank, no prefix. */
int parse_u64(const char *s, uint64_t *ret) _must_check_;

/* Bytes with an optional suffix K, M, G, T (1024) as systemd.exec(5) takes them. */
int parse_size(const char *s, uint64_t *ret) _must_check_;

/* A time span as systemd.time(7) writes it: "2s", "1min 30s", "500ms", "1.5h", "infinity"; a bare
 * number is seconds. Units us ms s/sec/second(s) m/min/minute(s) h/hr/hour(s) d/day(s)
 * w/week(s). */
int parse_timespan(const char *s, uint64_t *ret_usec) _must_check_;

/* The same way back, at most two units ("3min 12s", "1.6ms", "infinity"), into buf; returns buf. */
char *format_timespan(char *buf, size_t size, uint64_t usec);
#define TIMESPAN_MAX 32

/* Bytes for people: "64K", "1.5M". Returns buf. */
char *format_size(char *buf, size_t size, uint64_t bytes);

/* CLOCK_BOOTTIME etc. in microseconds; never fails for the clocks of clock_gettime(2). */
uint64_t now_usec(int clock);
