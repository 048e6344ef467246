/* SPDX-License-Identifier: MIT */
/* Resets and events as values: copies whose text is bounded and fit to be stored. */
#pragma once

#include "history/history.h"

#define HISTORY_DETAIL_MAX 500u     /* bytes */
#define HISTORY_TRACEBACK_MAX 4000u /* bytes; as LINK_TEXT_MAX */
#define HISTORY_EVIDENCE_MAX 4000u  /* bytes */

/* Valid UTF-8 without control characters, at most HISTORY_DETAIL_MAX bytes. NULL stays NULL. */
int record_copy_detail(const char *s, char **ret) _must_check_;

/* The same for a traceback: newlines stay, and what is too long loses its middle (the last line
 * names the exception). */
int record_copy_traceback(const char *s, char **ret) _must_check_;

/* A JSON array of at most HISTORY_EVIDENCE_MAX bytes; anything else becomes NULL. */
int record_copy_evidence(const char *s, char **ret) _must_check_;

/* Lower-case letters, digits, single dashes, a letter first, at most HISTORY_NAME_MAX bytes. */
bool record_name_valid(const char *s);

/* 32 hexadecimal digits. */
bool record_boot_id_valid(const char *s);

/* Each enum within its range, a name that is one. */
bool record_valid(const HistoryRecord *r);

/* Now, on this host. Fills boot_id, realtime_usec, clock_synced and boottime_usec of r. */
void record_stamp(HistoryRecord *r, const char *boot_id);

/* /proc/sys/kernel/random/boot_id without its dashes; empty where there is none. */
void record_read_boot_id(char ret[static 33]);
