/* SPDX-License-Identifier: MIT */
/* Rows read. The file may be damaged in ways that SQLite does not see: what is out of range is not
 * believed. */
#include <sqlite3.h>
#include <stdio.h>

#include "history/record.h"
#include "history/rows.h"
#include "history/schema.h"
#include "history/totals.h"

static uint64_t column_u64(sqlite3_stmt *s, int i) {
        int64_t v = sqlite3_column_int64(s, i);

        return v < 0 ? 0 : (uint64_t) v;
}

static int column_int(sqlite3_stmt *s, int i) {
        int64_t v = sqlite3_column_int64(s, i);

        return v >= INT32_MIN && v <= INT32_MAX ? (int) v : -1;
}

static const char *column_text(sqlite3_stmt *s, int i) {
        return (const char *) sqlite3_column_text(s, i);
}

static void column_boot_id(sqlite3_stmt *s, int i, char ret[static 33]) {
        const char *id = column_text(s, i);

        (void) strcpy(ret, record_boot_id_valid(id) ? id : "");
}

/* Both tables in the same columns; of what an event has not there are zeros. Not one statement with
 * UNION ALL: SQLite would copy the rows within, and of a damaged one that fails where reading it
 * column by column does not. */
#define LIFE_COLUMNS "detail,stage,exit_status,signal,uptime_usec,traceback," SCHEMA_STAMP_COLUMNS
#define WINDOW "id BETWEEN ?1 AND ?2 AND realtime_usec>=?3 AND ?4 IN "
static const char *const query_sql[] = {
        "SELECT id,NULL,cause,reason,kind,run_reason," LIFE_COLUMNS
        ",late,repeats,crashed,delayed,evidence FROM resets WHERE " WINDOW "('','" HISTORY_ONLY_RESETS
        "') ORDER BY id DESC",
        "SELECT id,name,0,0,0,0," LIFE_COLUMNS ",0,repeats,0,0,NULL FROM events WHERE " WINDOW
        "('','" HISTORY_ONLY_EVENTS "',name) ORDER BY id DESC",
};

static int prepare_query(Database *d, const HistoryQuery *q, const char *sql, sqlite3_stmt **ret) {
        int64_t last = q->before_id > 0 ? q->before_id - 1 : INT64_MAX;
        sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(d, sql, &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s, 1, q->id > 0 ? q->id : 1);
        (void) sqlite3_bind_int64(s, 2, q->id > 0 ? MIN(q->id, last) : last);
        (void) sqlite3_bind_int64(s, 3, (int64_t) MIN(q->since_usec, (uint64_t) INT64_MAX));
        (void) sqlite3_bind_text(s, 4, q->only, -1, SQLITE_STATIC);
        *ret = s;
        return 0;
}

static int read_texts(sqlite3_stmt *s, HistoryRecord *r) {
        const char *name = column_text(s, 1);
        int q = record_copy_detail(name, &r->name);

        if (q >= 0)
                q = record_copy_detail(column_text(s, 6), &r->detail);
        if (q >= 0)
                q = record_copy_traceback(column_text(s, 11), &r->traceback);
        return q < 0 ? q : record_copy_evidence(column_text(s, 20), &r->evidence);
}

/* 1 and a record; 0 for a row that cannot be one. */
static int read_record(sqlite3_stmt *s, HistoryRecord *ret) {
        HistoryRecord r = {
                .id = sqlite3_column_int64(s, 0),
                .cause = (ResetCause) column_int(s, 2),
                .reason = (ResetReason) column_int(s, 3),
                .kind = (ResetKind) column_int(s, 4),
                .run_reason = (RunReason) column_int(s, 5),
                .stage = (BoardStage) column_int(s, 7),
                .exit_status = column_int(s, 8),
                .signal = column_int(s, 9),
                .uptime_usec = column_u64(s, 10),
                .realtime_usec = column_u64(s, 13),
                .clock_synced = sqlite3_column_int64(s, 14) != 0,
                .boottime_usec = column_u64(s, 15),
                .late = sqlite3_column_int64(s, 16) != 0,
                .repeats = column_u64(s, 17),
                .crashed = sqlite3_column_int64(s, 18) != 0,
                .delayed = sqlite3_column_int64(s, 19) != 0,
        };
        int q = read_texts(s, &r);

        column_boot_id(s, 12, r.boot_id);
        if (q < 0 || r.id <= 0 || !record_valid(&r)) {
                history_record_done(&r);
                return q < 0 ? q : 0;
        }
        *ret = r;
        return 1;
}

/* The next record of each table, newest first. */
typedef struct TimeLine {
        Database *database;
        struct {
                sqlite3_stmt *statement;
                HistoryRecord head;
                bool has_head, at_end;
        } tables[ELEMENTSOF(query_sql)];
} TimeLine;

