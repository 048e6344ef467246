/* SPDX-License-Identifier: MIT */
/* Files and descriptors: src/util/io.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/io.h"

static char directory[] = "/tmp/test-io.XXXXXX";
static int dir_fd = -EBADF;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int setup(void **state) {
        if (!mkdtemp(directory))
                return -1;
        dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir_fd < 0;
}

static int teardown(void **state) {
        dir_fd = safe_close(dir_fd);
        return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text, size_t size) {
        _cleanup_close_ int fd =
                openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, size), 0);
}

static void assert_content(const char *name, const char *text) {
        _cleanup_free_ char *content = NULL;
        size_t size;

        assert_int_equal(read_file(dir_fd, name, 4096, &content, &size), 0);
        assert_int_equal(size, strlen(text));
        assert_string_equal(content, text);
}

static void test_fd_set_nonblock(void **state) {
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fd_set_nonblock(fds[0], true), 0);
        assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
        assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
        assert_int_equal(fd_set_nonblock(fds[0], true), 0);
        assert_int_equal(fd_set_nonblock(fds[0], false), 0);
        assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
        (void) safe_close(fds[0]);
        (void) safe_close(fds[1]);
        assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
}

enum { BIG = 1 << 20 };

static void *slow_reader(void *arg) {
        int fd = *(int *) arg;
        size_t total = 0;
        char buf[777];
        ssize_t n;

        while ((n = read(fd, buf, sizeof buf)) > 0)
                for (ssize_t i = 0; i < n; i++, total++)
                        if (buf[i] != (char) (total * 31))
                                return NULL;
        return total == BIG ? arg : NULL;
}

/* More than a pipe holds through a non-blocking descriptor: short writes and EAGAIN, nothing
 * lost. */
static void test_write_all_waits(void **state) {
        _cleanup_free_ char *data = malloc(BIG);
        pthread_t thread;
        void *result;
        int fds[2];

        for (size_t i = 0; i < BIG; i++)
                data[i] = (char) (i * 31);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fd_set_nonblock(fds[1], true), 0);
        assert_int_equal(pthread_create(&thread, NULL, slow_reader, &fds[0]), 0);
        assert_int_equal(write_all(fds[1], data, BIG), 0);
        (void) safe_close(fds[1]);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_non_null(result);
        (void) safe_close(fds[0]);
}

static void test_write_all_fails(void **state) {
        _cleanup_close_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

        assert_int_equal(write_all(full, "x", 1), -ENOSPC);
        assert_int_equal(write_all(-1, "x", 1), -EBADF);
        assert_int_equal(write_all(-1, NULL, 0), 0);
}

static void test_read_file(void **state) {
        char *content = (char *) 1;
        size_t size = 99;

        assert_int_equal(read_file(dir_fd, "missing", 10, &content, &size), -ENOENT);
        assert_int_equal(read_file(dir_fd, ".", 10, &content, &size), -EISDIR);
        put("ten", "0123456789", 10);
        assert_int_equal(read_file(dir_fd, "ten", 9, &content, &size), -EFBIG);
        assert_int_equal(read_file(dir_fd, "ten", 0, &content, &size), -EFBIG);
        assert_int_equal(read_file(AT_FDCWD, "/dev/zero", 100000, &content, &size), -EFBIG);
        assert_int_equal(read_file(dir_fd, "ten", SIZE_MAX, &content, &size), -EINVAL);
        assert_ptr_equal(content, (char *) 1); /* untouched by all of this */
        assert_int_equal(size, 99);

        assert_int_equal(read_file(dir_fd, "ten", 10, &content, &size), 0);
        assert_int_equal(size, 10);
        assert_string_equal(content, "0123456789");
        free(content);

        put("empty", "", 0);
        assert_int_equal(read_file(dir_fd, "empty", 0, &content, NULL), 0);
        assert_string_equal(content, "");
        free(content);

        put("zero", "a\0b", 3);
        assert_int_equal(read_file(dir_fd, "zero", 10, &content, &size), 0);
        assert_int_equal(size, 3);
        assert_memory_equal(content, "a\0b", 4);
        free(content);

        /* A FIFO that nobody writes must not hang the reader. */
        assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
        assert_int_equal(read_file(dir_fd, "fifo", 10, &content, &size), 0);
        assert_int_equal(size, 0);
        free(content);
}

static void test_read_file_sizes(void **state) {
        static char data[20000];
        const size_t sizes[] = { 4095, 4096, 4097, 8192, 16384, sizeof data };

        memset(data, 'x', sizeof data);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_free_ char *content = NULL;
                size_t size;

                put("sized", data, sizes[i]);
                assert_int_equal(read_file(dir_fd, "sized", sizes[i], &content, &size), 0);
                assert_int_equal(size, sizes[i]);
                assert_memory_equal(content, data, size);
                assert_int_equal(content[size], 0);
                assert_int_equal(read_file(dir_fd, "sized", sizes[i] - 1, &content, &size), -EFBIG);
        }
}

