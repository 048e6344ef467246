/* SPDX-License-Identifier: MIT */
/* The history as the daemon uses it, on bad days: the disk is slow, hangs, is full, is not there,
 * or the power goes away. src/history/history.c, writer*.c. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "history/writer.h"
#include "test-history.h"
#include "util/parse.h"

typedef struct Tick {
        uint64_t last, worst;
} Tick;

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        Tick *t = userdata;

        t->worst = MAX(t->worst, now - t->last);
        t->last = now;
        assert_true(sd_event_source_set_time(s, now + 5 * USEC_PER_MSEC) >= 0);
        return 0;
}

/* An fsync of 400 ms: the loop goes on as if nothing were. */
static void test_slow_fsync_does_not_delay_the_loop(void **state) {
        Board *f = *state;
        sd_event_source *timer = NULL;
        uint64_t start;
        Done d = {};
        Tick t;

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        fault_fsync_delay(400 * USEC_PER_MSEC);
        start = now_usec(CLOCK_MONOTONIC);
        t = (Tick) { .last = start };
        assert_true(sd_event_add_time(f->event, &timer, CLOCK_MONOTONIC, start, 1, on_tick, &t) >=
                    0);
        assert_true(sd_event_source_set_enabled(timer, SD_EVENT_ON) >= 0);
        for (unsigned i = 2; i <= 4; i++) {
                board_add(f, i, &d);
                run_until(f, &d.n, i);
        }
        assert_true(now_usec(CLOCK_MONOTONIC) - start >= 1200 * USEC_PER_MSEC);
        assert_true(t.worst < 200 * USEC_PER_MSEC);
        sd_event_source_disable_unref(timer);
}

/* What waits while the disk is slow goes with one fsync. */
static void test_slow_fsync_commits_in_groups(void **state) {
        Board *f = *state;
        unsigned before;
        Done d = {};

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        fault_fsync_delay(100 * USEC_PER_MSEC);
        before = fault_fsync_count();
        for (unsigned i = 2; i <= 61; i++)
                board_add(f, i, &d);
        run_until(f, &d.n, 61);
        assert_in_range(fault_fsync_count() - before, 1, 6);
        for (unsigned i = 0; i < 61; i++)
                assert_int_equal(d.ids[i], i + 1);
}

static void wait_for_state(Board *f, const char *text) {
        uint64_t end = now_usec(CLOCK_MONOTONIC) + BOARD_STOP_USEC;

        while (!strstr(history_state(f->history), text)) {
                assert_true(now_usec(CLOCK_MONOTONIC) < end);
                assert_true(sd_event_run(f->event, 20 * USEC_PER_MSEC) >= 0);
        }
}

/* A disk that hangs: what is refused, what is not, and nothing is forgotten in the end. */
static void test_queue_is_bounded(void **state) {
        Board *f = *state;
        const unsigned n_hard = WRITER_QUEUE_HARD_MAX + 100;
        unsigned n_events = 0, n_queued, rows;
        HistoryRecord soft = reset_make(0), *r;
        Done d = {};
        size_t n;
        int q;

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        fault_fsync_block(true);
        board_add(f, 2, &d);
        wait_for_state(f, "the disk has not answered for");

        while ((q = history_add_event(f->history, "flood", NULL)) >= 0)
                n_events++;
        assert_int_equal(q, -ENOBUFS);
        assert_in_range(n_events, WRITER_QUEUE_MAX - 1, WRITER_QUEUE_MAX);
        soft.kind = RESET_KIND_SOFT;
        assert_int_equal(history_add(f->history, &soft, NULL, NULL), -ENOBUFS);
        assert_int_equal(history_query(f->history, &(HistoryQuery) { .limit = 1 }, on_answer, NULL),
                         -ENOBUFS);

        /* Hard resets, each another one, up to their own bound … */
        for (unsigned i = 0; i < n_hard; i++)
                board_add(f, 100 + i, &d);
        n_queued = WRITER_QUEUE_HARD_MAX - n_events;
        /* … and twenty like one that has a place. */
        for (unsigned i = 0; i < 20; i++)
                board_add(f, 150, &d);
        /* Who has no row of their own is told at once. */
        run_until(f, &d.n, 1 + n_hard - n_queued + 20);
        assert_int_equal(d.n, 1 + n_hard - n_queued + 20);
        for (unsigned i = 1; i < d.n; i++)
                assert_int_equal(d.ids[i], -ENOBUFS);

        fault_none();
        run_until(f, &d.n, 2 + n_hard + 20);
        assert_non_null(strstr(f->last_report, "too slow"));
        board_close(f);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, 2 + n_queued);
        rows = (unsigned) n;
        for (unsigned i = 0; i < n; i++) {
                rows += (unsigned) r[i].repeats;
                if (streq(r[i].detail, "reset number 150"))
                        assert_int_equal(r[i].repeats, 20);
        }
        assert_int_equal(rows, 2 + n_hard + 20);
        (void) history_records_free(r, n);
}

