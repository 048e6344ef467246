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
        HistoryEvent *events;
        HistoryReset *r;
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
        (void) history_resets_free(a.resets, a.n);
        assert_string_equal(history_state(f->history), "ok");
        board_close(f);

        n = offline_resets(f->path, &r);
        assert_int_equal(n, 5);
        (void) history_resets_free(r, n);
        assert_int_equal(history_read_events_offline(f->path, 10, &events, &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(events[0].name, "daemon-start");
        (void) history_events_free(events, n);
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
        HistoryReset r = reset_make(1);

        board_open(f);
        r.cause = (ResetCause) 0;
        assert_int_equal(history_add_reset(f->history, &r, NULL, NULL), -EINVAL);
        r = reset_make(1);
        r.stage = BOARD_STAGE_MAX;
        assert_int_equal(history_add_reset(f->history, &r, NULL, NULL), -EINVAL);
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
        HistoryReset r = reset_make(1), *rows;

        assert_int_equal(history_new(&f->history, f->event, f->path, FIXTURE_MAX_SIZE, NULL, NULL),
                         0);
        assert_int_equal(history_add_reset(f->history, &r, NULL, NULL), 0);
        board_close(f);
        assert_int_equal(offline_resets(f->path, &rows), 1);
        (void) history_resets_free(rows, 1);
}

/* A callback may ask for more. */
typedef struct Chain {
        Board *f;
        unsigned n;
} Chain;

static void on_chain(void *userdata, int64_t id) {
        Chain *c = userdata;
        HistoryReset r = reset_make(++c->n);

        assert_int_equal(id, c->n);
        if (c->n < 10)
                assert_int_equal(history_add_reset(c->f->history, &r, on_chain, c), 0);
}

static void test_asking_from_a_callback(void **state) {
        Chain c = { .f = *state };
        HistoryReset r = reset_make(0);

        board_open(c.f);
        assert_int_equal(history_add_reset(c.f->history, &r, on_chain, &c), 0);
        run_until(c.f, &c.n, 10);
}

/* ---- storms ---- */

static HistoryReset storm_reset(unsigned i) {
        HistoryReset r = reset_make(0);

        r.boottime_usec = UINT64_C(1000000) + i * UINT64_C(200000);
        return r;
}

static void test_storm_is_counted(void **state) {
        Board *f = *state;
        HistoryReset other = reset_make(1), *r;
        Done d = {};
        unsigned before;
        Answer a;
        size_t n;

        board_open(f);
        for (unsigned i = 0; i < 1000; i++) {
                HistoryReset s = storm_reset(i);

                before = fault_fsync_count();
                assert_int_equal(history_add_reset(f->history, &s, on_done, &d), 0);
                run_until(f, &d.n, i + 1);
                assert_int_equal(d.ids[i], MIN(i + 1, STORM_RUN_MAX));
                if (i > STORM_RUN_MAX)
                        assert_int_equal(fault_fsync_count(), before); /* no commit */
        }
        a = board_query(f, 100); /* what is not written yet is told all the same */
        assert_int_equal(a.n, STORM_RUN_MAX);
        assert_int_equal(a.resets[0].repeats, 1000 - STORM_RUN_MAX);
        assert_int_equal(a.resets[1].repeats, 0);
        (void) history_resets_free(a.resets, a.n);

        /* Another one ends it: written with that. */
        assert_int_equal(history_add_reset(f->history, &other, on_done, &d), 0);
        run_until(f, &d.n, 1001);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, STORM_RUN_MAX + 1);
        assert_int_equal(r[1].repeats, 1000 - STORM_RUN_MAX);
        (void) history_resets_free(r, n);

        /* So does the end. */
        for (unsigned i = 0; i < 30; i++) {
                HistoryReset s = storm_reset(i);

                assert_int_equal(history_add_reset(f->history, &s, NULL, NULL), 0);
        }
        board_close(f);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, 2 * STORM_RUN_MAX + 1);
        assert_int_equal(r[0].repeats, 10);
        (void) history_resets_free(r, n);
}

/* ---- counters ---- */

static void on_counter(void *userdata, const char *name, int64_t value) {
        assert_string_equal(name, "script-prints");
        *(int64_t *) userdata = value;
}

static void test_counters_cost_no_commit_each(void **state) {
        Board *f = *state;
        char name[32];
        int64_t value = 0;
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
        assert_int_equal(history_read_counters_offline(f->path, on_counter, &value), 0);
        assert_int_equal(value, 100000);
        assert_int_equal(history_count(f->history, "script-prints", -1), 0);
        board_close(f);
        assert_int_equal(history_read_counters_offline(f->path, on_counter, &value), 0);
        assert_int_equal(value, 99999);

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
        HistoryReset *r;
        int64_t value = 0;
        Done d = {};
        size_t n;

        board_open(f);
        for (unsigned i = 0; i < 50; i++) {
                HistoryReset s = storm_reset(i);

                assert_int_equal(history_add_reset(f->history, &s, on_done, &d), 0);
                run_until(f, &d.n, i + 1);
        }
        assert_int_equal(history_count(f->history, "script-prints", 7), 0);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, STORM_RUN_MAX);
        assert_int_equal(r[0].repeats, 0);
        (void) history_resets_free(r, n);

        fault_clock_ahead(STORM_WRITE_USEC + USEC_PER_SEC);
        {
                Answer a = board_query(
                        f, 1); /* wakes the thread, which the clock of the test does not */

                (void) history_resets_free(a.resets, a.n);
        }
        n = offline_resets(f->path, &r);
        assert_int_equal(r[0].repeats, 50 - STORM_RUN_MAX);
        (void) history_resets_free(r, n);
        assert_int_equal(history_read_counters_offline(f->path, on_counter, &value), 0);
        assert_int_equal(value, 7);
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
                BOARD_TEST(test_storm_is_counted),
                BOARD_TEST(test_counters_cost_no_commit_each),
                BOARD_TEST(test_written_in_time),
                BOARD_TEST(test_idle_is_idle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
