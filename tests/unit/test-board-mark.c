/* SPDX-License-Identifier: MIT */
/* The board mark: a process is found again while it lives, and no other in its place. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "host/board-mark.h"
#include "util/io.h"

#define BOOT_A "0123456789abcdef0123456789abcdef"
#define BOOT_B "0123456789abcdef0123456789abcdee"

static char directory[] = "/tmp/test-board-mark.XXXXXX";
static int dir_fd = -EBADF;

static int setup(void **state) {
        if (!mkdtemp(directory))
                return -1;
        dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0;
}

static int teardown(void **state) {
        (void) unlinkat(dir_fd, "board-mark", 0);
        (void) close(dir_fd);
        return rmdir(directory);
}

/* A process whose name is made to look like fields of its own. */
static pid_t start(const char *name) {
        int ready[2];
        char c;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) prctl(PR_SET_NAME, name);
                (void) !write(ready[1], "", 1);
                for (;;)
                        (void) pause();
        }
        (void) close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        (void) close(ready[0]);
        return pid;
}

static void end(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_found_again(void **state) {
        static const char *const names[] = { "mpyd-board", ") R 1 2 3 4 5", "a b c", "" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                pid_t pid = start(names[i]), found = 0;
                struct pollfd gone = { .events = POLLIN };

                assert_int_equal(board_mark_write(dir_fd, BOOT_A, pid), 0);
                gone.fd = board_mark_find(dir_fd, BOOT_A, &found);
                assert_true(gone.fd >= 0);
                assert_int_equal(found, pid);
                assert_int_equal(poll(&gone, 1, 0), 0);
                end(pid);
                assert_int_equal(poll(&gone, 1, -1), 1);
                (void) close(gone.fd);
        }
}

static void test_gone(void **state) {
        pid_t pid = start("mpyd-board"), found = 12345;

        assert_int_equal(board_mark_write(dir_fd, BOOT_A, pid), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        {
                siginfo_t si;

                assert_int_equal(waitid(P_PID, (id_t) pid, &si, WEXITED | WNOWAIT), 0);
        }
        assert_int_equal(board_mark_find(dir_fd, BOOT_A, &found), -ESRCH); /* not reaped yet */
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(board_mark_find(dir_fd, BOOT_A, &found), -ESRCH);
        assert_int_equal(board_mark_write(dir_fd, BOOT_A, pid), -ESRCH);
        assert_int_equal(found, 12345);
}

static void put(const char *text) {
        assert_int_equal(write_file_atomic(dir_fd, "board-mark", text, strlen(text), 0644), 0);
}

/* The number is another process' now: it is none of our business. */
static void test_number_used_again(void **state) {
        pid_t pid = start("mpyd-board"), found;
        char text[128];

        (void) snprintf(text, sizeof text, BOOT_A " %d 1\n", (int) pid);
        put(text);
        assert_int_equal(board_mark_find(dir_fd, BOOT_A, &found), -ESRCH);
        end(pid);
}

static void test_not_ours(void **state) {
        static const char *const marks[] = {
                "", "\n", BOOT_A, BOOT_A "\n", BOOT_A " x y\n", BOOT_A " 12\n", BOOT_A " -1 1\n",
                BOOT_A " 0 1\n", BOOT_A " 1 1\n", "0123 1 2\n",
        };
        pid_t pid = start("mpyd-board"), found;

        assert_int_equal(board_mark_write(dir_fd, BOOT_A, pid), 0);
        assert_int_equal(board_mark_find(dir_fd, BOOT_B, &found), -ENOENT);
        assert_int_equal(board_mark_find(dir_fd, "", &found), -ENOENT);
        end(pid);
        for (size_t i = 0; i < ELEMENTSOF(marks); i++) {
                put(marks[i]);
                assert_int_equal(board_mark_find(dir_fd, BOOT_A, &found), -ENOENT);
        }
        assert_int_equal(unlinkat(dir_fd, "board-mark", 0), 0);
        assert_int_equal(board_mark_find(dir_fd, BOOT_A, &found), -ENOENT);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_found_again),
                cmocka_unit_test(test_gone),
                cmocka_unit_test(test_number_used_again),
                cmocka_unit_test(test_not_ours),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
