/* SPDX-License-Identifier: MIT */
/* The history as the daemon uses it, with its thread and an event loop, on a good disk:
 * src/history/history.c, writer*.c. */
#include <dirent.h>
#include <stdio.h>
#include <systemd/sd-event.h>

#include "history/storm.h"
#include "test-history.h"
#include "util/parse.h"

static void test_store_and_ask(void **state) {
        Board *f = *state;
        HistoryRecord *events;
        HistoryRecord *r;
        Done d = {};
        Answer a;
        size_t n;

        board_open(f);
        for (unsigned i = 1; i <= 5; i++)
                board_add(f, i, &d);
        assert_int_equal(history_mark_late(f->history, 2), 0);
        assert_int_equal(history_add_event(f->history, "daemon-start", "first start"), 0);
        assert_int_equal(d.n, 0); /* never from within the call */
        run_until(f, &d.n, 5);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(d.ids[i], i + 1);
        a = board_query(f, 100);
        assert_int_equal(a.n, 5);
        for (unsigned i = 0; i < 5; i++)
                assert_true(reset_is(&a.resets[i], 5 - i));
        assert_true(a.resets[3].late && !a.resets[2].late);
        (void) history_records_free(a.resets, a.n);
        assert_string_equal(history_state(f->history), "ok");
        board_close(f);

        n = offline_resets(f->path, &r);
        assert_int_equal(n, 5);
        (void) history_records_free(r, n);
        assert_int_equal(history_read_offline(f->path, &(HistoryQuery) { .limit = 10, .only = "events" }, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(events[0].name, "daemon-start");
        (void) history_records_free(events, n);
        assert_int_equal(f->n_warnings, 0);
}

/* One row of boots for each start of the daemon, and nothing else is needed for it. */
static void test_each_start_is_stored(void **state) {
        Board *f = *state;

        for (unsigned i = 0; i < 3; i++) {
                board_open(f);
                board_close(f);
        }
        run_sql(f->path, "CREATE TEMP TABLE t(n CHECK(n=3));"
                         "INSERT INTO t SELECT count(*) FROM boots WHERE version='" MPYD_VERSION
                         "' AND boottime_usec>0 AND realtime_usec>0 AND clock_synced IN (0,1)");
}

static void test_bad_arguments(void **state) {
        Board *f = *state;
        HistoryRecord r = reset_make(1);

        board_open(f);
        r.cause = (ResetCause) 0;
        assert_int_equal(history_add(f->history, &r, NULL, NULL), -EINVAL);
        r = reset_make(1);
        r.stage = BOARD_STAGE_MAX;
        assert_int_equal(history_add(f->history, &r, NULL, NULL), -EINVAL);
        assert_int_equal(history_add_event(f->history, "Not Kebab", NULL), -EINVAL);
        assert_int_equal(history_add_event(f->history, NULL, NULL), -EINVAL);
        assert_int_equal(history_count(f->history, "", 1), -EINVAL);
        assert_int_equal(history_mark_late(f->history, 0), -EINVAL);
        assert_int_equal(history_query(f->history, &(HistoryQuery) { .id = -1 }, on_answer, NULL),
                         -EINVAL);
        assert_null(history_free(NULL, 0));
}

static void test_without_callbacks(void **state) {
        Board *f = *state;
        HistoryRecord r = reset_make(1), *rows;

        assert_int_equal(history_new(&f->history, f->event, f->path, FIXTURE_MAX_SIZE, NULL, NULL),
                         0);
        assert_int_equal(history_add(f->history, &r, NULL, NULL), 0);
        board_close(f);
        assert_int_equal(offline_resets(f->path, &rows), 1);
        (void) history_records_free(rows, 1);
}

/* A callback may ask for more. */
typedef struct Chain {
        Board *f;
        unsigned n;
} Chain;

static void on_chain(void *userdata, int64_t id) {
        Chain *c = userdata;
        HistoryRecord r = reset_make(++c->n);

        assert_int_equal(id, c->n);
        if (c->n < 10)
                assert_int_equal(history_add(c->f->history, &r, on_chain, c), 0);
}

static void test_asking_from_a_callback(void **state) {
        Chain c = { .f = *state };
        HistoryRecord r = reset_make(0);

        board_open(c.f);
        assert_int_equal(history_add(c.f->history, &r, on_chain, &c), 0);
        run_until(c.f, &c.n, 10);
}

static int64_t total(Board *f, const char *name) {
        HistoryTotals t;

        assert_int_equal(history_read_totals_offline(f->path, &t), 0);
        return history_totals_get(&t, name);
}

/* ---- one time line, and the totals ---- */

static HistoryRecord event_make(unsigned n) {
        HistoryRecord r = reset_make(n);

        r.name = (char *) "exception";
        return r;
}

static void query(Board *f, const char *only, int64_t id, const int64_t *ids, size_t n) {
        HistoryQuery q = { .limit = 100, .id = id };
        HistoryRecord *r;
        size_t n_offline;
        Answer a = {};

        (void) strcpy(q.only, only);
        assert_int_equal(history_query(f->history, &q, on_answer, &a), 0);
        run_until(f, &a.n_answers, 1);
        assert_int_equal(a.r, 0);
        assert_int_equal(history_read_offline(f->path, &q, &r, &n_offline), 0);
        assert_int_equal(a.n, n);
        assert_int_equal(n_offline, n);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(a.resets[i].id, ids[i]);
                assert_int_equal(r[i].id, ids[i]);
        }
        (void) history_records_free(a.resets, a.n);
        (void) history_records_free(r, n_offline);
}

static void test_time_line(void **state) {
        HistoryRecord event = event_make(1);
        Board *f = *state;
        Done d = {};
        HistoryRecord *r;
        size_t n;

        board_open(f);
        board_add(f, 1, &d);                                                             /* 1 */
        assert_int_equal(history_add(f->history, &event, on_done, &d), 0);               /* 2 */
        board_add(f, 3, &d);                                                             /* 3 */
        assert_int_equal(history_add_event(f->history, "daemon-stop", NULL), 0);         /* 4 */
        run_until(f, &d.n, 3);
        query(f, "", 0, (const int64_t[]) { 4, 3, 2, 1 }, 4);
        query(f, "resets", 0, (const int64_t[]) { 3, 1 }, 2);
        query(f, "events", 0, (const int64_t[]) { 4, 2 }, 2);
        query(f, "exception", 0, (const int64_t[]) { 2 }, 1);
        query(f, "no-such-event", 0, NULL, 0);
        query(f, "", 2, (const int64_t[]) { 2 }, 1);
        query(f, "resets", 2, NULL, 0);

        /* The end of a life is told whole by an event too. */
        assert_int_equal(history_read_offline(f->path, &(HistoryQuery) { .id = 2, .limit = 1 }, &r,
                                              &n),
                         0);
        assert_string_equal(r->name, "exception");
        assert_string_equal(r->detail, event.detail);
        assert_string_equal(r->traceback, event.traceback);
        assert_int_equal(r->stage, event.stage);
        assert_int_equal(r->signal, event.signal);
        assert_int_equal(r->exit_status, event.exit_status);
        assert_int_equal(r->uptime_usec, event.uptime_usec);
        (void) history_records_free(r, n);
}

/* A record that is held waits for its release, or for somebody who wants to know. */
static void test_held(void **state) {
        Board *f = *state;
        Done d = {};
        Answer a;

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        history_hold(f->history, true);
        board_add(f, 2, &d);
        for (unsigned i = 0; i < 10; i++)
                assert_true(sd_event_run(f->event, 20000) >= 0);
        assert_int_equal(d.n, 1);
        history_hold(f->history, false);
        run_until(f, &d.n, 2);

        history_hold(f->history, true);
        board_add(f, 3, &d);
        a = board_query(f, 10);
        assert_int_equal(a.n, 3);
        assert_true(reset_is(&a.resets[0], 3));
        (void) history_records_free(a.resets, a.n);
        run_until(f, &d.n, 3);

        board_add(f, 4, &d); /* held for ever: it is stored at the end */
        board_close(f);
        {
                HistoryRecord *r;
                size_t n = offline_resets(f->path, &r);

                assert_int_equal(n, 4);
                (void) history_records_free(r, n);
        }
}

static int64_t live_total(Board *f, const char *name) {
        HistoryTotals t;

        assert_int_equal(history_totals(f->history, &t), 0);
        return history_totals_get(&t, name);
}

/* Each record is counted once, whatever becomes of its row: coalesced in a storm, written to memory
 * and moved, pruned. */
static void test_totals(void **state) {
        HistoryRecord crash = reset_make(2), soft = reset_make(3), event = event_make(4);
        Board *f = *state;
        Done d = {};

        crash.crashed = true;
        soft.cause = RESET_CAUSE_SOFT;
        soft.kind = RESET_KIND_SOFT;
        soft.delayed = true;
        board_open(f);
        board_add(f, 1, &d);
        assert_int_equal(history_add(f->history, &crash, on_done, &d), 0);
        assert_int_equal(history_add(f->history, &soft, on_done, &d), 0);
        /* A storm of both kinds in turn, as a program makes that fails and is started again. */
        for (unsigned i = 0; i < 200; i++) {
                HistoryRecord r = reset_make(5);

                r.boottime_usec = event.boottime_usec = UINT64_C(9000000) + i * UINT64_C(200000);
                assert_int_equal(history_add(f->history, &event, on_done, &d), 0);
                assert_int_equal(history_add(f->history, &r, on_done, &d), 0);
                run_until(f, &d.n, 2 * i + 5);
        }
        assert_int_equal(live_total(f, "resets"), 203);
        assert_int_equal(live_total(f, "hard-resets"), 202);
        assert_int_equal(live_total(f, "soft-resets"), 1);
        assert_int_equal(live_total(f, "crashes"), 1);
        assert_int_equal(live_total(f, "delayed-resets"), 1);
        assert_int_equal(live_total(f, "exception"), 200);
        assert_int_equal(live_total(f, "watchdog-resets"), 0);
        board_close(f);
        assert_int_equal(total(f, "resets"), 203);
        assert_int_equal(total(f, "exception"), 200);
        run_sql(f->path, "CREATE TEMP TABLE t(n CHECK(n<100));"
                         "INSERT INTO t SELECT (SELECT count(*) FROM resets)+(SELECT count(*) FROM "
                         "events)");

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 404);
        assert_int_equal(live_total(f, "resets"), 204);
        board_close(f);
}

