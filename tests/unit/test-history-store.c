/* SPDX-License-Identifier: MIT */
/* Disk, memory and the way between them, on real files: src/history/store.c and below. */
#include "history/store.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>

#include "history/rows.h"
#include "test-history.h"
#include "util/parse.h"

static int mark_late(Database *d, void *userdata) {
        const int64_t *id = userdata;

        return rows_mark_late(d, *id);
}

static int add_repeats(Database *d, void *userdata) {
        const int64_t *id = userdata;

        return rows_add_repeats(d, *id, 5);
}

static void test_rows_survive(void **state) {
        Fixture *f = *state;
        struct stat st;

        fixture_open(f);
        assert_state(f, "ok");
        for (unsigned i = 1; i <= 3; i++)
                assert_int_equal(fixture_add(f, i), i);
        store_close(&f->store, f->now);
        assert_int_equal(stat(f->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(directory_count(f->dir, ""), 1); /* no log is left: closed in good order */
        fixture_open(f);
        assert_int_equal(fixture_add(f, 4), 4);
        assert_on_disk(f, 4);
        assert_int_equal(f->n_warnings + f->n_notices, 0);
}

/* Ids are not used again, also when the newest row has gone. */
static void test_ids_grow(void **state) {
        Fixture *f = *state;

        fixture_open(f);
        for (unsigned i = 1; i <= 3; i++)
                (void) fixture_add(f, i);
        store_close(&f->store, f->now);
        run_sql(f->path, "DELETE FROM resets");
        fixture_open(f);
        assert_int_equal(fixture_add(f, 1), 4);
}

static void test_one_fsync_a_commit(void **state) {
        Fixture *f = *state;
        unsigned before;

        fixture_open(f);
        (void) fixture_add(f, 1);
        before = fault_fsync_count();
        for (unsigned i = 2; i <= 11; i++)
                (void) fixture_add(f, i);
        assert_int_equal(fault_fsync_count() - before, 10);
}

static void test_query(void **state) {
        Fixture *f = *state;
        HistoryRecord *r;
        size_t n;

        fixture_open(f);
        for (unsigned i = 1; i <= 20; i++)
                (void) fixture_add(f, i);

#define QUERY(...)                                                                                 \
        assert_int_equal(store_query(&f->store, &(HistoryQuery) { __VA_ARGS__ }, &r, &n, f->now), 0)
        QUERY(.limit = 5);
        assert_int_equal(n, 5);
        assert_true(reset_is(&r[0], 20) && reset_is(&r[4], 16));
        (void) history_records_free(r, n);
        QUERY(.limit = 1000, .before_id = 4);
        assert_int_equal(n, 3);
        assert_int_equal(r[0].id, 3);
        (void) history_records_free(r, n);
        QUERY(.id = 7, .limit = 1);
        assert_int_equal(n, 1);
        assert_true(reset_is(&r[0], 7));
        (void) history_records_free(r, n);
        QUERY(.since_usec = reset_make(18).realtime_usec, .limit = 100);
        assert_int_equal(n, 3);
        (void) history_records_free(r, n);
        QUERY(.id = 99, .limit = 1);
        assert_int_equal(n, 0);
        (void) history_records_free(r, n);
        QUERY(.limit = 0); /* clamped */
        assert_int_equal(n, 1);
        (void) history_records_free(r, n);
        QUERY(.since_usec = UINT64_MAX, .limit = UINT32_MAX);
        assert_int_equal(n, 0);
        (void) history_records_free(r, n);
#undef QUERY
}

/* ---- the disk fails ---- */

/* Whatever call fails and however: no reset is lost or doubled, in the end all are on the disk. */
static void fail_everywhere(Fixture *f, void (*fault)(unsigned n, int error, unsigned times),
                            int error) {
        unsigned n_hit = 0;
        HistoryTotals t;

        for (unsigned k = 0; k < 40; k++) {
                unsigned warnings = f->n_warnings;

                fault(k, error, 1);
                fixture_open(f);
                for (unsigned i = 1; i <= 6; i++) {
                        (void) fixture_add(f, i);
                        f->now += USEC_PER_SEC;
                        if (i == 3)
                                (void) store_maintain(&f->store, f->now);
                }
                n_hit += f->n_warnings > warnings;
                store_close(&f->store, f->now);
                fault(0, 0, 0);
                assert_on_disk(f, 6);
                assert_int_equal(history_read_totals_offline(f->path, &t), 0);
                assert_int_equal(history_totals_get(&t, "resets"), 6); /* a commit that failed too */
                assert_int_equal(unlink(f->path), 0);
                f->now += USEC_PER_HOUR;
        }
        assert_true(n_hit >= 5);
}

static void test_write_fails_with_enospc(void **state) {
        fail_everywhere(*state, fault_write_error, ENOSPC);
}

static void test_write_fails_with_eio(void **state) {
        fail_everywhere(*state, fault_write_error, EIO);
}

static void test_fsync_fails_with_eio(void **state) {
        fail_everywhere(*state, fault_fsync_error, EIO);
}

static void test_goes_to_memory_and_back(void **state) {
        Fixture *f = *state;
        HistoryRecord *r;
        size_t n;

        fixture_open(f);
        for (unsigned i = 1; i <= 3; i++)
                assert_int_equal(fixture_add(f, i), i);
        fault_write_error(0, ENOSPC, UINT32_MAX);
        for (unsigned i = 4; i <= 6; i++)
                assert_int_equal(fixture_add(f, i), i); /* ids go on */
        assert_int_equal(f->n_warnings, 1);     /* told once, with what to do */
        assert_non_null(strstr(f->last_report, "the disk is full"));
        assert_non_null(strstr(f->last_report, "Free some space"));
        assert_state(f, "the disk is full");

        /* What the file still tells is told too. */
        assert_int_equal(store_query(&f->store, &(HistoryQuery) { .limit = 100 }, &r, &n, f->now),
                         0);
        assert_int_equal(n, 6);
        for (unsigned i = 0; i < n; i++)
                assert_true(reset_is(&r[i], 6 - i));
        (void) history_records_free(r, n);
        assert_int_equal(store_query(&f->store, &(HistoryQuery) { .limit = 4 }, &r, &n, f->now), 0);
        assert_int_equal(n, 4);
        (void) history_records_free(r, n);

        /* Not tried again before its time, then with growing pauses. */
        assert_true(store_retry_at(&f->store) == f->now + STORE_RETRY_MIN_USEC);
        for (unsigned i = 0; i < 10; i++) {
                f->now = store_retry_at(&f->store);
                store_retry(&f->store, f->now);
                assert_true(store_retry_at(&f->store) > f->now);
                assert_true(store_retry_at(&f->store) <= f->now + STORE_RETRY_MAX_USEC);
        }
        assert_true(store_retry_at(&f->store) == f->now + STORE_RETRY_MAX_USEC);
        assert_int_equal(f->n_warnings, 1);

        fault_write_error(0, 0, 0);
        (void) fixture_add(f, 7); /* too early */
        assert_state(f, "in memory");
        f->now = store_retry_at(&f->store);
        assert_int_equal(fixture_add(f, 8), 9); /* after the event that tells it */
        assert_state(f, "ok");
        assert_int_equal(f->n_notices, 1);
        assert_true(store_retry_at(&f->store) == USEC_INFINITY);
        assert_on_disk(f, 8);
}

static int64_t resets_counted(Fixture *f) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);

        assert_non_null(t);
        assert_int_equal(store_totals(&f->store, t, f->now), 0);
        return history_totals_get(t, "resets");
}

