/* SPDX-License-Identifier: MIT */
/* The oldest rows go: on the disk by size, in memory by number. */
#include <inttypes.h>
#include <stdio.h>

#include "history/rows.h"

#define KEEP_MIN 8       /* rows of a table that always stay */
#define BATCH_SHARE 32   /* of a table goes at once, so that a reset does not wait for long */
#define BATCH_MIN 8
#define VACUUM_PAGES "256"

static const char *const tables[] = { "resets", "events", "boots" };

/* Ids have few gaps: their span is about the number of rows, and costs no scan. */
static int table_span(Database *d, const char *table, int64_t *ret_first, int64_t *ret_n) {
        char sql[96];
        int64_t first, last;
        int r;

        (void) snprintf(sql, sizeof sql, "SELECT coalesce(min(id),1) FROM %s", table);
        r = database_read_int(d, sql, &first);
        (void) snprintf(sql, sizeof sql, "SELECT coalesce(max(id),0) FROM %s", table);
        if (r >= 0)
                r = database_read_int(d, sql, &last);
        if (r < 0)
                return r;
        /* A damaged key may be anything. */
        if (first < 0 || last < 0)
                return -EBADMSG;
        *ret_first = first;
        *ret_n = last - first + 1;
        return 0;
}

static int delete_before(Database *d, const char *table, int64_t id) {
        char sql[96];

        (void) snprintf(sql, sizeof sql, "DELETE FROM %s WHERE id<%" PRIi64, table, id);
        return database_exec(d, sql);
}

static int used_bytes(Database *d, uint64_t *ret) {
        int64_t pages, unused, size;
        int r;

        r = database_read_int(d, "PRAGMA page_count", &pages);
        if (r >= 0)
                r = database_read_int(d, "PRAGMA freelist_count", &unused);
        if (r >= 0)
                r = database_read_int(d, "PRAGMA page_size", &size);
        if (r < 0)
                return r;
        *ret = (uint64_t) (MAX(pages - unused, 0) * size);
        return 0;
}

/* From the table with the most rows: so a flood of events does not take the resets with it. */
static int prune_batch(Database *d) {
        int64_t most = KEEP_MIN, first = 0;
        const char *table = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                int64_t f, n;

                r = table_span(d, tables[i], &f, &n);
                if (r < 0)
                        return r;
                if (n > most) {
                        most = n;
                        first = f;
                        table = tables[i];
                }
        }
        if (!table)
                return 0;
        r = database_begin(d);
        if (r < 0)
                return r;
        r = delete_before(d, table,
                          first + MIN(MAX(most / BATCH_SHARE, BATCH_MIN), most - KEEP_MIN));
        if (r >= 0)
                r = database_commit(d);
        if (r < 0) {
                database_rollback(d);
                return r;
        }
        r = database_exec(d, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")");
        if (r >= 0)
                r = database_checkpoint(d);
        return r < 0 ? r : 1;
}

int rows_prune(Database *d, uint64_t max_size) {
        uint64_t wal = (uint64_t) database_wal_limit(max_size) * 4096u, used;
        int r;

        r = used_bytes(d, &used);
        if (r < 0)
                return r;
        if (used + 2 * wal <= max_size)
                return 0;
        return prune_batch(d);
}

int rows_trim(Database *d, unsigned n) {
        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                int64_t first, rows;
                int r = table_span(d, tables[i], &first, &rows);

                if (r >= 0 && rows > n)
                        r = delete_before(d, tables[i], first + rows - n);
                if (r < 0)
                        return r;
        }
        return 0;
}