/* The disk does not answer: what was accepted is told all the same. */
static void test_totals_do_not_wait_for_the_disk(void **state) {
        Board *f = *state;
        Done d = {};

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        fault_fsync_skip(false);
        fault_fsync_block(true);
        board_add(f, 2, &d);
        assert_int_equal(live_total(f, "resets"), 2);
        assert_int_equal(d.n, 1);
        fault_fsync_block(false);
        run_until(f, &d.n, 2);
        assert_int_equal(live_total(f, "resets"), 2);
}

/* ---- storms ---- */

static HistoryRecord storm_reset(unsigned i) {
        HistoryRecord r = reset_make(0);

        r.boottime_usec = UINT64_C(1000000) + i * UINT64_C(200000);
        return r;
}

static void test_storm_is_counted(void **state) {
        Board *f = *state;
        HistoryRecord other = reset_make(1), *r;
        Done d = {};
        unsigned before;
        Answer a;
        size_t n;

        board_open(f);
        for (unsigned i = 0; i < 1000; i++) {
                HistoryRecord s = storm_reset(i);

                before = fault_fsync_count();
                assert_int_equal(history_add(f->history, &s, on_done, &d), 0);
                run_until(f, &d.n, i + 1);
                assert_int_equal(d.ids[i], MIN(i + 1, STORM_RUN_MAX));
                if (i > STORM_RUN_MAX)
                        assert_int_equal(fault_fsync_count(), before); /* no commit */
        }
        a = board_query(f, 100); /* what is not written yet is told all the same */
        assert_int_equal(a.n, STORM_RUN_MAX);
        assert_int_equal(a.resets[0].repeats, 1000 - STORM_RUN_MAX);
        assert_int_equal(a.resets[1].repeats, 0);
        (void) history_records_free(a.resets, a.n);

        /* Another one ends it: written with that. */
        assert_int_equal(history_add(f->history, &other, on_done, &d), 0);
        run_until(f, &d.n, 1001);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, STORM_RUN_MAX + 1);
        assert_int_equal(r[1].repeats, 1000 - STORM_RUN_MAX);
        (void) history_records_free(r, n);

        /* So does the end. */
        for (unsigned i = 0; i < 30; i++) {
                HistoryRecord s = storm_reset(i);

                assert_int_equal(history_add(f->history, &s, NULL, NULL), 0);
        }
        board_close(f);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, 2 * STORM_RUN_MAX + 1);
        assert_int_equal(r[0].repeats, 10);
        (void) history_records_free(r, n);
}

