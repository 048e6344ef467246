/* SPDX-License-Identifier: MIT */
/* Rows written: boots, resets, events, counters. */
#include <sqlite3.h>

#include "history/rows.h"
#include "history/schema.h"
#include "history/totals.h"

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

int rows_add_boot(Database *d, const HistoryRecord *stamp, const char *version) {
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

/* What both kinds of record have, in the order of the columns. */
static int bind_life(sqlite3_stmt *s, int i, const HistoryRecord *r) {
        (void) sqlite3_bind_int(s, i++, (int) r->stage);
        (void) sqlite3_bind_int(s, i++, r->exit_status);
        (void) sqlite3_bind_int(s, i++, r->signal);
        bind_u64(s, i++, r->uptime_usec);
        bind_text(s, i++, r->traceback);
        return bind_stamp(s, i, r->boot_id, r->realtime_usec, r->clock_synced, r->boottime_usec);
}

static int add_reset(Database *d, int64_t id, const HistoryRecord *reset) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int i = 1, r;

        r = database_prepare(d,
                             "INSERT INTO resets(" SCHEMA_RESET_COLUMNS
                             ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                             &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s, i++, id);
        (void) sqlite3_bind_int(s, i++, (int) reset->cause);
        (void) sqlite3_bind_int(s, i++, (int) reset->reason);
        (void) sqlite3_bind_int(s, i++, (int) reset->kind);
        (void) sqlite3_bind_int(s, i++, (int) reset->run_reason);
        bind_text(s, i++, reset->detail);
        i = bind_life(s, i, reset);
        (void) sqlite3_bind_int(s, i++, reset->late);
        bind_u64(s, i++, reset->repeats);
        (void) sqlite3_bind_int(s, i++, reset->crashed);
        (void) sqlite3_bind_int(s, i++, reset->delayed);
        bind_text(s, i++, reset->evidence);
        return database_step(d, s);
}

static int add_event(Database *d, int64_t id, const HistoryRecord *event) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int i = 1, r;

        r = database_prepare(d,
                             "INSERT INTO events(" SCHEMA_EVENT_COLUMNS
                             ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
                             &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s, i++, id);
        bind_text(s, i++, event->name);
        bind_text(s, i++, event->detail);
        i = bind_life(s, i, event);
        bind_u64(s, i++, event->repeats);
        return database_step(d, s);
}

static int64_t times(uint64_t repeats) {
        return (int64_t) MIN(repeats, (uint64_t) INT64_MAX - 1) + 1;
}

int rows_add(Database *d, int64_t id_min, const HistoryRecord *record, int64_t *ret_id) {
        int64_t last;
        int r;

        r = rows_last_id(d, &last);
        if (r < 0)
                return r;
        if (last == INT64_MAX)
                return -EBADMSG; /* no daemon gave that id */
        last = MAX(last + 1, id_min);
        r = record->name ? add_event(d, last, record) : add_reset(d, last, record);
        if (r >= 0)
                r = rows_count_record(d, record, times(record->repeats));
        if (r < 0)
                return r;
        *ret_id = last;
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

static int note_change(Database *memory, int64_t id, bool late, uint64_t repeats) {
        return run_with(memory,
                        "INSERT INTO notes VALUES(?1,?2,?3) ON CONFLICT(id) DO UPDATE SET "
                        "late=late OR excluded.late, repeats=repeats+excluded.repeats",
                        id, late, repeats);
}

/* Where the row is on a disk that is away, the change is noted. One that is nowhere was pruned. */
int rows_mark_late(Database *d, int64_t id) {
        int r = run_with(d, "UPDATE resets SET late=late OR ?2 WHERE id=?1 AND ?3=0", id, true, 0);

        if (r < 0 || sqlite3_changes(d->db) > 0 || !d->in_memory)
                return r;
        return note_change(d, id, true, 0);
}

static int add_to_row(Database *d, const HistoryRecord *record, uint64_t n) {
        int r = run_with(d,
                         record->name ? "UPDATE events SET repeats=CASE WHEN "
                                        "repeats>9223372036854775807-?3 THEN 9223372036854775807 "
                                        "ELSE repeats+?3 END WHERE id=?1 AND ?2=0"
                                      : "UPDATE resets SET repeats=CASE WHEN "
                                        "repeats>9223372036854775807-?3 THEN 9223372036854775807 "
                                        "ELSE repeats+?3 END WHERE id=?1 AND ?2=0",
                         record->id, false, n);

        return r < 0 ? r : rows_count_record(d, record, (int64_t) MIN(n, (uint64_t) INT64_MAX));
}

int rows_add_repeats(Database *d, int64_t id, uint64_t n) {
        HistoryRecord *record = NULL;
        size_t found = 0;
        int r;

        r = rows_query(d, &(HistoryQuery) { .id = id, .limit = 1 }, &record, &found);
        if (r < 0)
                return r;
        if (found > 0)
                r = add_to_row(d, &record[0], n);
        else if (d->in_memory)
                r = note_change(d, id, false, n);
        (void) history_records_free(record, found);
        return r;
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

int rows_count_record(Database *d, const HistoryRecord *record, int64_t n) {
        const char *names[TOTALS_NAMES_MAX];
        size_t n_names = totals_names(record, names);

        for (size_t i = 0; i < n_names; i++) {
                int r = rows_count(d, names[i], n);

                if (r < 0 && r != -E2BIG)
                        return r;
        }
        return 0;
}

int rows_last_id(Database *d, int64_t *ret) {
        return database_read_int(
                d,
                "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence "
                "WHERE name IN ('resets','events')),0),coalesce((SELECT max(id) FROM resets),0),"
                "coalesce((SELECT max(id) FROM events),0))",
                ret);
}

int rows_id_range(Database *d, int64_t *ret_first, int64_t *ret_last) {
        int64_t first, last;
        int r;

        r = database_read_int(d,
                              "SELECT coalesce(min(id),0) FROM (SELECT min(id) AS id FROM resets "
                              "UNION ALL SELECT min(id) FROM events)",
                              &first);
        if (r >= 0)
                r = database_read_int(d,
                                      "SELECT coalesce(max(id),0) FROM (SELECT max(id) AS id FROM "
                                      "resets UNION ALL SELECT max(id) FROM events)",
                                      &last);
        if (r < 0)
                return r;
        *ret_first = first;
        *ret_last = last;
        return 0;
}
