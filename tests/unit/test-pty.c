/* SPDX-License-Identifier: MIT */
/* The board's serial port, with real clients: who has it open, and what they leave behind. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <termios.h>
#include <time.h>

#include "daemon/pty.h"
#include "util/io.h"
#include "util/parse.h"

static char directory[] = "/tmp/test-pty.XXXXXX";
static char link_path[64];
static sd_event *event;
static Pty *pty;
static unsigned n_opened, n_closed;
static char last_words[64]; /* read when the last client has gone */

static int setup(void **state) {
        if (!mkdtemp(directory))
                return -1;
        (void) snprintf(link_path, sizeof link_path, "%s/repl", directory);
        return 0;
}

static int teardown(void **state) {
        return rmdir(directory);
}

static void on_client(void *userdata, bool open) {
        assert_ptr_equal(userdata, &pty);
        assert_int_equal(open, pty_has_client(pty));
        if (open)
                n_opened++;
        else {
                ssize_t n = read(pty_fd(pty), last_words, sizeof last_words - 1);

                last_words[MAX(n, 0)] = '\0';
                n_closed++;
        }
}

static int begin(void **state) {
        n_opened = n_closed = 0;
        if (sd_event_new(&event) < 0)
                return -1;
        return pty_new(&pty, event, -EBADF, link_path, (gid_t) -1, on_client, &pty);
}

static int end(void **state) {
        pty = pty_free(pty);
        event = sd_event_unref(event);
        return access(link_path, F_OK) == 0; /* it is gone */
}

/* For at least so long, and until nothing is left to do: on a busy machine the time may be over before that. Returns how
 * often something was dispatched. */
static unsigned run(uint64_t usec) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + usec;
        unsigned n = 0;
        int r;

        do {
                r = sd_event_run(event, usec / 4 + 1);
                assert_true(r >= 0);
                n += r > 0;
        } while (now_usec(CLOCK_MONOTONIC) < until || (r > 0 && n < 10000));
        return n;
}