/* ---- counters ---- */

static void test_counters_cost_no_commit_each(void **state) {
        Board *f = *state;
        char name[32];
        unsigned before;
        Done d = {};
        int r = 0;

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        before = fault_fsync_count();
        for (unsigned i = 0; i < 100000; i++)
                assert_int_equal(history_count(f->history, "script-prints", 1), 0);
        assert_int_equal(fault_fsync_count(), before);
        board_add(f, 2, &d); /* they go along with that */
        run_until(f, &d.n, 2);
        assert_int_equal(total(f, "script-prints"), 100000);
        assert_int_equal(history_count(f->history, "script-prints", -1), 0);
        board_close(f);
        assert_int_equal(total(f, "script-prints"), 99999);

        board_open(f);
        for (unsigned i = 0; r >= 0 && i < 1000; i++) {
                (void) snprintf(name, sizeof name, "counter-%u", i);
                r = history_count(f->history, name, 1);
        }
        assert_int_equal(r, -ENOBUFS);
}

/* The time has come: a storm that goes on, and counters that nothing came to go along with. */
static void test_written_in_time(void **state) {
        Board *f = *state;
        HistoryRecord *r;
        Done d = {};
        size_t n;

        board_open(f);
        for (unsigned i = 0; i < 50; i++) {
                HistoryRecord s = storm_reset(i);

                assert_int_equal(history_add(f->history, &s, on_done, &d), 0);
                run_until(f, &d.n, i + 1);
        }
        assert_int_equal(history_count(f->history, "script-prints", 7), 0);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, STORM_RUN_MAX);
        assert_int_equal(r[0].repeats, 0);
        (void) history_records_free(r, n);

        fault_clock_ahead(STORM_WRITE_USEC + USEC_PER_SEC);
        {
                Answer a = board_query(
                        f, 1); /* wakes the thread, which the clock of the test does not */

                (void) history_records_free(a.resets, a.n);
        }
        n = offline_resets(f->path, &r);
        assert_int_equal(r[0].repeats, 50 - STORM_RUN_MAX);
        (void) history_records_free(r, n);
        assert_int_equal(total(f, "script-prints"), 7);
}