static void time_line_done(TimeLine *t) {
        for (size_t i = 0; i < ELEMENTSOF(t->tables); i++) {
                (void) statement_free(t->tables[i].statement);
                history_record_done(&t->tables[i].head);
        }
}

/* q lives as long as t. */
static int time_line_open(TimeLine *t, Database *d, const HistoryQuery *q) {
        t->database = d;
        for (size_t i = 0; i < ELEMENTSOF(t->tables); i++) {
                int r = prepare_query(d, q, query_sql[i], &t->tables[i].statement);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int fill_head(TimeLine *t, size_t i) {
        while (!t->tables[i].has_head && !t->tables[i].at_end) {
                int r = database_step(t->database, t->tables[i].statement);

                if (r < 0)
                        return r;
                if (r == 0) {
                        t->tables[i].at_end = true;
                        break;
                }
                r = read_record(t->tables[i].statement, &t->tables[i].head);
                if (r < 0)
                        return r;
                t->tables[i].has_head = r > 0;
        }
        return 0;
}

/* 1 and the next record, which is the caller's; 0 at the end. */
static int time_line_next(TimeLine *t, HistoryRecord *ret) {
        size_t newest = SIZE_MAX;

        for (size_t i = 0; i < ELEMENTSOF(t->tables); i++) {
                int r = fill_head(t, i);

                if (r < 0)
                        return r;
                if (t->tables[i].has_head &&
                    (newest == SIZE_MAX || t->tables[i].head.id > t->tables[newest].head.id))
                        newest = i;
        }
        if (newest == SIZE_MAX)
                return 0;
        *ret = t->tables[newest].head;
        t->tables[newest].head = (HistoryRecord) {};
        t->tables[newest].has_head = false;
        return 1;
}

typedef struct RecordList {
        HistoryRecord *items;
        size_t n, room;
} RecordList;

static void record_list_done(RecordList *l) {
        l->items = history_records_free(l->items, l->n);
}

static int record_list_grow(RecordList *l) {
        HistoryRecord *items;
        size_t room = MAX(l->room * 2, (size_t) 16);

        if (l->n < l->room)
                return 0;
        items = reallocarray(l->items, room, sizeof *items);
        if (!items)
                return -ENOMEM;
        l->items = items;
        l->room = room;
        return 0;
}

int rows_query(Database *d, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n) {
        _cleanup_(record_list_done) RecordList list = {};
        _cleanup_(time_line_done) TimeLine line = {};
        size_t limit = MIN(MAX(q->limit, 1u), ROWS_QUERY_MAX);
        int r;

        r = time_line_open(&line, d, q);
        while (r >= 0 && list.n < limit) {
                r = record_list_grow(&list);
                if (r >= 0)
                        r = time_line_next(&line, &list.items[list.n]);
                if (r == 0)
                        break;
                if (r > 0)
                        list.n++;
        }
        if (r < 0)
                return r;
        *ret_n = list.n;
        *ret = TAKE_PTR(list.items);
        return 0;
}

int rows_count_all(Database *d) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);
        _cleanup_(time_line_done) TimeLine line = {};
        const HistoryQuery all = {};
        HistoryRecord record;
        int r;

        if (!t)
                return -ENOMEM;
        r = time_line_open(&line, d, &all);
        while (r >= 0 && (r = time_line_next(&line, &record)) > 0) {
                totals_add_record(
                        t, &record,
                        (int64_t) MIN(record.repeats, (uint64_t) INT64_MAX - 1) + 1);
                history_record_done(&record);
        }
        for (size_t i = 0; r >= 0 && i < t->n; i++) {
                r = rows_count(d, t->items[i].name, t->items[i].value);
                if (r == -E2BIG)
                        r = 0;
        }
        return r;
}

int rows_totals(Database *d, HistoryTotals *t) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL, *first = NULL;
        int r;

        r = database_prepare(
                d, "SELECT realtime_usec,clock_synced FROM boots ORDER BY id LIMIT 1", &first);
        if (r >= 0)
                r = database_step(d, first);
        if (r > 0) {
                t->since_usec = column_u64(first, 0);
                t->since_synced = sqlite3_column_int64(first, 1) != 0;
        }
        if (r >= 0)
                r = database_prepare(d, "SELECT name,value FROM counters ORDER BY name", &s);
        while (r >= 0 && (r = database_step(d, s)) > 0) {
                const char *name = column_text(s, 0);

                if (record_name_valid(name) &&
                    totals_add(t, name, sqlite3_column_int64(s, 1)) < 0)
                        break;
        }
        return MIN(r, 0);
}
