/* SPDX-License-Identifier: MIT */
/* The last lines of the log, in memory, for `mpyctl log`: it works where there is no journal, and says
 * the same where there is one. Three quarters of it are for what scripts print, at most: a chatty one does
 * not push the daemon's lines out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RING_LINES 1000u
#define LOG_RING_BYTES (256u * 1024) /* of text, in all */

typedef struct LogLine {
        uint64_t realtime_usec;
        int level; /* syslog priority */
        bool script; /* it printed this */
        char *ident;
        char *text;
} LogLine;

typedef struct LogRing {
        LogLine lines[LOG_RING_LINES];
        size_t first, n, n_script;
        size_t bytes, script_bytes;
} LogRing;

/* Copies; the oldest lines make room. Returns the line, borrowed until the next one; NULL: there was no
 * memory for it, it is left out. */
const LogLine *log_ring_add(LogRing *r, uint64_t realtime_usec, int level, bool script,
                            const char *ident, const char *text);
void log_ring_done(LogRing *r);

/* i = 0 is the oldest. */
const LogLine *log_ring_get(const LogRing *r, size_t i);