/* Nothing is counted twice or forgotten on the way through memory, also when memory keeps less than
 * it was told. */
static void test_totals_through_memory(void **state) {
        const unsigned n = STORE_MEMORY_ROWS + 50;
        Fixture *f = *state;
        int64_t id;

        fixture_open(f);
        for (unsigned i = 1; i <= 3; i++)
                (void) fixture_add(f, i);
        assert_int_equal(resets_counted(f), 3);
        fault_write_error(0, ENOSPC, UINT32_MAX);
        for (unsigned i = 4; i <= n; i++)
                (void) fixture_add(f, i);
        assert_int_equal(resets_counted(f), n);
        id = 2; /* whose row is on the disk that is away */
        assert_int_equal(store_apply(&f->store, add_repeats, &id, f->now), 0);
        fault_write_error(0, 0, 0);
        f->now = store_retry_at(&f->store);
        store_retry(&f->store, f->now);
        assert_state(f, "ok");
        assert_int_equal(resets_counted(f), n + 5);
}

/* The file was never seen: ids begin at 1 and are others in the end. */
static void test_ids_given_in_memory_are_moved(void **state) {
        Fixture *f = *state;
        char *away = path_in(f->dir, "away"), *dir, *inner;
        int64_t id;

        fixture_open(f);
        for (unsigned i = 1; i <= 10; i++)
                (void) fixture_add(f, i);
        store_close(&f->store, f->now);
        assert_int_equal(rename(f->path, away), 0);

        dir = path_in(f->dir, "later");
        inner = path_in(f->dir, "later/history.db");
        free(f->path);
        f->path = inner;
        fixture_open(f);
        assert_int_equal(f->n_warnings, 1);
        for (unsigned i = 11; i <= 13; i++)
                assert_int_equal(fixture_add(f, i), i - 10);
        assert_int_equal(mkdir(dir, 0700), 0);
        assert_int_equal(rename(away, inner), 0);
        f->now = store_retry_at(&f->store);
        assert_int_equal(fixture_add(f, 14), 15); /* 14 is the event that tells it */
        assert_int_equal(store_id(&f->store, 2), 12);
        assert_int_equal(store_id(&f->store, 15), 15);
        id = store_id(&f->store, 3);
        assert_int_equal(store_apply(&f->store, mark_late, &id, f->now), 0);
        assert_on_disk(f, 14);
        store_close(&f->store, f->now);
        free(dir);
        free(away);
}

