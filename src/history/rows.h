/* SPDX-License-Identifier: MIT */
/* The rows of the history, written and read. Writers are called within a transaction of the
 * caller's. Texts come bounded (record.h) and are bounded again when they are read: the file may be
 * damaged. */
#pragma once

#include "history/database.h"
#include "history/history.h"

#define ROWS_COUNTERS_MAX 256u  /* different names */
#define ROWS_QUERY_MAX 1000u    /* resets of one answer */

/* Of stamp the stamp only. */
int rows_add_boot(Database *d, const HistoryRecord *stamp, const char *version) _must_check_;

/* A reset or an event, with its totals. The row's id is above all that were before, and at least
 * id_min. */
int rows_add(Database *d, int64_t id_min, const HistoryRecord *r, int64_t *ret_id) _must_check_;
int rows_mark_late(Database *d, int64_t id) _must_check_;
int rows_add_repeats(Database *d, int64_t id, uint64_t n) _must_check_; /* with their totals */

/* value += delta, held at the ends of the range. -E2BIG for a new name beyond ROWS_COUNTERS_MAX. */
int rows_count(Database *d, const char *name, int64_t delta) _must_check_;
/* The totals of r, n times. Names that do not fit are left out. */
int rows_count_record(Database *d, const HistoryRecord *r, int64_t n) _must_check_;
/* Those of all rows that there are: for a database that had none. */
int rows_count_all(Database *d) _must_check_;

/* Of the newest record ever, also of one that is gone; 0 for none. */
int rows_last_id(Database *d, int64_t *ret) _must_check_;
/* Of those that there are; both 0 for none. */
int rows_id_range(Database *d, int64_t *ret_first, int64_t *ret_last) _must_check_;

int rows_query(Database *d, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n) _must_check_;
/* Adds to t. */
int rows_totals(Database *d, HistoryTotals *t) _must_check_;

/* One batch of the oldest rows goes when they are more than max_size allows. 1: there is more to
 * do. Totals stay, and so does the first of the boots, which tells since when they count. */
int rows_prune(Database *d, uint64_t max_size) _must_check_;

/* Keeps the newest n of each table: for a database in memory. */
int rows_trim(Database *d, unsigned n) _must_check_;

/* Notes of an in-memory database about rows that are on the disk: see rows_mark_late(). */
int rows_memory_prepare(Database *memory) _must_check_;

/* Everything of memory into disk, which is in a transaction. *ret_shift is what was added to the
 * ids, because those were given before the disk's own were known. */
int rows_transfer(Database *memory, Database *disk, int64_t *ret_shift) _must_check_;
