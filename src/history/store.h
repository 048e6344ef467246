/* SPDX-License-Identifier: MIT */
/* Where the rows go: to the file, and to memory while the file cannot be had. No threads and no
 * clock in here: everything may block on the disk, now_usec is CLOCK_BOOTTIME and comes from the
 * caller. */
#pragma once

#include "history/database.h"
#include "history/history.h"

#define STORE_MEMORY_ROWS 256u            /* kept of each kind while there is no disk */
#define STORE_RETRY_MIN_USEC UINT64_C(10000000)  /* doubles up to … */
#define STORE_RETRY_MAX_USEC UINT64_C(300000000) /* … this */
#define STORE_SET_ASIDE_MAX 3u            /* in one run of the daemon: then it is the disk */

typedef HistoryReport StoreReport;

typedef struct Store {
        char *path;
        uint64_t max_size;
        char boot_id[33];
        StoreReport report;
        void *userdata;

        Database *disk;            /* the one that is in use: never both */
        Database *memory;
        int trouble;               /* negative errno: why there is no disk */
        uint64_t disk_since_usec;
        uint64_t retry_interval_usec;
        uint64_t retry_at_usec;    /* USEC_INFINITY: not again in this run */
        unsigned n_set_aside;
        unsigned n_commits;        /* since the last look at the size */
        bool prune;
        int64_t last_id;           /* the highest of all records, where it is known */

        /* Ids that were given in memory and are others on the disk. */
        int64_t shift, shift_first, shift_last;

        HistoryRecord event;        /* to be stored with the next write; name NULL for none */
        void (*noted)(void *userdata, const HistoryRecord *event); /* may be NULL: it was set */
} Store;

/* report is called from within the other functions. Only -ENOMEM. */
int store_init(Store *s, const char *path, uint64_t max_size, const char *boot_id,
               StoreReport report, void *userdata) _must_check_;
void store_open(Store *s, uint64_t now_usec);

/* Tries the disk a last time when rows are in memory, and closes. */
void store_close(Store *s, uint64_t now_usec);

/* Calls apply within a transaction, commits, and does both again in another database when the one
 * in use fails; so apply may be called several times and only the last one counts. Durable when it
 * returns 0 and s->disk is set. A negative errno when even memory refused. */
typedef int (*StoreApply)(Database *d, void *userdata);
int store_apply(Store *s, StoreApply apply, void *userdata, uint64_t now_usec) _must_check_;

/* Newest first; while in memory, what can be read of the file follows. */
int store_query(Store *s, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n,
                uint64_t now_usec) _must_check_;

/* Adds to t; while in memory, what can be read of the file too. */
int store_totals(Store *s, HistoryTotals *t, uint64_t now_usec) _must_check_;

/* What can wait until nobody waits: log written back, oldest rows pruned. true: there is more. */
bool store_maintain(Store *s, uint64_t now_usec);

/* When to call store_retry() because rows wait for the disk; USEC_INFINITY while they do not. */
uint64_t store_retry_at(const Store *s);
void store_retry(Store *s, uint64_t now_usec);

/* The id by which the record is known now. */
int64_t store_id(const Store *s, int64_t id);

/* "ok", or why not. Returns buf. */
char *store_state(const Store *s, char *buf, size_t size);
