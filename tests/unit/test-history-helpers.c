/* SPDX-License-Identifier: MIT */
/* What the tests of the history share: directories, files, resets, children. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test-history.h"
#include "util/io.h"

#define NOBODY 65534

char *directory_make(void) {
        const char *tmp = getenv("TMPDIR");
        char *dir;

        assert_true(asprintf(&dir, "%s/test-history.XXXXXX", tmp ? tmp : "/tmp") > 0);
        assert_non_null(mkdtemp(dir));
        return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

void directory_remove(char *dir) {
        assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(dir);
}

unsigned directory_count(const char *dir, const char *prefix) {
        DIR *d = opendir(dir);
        struct dirent *e;
        unsigned n = 0;

        assert_non_null(d);
        while ((e = readdir(d)))
                n += !streq(e->d_name, ".") && !streq(e->d_name, "..") &&
                     strncmp(e->d_name, prefix, strlen(prefix)) == 0;
        (void) closedir(d);
        return n;
}

char *path_in(const char *dir, const char *name) {
        char *path;

        assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
        return path;
}

void file_write(const char *path, const void *data, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, data, size), 0);
        assert_int_equal(close(fd), 0);
}

void *file_read(const char *path, size_t *ret_size) {
        char *data = NULL;

        return read_file(AT_FDCWD, path, 64 * 1024 * 1024, &data, ret_size) < 0 ? NULL : data;
}

void file_copy(const char *from, const char *to) {
        _cleanup_free_ void *data = NULL;
        size_t size;

        data = file_read(from, &size);
        if (data)
                file_write(to, data, size);
}

void run_sql(const char *path, const char *sql) {
        char *message = NULL;
        sqlite3 *db;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
                fail_msg("%s: %s", sql, message);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

HistoryRecord reset_make(unsigned n) {
        static char details[8][64];
        char *detail = details[n % ELEMENTSOF(details)];

        (void) snprintf(detail, sizeof details[0], "reset number %u", n);
        return (HistoryRecord){
                .cause = RESET_CAUSE_HARD,
                .reason = RESET_REASON_SOFTWARE,
                .kind = RESET_KIND_HARD,
                .run_reason = RUN_REASON_STARTUP,
                .detail = detail,
                .stage = BOARD_STAGE_MAIN,
                .exit_status = -1,
                .signal = 9,
                .uptime_usec = 1000 + n,
                .traceback = (char *) "Traceback (most recent call last):\n  File \"main.py\", "
                                      "line 1, in "
                                      "<module>\nValueError: no\n",
                .evidence = (char *) "[{\"finding\":\"asked\"}]",
                .boot_id = "0123456789abcdef0123456789abcdef",
                .realtime_usec = UINT64_C(1700000000000000) + n * UINT64_C(1000000),
                .clock_synced = true,
                .boottime_usec = UINT64_C(5000000) + n * UINT64_C(1000000),
        };
}

bool reset_is(const HistoryRecord *r, unsigned n) {
        HistoryRecord e = reset_make(n);

        return r->id > 0 && r->cause == e.cause && r->reason == e.reason && r->kind == e.kind &&
               r->run_reason == e.run_reason && r->detail && streq(r->detail, e.detail) &&
               r->stage == e.stage && r->exit_status == e.exit_status && r->signal == e.signal &&
               r->uptime_usec == e.uptime_usec && r->traceback &&
               streq(r->traceback, e.traceback) && r->evidence && streq(r->evidence, e.evidence) &&
               streq(r->boot_id, e.boot_id) &&
               r->realtime_usec == e.realtime_usec && r->clock_synced == e.clock_synced &&
               r->boottime_usec == e.boottime_usec;
}

size_t offline_resets(const char *path, HistoryRecord **ret) {
        size_t n = 0;

        assert_int_equal(history_read_offline(path, &(HistoryQuery) { .limit = 1000, .only = "resets" }, ret, &n), 0);
        return n;
}

/* A failure in a child must not go on to the next test there. */
static void fail_by_abort(void) {
        (void) setenv("CMOCKA_TEST_ABORT", "1", 1);
}

static void wait_for(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("the child failed: status %#x", (unsigned) status);
}

void run_unprivileged(void (*f)(void *userdata), void *userdata) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (geteuid() == 0 &&
                    (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
                        _exit(1);
                fail_by_abort();
                f(userdata);
                _exit(0);
        }
        wait_for(pid);
}

bool run_on_tmpfs(const char *dir, const char *options, void (*f)(void *userdata), void *userdata) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0 ||
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                    mount("tmpfs", dir, "tmpfs", 0, options) < 0)
                        _exit(77);
                fail_by_abort();
                f(userdata);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                return false;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("the child failed: status %#x", (unsigned) status);
        return true;
}