static void test_stuck_disk_does_not_stop_the_end(void **state) {
        Board *f = *state;
        uint64_t start, end;
        Answer a = {};
        Done d = {};

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        fault_fsync_block(true);
        board_add(f, 2, &d);
        board_add(f, 3, &d);
        assert_int_equal(history_query(f->history, &(HistoryQuery) { .limit = 1 }, on_answer, &a),
                         0);
        start = now_usec(CLOCK_MONOTONIC);
        f->history = history_free(f->history, 200 * USEC_PER_MSEC);
        assert_in_range(now_usec(CLOCK_MONOTONIC) - start, 150 * USEC_PER_MSEC, 5 * USEC_PER_SEC);
        assert_non_null(strstr(f->last_report, "did not take the last records"));
        assert_int_equal(d.n, 3); /* everybody was told */
        assert_true(d.ids[1] == -ECANCELED && d.ids[2] == -ECANCELED);
        assert_int_equal(a.n_answers, 1);
        assert_int_equal(a.r, -ECANCELED);

        /* The thread, left to itself, finishes when it can, and touches nobody else's memory. */
        fault_fsync_block(false);
        end = start + BOARD_STOP_USEC;
        while (directory_count(f->dir, "history.db-wal") > 0) {
                assert_true(now_usec(CLOCK_MONOTONIC) < end);
                (void) usleep(10000);
        }
        (void) usleep(50000);
}

static void test_cancelled_without_a_loop_run(void **state) {
        Board *f = *state;
        HistoryRecord *r;
        Done d = {};

        board_open(f);
        for (unsigned i = 1; i <= 10; i++)
                board_add(f, i, &d);
        board_close(f);
        assert_int_equal(d.n, 10);
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(d.ids[i], -ECANCELED);
        assert_int_equal(offline_resets(f->path, &r), 10); /* stored all the same */
        (void) history_records_free(r, 10);
}

/* The disk is full all the time: the board gets its answers. */
static void test_no_disk_at_all(void **state) {
        Board *f = *state;
        Done d = {};
        Answer a;

        free(f->path);
        f->path = path_in(f->dir, "missing/history.db");
        board_open(f);
        for (unsigned i = 1; i <= 5; i++)
                board_add(f, i, &d);
        run_until(f, &d.n, 5);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(d.ids[i], i + 1);
        assert_int_equal(f->n_warnings, 1);
        assert_non_null(strstr(history_state(f->history), "in memory"));
        a = board_query(f, 3);
        assert_int_equal(a.n, 3);
        (void) history_records_free(a.resets, a.n);
        board_close(f);
        assert_int_equal(f->n_warnings, 2); /* and that they are lost */
}

