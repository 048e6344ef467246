/* SPDX-License-Identifier: MIT */
/* Files that are not what they should be: damaged, foreign, older, newer. Whatever is there,
 * history goes on. src/history/{database,schema,set-aside,store}.c */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>

#include "history/rows.h"
#include "history/schema.h"
#include "history/set-aside.h"
#include "history/store.h"
#include "test-history.h"
#include "util/parse.h"

#define N_ROWS 60

static unsigned n_set_aside(Fixture *f) {
        return directory_count(f->dir, "history.db.damaged-");
}

static void remove_all(Fixture *f) {
        char *dir = strdup(f->dir);

        directory_remove(dir);
        assert_int_equal(mkdir(f->dir, 0700), 0);
}

/* A database of N_ROWS, as it is after a power cut (with its log) or a stop in good order. */
typedef struct Image {
        char *db, *wal;
        size_t db_size, wal_size;
} Image;

static Image image_make(Fixture *f, bool clean) {
        Image image = {};

        fixture_open(f);
        for (unsigned i = 1; i <= N_ROWS; i++) {
                (void) fixture_add(f, i);
                if (i == N_ROWS / 2) /* some of it in the file, the rest in the log */
                        assert_int_equal(database_checkpoint(f->store.disk), 0);
        }
        if (clean)
                fixture_close(f);
        image.db = file_read(f->path, &image.db_size);
        image.wal = file_read(f->wal, &image.wal_size);
        if (!clean)
                fixture_close(f);
        assert_non_null(image.db);
        assert_true(clean ? !image.wal : image.wal_size > 10000);
        remove_all(f);
        return image;
}

static void image_done(Image *image) {
        free(image->db);
        free(image->wal);
}

/* After whatever was done to the file: new resets are stored, durable, and the reader has no
 * trouble either. */
static void assert_goes_on(Fixture *f) {
        HistoryRecord *r;
        int64_t id;
        size_t n;

        fixture_open(f);
        id = fixture_add(f, 1000);
        assert_int_equal(store_query(&f->store, &(HistoryQuery) { .limit = 1000 }, &r, &n, f->now),
                         0);
        (void) history_records_free(r, n);
        (void) store_maintain(&f->store, f->now);
        assert_in_range(fixture_add(f, 1001), id + 1, id + 2); /* or "history-set-aside" is between */
        assert_non_null(f->store.disk);
        fixture_close(f);

        /* The first one may be in the file that was set aside, when only the query found the fault.
         */
        n = offline_resets(f->path, &r);
        assert_true(n >= 1 && reset_is(&r[0], 1001));
        (void) history_records_free(r, n);
}

typedef struct Tally {
        unsigned kept, set_aside;
} Tally;

static void try_image(Fixture *f, const Image *image, Tally *tally) {
        HistoryRecord *r;
        size_t n;

        file_write(f->path, image->db, image->db_size);
        if (image->wal)
                file_write(f->wal, image->wal, image->wal_size);
        if (history_read_offline(f->path, &(HistoryQuery) { .limit = 1000 }, &r, &n) >= 0)
                (void) history_records_free(r, n);
        assert_goes_on(f);
        if (n_set_aside(f) > 0)
                tally->set_aside++;
        else
                tally->kept++;
        remove_all(f);
}

static void corrupt_everywhere(Fixture *f, Image *image, char *data, size_t size, Tally *tally) {
        static const uint8_t patterns[] = { 0x00, 0xff };

        for (size_t at = 0; at + 16 < size; at += at < 256 ? 16 : 331)
                for (size_t p = 0; p < ELEMENTSOF(patterns); p++) {
                        char saved[16];

                        memcpy(saved, data + at, sizeof saved);
                        memset(data + at, patterns[p], sizeof saved);
                        try_image(f, image, tally);
                        memcpy(data + at, saved, sizeof saved);
                }
}

static void test_corrupt_bytes_after_power_cut(void **state) {
        Fixture *f = *state;
        Image image = image_make(f, false);
        Tally db = {}, wal = {};

        corrupt_everywhere(f, &image, image.db, image.db_size, &db);
        assert_true(db.kept > 0 && db.set_aside > 0);
        corrupt_everywhere(f, &image, image.wal, image.wal_size, &wal);
        assert_true(wal.kept > 0); /* SQLite's checksums: what is behind the damage is not read */
        image_done(&image);
}

