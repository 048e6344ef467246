/* SPDX-License-Identifier: MIT */
/* What was remembered in memory goes to the disk. A commit that failed may have reached the disk
 * all the same: rows that are there already are not written twice. */
#include <sqlite3.h>

#include "history/rows.h"
#include "history/schema.h"

#define RECENT_MAX 512u /* rows of the disk among which a double can be */

static int bind_columns(Database *to, sqlite3_stmt *insert, sqlite3_stmt *row, int from) {
        for (int i = from; i < sqlite3_column_count(row); i++) {
                int rc = sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));

                if (rc != SQLITE_OK)
                        return database_error(to, rc);
        }
        return 0;
}

/* Copies what select answers to the same places of insert, the id moved by shift. */
static int copy_rows(Database *from, const char *select, Database *to, const char *insert,
                     int64_t shift) {
        _cleanup_(statement_freep) sqlite3_stmt *rows = NULL, *s = NULL;
        int r;

        r = database_prepare(from, select, &rows);
        if (r >= 0)
                r = database_prepare(to, insert, &s);
        while (r >= 0 && (r = database_step(from, rows)) > 0) {
                (void) sqlite3_reset(s);
                (void) sqlite3_bind_int64(s, 1, sqlite3_column_int64(rows, 0) + shift);
                r = bind_columns(to, s, rows, 1);
                if (r >= 0)
                        r = database_step(to, s);
        }
        return r;
}

/* Is that record of the disk in memory too? boot_id and boottime_usec tell a record from all others
 * that may have got its id. 1, 0. */
static int same_record(Database *memory, const HistoryRecord *record) {
        HistoryRecord *own = NULL;
        size_t n = 0;
        int r;

        r = rows_query(memory, &(HistoryQuery) { .id = record->id, .limit = 1 }, &own, &n);
        if (r >= 0)
                r = n > 0 && !own->name == !record->name && streq(own->boot_id, record->boot_id) &&
                    own->boottime_usec == record->boottime_usec;
        (void) history_records_free(own, n);
        return r;
}

/* 1 when all that the disk has from id first on, which is something, is in memory too. */
static int only_doubles(Database *memory, const HistoryRecord *newer, size_t n) {
        int r = n > 0;

        for (size_t i = 0; r > 0 && i < n; i++)
                r = same_record(memory, &newer[i]);
        return r;
}

/* What is copied over them brings their totals along. */
static int uncount(Database *disk, const HistoryRecord *doubles, size_t n) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = rows_count_record(
                        disk, &doubles[i],
                        -1 - (int64_t) MIN(doubles[i].repeats, (uint64_t) INT64_MAX - 1));
        return r;
}

/* Those of the disk whose ids are first or above; more than RECENT_MAX are not ours. */
static int read_newer(Database *disk, int64_t first, HistoryRecord **ret, size_t *ret_n) {
        HistoryRecord *records;
        size_t n, newer = 0;
        int r;

        r = rows_query(disk, &(HistoryQuery) { .limit = RECENT_MAX }, &records, &n);
        if (r < 0)
                return r;
        while (newer < n && records[newer].id >= first)
                newer++;
        for (size_t i = newer; i < n; i++)
                history_record_done(&records[i]);
        *ret = records;
        *ret_n = newer;
        return 0;
}

/* Ids given in memory may be those of other records on the disk, when it had never been read. */
static int find_shift(Database *memory, Database *disk, int64_t *ret) {
        HistoryRecord *newer = NULL;
        int64_t first, last;
        size_t n = 0;
        int r;

        r = rows_id_range(memory, &first, &last);
        if (r >= 0)
                r = rows_last_id(disk, &last);
        if (r < 0)
                return r;
        if (first == 0 || last < first) {
                *ret = 0;
                return 0;
        }
        r = read_newer(disk, first, &newer, &n);
        if (r >= 0)
                r = only_doubles(memory, newer, n);
        if (r > 0) {
                r = uncount(disk, newer, n);
                last = first - 1;
        }
        if (r >= 0)
                *ret = last + 1 - first;
        (void) history_records_free(newer, n);
        return r;
}

static int copy_counters(Database *memory, Database *disk) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(memory, "SELECT name,value FROM counters", &s);
        while (r >= 0 && (r = database_step(memory, s)) > 0) {
                r = rows_count(disk, (const char *) sqlite3_column_text(s, 0),
                               sqlite3_column_int64(s, 1));
                if (r == -E2BIG) /* too many names: the same as without the detour */
                        r = 0;
        }
        return r;
}

static int copy_notes(Database *memory, Database *disk) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(memory, "SELECT id,late,repeats FROM notes", &s);
        while (r >= 0 && (r = database_step(memory, s)) > 0) {
                int64_t id = sqlite3_column_int64(s, 0);

                if (sqlite3_column_int(s, 1))
                        r = rows_mark_late(disk, id);
                if (r >= 0 && sqlite3_column_int64(s, 2) > 0)
                        r = rows_add_repeats(disk, id, (uint64_t) sqlite3_column_int64(s, 2));
        }
        return r;
}

int rows_transfer(Database *memory, Database *disk, int64_t *ret_shift) {
        int64_t shift;
        int r;

        r = copy_notes(memory, disk); /* ids of the disk's own */
        if (r >= 0)
                r = find_shift(memory, disk, &shift);
        if (r >= 0)
                r = copy_rows(memory, "SELECT " SCHEMA_RESET_COLUMNS " FROM resets ORDER BY id",
                              disk,
                              "INSERT OR REPLACE INTO resets(" SCHEMA_RESET_COLUMNS
                              ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                              shift);
        if (r >= 0)
                r = copy_rows(memory, "SELECT " SCHEMA_EVENT_COLUMNS " FROM events ORDER BY id",
                              disk,
                              "INSERT OR REPLACE INTO events(" SCHEMA_EVENT_COLUMNS
                              ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
                              shift);
        if (r >= 0)
                r = copy_rows(
                        memory, "SELECT " SCHEMA_BOOT_COLUMNS " FROM boots ORDER BY id", disk,
                        "INSERT INTO boots(" SCHEMA_BOOT_COLUMNS
                        ") SELECT NULL,?2,?3,?4,?5,?6 WHERE ?1>0 AND NOT EXISTS(SELECT 1 FROM "
                        "(SELECT * FROM boots ORDER BY id DESC LIMIT 512"
                        ") WHERE boot_id=?3 AND boottime_usec=?6)",
                        0);
        if (r >= 0)
                r = copy_counters(memory, disk);
        if (r < 0)
                return r;
        *ret_shift = shift;
        return 0;
}
