/* SPDX-License-Identifier: MIT */
/* Names in the flash directory: joined and normalized as text, resolved inside of the jail. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "board/flash-path.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "mpyd/board-link.h"

static char root[] = "/tmp/test-board-flash-path-XXXXXX";
static bool has_device;

static void make_file(const char *name, const char *text) {
        int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        close(fd);
        close(dir);
}

/* A directory with a file, a directory, and links and nodes that would lead out of it. */
static int set_up(void **state) {
        int dir;

        if (!mkdtemp(root))
                return -1;
        dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || dup2(dir, BOARD_FD_FLASH) < 0 || mkdirat(dir, "d", 0755) < 0)
                return -1;
        make_file("f", "file");
        make_file("d/g", "inner");
        if (symlinkat("/etc/passwd", dir, "abs") < 0 ||
            symlinkat("../../../etc/passwd", dir, "up") < 0 ||
            symlinkat("d", dir, "link") < 0 || symlinkat("/d/g", dir, "to-g") < 0 ||
            symlinkat("loop", dir, "loop") < 0 || mkfifoat(dir, "fifo", 0644) < 0 ||
            mknodat(dir, "socket", S_IFSOCK | 0666, 0) < 0)
                return -1;
        has_device = mknodat(dir, "device", S_IFCHR | 0666, makedev(1, 5)) == 0; /* only root may make one */
        close(dir);
        return 0;
}

static int tear_down(void **state) {
        char command[64];

        (void) snprintf(command, sizeof command, "rm -rf %s", root);
        return system(command);
}

static int open_path(const char *path, int flags) {
        FlashPath p;
        int r = flash_path_join(&p, "/", path);

        return r < 0 ? r : flash_path_open(&p, flags, 0644);
}

static void assert_opens(const char *path) {
        int fd = open_path(path, O_RDONLY);

        assert_true(fd >= 0);
        close(fd);
}

static void test_join(void **state) {
        static char long_path[2 * FLASH_PATH_MAX];
        FlashPath p;

        assert_int_equal(flash_path_join(&p, "/a", "b"), 0);
        assert_string_equal(p.text, "/a/b");
        assert_int_equal(flash_path_join(&p, "/a", "/b"), 0);
        assert_string_equal(p.text, "//b");
        assert_int_equal(flash_path_join(&p, "/", ""), 0);
        assert_string_equal(p.text, "//");

        memset(long_path, 'x', sizeof long_path - 1);
        assert_int_equal(flash_path_join(&p, "/", long_path), -ENAMETOOLONG);
        assert_string_equal(p.text, "//"); /* untouched */
        long_path[FLASH_PATH_MAX - 3] = '\0';
        assert_int_equal(flash_path_join(&p, "/", long_path), 0);
        long_path[FLASH_PATH_MAX - 3] = 'x';
        long_path[FLASH_PATH_MAX - 2] = '\0';
        assert_int_equal(flash_path_join(&p, "/", long_path), -ENAMETOOLONG);
}

static void test_normalize(void **state) {
        static const struct {
                const char *cwd, *path, *result;
        } cases[] = {
                { "/", "", "/" },
                { "/", ".", "/" },
                { "/", "a", "/a" },
                { "/a", "b", "/a/b" },
                { "/a", "/b", "/b" },
                { "/a/b", "..", "/a" },
                { "/a", "..", "/" },
                { "/", "..", "/" },
                { "/", "../../x", "/x" },
                { "/a", "../../../..", "/" },
                { "/a//b", "c/./d/../e/", "/a/b/c/e" },
                { "/", "...", "/..." },
                { "/", "..a/.b", "/..a/.b" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                FlashPath p;

                assert_int_equal(flash_path_normalize(&p, cases[i].cwd, cases[i].path), 0);
                assert_string_equal(p.text, cases[i].result);
        }
}

static void test_jail(void **state) {
        assert_opens("f");
        assert_opens("/f");
        assert_opens("../../f");
        assert_opens("d/g");
        assert_opens("link/g");
        assert_opens("to-g"); /* absolute means: in the jail */
        assert_int_equal(open_path("abs", O_RDONLY), -ENOENT);
        assert_int_equal(open_path("up", O_RDONLY), -ENOENT);
        assert_int_equal(open_path("../../../../etc/passwd", O_RDONLY), -ENOENT);
        assert_int_equal(open_path("/proc/self/root/etc/passwd", O_RDONLY), -ENOENT);
        assert_int_equal(open_path("loop", O_RDONLY), -ELOOP);
        assert_int_equal(open_path("f/x", O_RDONLY), -ENOTDIR);
}

static void test_nodes_do_not_exist(void **state) {
        const char *const names[] = { "fifo", "socket", has_device ? "device" : "fifo" };
        struct stat st = { .st_size = 4711 };
        FlashPath p;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                assert_int_equal(open_path(names[i], O_RDONLY), -ENOENT);
                assert_int_equal(open_path(names[i], O_WRONLY | O_CREAT), -ENOENT);
                assert_int_equal(flash_path_join(&p, "/", names[i]), 0);
                assert_int_equal(flash_path_stat(&p, &st), -ENOENT);
                assert_int_equal(st.st_size, 4711); /* untouched */
        }
}

