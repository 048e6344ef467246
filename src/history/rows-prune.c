/* SPDX-License-Identifier: MIT */
/* The oldest rows go: on the disk by size, in memory by number. */
#include <inttypes.h>
#include <stdio.h>

#include "history/rows.h"

#define KEEP_MIN 8       /* rows of a table that always stay */
#define BATCH_SHARE 32   /* of a table goes at once, so that a reset does not wait for long */
#define BATCH_MIN 8
#define VACUUM_PAGES "256"

/* What may go of each. */
typedef struct Prunable {
        const char *table, *rows;
} Prunable;
static const Prunable tables[] = {
        { "resets", "1" },
        { "events", "1" },
        { "boots", "id>(SELECT min(id) FROM boots)" },
};

static int count_rows(Database *d, const Prunable *p, int64_t *ret) {
        char sql[128];

        (void) snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE %s", p->table, p->rows);
        return database_read_int(d, sql, ret);
}

static int delete_oldest(Database *d, const Prunable *p, int64_t n) {
        char sql[256];

        (void) snprintf(sql, sizeof sql,
                        "DELETE FROM %s WHERE %s AND id IN (SELECT id FROM %s WHERE %s ORDER BY id "
                        "LIMIT %" PRIi64 ")",
                        p->table, p->rows, p->table, p->rows, n);
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
        const Prunable *from = NULL;
        int64_t most = KEEP_MIN;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                int64_t n;

                r = count_rows(d, &tables[i], &n);
                if (r < 0)
                        return r;
                if (n > most) {
                        most = n;
                        from = &tables[i];
                }
        }
        if (!from)
                return 0;
        r = database_begin(d);
        if (r < 0)
                return r;
        r = delete_oldest(d, from, MIN(MAX(most / BATCH_SHARE, BATCH_MIN), most - KEEP_MIN));
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
                int64_t rows;
                int r = count_rows(d, &tables[i], &rows);

                if (r >= 0 && rows > n)
                        r = delete_oldest(d, &tables[i], rows - n);
                if (r < 0)
                        return r;
        }
        return 0;
}