/* How often the thread was woken up so far. */
static uint64_t thread_wakeups(void) {
        DIR *d = opendir("/proc/self/task");
        struct dirent *e;
        uint64_t n = UINT64_MAX;

        assert_non_null(d);
        while ((e = readdir(d))) {
                char name[300], *text, *line;
                size_t size;

                (void) snprintf(name, sizeof name, "/proc/self/task/%s/status", e->d_name);
                text = file_read(name, &size);
                if (text && strstr(text, "Name:\tmpyd-history\n")) {
                        line = strstr(text, "\nvoluntary_ctxt_switches:\t");
                        assert_non_null(line);
                        n = strtoull(strchr(line, '\t') + 1, NULL, 10);
                }
                free(text);
        }
        (void) closedir(d);
        return n;
}

static void test_idle_is_idle(void **state) {
        Board *f = *state;
        uint64_t before;
        Done d = {};

        board_open(f);
        board_add(f, 1, &d);
        run_until(f, &d.n, 1);
        (void) usleep(300000); /* housekeeping */
        before = thread_wakeups();
        assert_true(before != UINT64_MAX);
        (void) usleep(1000000);
        assert_int_equal(thread_wakeups(), before);
        assert_int_equal(sd_event_run(f->event, 0), 0); /* nor has the loop anything to do */
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                BOARD_TEST(test_store_and_ask),
                BOARD_TEST(test_each_start_is_stored),
                BOARD_TEST(test_bad_arguments),
                BOARD_TEST(test_without_callbacks),
                BOARD_TEST(test_asking_from_a_callback),
                BOARD_TEST(test_time_line),
                BOARD_TEST(test_held),
                BOARD_TEST(test_totals),
                BOARD_TEST(test_totals_do_not_wait_for_the_disk),
                BOARD_TEST(test_storm_is_counted),
                BOARD_TEST(test_counters_cost_no_commit_each),
                BOARD_TEST(test_written_in_time),
                BOARD_TEST(test_idle_is_idle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
