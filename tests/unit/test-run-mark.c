/* SPDX-License-Identifier: MIT */
/* The run mark: how one run of the daemon learns of the one before it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "host/run-mark.h"
#include "util/io.h"
#include "util/parse.h"

#define BOOT_A "0123456789abcdef0123456789abcdef"
#define BOOT_B "0123456789abcdef0123456789abcdee"

static char directory[] = "/tmp/test-host.XXXXXX";
static int dir_fd = -EBADF;

static int setup(void **state) {
        if (!mkdtemp(directory))
                return -1;
        dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0;
}

static int teardown(void **state) {
        (void) unlinkat(dir_fd, "run-mark", 0);
        (void) unlinkat(dir_fd, "run-result", 0);
        (void) close(dir_fd);
        return rmdir(directory);
}

static void put_mark(const char *content) {
        assert_int_equal(write_file_atomic(dir_fd, "run-mark", content, strlen(content), 0644), 0);
}

static void assert_start(RunStart s, ResetCause cause, ResetReason reason) {
        assert_int_equal(s.cause, cause);
        assert_int_equal(s.reason, reason);
        assert_string_not_equal(s.detail, "");
}

static void test_runs(void **state) {
        (void) unlinkat(dir_fd, "run-mark", 0);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        /* killed */
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_UNKNOWN);
        run_ended(dir_fd, BOOT_A);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_RESET_PIN);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_UNKNOWN);
        /* the host was booted, whatever happened before */
        assert_start(run_began(dir_fd, BOOT_B), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        run_ended(dir_fd, BOOT_B);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
}

/* A mark that nobody of us wrote says nothing. */
static void test_damaged_marks(void **state) {
        static const struct {
                const char *mark;
                ResetCause cause;
                ResetReason reason;
        } cases[] = {
                { "", RESET_CAUSE_PWRON, RESET_REASON_POWER_ON },
                { "\n", RESET_CAUSE_PWRON, RESET_REASON_POWER_ON },
                { " stopped\n", RESET_CAUSE_PWRON, RESET_REASON_POWER_ON },
                { "0123 stopped\n", RESET_CAUSE_PWRON, RESET_REASON_POWER_ON },
                { BOOT_A, RESET_CAUSE_HARD, RESET_REASON_UNKNOWN },
                { BOOT_A " stop", RESET_CAUSE_HARD, RESET_REASON_UNKNOWN },
                { BOOT_A " stopped\n", RESET_CAUSE_HARD, RESET_REASON_RESET_PIN },
                { BOOT_A " running\n" BOOT_A " stopped\n", RESET_CAUSE_HARD, RESET_REASON_UNKNOWN },
        };
        char large[1000];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                put_mark(cases[i].mark);
                assert_start(run_began(dir_fd, BOOT_A), cases[i].cause, cases[i].reason);
        }
        memset(large, 'x', sizeof large - 1);
        memcpy(large, BOOT_A, 32);
        large[sizeof large - 1] = '\0';
        put_mark(large);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
}

/* Where a boot id is not to be had, two runs are never taken for the same boot. */
static void test_no_boot_id(void **state) {
        put_mark("");
        for (unsigned i = 0; i < 3; i++) {
                assert_start(run_began(dir_fd, ""), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
                run_ended(dir_fd, "");
        }
}

/* No place for the mark: nothing crashes, and it is a first start each time. */
static void test_no_directory(void **state) {
        assert_start(run_began(-EBADF, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        run_ended(-EBADF, BOOT_A);
}

/* A link put in the mark's way is not written through. */
static void test_link(void **state) {
        struct stat st;

        put_mark(BOOT_A " running\n");
        assert_int_equal(symlinkat("elsewhere", dir_fd, "run-mark.new"), 0);
        run_ended(dir_fd, BOOT_A);
        assert_int_equal(fstatat(dir_fd, "elsewhere", &st, 0), -1);
        assert_int_equal(unlinkat(dir_fd, "run-mark.new", 0), 0);
}

/* The next run goes on where the one before left off: the reason is the board's, not the stop's. */
static void test_hand_over(void **state) {
        put_mark("");
        (void) run_began(dir_fd, BOOT_A);
        run_handed_over(dir_fd, BOOT_A, RESET_REASON_WATCHDOG);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_SOFT, RESET_REASON_WATCHDOG);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_UNKNOWN); /* once */
        run_handed_over(dir_fd, BOOT_A, RESET_REASON_WATCHDOG);
        assert_start(run_began(dir_fd, BOOT_B), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        put_mark(BOOT_A " handed-over 99\n");
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_UNKNOWN);
        put_mark(BOOT_A " handed-over\n");
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_UNKNOWN);
}