static void test_corrupt_bytes_after_clean_stop(void **state) {
        Fixture *f = *state;
        Image image = image_make(f, true);
        Tally tally = {};

        corrupt_everywhere(f, &image, image.db, image.db_size, &tally);
        assert_true(tally.kept > 0 && tally.set_aside > 0);
        image_done(&image);
}

static void test_random_damage(void **state) {
        Fixture *f = *state;
        Image image = image_make(f, false);
        Tally tally = {};
        char *good = malloc(image.db_size);

        memcpy(good, image.db, image.db_size);
        srand(42);
        for (unsigned i = 0; i < 60; i++) {
                for (unsigned k = 0; k < 1 + i; k++)
                        image.db[(unsigned) rand() % image.db_size] ^= (char) (1 << rand() % 8);
                try_image(f, &image, &tally);
                memcpy(image.db, good, image.db_size);
        }
        assert_true(tally.set_aside > 0);
        free(good);
        image_done(&image);
}

static void test_truncated(void **state) {
        Fixture *f = *state;
        Image image = image_make(f, false);
        size_t db_size = image.db_size, wal_size = image.wal_size;
        Tally tally = {};

        for (size_t size = 0; size < db_size; size += size < 128 ? 9 : 1009) {
                image.db_size = size;
                try_image(f, &image, &tally);
        }
        image.db_size = db_size;
        assert_true(tally.kept > 0 && tally.set_aside > 0);
        for (size_t size = 0; size < wal_size; size += size < 128 ? 9 : 1009) {
                image.wal_size = size;
                try_image(f, &image, &tally);
        }
        image_done(&image);
}

/* Good rows with numbers that cannot be: those are not shown, the others are. */
static void test_impossible_values(void **state) {
        Fixture *f = *state;
        HistoryRecord *r;

        fixture_open(f);
        for (unsigned i = 1; i <= 6; i++)
                (void) fixture_add(f, i);
        fixture_close(f);
        run_sql(f->path,
                "UPDATE resets SET cause=99 WHERE id=2; UPDATE resets SET stage=-1 WHERE id=3;"
                "UPDATE resets SET boot_id='x', traceback=CAST(X'ff0041' AS TEXT), "
                "uptime_usec=-5, signal=1e300 WHERE id=5;"
                "UPDATE resets SET kind='text' WHERE id=6");
        assert_int_equal(offline_resets(f->path, &r), 4);
        assert_true(r[0].id == 6 && r[1].id == 5 && r[2].id == 4 && r[3].id == 1);
        assert_string_equal(r[1].boot_id, "");
        assert_string_equal(r[1].traceback, "\\xff");
        assert_int_equal(r[1].uptime_usec, 0);
        (void) history_records_free(r, 4);
        assert_goes_on(f);
}

/* ---- what is not ours ---- */

