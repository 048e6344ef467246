/* SPDX-License-Identifier: MIT */
/* What was remembered in memory goes to the disk. A commit that failed may have reached the disk
 * all the same: rows that are there already are not written twice. */
#include <sqlite3.h>

#include "history/rows.h"
#include "history/schema.h"

#define RECENT "512" /* rows of the disk among which a double can be */

/* Column numbers of boot_id and boottime_usec, which together tell a reset from all others. */
enum {
        RESET_BOOT_ID = 11,
        RESET_BOOTTIME = 14,
};

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

/* Is the reset that row of the disk is on the same as memory's of that id? 1, 0. */
static int same_reset(Database *memory, sqlite3_stmt *row) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(
                memory, "SELECT 1 FROM resets WHERE id=?1 AND boot_id=?2 AND boottime_usec=?3", &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_value(s, 1, sqlite3_column_value(row, 0));
        (void) sqlite3_bind_value(s, 2, sqlite3_column_value(row, RESET_BOOT_ID));
        (void) sqlite3_bind_value(s, 3, sqlite3_column_value(row, RESET_BOOTTIME));
        return database_step(memory, s);
}

/* 1 when all that the disk has from id first on is in memory too. */
static int only_doubles(Database *memory, Database *disk, int64_t first) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        bool any = false;
        int r;

        r = database_prepare(
                disk, "SELECT " SCHEMA_RESET_COLUMNS " FROM resets WHERE id>=? LIMIT " RECENT, &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s, 1, first);
        while ((r = database_step(disk, s)) > 0) {
                r = same_reset(memory, s);
                if (r <= 0)
                        return r;
                any = true;
        }
        return r < 0 ? r : any;
}

/* Ids given in memory may be those of other resets on the disk, when it had never been read. */
static int find_shift(Database *memory, Database *disk, int64_t *ret) {
        int64_t first, last;
        int r;

        r = database_read_int(memory, "SELECT coalesce(min(id),0) FROM resets", &first);
        if (r >= 0)
                r = rows_last_id(disk, &last);
        if (r < 0)
                return r;
        if (first == 0 || last < first) {
                *ret = 0;
                return 0;
        }
        r = only_doubles(memory, disk, first);
        if (r >= 0)
                *ret = r > 0 ? 0 : last + 1 - first;
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
                              ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                              shift);
        if (r >= 0)
                r = copy_rows(
                        memory, "SELECT " SCHEMA_EVENT_COLUMNS " FROM events ORDER BY id", disk,
                        "INSERT INTO events(" SCHEMA_EVENT_COLUMNS
                        ") SELECT NULL,?2,?3,?4,?5,?6,?7 WHERE ?1>0 AND NOT EXISTS(SELECT 1 FROM "
                        "(SELECT * FROM events ORDER BY id DESC LIMIT " RECENT
                        ") WHERE name=?2 AND detail IS ?3 AND boot_id=?4 AND boottime_usec=?7)",
                        0);
        if (r >= 0)
                r = copy_rows(
                        memory, "SELECT " SCHEMA_BOOT_COLUMNS " FROM boots ORDER BY id", disk,
                        "INSERT INTO boots(" SCHEMA_BOOT_COLUMNS
                        ") SELECT NULL,?2,?3,?4,?5,?6 WHERE ?1>0 AND NOT EXISTS(SELECT 1 FROM "
                        "(SELECT * FROM boots ORDER BY id DESC LIMIT " RECENT
                        ") WHERE boot_id=?3 AND boottime_usec=?6)",
                        0);
        if (r >= 0)
                r = copy_counters(memory, disk);
        if (r < 0)
                return r;
        *ret_shift = shift;
        return 0;
}
