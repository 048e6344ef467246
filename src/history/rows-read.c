/* SPDX-License-Identifier: MIT */
/* Rows read. The file may be damaged in ways that SQLite does not see: what is out of range is not
 * believed. */
#include <sqlite3.h>
#include <stdio.h>

#include "history/record.h"
#include "history/rows.h"
#include "history/schema.h"

#define EVENTS_MAX 1000u

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

/* 1 and a reset; 0 for a row that cannot be one. */
static int read_reset(sqlite3_stmt *s, HistoryReset *ret) {
        HistoryReset r = {};
        int i = 0, q;

        r.id = sqlite3_column_int64(s, i++);
        r.cause = (ResetCause) column_int(s, i++);
        r.reason = (ResetReason) column_int(s, i++);
        r.kind = (ResetKind) column_int(s, i++);
        r.run_reason = (RunReason) column_int(s, i++);
        q = record_copy_detail(column_text(s, i++), &r.detail);
        r.stage = (BoardStage) column_int(s, i++);
        r.exit_status = column_int(s, i++);
        r.signal = column_int(s, i++);
        r.uptime_usec = column_u64(s, i++);
        if (q >= 0)
                q = record_copy_traceback(column_text(s, i), &r.traceback);
        i++;
        column_boot_id(s, i++, r.boot_id);
        r.realtime_usec = column_u64(s, i++);
        r.clock_synced = sqlite3_column_int64(s, i++) != 0;
        r.boottime_usec = column_u64(s, i++);
        r.late = sqlite3_column_int64(s, i++) != 0;
        r.repeats = column_u64(s, i++);
        if (q >= 0)
                q = record_copy_evidence(column_text(s, i), &r.evidence);
        if (q < 0 || r.id <= 0 || !record_reset_valid(&r)) {
                history_reset_done(&r);
                return q < 0 ? q : 0;
        }
        *ret = r;
        return 1;
}

typedef struct ResetList {
        HistoryReset *items;
        size_t n, room;
} ResetList;

static void reset_list_done(ResetList *l) {
        l->items = history_resets_free(l->items, l->n);
}

static int reset_list_grow(ResetList *l) {
        HistoryReset *items;
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

int rows_query(Database *d, const HistoryQuery *q, HistoryReset **ret, size_t *ret_n) {
#define REST " FROM resets WHERE id BETWEEN ?1 AND ?2 AND realtime_usec>=?3 ORDER BY id DESC"
        static const char sql[] = "SELECT " SCHEMA_RESET_COLUMNS REST;
        static const char sql_1[] = "SELECT " SCHEMA_RESET_COLUMNS_1 REST;
#undef REST
        _cleanup_(reset_list_done) ResetList list = {};
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        size_t limit = MIN(MAX(q->limit, 1u), ROWS_QUERY_MAX);
        int64_t last = q->before_id > 0 ? q->before_id - 1 : INT64_MAX, version;
        int r;

        r = database_read_int(d, "PRAGMA user_version", &version);
        if (r >= 0)
                r = database_prepare(d, version == 1 ? sql_1 : sql, &s);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s, 1, q->id > 0 ? q->id : 1);
        (void) sqlite3_bind_int64(s, 2, q->id > 0 ? MIN(q->id, last) : last);
        (void) sqlite3_bind_int64(s, 3, (int64_t) MIN(q->since_usec, (uint64_t) INT64_MAX));
        while (list.n < limit && (r = database_step(d, s)) > 0) {
                r = reset_list_grow(&list);
                if (r >= 0)
                        r = read_reset(s, &list.items[list.n]);
                if (r < 0)
                        return r;
                list.n += (size_t) r;
        }
        if (r < 0)
                return r;
        *ret_n = list.n;
        *ret = TAKE_PTR(list.items);
        return 0;
}

static int read_event(sqlite3_stmt *s, HistoryEvent *ret) {
        HistoryEvent e = {};
        int i = 0, r;

        e.id = sqlite3_column_int64(s, i++);
        r = record_copy_detail(column_text(s, i++), &e.name);
        if (r >= 0)
                r = record_copy_detail(column_text(s, i), &e.detail);
        i++;
        column_boot_id(s, i++, e.boot_id);
        e.realtime_usec = column_u64(s, i++);
        e.clock_synced = sqlite3_column_int64(s, i++) != 0;
        e.boottime_usec = column_u64(s, i++);
        if (r < 0 || e.id <= 0 || !record_name_valid(e.name)) {
                history_event_done(&e);
                return r < 0 ? r : 0;
        }
        *ret = e;
        return 1;
}

int rows_events(Database *d, unsigned limit, HistoryEvent **ret, size_t *ret_n) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        size_t room = MIN(MAX(limit, 1u), EVENTS_MAX), n = 0;
        HistoryEvent *events;
        int r;

        r = database_prepare(d, "SELECT " SCHEMA_EVENT_COLUMNS " FROM events ORDER BY id DESC", &s);
        if (r < 0)
                return r;
        events = calloc(room, sizeof *events);
        if (!events)
                return -ENOMEM;
        while (n < room && (r = database_step(d, s)) > 0) {
                r = read_event(s, &events[n]);
                if (r < 0)
                        break;
                n += (size_t) r;
        }
        if (r < 0) {
                (void) history_events_free(events, n);
                return r;
        }
        *ret = events;
        *ret_n = n;
        return 0;
}

int rows_counters(Database *d, void (*cb)(void *userdata, const char *name, int64_t value),
                  void *userdata) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(d, "SELECT name,value FROM counters ORDER BY name", &s);
        while (r >= 0 && (r = database_step(d, s)) > 0) {
                const char *name = column_text(s, 0);

                if (record_name_valid(name))
                        cb(userdata, name, sqlite3_column_int64(s, 1));
        }
        return r;
}
