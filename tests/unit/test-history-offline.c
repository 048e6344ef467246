/* SPDX-License-Identifier: MIT */
/* Reading the history without its daemon: src/history/offline.c. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "test-history.h"
#include "util/parse.h"

#define N_ROWS 50u

static char *dir, *path;

static int setup(void **state) {
        dir = directory_make();
        path = path_in(dir, "history.db");
        return 0;
}

static int teardown(void **state) {
        directory_remove(dir);
        free(path);
        return 0;
}

static int read_error(const char *p) {
        HistoryRecord *r = (HistoryRecord *) (uintptr_t) 1;
        HistoryTotals t = { .n = 78 };
        size_t n = 77;
        int q = history_read_offline(p, &(HistoryQuery) { .limit = 1 }, &r, &n);

        if (q >= 0) {
                (void) history_records_free(r, n);
                return q;
        }
        assert_true(r == (HistoryRecord *) (uintptr_t) 1 && n == 77); /* untouched on failure */
        assert_int_equal(history_read_totals_offline(p, &t), q);
        assert_true(t.n == 78);
        return q;
}

static void on_daemon_done(void *userdata, int64_t id) {
        unsigned *left = userdata;

        if (id <= 0)
                abort();
        (*left)--;
}

/* A daemon that stores N_ROWS, says so by closing fd, and then lives on or ends in good order. */
static void run_daemon(int fd, bool live_on) {
        unsigned left = N_ROWS;
        sd_event *event;
        History *h;

        (void) signal(SIGABRT, SIG_DFL);
        if (sd_event_new(&event) < 0 || history_new(&h, event, path, 1024 * 1024, NULL, NULL) < 0)
                abort();
        for (unsigned i = 1; i <= N_ROWS; i++) {
                HistoryRecord r = reset_make(i);

                if (history_add(h, &r, on_daemon_done, &left) < 0)
                        abort();
        }
        if (history_add_event(h, "some-event", "detail") < 0 ||
            history_count(h, "some-counter", 3) < 0 || history_count(h, "some-counter", 4) < 0)
                abort();
        while (left > 0)
                if (sd_event_run(event, UINT64_MAX) < 0)
                        abort();
        if (live_on) {
                (void) close(fd);
                for (;;)
                        (void) pause();
        }
        history_free(h, 10 * USEC_PER_SEC);
        sd_event_unref(event);
}

static pid_t start_daemon(bool live_on) {
        struct pollfd p;
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) close(fds[0]);
                run_daemon(fds[1], live_on);
                _exit(0);
        }
        (void) close(fds[1]);
        p = (struct pollfd) { .fd = fds[0], .events = POLLIN };
        assert_int_equal(poll(&p, 1, 20000), 1);
        (void) close(fds[0]);
        return pid;
}