/* A file size limit sends a signal, too: it must not end the daemon. */
static void test_file_size_limit(void **state) {
        Board *f = *state;
        struct rlimit old, limit;
        Done d = {};

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        limit = (struct rlimit) { .rlim_cur = 4096, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        board_add(f, 2, &d);
        run_until(f, &d.n, 2);
        assert_int_equal(d.ids[1], 2);
        assert_non_null(strstr(history_state(f->history), "the disk is full"));
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        board_close(f); /* the last try */
        assert_non_null(strstr(f->last_report, "again; 1 resets"));
        {
                HistoryRecord *r;

                assert_int_equal(offline_resets(f->path, &r), 2);
                (void) history_records_free(r, 2);
        }
}

/* ---- power goes away ---- */

typedef struct Endless {
        History *history;
        unsigned n;
        int fd;
} Endless;

/* Tells the parent what was acknowledged, then stores the next. */
static void on_endless(void *userdata, int64_t id) {
        Endless *e = userdata;
        HistoryRecord r = reset_make(++e->n);

        if (id > 0 && write(e->fd, &id, sizeof id) != sizeof id)
                _exit(2);
        if (id < 0 || history_add(e->history, &r, on_endless, e) < 0 ||
            history_count(e->history, "script-prints", 1) < 0)
                _exit(3);
        if (e->n % 7 == 0 && history_add_event(e->history, "seventh", "detail") < 0)
                _exit(4);
}

static void run_endless(const char *path, int fd) {
        Endless e = { .fd = fd };
        sd_event *event;

        /* A small file: pruning and checkpoints are among what is interrupted. */
        if (sd_event_new(&event) < 0 ||
            history_new(&e.history, event, path, 256 * 1024, NULL, NULL) < 0)
                _exit(1);
        on_endless(&e, 0);
        on_endless(&e, 0);
        for (;;)
                (void) sd_event_run(event, UINT64_MAX);
}

/* Kills a writer after usec. The highest id that it had acknowledged. */
static int64_t kill_writer(const char *path, uint64_t usec, int64_t last) {
        int fds[2], status;
        int64_t id;
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_true(fcntl(fds[0], F_SETPIPE_SZ, 1024 * 1024) >= 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                run_endless(path, fds[1]);
        (void) close(fds[1]);
        (void) usleep((useconds_t) usec);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(fds[0], &id, sizeof id) == sizeof id) {
                assert_true(id > last); /* over all lives of the daemon */
                last = id;
        }
        (void) close(fds[0]);
        return last;
}

static unsigned number_of(const HistoryRecord *r) {
        unsigned n;

        assert_int_equal(sscanf(r->detail, "reset number %u", &n), 1);
        return n;
}

static void test_sigkill_loses_nothing(void **state) {
        Board *f = *state;
        int64_t last = 0;

        srand((unsigned) time(NULL));
        for (unsigned round = 0; round < 25; round++) {
                HistoryRecord *r;
                size_t n;

                last = kill_writer(f->path, (uint64_t) (rand() % 120) * USEC_PER_MSEC, last);
                if (last == 0) /* killed before there was a file */
                        continue;
                n = offline_resets(f->path, &r);
                assert_true(n > 0);
                assert_true(r[0].id >= last); /* more than what was told may be there, less not */
                /* Each life's are all there, in order; ids of events are between. */
                for (size_t i = 1; i < n; i++) {
                        assert_in_range(r[i - 1].id - r[i].id, 1, 2);
                        assert_true(number_of(&r[i - 1]) == number_of(&r[i]) + 1 ||
                                    number_of(&r[i - 1]) == 1);
                }
                last = r[0].id;
                (void) history_records_free(r, n);
        }
        assert_true(last > 0);
        assert_int_equal(directory_count(f->dir, "history.db.damaged"), 0);
        run_sql(f->path, "CREATE TEMP TABLE t(n CHECK(n='ok'));"
                         "INSERT INTO t SELECT integrity_check FROM pragma_integrity_check");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                BOARD_TEST(test_slow_fsync_does_not_delay_the_loop),
                BOARD_TEST(test_slow_fsync_commits_in_groups),
                BOARD_TEST(test_queue_is_bounded),
                BOARD_TEST(test_stuck_disk_does_not_stop_the_end),
                BOARD_TEST(test_cancelled_without_a_loop_run),
                BOARD_TEST(test_no_disk_at_all),
                BOARD_TEST(test_file_size_limit),
                BOARD_TEST(test_sigkill_loses_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