static void assert_set_aside(Fixture *f, const void *content, size_t size) {
        unsigned warnings = f->n_warnings;
        HistoryRecord *events;
        const char *name;
        char *kept;
        size_t n;

        fixture_open(f);
        assert_int_equal(f->n_warnings, warnings + 1);
        name = strstr(f->last_report, "history.db.damaged-");
        assert_non_null(name);
        (void) fixture_add(f, 1);
        fixture_close(f);
        assert_int_equal(n_set_aside(f), 1);
        kept = path_in(f->dir, name);
        *strchr(kept + strlen(f->dir), ';') = '\0';
        if (strrchr(kept, '.')[1] == '\0')
                *strrchr(kept, '.') = '\0';
        if (content) {
                size_t kept_size;
                char *data = file_read(kept, &kept_size);

                assert_non_null(data);
                assert_int_equal(kept_size, size);
                assert_memory_equal(data, content, size);
                free(data);
        }
        free(kept);
        assert_int_equal(history_read_offline(f->path, &(HistoryQuery) { .limit = 10, .only = "events" }, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(events[0].name, "history-set-aside");
        (void) history_records_free(events, n);
        remove_all(f);
}

static void test_not_a_database(void **state) {
        static const char text[] =
                "This is a text file of somebody who mistook the name of the file.\n";
        Fixture *f = *state;
        char *big = malloc(100000);

        file_write(f->path, text, sizeof text - 1);
        assert_set_aside(f, text, sizeof text - 1);
        file_write(f->path, "SQLite", 6);
        assert_set_aside(f, "SQLite", 6);
        memset(big, 0, 100000);
        file_write(f->path, big, 100000);
        assert_set_aside(f, big, 100000);
        memcpy(big, "SQLite format 3", 16);
        file_write(f->path, big, 100000);
        assert_set_aside(f, big, 100000);
        free(big);
}

static void test_empty_file(void **state) {
        Fixture *f = *state;

        file_write(f->path, "", 0); /* its creation was interrupted */
        file_write(f->wal, "old log", 7);
        assert_goes_on(f);
        assert_int_equal(f->n_warnings, 0);
}

static void test_directory_in_its_place(void **state) {
        Fixture *f = *state;
        char *inside = path_in(f->dir, "history.db/precious");

        assert_int_equal(mkdir(f->path, 0700), 0);
        file_write(inside, "x", 1);
        assert_set_aside(f, NULL, 0);
        free(inside);
}

static void test_fifo_in_its_place(void **state) {
        Fixture *f = *state;

        assert_int_equal(mkfifo(f->path, 0600), 0);
        assert_set_aside(f, NULL, 0);
}

static void test_database_of_another_program(void **state) {
        Fixture *f = *state;
        size_t size;
        void *data;

        run_sql(f->path, "CREATE TABLE recipes(name TEXT); INSERT INTO recipes VALUES('soup')");
        data = file_read(f->path, &size);
        assert_set_aside(f, data, size);
        free(data);
        run_sql(f->path, "PRAGMA application_id=1234; CREATE TABLE resets(a)");
        data = file_read(f->path, &size);
        assert_set_aside(f, data, size);
        free(data);
        /* Ours by name, of our version, but without what that version has. */
        run_sql(f->path,
                "PRAGMA application_id=1836087652; PRAGMA user_version=1; CREATE TABLE resets(a)");
        assert_set_aside(f, NULL, 0);
}

static void test_few_are_kept(void **state) {
        Fixture *f = *state;
        char *precious = path_in(f->dir, "history.db.damaged-not-by-us.txt");
        char *oldest = path_in(f->dir, "history.db.damaged-19700101T000000Z");
        char *future = path_in(f->dir, "history.db.damaged-29990101T000000Z");
        char *wal = path_in(f->dir, "history.db.damaged-19700101T000000Z-wal");

        file_write(precious, "x", 1);
        file_write(oldest, "x", 1);
        file_write(wal, "x", 1);
        file_write(future, "x", 1);
        for (unsigned i = 0; i < 5; i++) {
                file_write(f->path, "garbage", 7);
                fixture_open(f);
                (void) fixture_add(f, 1);
                fixture_close(f);
                assert_true(access(precious, F_OK) == 0);
        }
        assert_int_equal(n_set_aside(f), SET_ASIDE_MAX + 1); /* and precious */
        assert_true(access(oldest, F_OK) < 0);
        assert_true(access(wal, F_OK) < 0);
        free(precious);
        free(oldest);
        free(future);
        free(wal);
}

/* Its log goes with a damaged file: a new database would replay it. */
static void test_log_goes_along(void **state) {
        Fixture *f = *state;
        Image image = image_make(f, false);

        memset(image.db, 'x', 200);
        file_write(f->path, image.db, image.db_size);
        file_write(f->wal, image.wal, image.wal_size);
        fixture_open(f);
        assert_int_equal(fixture_add(f, 1), 2); /* after the event that tells it */
        assert_int_equal(n_set_aside(f), 2);
        fixture_close(f);
        image_done(&image);
}

/* A disk that damages every new file is not filled with them. */
static void test_damaged_again_and_again(void **state) {
        Fixture *f = *state;
        int64_t last = 0;

        fixture_open(f);
        for (unsigned i = 1; i <= 10; i++) {
                int64_t id = fixture_add(f, i);

                assert_in_range(id, last + 1, last + 2); /* they go on over all that */
                last = id;
                if (f->store.disk)
                        assert_int_equal(sqlite3_exec(f->store.disk->db, "DROP TABLE resets", NULL,
                                                      NULL, NULL),
                                         SQLITE_OK);
        }
        assert_null(f->store.disk);
        assert_non_null(strstr(f->last_report, "damaged again and again"));
        assert_in_range(n_set_aside(f), 1, SET_ASIDE_MAX);
}

static void test_moved_away_while_open(void **state) {
        Fixture *f = *state;
        char *away = path_in(f->dir, "backup.db");
        HistoryRecord *r;

        fixture_open(f);
        (void) fixture_add(f, 1);
        assert_int_equal(rename(f->path, away), 0);
        assert_int_equal(fixture_add(f, 2), 2);
        assert_non_null(strstr(f->last_report, "moved away"));
        assert_int_equal(offline_resets(f->path, &r), 1);
        assert_true(reset_is(&r[0], 2));
        (void) history_records_free(r, 1);
        assert_int_equal(unlink(f->path), 0);
        assert_int_equal(fixture_add(f, 3), 3);
        assert_non_null(f->store.disk);
        fixture_close(f);
        assert_int_equal(offline_resets(f->path, &r), 1);
        (void) history_records_free(r, 1);
        free(away);
}

/* ---- versions ---- */

static void test_older_version_is_migrated(void **state) {
        Fixture *f = *state;
        HistoryRecord *events;
        HistoryRecord *r;
        size_t n;

        run_sql(f->path,
                "CREATE TABLE resets(id INTEGER PRIMARY KEY, cause INTEGER, reason INTEGER, kind "
                "INTEGER, "
                "detail TEXT, stage INTEGER, boot_id TEXT, realtime_usec INTEGER);"
                "INSERT INTO resets VALUES(7,2,2,1,'machine.reset()',3,'" FIXTURE_BOOT_ID
                "',1700000000000000);"
                "INSERT INTO resets VALUES(9,3,5,1,NULL,3,'" FIXTURE_BOOT_ID "',1700000001000000);"
                "CREATE TABLE events(id INTEGER PRIMARY KEY, name TEXT, detail TEXT);"
                "INSERT INTO events VALUES(1,'old-event','kept')");
        fixture_open(f);
        assert_int_equal(f->n_warnings, 0);
        /* Resets and events have got numbers from one sequence, above those of before. */
        assert_int_equal(fixture_add(f, 1), 13);
        fixture_close(f);
        assert_int_equal(offline_resets(f->path, &r), 3);
        assert_true(reset_is(&r[0], 1));
        assert_int_equal(r[1].id, 12);
        assert_int_equal(r[1].cause, RESET_CAUSE_WDT);
        assert_null(r[1].detail);
        assert_int_equal(r[2].id, 11);
        assert_string_equal(r[2].detail, "machine.reset()");
        assert_string_equal(r[2].boot_id, FIXTURE_BOOT_ID);
        assert_true(r[2].realtime_usec == UINT64_C(1700000000000000));
        assert_int_equal(r[2].exit_status, -1);
        assert_null(r[2].traceback);
        assert_null(r[2].evidence);
        (void) history_records_free(r, 3);
        assert_int_equal(history_read_offline(f->path, &(HistoryQuery) { .limit = 10, .only = "events" }, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(events[0].name, "old-event");
        assert_int_equal(events[0].id, 10);
        (void) history_records_free(events, n);
        fixture_open(f); /* and again, now that it is of this version */
        assert_int_equal(fixture_add(f, 2), 14);
        assert_int_equal(f->n_warnings, 0);
}

/* A database as version 1 wrote it: resets 5, 6 in one boot of the host, 7 in the next; events with
 * numbers of their own, of which one tells of a time before all resets. */
static const char version_1[] =
        "CREATE TABLE boots(id INTEGER PRIMARY KEY AUTOINCREMENT,version TEXT NOT NULL DEFAULT '',"
        "boot_id TEXT NOT NULL DEFAULT '',realtime_usec INTEGER NOT NULL DEFAULT 0,"
        "clock_synced INTEGER NOT NULL DEFAULT 0,boottime_usec INTEGER NOT NULL DEFAULT 0);"
        "CREATE TABLE resets(id INTEGER PRIMARY KEY AUTOINCREMENT,cause INTEGER NOT NULL DEFAULT 0,"
        "reason INTEGER NOT NULL DEFAULT 0,kind INTEGER NOT NULL DEFAULT 0,"
        "run_reason INTEGER NOT NULL DEFAULT 0,detail TEXT,stage INTEGER NOT NULL DEFAULT 0,"
        "exit_status INTEGER NOT NULL DEFAULT -1,signal INTEGER NOT NULL DEFAULT 0,"
        "uptime_usec INTEGER NOT NULL DEFAULT 0,traceback TEXT,boot_id TEXT NOT NULL DEFAULT '',"
        "realtime_usec INTEGER NOT NULL DEFAULT 0,clock_synced INTEGER NOT NULL DEFAULT 0,"
        "boottime_usec INTEGER NOT NULL DEFAULT 0,late INTEGER NOT NULL DEFAULT 0,"
        "repeats INTEGER NOT NULL DEFAULT 0);"
        "CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT,name TEXT NOT NULL DEFAULT '',"
        "detail TEXT,boot_id TEXT NOT NULL DEFAULT '',realtime_usec INTEGER NOT NULL DEFAULT 0,"
        "clock_synced INTEGER NOT NULL DEFAULT 0,boottime_usec INTEGER NOT NULL DEFAULT 0);"
        "CREATE TABLE counters(name TEXT PRIMARY KEY NOT NULL,value INTEGER NOT NULL DEFAULT 0);"
        "PRAGMA application_id=1836087652; PRAGMA user_version=1;"
        "INSERT INTO boots VALUES(1,'0.1','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1000,0,900);"
        "INSERT INTO resets(id,cause,reason,kind,detail,boot_id,realtime_usec,boottime_usec) "
        "VALUES(5,1,0,1,'first start','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1000,1000);"
        "INSERT INTO resets(id,cause,reason,kind,detail,stage,uptime_usec,boot_id,realtime_usec,"
        "boottime_usec,signal,repeats) VALUES(6,2,6,1,'crashed in main.py',3,50,"
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',2000,2000,11,9);"
        "INSERT INTO resets(id,cause,reason,kind,detail,boot_id,realtime_usec,boottime_usec) "
        /* the clock had gone back over the host's boot */
        "VALUES(7,1,0,1,'first start','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',500,500);"
        "INSERT INTO events VALUES(1,'daemon-start',NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',"
        "999,0,999);"
        "INSERT INTO events VALUES(2,'exception','E','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1500,0,"
        "1500);"
        "INSERT INTO events VALUES(3,'daemon-stop',NULL,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',2500,0,"
        "2500);"
        "INSERT INTO events VALUES(4,'exception','F','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',600,0,600)";

static void assert_version_1_is_told(const char *path) {
        static const char *const story[] = { "exception", "first start", "daemon-stop",
                                             "crashed in main.py", "exception", "first start",
                                             "daemon-start" };
        HistoryRecord *r;
        HistoryTotals t;
        size_t n;

        assert_int_equal(history_read_offline(path, &(HistoryQuery) { .limit = 100 }, &r, &n), 0);
        assert_int_equal(n, ELEMENTSOF(story));
        for (size_t i = 0; i < n; i++) {
                assert_string_equal(r[i].name ?: r[i].detail, story[i]);
                assert_true(r[i].id > 7);
                assert_true(i == 0 || r[i].id < r[i - 1].id);
        }
        assert_true(r[3].crashed && r[3].repeats == 9 && r[3].signal == 11);
        (void) history_records_free(r, n);
        assert_int_equal(history_read_totals_offline(path, &t), 0);
        assert_int_equal(history_totals_get(&t, "resets"), 12);
        assert_int_equal(history_totals_get(&t, "power-ons"), 2);
        assert_int_equal(history_totals_get(&t, "hard-resets"), 10);
        assert_int_equal(history_totals_get(&t, "crashes"), 10);
        assert_int_equal(history_totals_get(&t, "exception"), 2);
        assert_true(t.since_usec == 1000 && !t.since_synced);
}

/* By a reader before the daemon has been started anew, which leaves the file as it is; then by the
 * daemon. */
static void test_version_1(void **state) {
        Fixture *f = *state;
        size_t size, size_after;
        char *before, *after;

        run_sql(f->path, version_1);
        before = file_read(f->path, &size);
        assert_version_1_is_told(f->path);
        after = file_read(f->path, &size_after);
        assert_int_equal(size, size_after);
        assert_memory_equal(before, after, size);
        free(before);
        free(after);

        fixture_open(f);
        assert_int_equal(f->n_warnings, 0);
        fixture_close(f);
        assert_version_1_is_told(f->path);
        fixture_open(f);
        assert_int_equal(fixture_add(f, 1), 15);
}

static int step_keep(Database *d) {
        return 0;
}

static int step_add_column(Database *d) {
        return database_exec(d,
                             "ALTER TABLE resets ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'");
}

static int step_fail(Database *d) {
        int r = step_add_column(d);

        return r < 0 ? r : database_exec(d, "SELECT * FROM no_such_table");
}

static int64_t read_int(Database *d, const char *sql) {
        int64_t n;

        assert_int_equal(database_read_int(d, sql, &n), 0);
        return n;
}

/* The way to versions to come: all or nothing. */
static void test_migration_steps(void **state) {
        static const SchemaStep failing[] = { step_keep, step_keep, step_keep,
                                              step_add_column, step_fail },
                                good[] = { step_keep, step_keep, step_keep, step_add_column,
                                           step_keep };
        Fixture *f = *state;
        Database *d;

        fixture_open(f);
        (void) fixture_add(f, 1);
        d = f->store.disk;
        assert_int_equal(schema_migrate_with(d, failing, 5), -EBADMSG);
        assert_int_equal(read_int(d, "PRAGMA user_version"), SCHEMA_VERSION);
        assert_int_equal(read_int(d, "SELECT count(*) FROM pragma_table_info('resets') WHERE "
                                     "name='colour'"),
                         0);
        (void) fixture_add(f, 2);
        assert_int_equal(schema_migrate_with(d, good, 5), 0);
        assert_int_equal(read_int(d, "PRAGMA user_version"), 5);
        assert_int_equal(read_int(d, "SELECT count(*) FROM resets WHERE colour='blue'"), 2);
        assert_int_equal(schema_migrate_with(d, good, 5), 0);
        assert_int_equal(schema_migrate_with(d, good, 4), -EPROTONOSUPPORT);
        assert_int_equal(schema_migrate(d), -EPROTONOSUPPORT);
}

static void test_newer_version_is_left_alone(void **state) {
        Fixture *f = *state;
        char *before, *after;
        size_t size, size_after, n;
        HistoryRecord *r;

        fixture_open(f);
        (void) fixture_add(f, 1);
        fixture_close(f);
        run_sql(f->path, "PRAGMA user_version=99");
        before = file_read(f->path, &size);
        fixture_open(f);
        assert_int_equal(f->n_warnings, 1);
        assert_non_null(strstr(f->last_report, "newer mpyd"));
        assert_true(fixture_add(f, 2) > 0);
        f->now += USEC_PER_DAY;
        assert_true(fixture_add(f, 3) > 0);
        assert_true(store_retry_at(&f->store) == USEC_INFINITY);
        fixture_close(f);
        after = file_read(f->path, &size_after);
        assert_int_equal(size, size_after);
        assert_memory_equal(before, after, size);
        assert_int_equal(n_set_aside(f), 0);
        assert_int_equal(history_read_offline(f->path, &(HistoryQuery) { .limit = 1 }, &r, &n),
                         -EPROTONOSUPPORT);
        free(before);
        free(after);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                FIXTURE_TEST(test_corrupt_bytes_after_power_cut),
                FIXTURE_TEST(test_corrupt_bytes_after_clean_stop),
                FIXTURE_TEST(test_random_damage),
                FIXTURE_TEST(test_truncated),
                FIXTURE_TEST(test_impossible_values),
                FIXTURE_TEST(test_not_a_database),
                FIXTURE_TEST(test_empty_file),
                FIXTURE_TEST(test_directory_in_its_place),
                FIXTURE_TEST(test_fifo_in_its_place),
                FIXTURE_TEST(test_database_of_another_program),
                FIXTURE_TEST(test_few_are_kept),
                FIXTURE_TEST(test_log_goes_along),
                FIXTURE_TEST(test_damaged_again_and_again),
                FIXTURE_TEST(test_moved_away_while_open),
                FIXTURE_TEST(test_older_version_is_migrated),
                FIXTURE_TEST(test_version_1),
                FIXTURE_TEST(test_migration_steps),
                FIXTURE_TEST(test_newer_version_is_left_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
