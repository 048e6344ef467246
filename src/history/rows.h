/* SPDX-License-Identifier: MIT */
/* The rows of the history, written and read. Writers are called within a transaction of the
 * caller's. Texts come bounded (record.h) and are bounded again when they are read: the file may be
 * damaged. */
#pragma once

#include "history/database.h"
#include "history/history.h"

#define ROWS_COUNTERS_MAX 256u  /* different names */
#define ROWS_QUERY_MAX 1000u    /* resets of one answer */

/* name and detail of the stamp are not looked at. */
int rows_add_boot(Database *d, const HistoryEvent *stamp, const char *version) _must_check_;

/* The row's id is above all that were before, and at least id_min. */
int rows_add_reset(Database *d, int64_t id_min, const HistoryReset *r,
                   int64_t *ret_id) _must_check_;
int rows_mark_late(Database *d, int64_t id) _must_check_;
int rows_add_repeats(Database *d, int64_t id, uint64_t n) _must_check_;
int rows_add_event(Database *d, const HistoryEvent *e) _must_check_;

/* value += delta, held at the ends of the range. -E2BIG for a new name beyond ROWS_COUNTERS_MAX. */
int rows_count(Database *d, const char *name, int64_t delta) _must_check_;

/* Of the newest reset ever, also of one that is gone; 0 for none. */
int rows_last_id(Database *d, int64_t *ret) _must_check_;

int rows_query(Database *d, const HistoryQuery *q, HistoryReset **ret, size_t *ret_n) _must_check_;
int rows_events(Database *d, unsigned limit, HistoryEvent **ret, size_t *ret_n) _must_check_;
int rows_counters(Database *d, void (*cb)(void *userdata, const char *name, int64_t value),
                  void *userdata) _must_check_;

/* One batch of the oldest rows goes when they are more than max_size allows. 1: there is more to
 * do. */
int rows_prune(Database *d, uint64_t max_size) _must_check_;

/* Keeps the newest n of each table: for a database in memory. */
int rows_trim(Database *d, unsigned n) _must_check_;

/* Notes of an in-memory database about resets that are on the disk: see rows_mark_late(). */
int rows_memory_prepare(Database *memory) _must_check_;

/* Everything of memory into disk, which is in a transaction. *ret_shift is what was added to the
 * ids of the resets, because those were given before the disk's own were known. */
int rows_transfer(Database *memory, Database *disk, int64_t *ret_shift) _must_check_;