/* Changes to rows of a disk that is away. */
static void test_changes_wait_for_the_disk(void **state) {
        Fixture *f = *state;
        HistoryRecord *r;
        int64_t id;

        fixture_open(f);
        for (unsigned i = 1; i <= 3; i++)
                (void) fixture_add(f, i);
        fault_write_error(0, EIO, UINT32_MAX);
        id = fixture_add(f, 4);
        assert_int_equal(store_apply(&f->store, mark_late, &id, f->now), 0);
        id = 2;
        assert_int_equal(store_apply(&f->store, mark_late, &id, f->now), 0);
        assert_int_equal(store_apply(&f->store, add_repeats, &id, f->now), 0);
        assert_int_equal(store_apply(&f->store, add_repeats, &id, f->now), 0);
        fault_write_error(0, 0, 0);
        store_close(&f->store, f->now); /* the last try is not subject to pauses */
        assert_int_equal(offline_resets(f->path, &r), 4);
        assert_true(r[0].late && !r[1].late && r[2].late && !r[3].late);
        assert_int_equal(r[2].repeats, 10);
        assert_int_equal(r[3].repeats, 0);
        (void) history_records_free(r, 4);
}

static void test_memory_is_bounded(void **state) {
        Fixture *f = *state;
        HistoryRecord *r;
        size_t n;

        free(f->path);
        f->path = path_in(f->dir, "nowhere/history.db");
        fixture_open(f);
        assert_non_null(strstr(f->last_report, "directory does not exist"));
        for (unsigned i = 1; i <= 2 * STORE_MEMORY_ROWS; i++)
                assert_int_equal(fixture_add(f, i), i);
        assert_int_equal(store_query(&f->store, &(HistoryQuery) { .limit = 1000 }, &r, &n, f->now),
                         0);
        assert_int_equal(n, STORE_MEMORY_ROWS);
        assert_true(reset_is(&r[0], 2 * STORE_MEMORY_ROWS));
        (void) history_records_free(r, n);
        store_close(&f->store, f->now);
        assert_non_null(strstr(f->last_report, "256 resets"));
        assert_non_null(strstr(f->last_report, "forgotten"));
}

/* Somebody has it open in a shell, within a transaction. */
static void test_locked_by_another(void **state) {
        Fixture *f = *state;
        sqlite3 *db;

        fixture_open(f);
        (void) fixture_add(f, 1);
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(fixture_add(f, 2), 2);
        assert_state(f, "locked");
        assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        f->now = store_retry_at(&f->store);
        assert_int_equal(fixture_add(f, 3), 4);
        assert_state(f, "ok");
        assert_on_disk(f, 3);
}

/* ---- limits and rights that the kernel enforces ---- */

