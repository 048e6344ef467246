/* SPDX-License-Identifier: MIT */
/* A history with its thread and a loop, as the daemon has it, in a temporary directory. */
#include <stdio.h>
#include <syslog.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "test-history.h"
#include "util/parse.h"

static void on_report(void *userdata, JournalEvent event, const char *message) {
        Board *f = userdata;

        f->n_warnings += journal_event_priority(event) == LOG_WARNING;
        (void) snprintf(f->last_report, sizeof f->last_report, "%s", message);
}

void board_open(Board *f) {
        assert_int_equal(
                history_new(&f->history, f->event, f->path, FIXTURE_MAX_SIZE, on_report, f), 0);
}

void board_close(Board *f) {
        f->history = history_free(f->history, BOARD_STOP_USEC);
        assert_null(f->history);
}

int board_setup(void **state) {
        Board *f = calloc(1, sizeof *f);

        f->dir = directory_make();
        f->path = path_in(f->dir, "history.db");
        assert_true(sd_event_new(&f->event) >= 0);
        *state = f;
        return 0;
}

int board_teardown(void **state) {
        Board *f = *state;

        fault_none();
        (void) history_free(f->history, BOARD_STOP_USEC);
        sd_event_unref(f->event);
        directory_remove(f->dir);
        free(f->path);
        free(f);
        return 0;
}

void on_done(void *userdata, int64_t id) {
        Done *d = userdata;

        assert_true(d->n < ELEMENTSOF(d->ids));
        d->ids[d->n++] = id;
}

void run_until(Board *f, const unsigned *n, unsigned wanted) {
        uint64_t end = now_usec(CLOCK_MONOTONIC) + BOARD_STOP_USEC;

        while (*n < wanted) {
                assert_true(now_usec(CLOCK_MONOTONIC) < end);
                assert_true(sd_event_run(f->event, 100 * USEC_PER_MSEC) >= 0);
        }
}

void board_add(Board *f, unsigned n, Done *d) {
        HistoryRecord r = reset_make(n);

        assert_int_equal(history_add(f->history, &r, on_done, d), 0);
}

void on_answer(void *userdata, int r, HistoryRecord *resets, size_t n) {
        Answer *a = userdata;

        a->n_answers++;
        a->r = r;
        a->resets = resets;
        a->n = n;
}

Answer board_query(Board *f, unsigned limit) {
        Answer a = {};

        assert_int_equal(
                history_query(f->history, &(HistoryQuery) { .limit = limit, .only = HISTORY_ONLY_RESETS },
                              on_answer, &a), 0);
        run_until(f, &a.n_answers, 1);
        assert_int_equal(a.r, 0);
        return a;
}
