/* SPDX-License-Identifier: MIT */
/* What is in the database, and the way from each older version to this one.
 *
 * Version 0 is a file without tables, or one made by hand or by a prototype with some of the
 * columns. Enums are stored as the numbers of include/mpyd/reset.h. Ids are never used twice
 * (AUTOINCREMENT), so that their order is the order of events whatever the clocks said. */
#include "history/schema.h"

#include <stdio.h>
#include <sqlite3.h>

typedef struct Column {
        const char *name;
        const char *type;
} Column;

typedef struct Table {
        const char *name;
        Column columns[20];
} Table;

#define KEY { "id", "INTEGER PRIMARY KEY AUTOINCREMENT" }
#define INTEGER "INTEGER NOT NULL DEFAULT 0"
#define TEXT "TEXT NOT NULL DEFAULT ''"
#define STAMP                                                                                  \
        { "boot_id", TEXT }, { "realtime_usec", INTEGER }, { "clock_synced", INTEGER }, {      \
                "boottime_usec", INTEGER                                                       \
        }

/* Version 1. Never change it once released: add a step. */
static const Table tables_1[] = {
        /* one row for each start of the daemon */
        { "boots", { KEY, { "version", TEXT }, STAMP } },
        { "resets",
          { KEY,
            { "cause", INTEGER },
            { "reason", INTEGER },
            { "kind", INTEGER },
            { "run_reason", INTEGER },
            { "detail", "TEXT" },
            { "stage", INTEGER },
            { "exit_status", "INTEGER NOT NULL DEFAULT -1" },
            { "signal", INTEGER },
            { "uptime_usec", INTEGER },
            { "traceback", "TEXT" },
            STAMP,
            { "late", INTEGER },
            { "repeats", INTEGER } } },
        { "events", { KEY, { "name", TEXT }, { "detail", "TEXT" }, STAMP } },
        { "counters", { { "name", "TEXT PRIMARY KEY NOT NULL" }, { "value", INTEGER } } },
};

static int create_table(Database *d, const Table *t) {
        char sql[1024];
        size_t n = (size_t) snprintf(sql, sizeof sql, "CREATE TABLE IF NOT EXISTS %s(", t->name);

        for (const Column *c = t->columns; c->name && n < sizeof sql; c++)
                n += (size_t) snprintf(sql + n, sizeof sql - n, "%s%s %s",
                                       c == t->columns ? "" : ",", c->name, c->type);
        if (n < sizeof sql)
                n += (size_t) snprintf(sql + n, sizeof sql - n, ")");
        assert(n < sizeof sql);
        return database_exec(d, sql);
}

static int has_column(Database *d, const char *table, const char *column) {
        char sql[160];
        int64_t n;
        int r;

        (void) snprintf(sql, sizeof sql,
                        "SELECT count(*) FROM pragma_table_info('%s') WHERE name='%s'", table,
                        column);
        r = database_read_int(d, sql, &n);
        return r < 0 ? r : n > 0;
}

static int add_missing_columns(Database *d, const Table *t) {
        for (const Column *c = t->columns; c->name; c++) {
                char sql[160];
                int r = has_column(d, t->name, c->name);

                if (r == 0) {
                        (void) snprintf(sql, sizeof sql, "ALTER TABLE %s ADD COLUMN %s %s", t->name,
                                        c->name, c->type);
                        r = database_exec(d, sql);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int step_0_to_1(Database *d) {
        for (size_t i = 0; i < ELEMENTSOF(tables_1); i++) {
                int r = create_table(d, &tables_1[i]);

                if (r >= 0)
                        r = add_missing_columns(d, &tables_1[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Why a reset was taken for what it was. */
static int step_1_to_2(Database *d) {
        int r = has_column(d, "resets", "evidence");

        return r != 0 ? MIN(r, 0) : database_exec(d, "ALTER TABLE resets ADD COLUMN evidence TEXT");
}

static const SchemaStep steps[] = { step_0_to_1, step_1_to_2 };
static_assert(ELEMENTSOF(steps) == SCHEMA_VERSION, "a step for each version");

static int migrate_in_transaction(Database *d, const SchemaStep way[], unsigned from, unsigned to) {
        char sql[80];
        int r;

        for (unsigned i = from; i < to; i++) {
                r = way[i](d);
                if (r < 0)
                        return r;
        }
        (void) snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%u",
                        DATABASE_APPLICATION_ID, to);
        r = database_exec(d, sql);
        return r < 0 ? r : database_commit(d);
}

int schema_migrate_with(Database *d, const SchemaStep way[], unsigned n) {
        int64_t version;
        int r;

        r = database_read_int(d, "PRAGMA user_version", &version);
        if (r < 0)
                return r;
        if (version < 0)
                return -EBADMSG;
        if (version > n)
                return -EPROTONOSUPPORT;
        if (version == n)
                return 0;
        r = database_begin(d);
        if (r < 0)
                return r;
        r = migrate_in_transaction(d, way, (unsigned) version, n);
        if (r < 0)
                database_rollback(d);
        return r;
}

int schema_migrate(Database *d) {
        return schema_migrate_with(d, steps, ELEMENTSOF(steps));
}

int schema_check(Database *d) {
        int64_t id, version, n_tables, n_ours;
        int r;

        r = database_read_int(d, "PRAGMA application_id", &id);
        if (r >= 0)
                r = database_read_int(d, "PRAGMA user_version", &version);
        if (r >= 0)
                r = database_read_int(d, "SELECT count(*) FROM sqlite_master", &n_tables);
        if (r >= 0)
                r = database_read_int(d,
                                      "SELECT count(*) FROM sqlite_master WHERE type='table' AND "
                                      "name='resets'",
                                      &n_ours);
        if (r < 0)
                return r;
        if (id != DATABASE_APPLICATION_ID && (id != 0 || (n_tables > 0 && n_ours == 0))) {
                (void) snprintf(d->why, sizeof d->why, "it is a database of another program");
                return -EBADMSG;
        }
        if (version < 0) {
                (void) snprintf(d->why, sizeof d->why, "its version is negative");
                return -EBADMSG;
        }
        if (version > SCHEMA_VERSION)
                return -EPROTONOSUPPORT;
        return (int) version;
}

int schema_verify(Database *d) {
        static const char *const sql[] = {
                "SELECT " SCHEMA_BOOT_COLUMNS " FROM boots",
                "SELECT " SCHEMA_RESET_COLUMNS " FROM resets",
                "SELECT " SCHEMA_EVENT_COLUMNS " FROM events",
                "SELECT name,value FROM counters",
        };

        for (size_t i = 0; i < ELEMENTSOF(sql); i++) {
                _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
                int r = database_prepare(d, sql[i], &s);

                if (r < 0)
                        return r;
        }
        return 0;
}
