/* SPDX-License-Identifier: MIT */
/* What is bounded: the file's size, the number of counters, their values. src/history/rows-*.c */
#include <stdio.h>
#include <sys/stat.h>

#include "history/rows.h"
#include "test-history.h"

static int add_event(Database *d, void *userdata) {
        HistoryRecord e = { .name = (char *) "flood", .detail = userdata };
        int64_t id;

        return rows_add(d, 1, &e, &id);
}

static uint64_t bytes_in(Fixture *f) {
        struct stat st;
        uint64_t n = 0;

        if (stat(f->path, &st) == 0)
                n += (uint64_t) st.st_size;
        if (stat(f->wal, &st) == 0)
                n += (uint64_t) st.st_size;
        return n;
}

static void maintain(Fixture *f) {
        while (store_maintain(&f->store, f->now))
                ;
}

static void test_size_is_bounded(void **state) {
        Fixture *f = *state;
        HistoryRecord *r;
        uint64_t most = 0;
        HistoryTotals t;
        size_t n;

        fixture_open(f);
        for (unsigned i = 1; i <= 12000; i++) {
                (void) fixture_add(f, i);
                maintain(f);
                most = MAX(most, bytes_in(f));
        }
        assert_in_range(most, FIXTURE_MAX_SIZE / 2, FIXTURE_MAX_SIZE);
        store_close(&f->store, f->now);
        assert_int_equal(history_read_totals_offline(f->path, &t), 0);
        assert_int_equal(history_totals_get(&t, "resets"), 12000); /* with those that have gone */
        n = offline_resets(f->path, &r);
        assert_int_equal(n, 1000); /* of more: the answer is bounded */
        for (unsigned i = 0; i < n; i++)
                assert_true(reset_is(&r[i], 12000 - i));
        (void) history_records_free(r, n);
}

/* A smaller max-size than before: the file shrinks. */
static void test_shrinks(void **state) {
        Fixture *f = *state;
        HistoryRecord *r;
        size_t n;

        fixture_open(f);
        for (unsigned i = 1; i <= 2000; i++)
                (void) fixture_add(f, i);
        store_close(&f->store, f->now);
        assert_true(bytes_in(f) > 350 * 1024);
        assert_int_equal(
                store_init(&f->store, f->path, 256 * 1024, FIXTURE_BOOT_ID, fixture_report, f), 0);
        store_open(&f->store, f->now);
        maintain(f);
        store_close(&f->store, f->now);
        assert_in_range(bytes_in(f), 64 * 1024, 256 * 1024);
        n = offline_resets(f->path, &r);
        assert_true(n > 100 && reset_is(&r[0], 2000));
        (void) history_records_free(r, n);
}

/* A flood of events does not push the resets out. */
static void test_events_do_not_evict_resets(void **state) {
        Fixture *f = *state;
        char detail[400];
        HistoryRecord *events;
        HistoryRecord *r;
        size_t n;

        memset(detail, 'e', sizeof detail);
        detail[sizeof detail - 1] = '\0';
        fixture_open(f);
        for (unsigned i = 1; i <= 100; i++)
                (void) fixture_add(f, i);
        for (unsigned i = 0; i < 8000; i++) {
                assert_int_equal(store_apply(&f->store, add_event, detail, f->now), 0);
                maintain(f);
        }
        assert_true(bytes_in(f) <= FIXTURE_MAX_SIZE);
        n = offline_resets(f->path, &r);
        assert_int_equal(n, 100);
        (void) history_records_free(r, n);
        assert_int_equal(history_read_offline(f->path, &(HistoryQuery) { .limit = 1000, .only = "events" }, &events, &n), 0);
        assert_int_equal(n, 1000);
        (void) history_records_free(events, n);
}

/* ---- counters ---- */

typedef struct Count {
        const char *name;
        int64_t delta;
        int r;
} Count;

static int count(Database *d, void *userdata) {
        Count *c = userdata;

        c->r = rows_count(d, c->name, c->delta);
        return 0;
}

static int64_t count_to(Fixture *f, int64_t delta) {
        Count c = { .name = "some-counter", .delta = delta };
        HistoryTotals t;

        assert_int_equal(store_apply(&f->store, count, &c, f->now), 0);
        assert_int_equal(c.r, 0);
        assert_int_equal(history_read_totals_offline(f->path, &t), 0);
        return history_totals_get(&t, "some-counter");
}

static void test_counters(void **state) {
        Fixture *f = *state;
        char name[32];

        fixture_open(f);
        assert_true(count_to(f, 5) == 5);
        assert_true(count_to(f, -7) == -2);
        assert_true(count_to(f, INT64_MAX) == INT64_MAX - 2);
        assert_true(count_to(f, INT64_MAX) == INT64_MAX);
        assert_true(count_to(f, INT64_MIN) == -1);
        assert_true(count_to(f, INT64_MIN) == INT64_MIN);
        for (unsigned i = 1; i <= ROWS_COUNTERS_MAX; i++) {
                Count c = { .name = name, .delta = 1 };

                (void) snprintf(name, sizeof name, "counter-%u", i);
                assert_int_equal(store_apply(&f->store, count, &c, f->now), 0);
                assert_int_equal(c.r, i < ROWS_COUNTERS_MAX ? 0 : -E2BIG);
        }
        fault_write_error(0, ENOSPC, UINT32_MAX);
        (void) count_to(f, 1);
        fault_write_error(0, 0, 0);
        f->now = store_retry_at(&f->store);
        assert_true(count_to(f, 1) == INT64_MIN + 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                FIXTURE_TEST(test_size_is_bounded),
                FIXTURE_TEST(test_shrinks),
                FIXTURE_TEST(test_events_do_not_evict_resets),
                FIXTURE_TEST(test_counters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
