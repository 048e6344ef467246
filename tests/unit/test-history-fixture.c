/* SPDX-License-Identifier: MIT */
/* A store in a temporary directory, without a thread, for the tests of what is below the thread. */
#include <stdio.h>
#include <syslog.h>

#include "history/rows.h"
#include "test-history.h"
#include "util/parse.h"

void fixture_report(void *userdata, JournalEvent event, const char *message) {
        Fixture *f = userdata;

        f->n_warnings += journal_event_priority(event) == LOG_WARNING;
        f->n_notices += journal_event_priority(event) == LOG_NOTICE;
        (void) snprintf(f->last_report, sizeof f->last_report, "%s", message);
}

void fixture_open(Fixture *f) {
        assert_int_equal(store_init(&f->store, f->path, FIXTURE_MAX_SIZE, FIXTURE_BOOT_ID,
                                    fixture_report, f),
                         0);
        store_open(&f->store, f->now);
}

void fixture_close(Fixture *f) {
        store_close(&f->store, f->now);
}

int fixture_setup(void **state) {
        Fixture *f = calloc(1, sizeof *f);

        if (!f)
                return -1;
        f->dir = directory_make();
        f->path = path_in(f->dir, "history.db");
        f->wal = path_in(f->dir, "history.db-wal");
        f->now = USEC_PER_HOUR;
        fault_fsync_skip(true);
        *state = f;
        return 0;
}

int fixture_teardown(void **state) {
        Fixture *f = *state;

        fault_none();
        if (f->store.path)
                fixture_close(f);
        directory_remove(f->dir);
        free(f->path);
        free(f->wal);
        free(f);
        return 0;
}

typedef struct Insert {
        Store *store;
        unsigned n;
        int64_t id;
} Insert;

static int insert_reset(Database *d, void *userdata) {
        Insert *i = userdata;
        HistoryRecord r = reset_make(i->n);

        return rows_add(d, i->store->last_id + 1, &r, &i->id);
}

int64_t fixture_add(Fixture *f, unsigned n) {
        Insert i = { .store = &f->store, .n = n };

        assert_int_equal(store_apply(&f->store, insert_reset, &i, f->now), 0);
        assert_true(i.id > 0);
        return i.id;
}

void assert_state(Fixture *f, const char *text) {
        char buf[128];

        assert_non_null(strstr(store_state(&f->store, buf, sizeof buf), text));
}

void assert_on_disk(Fixture *f, unsigned n) {
        HistoryRecord *resets;
        size_t found = offline_resets(f->path, &resets);

        assert_int_equal(found, n);
        for (unsigned i = 0; i < n; i++) {
                assert_true(reset_is(&resets[i], n - i));
                assert_true(i == 0 || resets[i].id < resets[i - 1].id);
        }
        (void) history_records_free(resets, found);
}
