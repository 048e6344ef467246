/* SPDX-License-Identifier: MIT */
/* What is in the database, and the way from each older version to this one.
 *
 * Version 0 is a file without tables, or one made by hand or by a prototype with some of the
 * columns. Enums are stored as the numbers of include/mpyd/reset.h. Ids are never used twice
 * (AUTOINCREMENT), and resets and events share one sequence of them, so that their order is the
 * order in which things happened whatever the clocks said. */
#include "history/schema.h"

#include <stdio.h>
#include <sqlite3.h>

#include "history/rows.h"

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

/* What version 3 added: an event may tell how a life ended, and is counted in storms. */
static const Table tables_3[] = {
        { "resets", { { "crashed", INTEGER }, { "delayed", INTEGER } } },
        { "events",
          { { "stage", INTEGER },
            { "exit_status", "INTEGER NOT NULL DEFAULT -1" },
            { "signal", INTEGER },
            { "uptime_usec", INTEGER },
            { "traceback", "TEXT" },
            { "repeats", INTEGER } } },
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

/* Version 2 numbered events on their own. They go to where they belong between the resets: after the
 * last one of their host's boot that was earlier, before all of that boot, else by the wall clock. All numbers are new ones,
 * above those that were given, so that no number ever means two things. */
static const char renumber_sql[] =
        "CREATE INDEX way_boot ON resets(boot_id,boottime_usec);"
        "CREATE INDEX way_time ON resets(realtime_usec);"
        "CREATE TABLE way(new INTEGER PRIMARY KEY,old INTEGER NOT NULL,is_event INTEGER NOT NULL);"
        "INSERT INTO way SELECT NULL,id,is_event FROM (SELECT id,0 AS is_event,id AS after "
        "FROM resets UNION ALL SELECT id,1,coalesce("
        "(SELECT max(id) FROM resets r WHERE r.boot_id=e.boot_id"
        " AND r.boottime_usec<=e.boottime_usec),"
        "(SELECT min(id)-1 FROM resets r WHERE r.boot_id=e.boot_id),"
        "(SELECT max(id) FROM resets r WHERE r.realtime_usec<=e.realtime_usec),0) "
        "FROM events e) ORDER BY after,is_event,id;"
        "DROP INDEX way_boot; DROP INDEX way_time;"
        "UPDATE way SET new=-new;"
        "UPDATE way SET new=-new+(SELECT max(coalesce((SELECT max(id) FROM resets),0),"
        "coalesce((SELECT max(id) FROM events),0),"
        "coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name IN ('resets','events')),0)));"
        "CREATE UNIQUE INDEX way_back ON way(is_event,old);"
        "UPDATE resets SET id=(SELECT new FROM way WHERE is_event=0 AND old=resets.id);"
        "UPDATE events SET id=(SELECT new FROM way WHERE is_event=1 AND old=events.id);"
        "UPDATE sqlite_sequence SET seq=(SELECT max(new) FROM way) WHERE name='resets';"
        "DROP TABLE way";

static int step_2_to_3(Database *d) {
        int64_t n_events = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(tables_3); i++)
                r = add_missing_columns(d, &tables_3[i]);
        if (r >= 0)
                r = database_read_int(d, "SELECT count(*) FROM events", &n_events);
        if (r >= 0 && n_events > 0)
                r = database_exec(d, renumber_sql);
        if (r >= 0) /* a hard reset that nobody knew the reason of ended a life: a crash */
                r = database_exec(d, "UPDATE resets SET crashed=1 WHERE cause=2 AND reason=6 AND "
                                     "uptime_usec>0");
        return r < 0 ? r : rows_count_all(d);
}

static const SchemaStep steps[] = { step_0_to_1, step_1_to_2, step_2_to_3 };
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
