/* SPDX-License-Identifier: MIT */
/* The daemon's events on their way to the log: each with its MESSAGE_ID, name and fields. */
#pragma once

#include "mpyd/journal.h"
#include "util/macros.h"

/* One line about e, at its priority. fields: alternating NAME, value pairs up to a NULL name, or NULL;
 * only such as mpyd/journal.h names for e. A NULL value leaves its field out. */
void journal_log(JournalEvent e, const char *const fields[], const char *format, ...) _printf_(3, 4);

/* The same with an errno, positive or negative, for %m and the field ERRNO. Returns -|error|. */
int journal_log_errno(JournalEvent e, int error, const char *format, ...) _printf_(3, 4);

/* Called for each event that goes to the log by the functions above, after it; borrowed strings. NULL for
 * none. Of the loop's thread, as they are. */
typedef void (*JournalWatch)(void *userdata, JournalEvent e, const char *const fields[], const char *message);
void journal_set_watch(JournalWatch watch, void *userdata);

/* The fields of e that are the same each time, for lines that are not logged by the functions above.
 * Static. */
const char *const *journal_event_constant_fields(JournalEvent e);