/* A file size limit: write(2) fails for real, with EFBIG. */
static void test_file_size_limit(void **state) {
        Fixture *f = *state;
        struct rlimit old, limit;
        unsigned n = 0;

        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        limit = (struct rlimit) { .rlim_cur = 96 * 1024, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        fixture_open(f);
        while (f->n_warnings == 0 && n < 1000)
                (void) fixture_add(f, ++n);
        assert_int_equal(f->n_warnings, 1);
        assert_non_null(strstr(f->last_report, "the disk is full"));
        for (unsigned i = 0; i < 5; i++)
                (void) fixture_add(f, ++n);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        f->now = store_retry_at(&f->store);
        (void) fixture_add(f, ++n);
        assert_int_equal(f->n_notices, 1);
        assert_on_disk(f, n);
}

static void fill_tmpfs(void *userdata) {
        Fixture *f = userdata;
        _cleanup_free_ char *ballast = path_in(f->dir, "ballast"), *data = calloc(1, 150 * 1024);
        unsigned n = 0;

        file_write(ballast, data, 150 * 1024);
        fixture_open(f);
        while (f->n_warnings == 0 && n < 1000)
                (void) fixture_add(f, ++n);
        assert_non_null(strstr(f->last_report, "the disk is full"));
        (void) fixture_add(f, ++n);
        assert_int_equal(unlink(ballast), 0);
        f->now = store_retry_at(&f->store);
        (void) fixture_add(f, ++n);
        assert_on_disk(f, n);
        store_close(&f->store, f->now);
}

static void test_full_tmpfs(void **state) {
        Fixture *f = *state;

        if (!run_on_tmpfs(f->dir, "size=256k", fill_tmpfs, f))
                skip();
}

static void fill_tmpfs_at_start(void *userdata) {
        Fixture *f = userdata;
        _cleanup_free_ char *ballast = path_in(f->dir, "ballast"), *data = calloc(1, 256 * 1024);

        file_write(ballast, data, 256 * 1024);
        fixture_open(f);
        assert_state(f, "the disk is full");
        assert_int_equal(fixture_add(f, 1), 1);
        assert_int_equal(unlink(ballast), 0);
        f->now = store_retry_at(&f->store);
        (void) fixture_add(f, 2);
        assert_on_disk(f, 2);
        store_close(&f->store, f->now);
}

static void test_tmpfs_full_from_the_start(void **state) {
        Fixture *f = *state;

        if (!run_on_tmpfs(f->dir, "size=256k", fill_tmpfs_at_start, f))
                skip();
}

static void remount_readonly(void *userdata) {
        Fixture *f = userdata;
        _cleanup_free_ char *remount = NULL, *back = NULL;
        HistoryRecord *r;
        size_t n;

        fixture_open(f);
        for (unsigned i = 1; i <= 3; i++)
                (void) fixture_add(f, i);
        store_close(&f->store, f->now);
        assert_true(asprintf(&remount, "mount -o remount,ro %s", f->dir) > 0);
        assert_true(asprintf(&back, "mount -o remount,rw %s", f->dir) > 0);
        assert_int_equal(system(remount), 0);
        fixture_open(f);
        assert_state(f, "read-only");
        assert_int_equal(fixture_add(f, 4), 4); /* the ids go on: the file can be read */
        assert_int_equal(store_query(&f->store, &(HistoryQuery) { .limit = 10 }, &r, &n, f->now), 0);
        assert_int_equal(n, 4);
        (void) history_records_free(r, n);
        assert_int_equal(system(back), 0);
        f->now = store_retry_at(&f->store);
        assert_int_equal(fixture_add(f, 5), 6);
        assert_on_disk(f, 5);
        store_close(&f->store, f->now);
}

static void test_readonly_file_system(void **state) {
        Fixture *f = *state;

        if (!run_on_tmpfs(f->dir, "size=1m", remount_readonly, f))
                skip();
}

static void without_rights(void *userdata) {
        Fixture *f = userdata;

        fixture_open(f);
        assert_int_equal(f->n_warnings, 1);
        assert_state(f, "may not write");
        assert_non_null(strstr(f->last_report, "Check owner and mode"));
        assert_int_equal(fixture_add(f, 4), 4); /* the newest id was read at least */
        store_close(&f->store, f->now);
}

static void test_no_right_to_write(void **state) {
        Fixture *f = *state;

        fixture_open(f);
        for (unsigned i = 1; i <= 3; i++)
                (void) fixture_add(f, i);
        store_close(&f->store, f->now);
        assert_int_equal(chmod(f->path, 0444), 0);
        assert_int_equal(chmod(f->dir, 0555), 0);
        run_unprivileged(without_rights, f);
        assert_int_equal(chmod(f->dir, 0755), 0);
        assert_on_disk(f, 3);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                FIXTURE_TEST(test_rows_survive),
                FIXTURE_TEST(test_ids_grow),
                FIXTURE_TEST(test_one_fsync_a_commit),
                FIXTURE_TEST(test_query),
                FIXTURE_TEST(test_write_fails_with_enospc),
                FIXTURE_TEST(test_write_fails_with_eio),
                FIXTURE_TEST(test_fsync_fails_with_eio),
                FIXTURE_TEST(test_goes_to_memory_and_back),
                FIXTURE_TEST(test_totals_through_memory),
                FIXTURE_TEST(test_ids_given_in_memory_are_moved),
                FIXTURE_TEST(test_changes_wait_for_the_disk),
                FIXTURE_TEST(test_memory_is_bounded),
                FIXTURE_TEST(test_locked_by_another),
                FIXTURE_TEST(test_file_size_limit),
                FIXTURE_TEST(test_full_tmpfs),
                FIXTURE_TEST(test_tmpfs_full_from_the_start),
                FIXTURE_TEST(test_readonly_file_system),
                FIXTURE_TEST(test_no_right_to_write),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