static void stop_daemon(pid_t pid, int signal) {
        int status;

        if (signal)
                assert_int_equal(kill(pid, signal), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(signal ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void assert_all_there(const char *p) {
        HistoryRecord *r;
        size_t n = offline_resets(p, &r);

        assert_int_equal(n, N_ROWS);
        for (unsigned i = 0; i < n; i++)
                assert_true(reset_is(&r[i], N_ROWS - i));
        (void) history_records_free(r, n);
}

static void test_daemon_lives(void **state) {
        pid_t pid = start_daemon(true);

        assert_all_there(path);
        assert_all_there(path);
        stop_daemon(pid, SIGKILL);
}

static void test_daemon_ended(void **state) {
        HistoryRecord *events;
        HistoryTotals t;
        size_t n;

        stop_daemon(start_daemon(false), 0);
        assert_all_there(path);
        assert_int_equal(history_read_offline(path, &(HistoryQuery) { .limit = 10, .only = "events" }, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(events[0].name, "some-event");
        assert_string_equal(events[0].detail, "detail");
        assert_true(events[0].realtime_usec > 0 && events[0].boottime_usec > 0);
        (void) history_records_free(events, n);
        assert_int_equal(history_read_totals_offline(path, &t), 0);
        assert_int_equal(history_totals_get(&t, "some-counter"), 7);
        assert_int_equal(history_totals_get(&t, "some-event"), 1);
        assert_int_equal(history_totals_get(&t, "resets"), N_ROWS);
        assert_true(t.since_usec > 0);
        assert_int_equal(directory_count(dir, ""), 1); /* it leaves nothing behind */
}

static void test_daemon_was_killed(void **state) {
        char *wal = path_in(dir, "history.db-wal");
        size_t size, wal_size, size_2, wal_size_2;
        char *db, *log, *db_2, *log_2;

        stop_daemon(start_daemon(true), SIGKILL);
        db = file_read(path, &size);
        log = file_read(wal, &wal_size);
        assert_non_null(log);
        assert_all_there(path);
        db_2 = file_read(path, &size_2);
        log_2 = file_read(wal, &wal_size_2);
        assert_true(size == size_2 && memcmp(db, db_2, size) == 0);
        assert_true(log_2 && wal_size == wal_size_2 && memcmp(log, log_2, wal_size) == 0);
        free(db);
        free(db_2);
        free(log);
        free(log_2);
        free(wal);
}

static void read_all(void *userdata) {
        assert_all_there(path);
}

/* The card of a dead board in another machine: read-only, a log but no index, nobody is root. */
static void test_log_in_a_readonly_directory(void **state) {
        char *shm = path_in(dir, "history.db-shm"), *wal = path_in(dir, "history.db-wal");

        stop_daemon(start_daemon(true), SIGKILL);
        assert_int_equal(unlink(shm), 0);
        assert_int_equal(chmod(path, 0444), 0);
        assert_int_equal(chmod(wal, 0444), 0);
        assert_int_equal(chmod(dir, 0555), 0);
        run_unprivileged(read_all, NULL);
        assert_int_equal(chmod(dir, 0755), 0);
        assert_int_equal(directory_count(dir, ""), 2);
        free(shm);
        free(wal);
}

static void test_readable_but_not_writable(void **state) {
        stop_daemon(start_daemon(false), 0);
        assert_int_equal(chmod(path, 0444), 0);
        assert_int_equal(chmod(dir, 0555), 0);
        run_unprivileged(read_all, NULL);
        assert_int_equal(chmod(dir, 0755), 0);
}

/* No room for the index of the log. */
static void test_full_disk(void **state) {
        char *shm = path_in(dir, "history.db-shm");

        stop_daemon(start_daemon(true), SIGKILL);
        assert_int_equal(unlink(shm), 0);
        fault_write_error(0, ENOSPC, UINT32_MAX);
        assert_all_there(path);
        fault_none();
        free(shm);
}

static void test_odd_names(void **state) {
        char *odd = path_in(dir, "50%25 a?b#c&d.db");

        stop_daemon(start_daemon(false), 0);
        assert_int_equal(rename(path, odd), 0);
        assert_all_there(odd);
        free(odd);
}

static void read_without_rights(void *userdata) {
        assert_int_equal(read_error(path), -EACCES);
}

static void test_errors(void **state) {
        char *garbage = path_in(dir, "garbage"), *other = path_in(dir, "other"),
             *fifo = path_in(dir, "fifo");
        char *empty = path_in(dir, "empty");

        assert_int_equal(read_error(path), -ENOENT);
        assert_int_equal(read_error("/dev/null/x"), -ENOTDIR);
        assert_int_equal(read_error(dir), -EISDIR);
        file_write(garbage, "this is no database, but long enough to be one", 46);
        assert_int_equal(read_error(garbage), -EBADMSG);
        run_sql(other, "CREATE TABLE t(a)");
        assert_int_equal(read_error(other), -EBADMSG);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(read_error(fifo), -EBADMSG);
        file_write(empty, "", 0);
        assert_int_equal(read_error(empty), 0);

        stop_daemon(start_daemon(false), 0);
        assert_int_equal(chmod(dir, 0755), 0);
        run_unprivileged(geteuid() == 0 ? read_without_rights : read_all, NULL);
        run_sql(path, "PRAGMA user_version=99");
        assert_int_equal(read_error(path), -EPROTONOSUPPORT);
        free(garbage);
        free(other);
        free(fifo);
        free(empty);
}

/* mpyctl is newer than the daemon that wrote last. */
static void test_older_version_is_read(void **state) {
        HistoryRecord *r;

        stop_daemon(start_daemon(false), 0);
        run_sql(path, "ALTER TABLE resets DROP COLUMN evidence; PRAGMA user_version=1");
        assert_true(offline_resets(path, &r) == N_ROWS);
        assert_non_null(r[0].detail);
        assert_null(r[0].evidence);
        (void) history_records_free(r, N_ROWS);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        static const struct CMUnitTest tests[] = {
                TEST(test_daemon_lives),
                TEST(test_older_version_is_read),
                TEST(test_daemon_ended),
                TEST(test_daemon_was_killed),
                TEST(test_log_in_a_readonly_directory),
                TEST(test_readable_but_not_writable),
                TEST(test_full_disk),
                TEST(test_odd_names),
                TEST(test_errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
