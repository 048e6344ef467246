/* SPDX-License-Identifier: MIT */
/* The cgroups below the service's own, in a tree of files as cgroupfs has them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/cgroup.h"
#include "util/io.h"

static char root[] = "/tmp/test-cgroup.XXXXXX";
static int root_fd = -EBADF;

static const char *const files[] = {
        "s/cgroup.subtree_control", "s/supervisor/cgroup.procs", "s/board/cgroup.procs",
        "s/board/memory.max", "s/board/memory.swap.max", "s/board/memory.events",
        "s/board/pids.max", "s/board/cgroup.kill",
};

static int begin(void **state) {
        strcpy(strrchr(root, '.'), ".XXXXXX");
        if (!mkdtemp(root))
                return -1;
        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0 || mkdirat(root_fd, "s", 0755) < 0 || mkdirat(root_fd, "s/supervisor", 0755) < 0 ||
            mkdirat(root_fd, "s/board", 0755) < 0)
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_close_ int fd = openat(root_fd, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

                if (fd < 0)
                        return -1;
        }
        return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int end(void **state) {
        root_fd = safe_close(root_fd);
        return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void assert_file(const char *name, const char *content) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(read_file(root_fd, name, 1024, &text, NULL), 0);
        assert_string_equal(text, content);
}

static void put_events(const char *content) {
        _cleanup_close_ int fd = openat(root_fd, "s/board/memory.events", O_WRONLY | O_TRUNC | O_CLOEXEC);

        assert_int_equal(write_all(fd, content, strlen(content)), 0);
}

static void test_arranges(void **state) {
        _cleanup_(cgroup_freep) Cgroup *c = NULL;

        assert_int_equal(cgroup_new(&c, root, "/s"), 0);
        assert_file("s/supervisor/cgroup.procs", "0"); /* the writer itself */
        cgroup_set_limits(c, 1048576, 64);
        assert_file("s/board/memory.max", "1048576");
        assert_file("s/board/memory.swap.max", "0");
        assert_file("s/board/pids.max", "64");
        assert_int_equal(write(cgroup_board_procs(c), "0", 1), 1);
        assert_file("s/board/cgroup.procs", "0");
        assert_int_equal(cgroup_board_kill(c), 0);
        assert_file("s/board/cgroup.kill", "1");
}

static void test_out_of_memory(void **state) {
        _cleanup_(cgroup_freep) Cgroup *c = NULL;

        put_events("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n");
        assert_int_equal(cgroup_new(&c, root, "/s"), 0);
        assert_false(cgroup_board_ran_out(c)); /* of an earlier run */
        put_events("low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n");
        assert_true(cgroup_board_ran_out(c));
        assert_false(cgroup_board_ran_out(c)); /* told once */
        put_events("");
        assert_false(cgroup_board_ran_out(c));
}

/* A kernel or a container without the controllers: no limits, and a board all the same. */
static void test_no_controllers(void **state) {
        _cleanup_(cgroup_freep) Cgroup *c = NULL;

        assert_int_equal(unlinkat(root_fd, "s/cgroup.subtree_control", 0), 0);
        assert_int_equal(cgroup_new(&c, root, "/s"), 0);
        cgroup_set_limits(c, 1048576, 64);
        assert_file("s/board/memory.max", "");
        assert_file("s/board/pids.max", "");
        assert_false(cgroup_board_ran_out(c));
}

static void test_none(void **state) {
        Cgroup *c = NULL;

        assert_int_equal(cgroup_new(&c, root, "/elsewhere"), -ENOENT);
        assert_int_equal(unlinkat(root_fd, "s/board/cgroup.procs", 0), 0);
        assert_int_equal(cgroup_new(&c, root, "/s"), -ENOENT);
        assert_null(c);
        assert_int_equal(cgroup_board_procs(NULL), -EBADF);
        assert_false(cgroup_board_ran_out(NULL));
        cgroup_set_limits(NULL, 1, 1);
        assert_int_equal(cgroup_board_kill(NULL), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_arranges, begin, end),
                cmocka_unit_test_setup_teardown(test_out_of_memory, begin, end),
                cmocka_unit_test_setup_teardown(test_no_controllers, begin, end),
                cmocka_unit_test_setup_teardown(test_none, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