/* systemd.exec(5): what ExecStopPost= is told. */
static void test_results(void **state) {
        static const struct {
                const char *result, *code, *status, *detail;
                ResetCause cause;
                ResetReason reason;
        } cases[] = {
                { "watchdog", "killed", "ABRT", "mpyd hung: ", RESET_CAUSE_WDT, RESET_REASON_WATCHDOG },
                { "signal", "killed", "SEGV", "mpyd was killed by SIGSEGV", RESET_CAUSE_HARD,
                  RESET_REASON_UNKNOWN },
                { "core-dump", "dumped", "ABRT", "mpyd was killed by SIGABRT", RESET_CAUSE_HARD,
                  RESET_REASON_UNKNOWN },
                { "oom-kill", "killed", "KILL", "the kernel killed mpyd: out of memory", RESET_CAUSE_HARD,
                  RESET_REASON_UNKNOWN },
                { "exit-code", "exited", "1", "mpyd failed, exit status 1", RESET_CAUSE_HARD,
                  RESET_REASON_UNKNOWN },
                { "timeout", "killed", "KILL", "mpyd did not start or stop in time", RESET_CAUSE_HARD,
                  RESET_REASON_UNKNOWN },
                { NULL, NULL, NULL, "mpyd ended without a clean stop", RESET_CAUSE_HARD,
                  RESET_REASON_UNKNOWN },
                { "", "", "", "mpyd ended without a clean stop", RESET_CAUSE_HARD, RESET_REASON_UNKNOWN },
                { "watch dog", "x", "y", "mpyd ended without a clean stop", RESET_CAUSE_HARD,
                  RESET_REASON_UNKNOWN },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RunStart s;

                put_mark(BOOT_A " running 0\n");
                assert_int_equal(run_note_result(dir_fd, cases[i].result, cases[i].code,
                                                 cases[i].status), 0);
                s = run_began(dir_fd, BOOT_A);
                assert_start(s, cases[i].cause, cases[i].reason);
                assert_memory_equal(s.detail, cases[i].detail, strlen(cases[i].detail));
                /* told once: the run after that one has no result of its own yet */
                s = run_began(dir_fd, BOOT_A);
                assert_start(s, RESET_CAUSE_HARD, RESET_REASON_UNKNOWN);
                assert_string_equal(s.detail, "mpyd ended without a clean stop (crash or kill)");
        }

        /* A clean stop is one, whatever systemd thinks of it. */
        run_ended(dir_fd, BOOT_A);
        assert_int_equal(run_note_result(dir_fd, "signal", "killed", "SEGV"), 0);
        assert_start(run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_RESET_PIN);
        /* The host's boot outweighs it too. */
        assert_int_equal(run_note_result(dir_fd, "watchdog", "killed", "ABRT"), 0);
        assert_start(run_began(dir_fd, BOOT_B), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        assert_true(run_note_result(-EBADF, "watchdog", "killed", "ABRT") < 0);
}

/* Failures in a row are counted until a run has lasted or ended well. */
static void test_failures(void **state) {
        put_mark(BOOT_A " stopped 0\n");
        for (unsigned i = 0; i < 6; i++)
                assert_int_equal(run_began(dir_fd, BOOT_A).failures, i);
        run_lasted(dir_fd, BOOT_A);
        assert_int_equal(run_began(dir_fd, BOOT_A).failures, 1);
        run_ended(dir_fd, BOOT_A);
        assert_int_equal(run_began(dir_fd, BOOT_A).failures, 0);
        put_mark(BOOT_A " running 4294967295\n");
        assert_int_equal(run_began(dir_fd, BOOT_A).failures, 1000001);
        put_mark(BOOT_B " running 7\n");
        assert_int_equal(run_began(dir_fd, BOOT_A).failures, 0);
}

static void test_hold_back(void **state) {
        static const uint64_t seconds[] = { 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60 };

        for (unsigned i = 0; i < ELEMENTSOF(seconds); i++)
                assert_int_equal(run_hold_back_usec(i), seconds[i] * USEC_PER_SEC);
        assert_int_equal(run_hold_back_usec(UINT32_MAX), 60 * USEC_PER_SEC);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_runs),
                cmocka_unit_test(test_damaged_marks),
                cmocka_unit_test(test_no_boot_id),
                cmocka_unit_test(test_no_directory),
                cmocka_unit_test(test_link),
                cmocka_unit_test(test_hand_over),
                cmocka_unit_test(test_results),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_hold_back),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
