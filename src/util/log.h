/* SPDX-License-Identifier: MIT */
/* The operator's story. One line an event, to the journal with structured fields when stderr is
 * connected to it, else to stderr; a sink sees every line too (the control bus' `mpyctl log`).
 * Lower layers return errors and do not log; daemon and ctl log once. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "util/macros.h"

/* Looks once at $JOURNAL_STREAM and the terminal. ident is the SYSLOG_IDENTIFIER ("mpyd"). */
void log_open(const char *ident);

/* Lines less urgent than this are dropped (LOG_INFO at start). */
void log_set_max_level(int level);

/* How many lines scripts may log at once, and one more each interval_usec; 0 is no limit, as at start.
 * All that journald takes from one service comes out of one budget (10,000 lines in 30 s unless
 * configured): a chatty script must stay well below it, or the daemon's own lines are dropped. fields
 * (static, as log_full() takes them; may be NULL) go with the line that says how many were suppressed. */
void log_set_script_limit(unsigned burst, uint64_t interval_usec, const char *const fields[]);

/* f is called when something begins to wait: lines that the journal does not take just now, or the
 * number of those suppressed. log_flush() tries to be rid of it: 0 when nothing waits any more, 1 when there is less of
 * it, -EAGAIN when there is not. last: that number is told now or never. */
void log_set_wake(void (*f)(void *userdata), void *userdata);
int log_flush(bool last);

/* One more field of every line in the journal; static strings. */
void log_set_field(const char *name, const char *value);

/* Called for every line that is logged; script: it is what a script printed. Borrowed strings. NULL for
 * none. */
typedef void (*LogSink)(void *userdata, uint64_t realtime_usec, int level, bool script,
                        const char *ident, const char *message);
void log_set_sink(LogSink sink, void *userdata);

/* fields: alternating NAME, value pairs up to a NULL name, e.g. {"MPYD_EVENT", "reset", NULL}. */
void log_full(int level, int error, const char *const fields[], const char *format, ...)
        _printf_(4, 5);
void log_fullv(int level, int error, const char *const fields[], const char *format, va_list ap)
        _printf_(4, 0);

/* A line that a script printed; ident is the script's name ("main.py"), size bytes without
 * newline. */
void log_script(const char *ident, const char *line, size_t size);

#define log_debug(...) log_full(LOG_DEBUG, 0, NULL, __VA_ARGS__)
#define log_info(...) log_full(LOG_INFO, 0, NULL, __VA_ARGS__)
#define log_notice(...) log_full(LOG_NOTICE, 0, NULL, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, 0, NULL, __VA_ARGS__)
#define log_error(...) log_full(LOG_ERR, 0, NULL, __VA_ARGS__)

/* error: errno, positive or negative, for %m. The value of the expression is -|error|, so that
 * `return log_error_errno(r, "Failed to open %s: %m", path);` works. */
#define log_full_errno(level, error, ...)                         \
        ({                                                        \
                int _e_ = abs(error);                             \
                log_full((level), _e_, NULL, __VA_ARGS__);        \
                -_e_;                                             \
        })
#define log_warning_errno(error, ...) log_full_errno(LOG_WARNING, error, __VA_ARGS__)
#define log_error_errno(error, ...) log_full_errno(LOG_ERR, error, __VA_ARGS__)
#define log_oom() log_error_errno(ENOMEM, "Out of memory.")
