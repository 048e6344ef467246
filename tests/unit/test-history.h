/* SPDX-License-Identifier: MIT */
/* What the tests of the history share: temporary directories, resets to store, and a disk that
 * fails when told to. The faults are at the edge: the kernel calls that SQLite makes. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "history/store.h"

/* ---- test-history-faults.c ---- */

/* Every fsync takes so long. */
void fault_fsync_delay(uint64_t usec);
/* Every fsync stays in the kernel until this is called with false. */
void fault_fsync_block(bool block);
/* After n more calls the next ones fail with error, times of them. 0 times: none. */
void fault_fsync_error(unsigned n, int error, unsigned times);
void fault_write_error(unsigned n, int error, unsigned times);
/* fsync does nothing: for tests that are not about durability and want to be quick. */
void fault_fsync_skip(bool skip);
unsigned fault_fsync_count(void);
void fault_none(void);

/* CLOCK_BOOTTIME is so much ahead. */
void fault_clock_ahead(uint64_t usec);

/* ---- test-history-fixture.c: a store in a temporary directory, without a thread ---- */

#define FIXTURE_MAX_SIZE (1024 * 1024)
#define FIXTURE_BOOT_ID "0123456789abcdef0123456789abcdef"

typedef struct Fixture {
        char *dir, *path, *wal;
        Store store;
        uint64_t now;
        unsigned n_warnings, n_notices;
        char last_report[512];
} Fixture;

int fixture_setup(void **state);    /* nothing is opened yet; fsync is skipped */
int fixture_teardown(void **state); /* closes the store when it is open */
void fixture_open(Fixture *f);
void fixture_close(Fixture *f);
void fixture_report(void *userdata, JournalEvent event, const char *message);

/* Stores reset_make(n); the id. */
int64_t fixture_add(Fixture *f, unsigned n);
void assert_state(Fixture *f, const char *text);
/* Exactly the resets of numbers 1..n are in the file, in order, with ids that grow. */
void assert_on_disk(Fixture *f, unsigned n);

#define FIXTURE_TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

/* ---- test-history-board.c: a history with its thread, as the daemon has it ---- */

#define BOARD_STOP_USEC UINT64_C(20000000)

/* The history and its loop. */
typedef struct Board {
        char *dir, *path;
        sd_event *event;
        History *history;
        unsigned n_warnings;
        char last_report[512];
} Board;

typedef struct Done {
        int64_t ids[4096];
        unsigned n;
} Done;

typedef struct Answer {
        unsigned n_answers;
        int r;
        HistoryRecord *resets;
        size_t n;
} Answer;

int board_setup(void **state);
int board_teardown(void **state);
void board_open(Board *f);
void board_close(Board *f);
/* Stores reset_make(n); the answer goes to d. */
void board_add(Board *f, unsigned n, Done *d);
Answer board_query(Board *f, unsigned limit);
void on_done(void *userdata, int64_t id);
void on_answer(void *userdata, int r, HistoryRecord *resets, size_t n);
/* Runs the loop until *n is wanted; fails after a while. */
void run_until(Board *f, const unsigned *n, unsigned wanted);

#define BOARD_TEST(f) cmocka_unit_test_setup_teardown(f, board_setup, board_teardown)

/* ---- test-history-helpers.c ---- */

/* A new directory, removed with all that is in it by directory_remove(), which frees the name. */
char *directory_make(void);
void directory_remove(char *dir);
/* Entries whose name begins with prefix. */
unsigned directory_count(const char *dir, const char *prefix);
char *path_in(const char *dir, const char *name);

void file_write(const char *path, const void *data, size_t size);
void *file_read(const char *path, size_t *ret_size); /* NULL: there is none */
void file_copy(const char *from, const char *to);    /* nothing where there is no from */
void run_sql(const char *path, const char *sql);

/* A hard reset; number n is in its detail. */
HistoryRecord reset_make(unsigned n);
/* That of reset_make(n)? */
bool reset_is(const HistoryRecord *r, unsigned n);

/* What history_read_offline() finds, newest first; fails the test when it cannot. */
size_t offline_resets(const char *path, HistoryRecord **ret);

/* Runs f in a child that is not root, where that can be had; its assertions count. */
void run_unprivileged(void (*f)(void *userdata), void *userdata);
/* Runs f in a child with a tmpfs of that size on dir; false when that is not allowed here. */
bool run_on_tmpfs(const char *dir, const char *options, void (*f)(void *userdata), void *userdata);