static int client(void) {
        int fd = open(link_path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void assert_reads(int fd, const char *expected, size_t size) {
        size_t n_got = 0;
        char *got = malloc(size + 1);

        while (n_got < size) {
                struct pollfd pfd = { .fd = fd, .events = POLLIN };
                ssize_t n;

                assert_int_equal(poll(&pfd, 1, 5000), 1);
                n = read(fd, got + n_got, size + 1 - n_got);
                assert_true(n > 0);
                n_got += (size_t) n;
        }
        assert_int_equal(n_got, size);
        assert_memory_equal(got, expected, size);
        free(got);
}

static void assert_silent(int fd) {
        char c;

        assert_int_equal(read(fd, &c, 1), -1);
        assert_int_equal(errno, EAGAIN);
}

static void test_link(void **state) {
        char target[64] = "";

        assert_true(readlink(link_path, target, sizeof target - 1) > 0);
        assert_string_equal(target, pty_path(pty));
        assert_int_equal(fcntl(pty_fd(pty), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        assert_int_equal(fcntl(pty_fd(pty), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

/* The link of a daemon that crashed is replaced; a link that is somebody else's by now stays. */
static void test_link_is_replaced(void **state) {
        char target[64] = "";
        Pty *second;

        assert_int_equal(pty_new(&second, event, -EBADF, link_path, (gid_t) -1, on_client, &pty), 0);
        assert_true(readlink(link_path, target, sizeof target - 1) > 0);
        assert_string_equal(target, pty_path(second));
        pty = pty_free(pty);
        assert_int_equal(access(link_path, F_OK), 0);
        pty = second;
}

static void test_link_cannot_be_made(void **state) {
        Pty *p = NULL;
        char path[96];

        (void) snprintf(path, sizeof path, "%s/none/repl", directory);
        assert_int_equal(pty_new(&p, event, -EBADF, path, (gid_t) -1, on_client, NULL), -ENOENT);
        (void) snprintf(path, sizeof path, "%s/a-directory", directory);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(pty_new(&p, event, -EBADF, path, (gid_t) -1, on_client, NULL), -EISDIR);
        assert_int_equal(rmdir(path), 0);
        assert_null(p);
        (void) snprintf(path, sizeof path, "%s/a-directory.new", directory);
        assert_int_equal(access(path, F_OK), -1);
}

static void test_group(void **state) {
        struct stat st;

        if (geteuid() != 0)
                skip();
        pty = pty_free(pty);
        assert_int_equal(pty_new(&pty, event, -EBADF, link_path, 12345, on_client, &pty), 0);
        assert_int_equal(stat(link_path, &st), 0);
        assert_int_equal(st.st_gid, 12345);
        assert_int_equal(st.st_mode & 07777, 0660);
}

static void test_open_and_close(void **state) {
        int a, b;

        assert_false(pty_has_client(pty));
        for (unsigned i = 1; i <= 3; i++) {
                a = client();
                (void) run(2000);
                assert_true(pty_has_client(pty));
                b = client();
                (void) run(2000);
                (void) close(a);
                (void) run(2000);
                assert_true(pty_has_client(pty)); /* one is left */
                (void) close(b);
                (void) run(2000);
                assert_false(pty_has_client(pty));
                assert_int_equal(n_opened, i);
                assert_int_equal(n_closed, i);
        }
}

/* Nobody or an idle somebody there: not one wake-up. */
static void test_idle(void **state) {
        int a;

        (void) run(5000);
        assert_int_equal(run(100000), 0);
        a = client();
        (void) run(5000);
        assert_int_equal(run(100000), 0);
        (void) close(a);
        (void) run(5000);
        assert_int_equal(run(100000), 0);
}

/* All bytes pass both ways as they are (M17). */
static void test_bytes(void **state) {
        char all[256];
        int a = client();

        for (unsigned i = 0; i < sizeof all; i++)
                all[i] = (char) i;
        (void) run(2000);
        assert_int_equal(write(a, all, sizeof all), sizeof all);
        assert_reads(pty_fd(pty), all, sizeof all);
        assert_int_equal(write(pty_fd(pty), all, sizeof all), sizeof all);
        assert_reads(a, all, sizeof all);
        assert_silent(pty_fd(pty)); /* no echo */
        assert_silent(a);
        (void) close(a);
}

/* A client that made a cooked terminal of it: the next one finds it raw. */
static void test_terminal_settings(void **state) {
        struct termios t, fresh;
        int a = client();

        assert_int_equal(tcgetattr(a, &fresh), 0);
        assert_int_equal(fresh.c_lflag & (ECHO | ICANON | ISIG | IEXTEN), 0);
        assert_int_equal(fresh.c_oflag & OPOST, 0);
        assert_int_equal(fresh.c_iflag & (ICRNL | IXON | ISTRIP | INLCR | IGNCR), 0);
        assert_int_equal(cfgetospeed(&fresh), B115200);
        (void) run(2000);

        t = fresh;
        t.c_lflag |= ECHO | ICANON | ISIG;
        t.c_oflag |= OPOST | ONLCR;
        t.c_iflag |= ICRNL | IXON;
        (void) cfsetspeed(&t, B9600);
        assert_int_equal(tcsetattr(a, TCSANOW, &t), 0);
        (void) close(a);
        (void) run(2000);

        a = client();
        assert_int_equal(tcgetattr(a, &t), 0);
        assert_int_equal(t.c_iflag, fresh.c_iflag);
        assert_int_equal(t.c_oflag, fresh.c_oflag);
        assert_int_equal(t.c_cflag, fresh.c_cflag);
        assert_int_equal(t.c_lflag, fresh.c_lflag);
        (void) close(a);
}

/* `stty -F repl …`, `echo x > repl`: it came and went before the loop had a look. */
static void test_came_and_went(void **state) {
        struct termios t;
        int a = client();

        assert_int_equal(tcgetattr(a, &t), 0);
        t.c_lflag |= ECHO | ICANON;
        t.c_oflag |= OPOST | ONLCR;
        assert_int_equal(tcsetattr(a, TCSANOW, &t), 0);
        (void) close(a);
        (void) run(5000);
        assert_false(pty_has_client(pty));
        assert_int_equal(n_opened, 1);
        assert_int_equal(n_closed, 1);
        assert_int_equal(run(50000), 0); /* and our own cleaning up is no client */
        a = client();
        assert_int_equal(tcgetattr(a, &t), 0);
        assert_int_equal(t.c_lflag & (ECHO | ICANON), 0);
        assert_int_equal(t.c_oflag & OPOST, 0);
        (void) close(a);
        (void) run(5000);

        a = client();
        assert_int_equal(write(a, "x", 1), 1);
        (void) close(a);
        (void) run(5000);
        assert_int_equal(n_opened, 2); /* who left no trace was never there */
        assert_int_equal(n_closed, 2);
        assert_string_equal(last_words, "x");
        assert_int_equal(run(50000), 0);
}

/* What one client never read is not for the next one, however much it is. */
static void test_stale_output(void **state) {
        static const size_t sizes[] = { 10, 4096, 20000, 1000000 };
        static char data[1000000];

        memset(data, 'x', sizeof data);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                size_t size = 0;
                ssize_t n;
                int a = client();

                (void) run(2000);
                while (size < sizes[i] && (n = write(pty_fd(pty), data, sizes[i] - size)) > 0)
                        size += (size_t) n;
                assert_true(size > 0);
                (void) run(2000);
                (void) close(a);
                (void) run(2000);
                a = client();
                (void) run(10000);
                assert_silent(a);
                assert_int_equal(write(pty_fd(pty), "fresh", 5), 5);
                assert_reads(a, "fresh", 5);
                (void) close(a);
                (void) run(2000);
        }
}

/* What a client wrote can still be read when it has gone. */
static void test_last_words(void **state) {
        int a = client();

        (void) run(2000);
        assert_int_equal(write(a, "last words", 10), 10);
        (void) close(a);
        (void) run(2000);
        assert_false(pty_has_client(pty));
        assert_string_equal(last_words, "last words");
}

static void test_describe(void **state) {
        static const struct {
                const char *comm, *shown;
        } cases[] = {
                { "mpremote", "mpremote" },
                { "a (b) c", "a (b) c" },
                { "\xff\x1b[31m", "\\xff\\x1b[31m" },
        };
        char buf[160], expected[160];

        assert_string_equal(pty_describe_client(pty, buf, sizeof buf), "another program");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int pipe_fds[2];
                char c;
                pid_t pid;

                assert_int_equal(pipe(pipe_fds), 0);
                pid = fork();
                if (pid == 0) {
                        (void) prctl(PR_SET_NAME, cases[i].comm);
                        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                        if (open(pty_path(pty), O_RDWR | O_NOCTTY) < 0)
                                _exit(1);
                        (void) !write(pipe_fds[1], "x", 1);
                        (void) pause();
                }
                assert_int_equal(read(pipe_fds[0], &c, 1), 1);
                (void) snprintf(expected, sizeof expected, "%s (pid %d)", cases[i].shown, (int) pid);
                assert_string_equal(pty_describe_client(pty, buf, sizeof buf), expected);
                assert_true(strlen(pty_describe_client(pty, buf, 10)) < 10);
                (void) run(2000);
                assert_true(pty_has_client(pty));
                (void) kill(pid, SIGKILL); /* a client may just die */
                (void) waitpid(pid, NULL, 0);
                (void) run(2000);
                assert_false(pty_has_client(pty));
                (void) close(pipe_fds[0]);
                (void) close(pipe_fds[1]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_link, begin, end),
                cmocka_unit_test_setup_teardown(test_link_is_replaced, begin, end),
                cmocka_unit_test_setup_teardown(test_link_cannot_be_made, begin, end),
                cmocka_unit_test_setup_teardown(test_group, begin, end),
                cmocka_unit_test_setup_teardown(test_open_and_close, begin, end),
                cmocka_unit_test_setup_teardown(test_idle, begin, end),
                cmocka_unit_test_setup_teardown(test_bytes, begin, end),
                cmocka_unit_test_setup_teardown(test_terminal_settings, begin, end),
                cmocka_unit_test_setup_teardown(test_came_and_went, begin, end),
                cmocka_unit_test_setup_teardown(test_stale_output, begin, end),
                cmocka_unit_test_setup_teardown(test_last_words, begin, end),
                cmocka_unit_test_setup_teardown(test_describe, begin, end),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
