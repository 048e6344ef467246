/* SPDX-License-Identifier: MIT */
/* What the host tells: its boot, and how the daemon ran before. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "host/host.h"
#include "util/io.h"

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
        (void) close(dir_fd);
        return rmdir(directory);
}

static void put_mark(const char *content) {
        assert_int_equal(write_file_atomic(dir_fd, "run-mark", content, strlen(content), 0644), 0);
}

static void assert_start(HostStart s, ResetCause cause, ResetReason reason) {
        assert_int_equal(s.cause, cause);
        assert_int_equal(s.reason, reason);
        assert_string_not_equal(s.detail, "");
}

static void test_runs(void **state) {
        (void) unlinkat(dir_fd, "run-mark", 0);
        assert_start(host_run_began(dir_fd, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        /* killed */
        assert_start(host_run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_UNKNOWN);
        host_run_ended(dir_fd, BOOT_A);
        assert_start(host_run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_RESET_PIN);
        assert_start(host_run_began(dir_fd, BOOT_A), RESET_CAUSE_HARD, RESET_REASON_UNKNOWN);
        /* the host was booted, whatever happened before */
        assert_start(host_run_began(dir_fd, BOOT_B), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        host_run_ended(dir_fd, BOOT_B);
        assert_start(host_run_began(dir_fd, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
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
                assert_start(host_run_began(dir_fd, BOOT_A), cases[i].cause, cases[i].reason);
        }
        memset(large, 'x', sizeof large - 1);
        memcpy(large, BOOT_A, 32);
        large[sizeof large - 1] = '\0';
        put_mark(large);
        assert_start(host_run_began(dir_fd, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
}

/* Where a boot id is not to be had, two runs are never taken for the same boot. */
static void test_no_boot_id(void **state) {
        put_mark("");
        for (unsigned i = 0; i < 3; i++) {
                assert_start(host_run_began(dir_fd, ""), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
                host_run_ended(dir_fd, "");
        }
}

/* No place for the mark: nothing crashes, and it is a first start each time. */
static void test_no_directory(void **state) {
        assert_start(host_run_began(-EBADF, BOOT_A), RESET_CAUSE_PWRON, RESET_REASON_POWER_ON);
        host_run_ended(-EBADF, BOOT_A);
}

/* A link put in the mark's way is not written through. */
static void test_link(void **state) {
        struct stat st;

        put_mark(BOOT_A " running\n");
        assert_int_equal(symlinkat("elsewhere", dir_fd, "run-mark.new"), 0);
        host_run_ended(dir_fd, BOOT_A);
        assert_int_equal(fstatat(dir_fd, "elsewhere", &st, 0), -1);
        assert_int_equal(unlinkat(dir_fd, "run-mark.new", 0), 0);
}

static void test_ids(void **state) {
        static const uint8_t none[LINK_UNIQUE_ID_SIZE];
        uint8_t a[LINK_UNIQUE_ID_SIZE], b[LINK_UNIQUE_ID_SIZE];
        _cleanup_free_ char *kernel = NULL;
        char id[33];
        size_t n = 0;

        assert_int_equal(host_boot_id(id), 0);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &kernel, NULL), 0);
        for (const char *p = kernel; *p; p++) /* it is the kernel's, without dashes */
                if (isxdigit((unsigned char) *p))
                        assert_int_equal(*p, id[n++]);
        assert_int_equal(n, 32);

        host_unique_id(a);
        host_unique_id(b);
        assert_memory_equal(a, b, sizeof a);
        if (access("/etc/machine-id", R_OK) < 0)
                assert_memory_equal(a, none, sizeof a);
        (void) host_clock_synced(); /* either is fine */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_runs),
                cmocka_unit_test(test_damaged_marks),
                cmocka_unit_test(test_no_boot_id),
                cmocka_unit_test(test_no_directory),
                cmocka_unit_test(test_link),
                cmocka_unit_test(test_ids),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