static unsigned count_entries(void) {
        DIR *d = opendir(directory);
        unsigned n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

static void test_write_file_atomic(void **state) {
        char path[64];
        struct stat st;
        unsigned n;
        mode_t old_mask = umask(0077);

        assert_int_equal(write_file_atomic(dir_fd, "file", "one", 3, 0644), 0);
        (void) umask(old_mask);
        assert_content("file", "one");
        assert_int_equal(fstatat(dir_fd, "file", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0644);

        n = count_entries();
        assert_int_equal(write_file_atomic(dir_fd, "file", "second", 6, 0600), 0);
        assert_content("file", "second");
        (void) snprintf(path, sizeof path, "%s/file", directory);
        assert_int_equal(write_file_atomic(AT_FDCWD, path, "", 0, 0600), 0);
        assert_content("file", "");
        assert_int_equal(count_entries(), n); /* nothing is left behind */
}

static void test_write_file_atomic_fails(void **state) {
        char name[256];
        unsigned n;

        assert_int_equal(mkdirat(dir_fd, "a-directory", 0700), 0);
        n = count_entries();
        /* The last step fails: the temporary file is gone again. */
        assert_int_equal(write_file_atomic(dir_fd, "a-directory", "x", 1, 0600), -EISDIR);
        assert_int_equal(write_file_atomic(dir_fd, "none/file", "x", 1, 0600), -ENOENT);
        assert_int_equal(write_file_atomic(dir_fd, "dir/", "x", 1, 0600), -EISDIR);
        assert_int_equal(write_file_atomic(dir_fd, "..", "x", 1, 0600), -EISDIR);
        assert_int_equal(write_file_atomic(dir_fd, "", "x", 1, 0600), -EISDIR);
        assert_int_equal(write_file_atomic(AT_FDCWD, "/proc/version", "x", 1, 0600), -ENOENT);
        memset(name, 'n', sizeof name - 1);
        name[255] = '\0';
        /* 255 bytes is a legal name. */
        assert_int_equal(write_file_atomic(dir_fd, name, "x", 1, 0600), 0);
        assert_int_equal(unlinkat(dir_fd, name, 0), 0);
        assert_int_equal(count_entries(), n);
}

static void test_mkdir_parents(void **state) {
        static const char *const fine[] = { "a", "a/b/c", "a/b/c", "x//y/", "link/z" };
        char path[128];
        struct stat st;

        assert_int_equal(symlinkat("a", dir_fd, "link"), 0);
        put("not-a-directory", "", 0);
        for (size_t i = 0; i < ELEMENTSOF(fine); i++) {
                (void) snprintf(path, sizeof path, "%s/%s", directory, fine[i]);
                assert_int_equal(mkdir_parents(path, 0750), 0);
                assert_int_equal(stat(path, &st), 0);
                assert_true(S_ISDIR(st.st_mode));
                assert_int_equal(st.st_mode & 0777, 0750 & ~022);
        }
        (void) snprintf(path, sizeof path, "%s/not-a-directory", directory);
        assert_int_equal(mkdir_parents(path, 0700), -ENOTDIR);
        (void) snprintf(path, sizeof path, "%s/not-a-directory/x", directory);
        assert_int_equal(mkdir_parents(path, 0700), -ENOTDIR);
        assert_int_equal(mkdir_parents("", 0700), -EINVAL);
        assert_int_equal(mkdir_parents("/", 0700), 0);
        assert_int_equal(mkdir_parents("/proc/none/x", 0700), -ENOENT);
}

static void test_crc32(void **state) {
        static const struct {
                const char *text;
                uint32_t crc;
        } cases[] = {
                { "", 0 },
                { "123456789", 0xcbf43926 }, /* the check value of the algorithm */
                { "The quick brown fox jumps over the lazy dog", 0x414fa339 },
        };
        uint8_t zeros[32] = {};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t size = strlen(cases[i].text);

                assert_int_equal(crc32_update(0, cases[i].text, size), cases[i].crc);
                for (size_t k = 0; k <= size; k++) /* in two pieces */
                        assert_int_equal(crc32_update(crc32_update(0, cases[i].text, k),
                                                      cases[i].text + k, size - k),
                                         cases[i].crc);
        }
        assert_int_equal(crc32_update(0, zeros, sizeof zeros), 0x190a55ad);
}

static void test_rename_noreplace(void **state) {
        assert_int_equal(write_file_atomic(AT_FDCWD, "rename-a", "a", 1, 0644), 0);
        assert_int_equal(write_file_atomic(AT_FDCWD, "rename-b", "b", 1, 0644), 0);
        assert_int_equal(rename_noreplace(AT_FDCWD, "rename-a", AT_FDCWD, "rename-b"), -EEXIST);
        assert_int_equal(rename_noreplace(AT_FDCWD, "rename-x", AT_FDCWD, "rename-c"), -ENOENT);
        assert_int_equal(rename_noreplace(AT_FDCWD, "rename-a", AT_FDCWD, "rename-c"), 0);
        assert_int_equal(access("rename-a", F_OK), -1);
        assert_int_equal(access("rename-c", F_OK), 0);
        assert_int_equal(unlink("rename-b"), 0);
        assert_int_equal(unlink("rename-c"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rename_noreplace),
                cmocka_unit_test(test_fd_set_nonblock),
                cmocka_unit_test(test_write_all_waits),
                cmocka_unit_test(test_write_all_fails),
                cmocka_unit_test(test_read_file),
                cmocka_unit_test(test_read_file_sizes),
                cmocka_unit_test(test_write_file_atomic),
                cmocka_unit_test(test_write_file_atomic_fails),
                cmocka_unit_test(test_mkdir_parents),
                cmocka_unit_test(test_crc32),
        };

        (void) umask(022);
        return cmocka_run_group_tests(tests, setup, teardown);
}