/* Exchanges "race", a directory, with "way-out", a link to a directory elsewhere, until it is killed. */
static pid_t start_exchanging(void) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
                if (renameat2(BOARD_FD_FLASH, "race", BOARD_FD_FLASH, "way-out", RENAME_EXCHANGE) < 0)
                        _exit(1);
}

static void test_exchanged_with_a_link(void **state) {
        static const char *const paths[] = { "race/g", "d/through" };
        char outside[] = "/tmp/mpyd-test-outside-XXXXXX", path[64], text[16];
        unsigned inside = 0, nothing = 0, n = 0;
        pid_t pid;
        FILE *f;

        assert_non_null(mkdtemp(outside));
        (void) snprintf(path, sizeof path, "%s/g", outside);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs("outside", f) >= 0 && fclose(f) == 0);
        assert_int_equal(mkdirat(BOARD_FD_FLASH, "race", 0755), 0);
        make_file("race/g", "inner");
        assert_int_equal(symlinkat(outside, BOARD_FD_FLASH, "way-out"), 0);
        assert_int_equal(symlinkat("../race/g", BOARD_FD_FLASH, "d/through"), 0);
        pid = start_exchanging();
        while (n < 20000 || inside == 0 || nothing == 0) {
                int fd = open_path(paths[n++ % ELEMENTSOF(paths)], O_RDONLY);
                ssize_t size;

                if (fd < 0) {
                        assert_int_equal(fd, -ENOENT);
                        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it goes on exchanging */
                        nothing++;
                        continue;
                }
                size = read(fd, text, sizeof text);
                close(fd);
                assert_int_equal(size, 5);
                assert_memory_equal(text, "inner", 5);
                inside++;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        unlink(path);
        rmdir(outside);
}

static void test_open_kinds(void **state) {
        int fd;

        assert_int_equal(open_path("d", O_RDONLY), -EISDIR);
        assert_int_equal(open_path("d", O_WRONLY | O_CREAT | O_TRUNC), -EISDIR);
        assert_int_equal(open_path("f", O_WRONLY | O_CREAT | O_EXCL), -EEXIST);
        assert_int_equal(open_path("f", O_RDONLY | O_DIRECTORY), -ENOTDIR);
        fd = open_path("new", O_WRONLY | O_CREAT | O_EXCL);
        assert_true(fd >= 0);
        close(fd);
        assert_opens("new");
}

static void test_parent(void **state) {
        static const struct {
                const char *path, *name;
                int result;
        } cases[] = {
                { "f", "f", 0 },
                { "/f", "f", 0 },
                { "d/g", "g", 0 },
                { "d/new/", "new", 0 },
                { "link/g", "g", 0 },
                { "/", NULL, -EBUSY },
                { "", NULL, -EBUSY },
                { "d/.", NULL, -EINVAL },
                { "d/..", NULL, -EINVAL },
                { "nope/x", NULL, -ENOENT },
                { "f/x", NULL, -ENOTDIR },
                { "../../etc/passwd", NULL, -ENOENT },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *name = NULL;
                FlashPath p;
                int fd;

                assert_int_equal(flash_path_join(&p, "/", cases[i].path), 0);
                fd = flash_path_open_parent(&p, &name);
                if (cases[i].result < 0) {
                        assert_int_equal(fd, cases[i].result);
                        assert_null(name);
                        continue;
                }
                assert_true(fd >= 0);
                assert_string_equal(name, cases[i].name);
                close(fd);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_join),
                cmocka_unit_test(test_normalize),
                cmocka_unit_test(test_jail),
                cmocka_unit_test(test_nodes_do_not_exist),
                cmocka_unit_test(test_exchanged_with_a_link),
                cmocka_unit_test(test_open_kinds),
                cmocka_unit_test(test_parent),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
