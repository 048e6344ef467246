/* SPDX-License-Identifier: MIT */
/* Rows written: boots, resets, events, counters. */
#include <sqlite3.h>

#include "history/rows.h"
#include "history/schema.h"

/* SQLite copies nothing: what is bound lives until the statement is done. */
static void bind_text(sqlite3_stmt *s, int i, const char *text) {
        if (text)
                (void) sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
}

static void bind_u64(sqlite3_stmt *s, int i, uint64_t v) {
        (void) sqlite3_bind_int64(s, i, (int64_t) MIN(v, (uint64_t) INT64_MAX));
}

static int bind_stamp(sqlite3_stmt *s, int i, const char *boot_id, uint64_t realtime_usec,
                      bool clock_synced, uint64_t boottime_usec) {
        bind_text(s, i++, boot_id);
        bind_u64(s, i++, realtime_usec);
        (void) sqlite3_bind_int(s, i++, clock_synced);
        bind_u64(s, i++, boottime_usec);
        return i;
}

int rows_add_boot(Database *d, const HistoryEvent *stamp, const char *version) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(d, "INSERT INTO boots(" SCHEMA_BOOT_COLUMNS ") VALUES(NULL,?,?,?,?,?)",
                             &s);
        if (r < 0)
                return r;
        bind_text(s, 1, version);
        (void) bind_stamp(s, 2, stamp->boot_id, stamp->realtime_usec, stamp->clock_synced,
                          stamp->boottime_usec);
        return database_step(d, s);
}

int rows_add_reset(Database *d, int64_t id_min, const HistoryReset *reset, int64_t *ret_id) {
        static const char sql[] =
                "INSERT INTO resets(" SCHEMA_RESET_COLUMNS ") VALUES(max(?1,"
                "1+coalesce((SELECT seq FROM sqlite_sequence WHERE name='resets'),0),"
                "1+coalesce((SELECT max(id) FROM resets),0)),"
                "?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)";
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int i = 1, r;

        r = database_prepare(d, sql, &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s, i++, id_min);
        (void) sqlite3_bind_int(s, i++, (int) reset->cause);
        (void) sqlite3_bind_int(s, i++, (int) reset->reason);
        (void) sqlite3_bind_int(s, i++, (int) reset->kind);
        (void) sqlite3_bind_int(s, i++, (int) reset->run_reason);
        bind_text(s, i++, reset->detail);
        (void) sqlite3_bind_int(s, i++, (int) reset->stage);
        (void) sqlite3_bind_int(s, i++, reset->exit_status);
        (void) sqlite3_bind_int(s, i++, reset->signal);
        bind_u64(s, i++, reset->uptime_usec);
        bind_text(s, i++, reset->traceback);
        i = bind_stamp(s, i, reset->boot_id, reset->realtime_usec, reset->clock_synced,
                       reset->boottime_usec);
        (void) sqlite3_bind_int(s, i++, reset->late);
        bind_u64(s, i++, reset->repeats);
        bind_text(s, i++, reset->evidence);
        r = database_step(d, s);
        if (r < 0)
                return r;
        *ret_id = sqlite3_last_insert_rowid(d->db);
        return 0;
}

int rows_memory_prepare(Database *memory) {
        return database_exec(memory,
                             "CREATE TABLE notes(id INTEGER PRIMARY KEY,late INTEGER NOT NULL,"
                             "repeats INTEGER NOT NULL)");
}

static int run_with(Database *d, const char *sql, int64_t id, bool late, uint64_t repeats) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(d, sql, &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s, 1, id);
        (void) sqlite3_bind_int(s, 2, late);
        bind_u64(s, 3, repeats);
        return database_step(d, s);
}

/* Changes the row of a reset, or notes the change where the row is on a disk that is away. A row
 * that is nowhere was pruned. */
static int change_reset(Database *d, int64_t id, bool late, uint64_t repeats) {
        int r;

        r = run_with(d,
                     "UPDATE resets SET late=late OR ?2, repeats="
                     "CASE WHEN repeats>9223372036854775807-?3 THEN 9223372036854775807 "
                     "ELSE repeats+?3 END WHERE id=?1",
                     id, late, repeats);
        if (r < 0 || sqlite3_changes(d->db) > 0 || !d->in_memory)
                return r;
        return run_with(d,
                        "INSERT INTO notes VALUES(?1,?2,?3) ON CONFLICT(id) DO UPDATE SET "
                        "late=late OR excluded.late, repeats=repeats+excluded.repeats",
                        id, late, repeats);
}

int rows_mark_late(Database *d, int64_t id) {
        return change_reset(d, id, true, 0);
}

int rows_add_repeats(Database *d, int64_t id, uint64_t n) {
        return change_reset(d, id, false, n);
}

int rows_add_event(Database *d, const HistoryEvent *e) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(
                d, "INSERT INTO events(" SCHEMA_EVENT_COLUMNS ") VALUES(NULL,?,?,?,?,?,?)", &s);
        if (r < 0)
                return r;
        bind_text(s, 1, e->name);
        bind_text(s, 2, e->detail);
        (void) bind_stamp(s, 3, e->boot_id, e->realtime_usec, e->clock_synced, e->boottime_usec);
        return database_step(d, s);
}

/* 1 and the value, or 0 when there is no such counter. */
static int read_counter(Database *d, const char *name, int64_t *ret) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(d, "SELECT value FROM counters WHERE name=?", &s);
        if (r < 0)
                return r;
        bind_text(s, 1, name);
        r = database_step(d, s);
        if (r > 0)
                *ret = sqlite3_column_int64(s, 0);
        return r;
}

int rows_count(Database *d, const char *name, int64_t delta) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int64_t value = 0, n = 0;
        int r;

        r = read_counter(d, name, &value);
        if (r == 0) {
                r = database_read_int(d, "SELECT count(*) FROM counters", &n);
                if (r >= 0 && n >= ROWS_COUNTERS_MAX)
                        return -E2BIG;
        }
        if (r >= 0) /* here and not in SQL, where too large a sum becomes a float */
                r = database_prepare(d, "INSERT OR REPLACE INTO counters(name,value) VALUES(?,?)",
                                     &s);
        if (r < 0)
                return r;
        if (__builtin_add_overflow(value, delta, &value))
                value = delta > 0 ? INT64_MAX : INT64_MIN;
        bind_text(s, 1, name);
        (void) sqlite3_bind_int64(s, 2, value);
        return database_step(d, s);
}

int rows_last_id(Database *d, int64_t *ret) {
        return database_read_int(
                d,
                "SELECT max(coalesce((SELECT seq FROM sqlite_sequence "
                "WHERE name='resets'),0),coalesce((SELECT max(id) FROM resets),0))",
                ret);
}
