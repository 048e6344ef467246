/* SPDX-License-Identifier: MIT */
/* Where log lines go: src/util/log.c, built with a journal socket in the working directory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <endian.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"

static char directory[] = "/tmp/test-log.XXXXXX";
static int real_stderr = -EBADF;

static int setup(void **state) {
        real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
        return real_stderr < 0 || !mkdtemp(directory) || chdir(directory) < 0;
}

static int teardown(void **state) {
        return chdir("/") < 0 || rmdir(directory) < 0;
}

/* cmocka writes to stderr, too: it is only away between these two. */
static void stderr_take(int fd, const char *ident) {
        assert_true(dup2(fd, STDERR_FILENO) >= 0);
        log_open(ident);
}

static void stderr_give_back(void) {
        assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
}

static int each_test(void **state) {
        _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void) unsetenv("JOURNAL_STREAM");
        (void) unsetenv("NO_COLOR");
        (void) setenv("TERM", "xterm", 1);
        log_set_max_level(LOG_INFO);
        log_set_sink(NULL, NULL);
        stderr_take(null_fd, "mpyd");
        log_info("takes the count of lines that the test before lost with it");
        stderr_give_back();
        return 0;
}

/* What was written to a pipe so far. */
static char *drain(int fd) {
        static char buf[1 << 17];
        size_t size = 0;
        ssize_t n;

        assert_int_equal(fd_set_nonblock(fd, true), 0);
        while ((n = read(fd, buf + size, sizeof buf - 1 - size)) > 0)
                size += (size_t) n;
        buf[size] = '\0';
        return buf;
}

static void assert_begins(const char **s, const char *expected) {
        if (strncmp(*s, expected, strlen(expected)) != 0)
                fail_msg("\"%s\" does not begin with \"%s\"", *s, expected);
        *s += strlen(expected);
}

static void test_pipe(void **state) {
        char expected[1024];
        int fds[2], pid = (int) getpid();

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        stderr_take(fds[1], "mpyd");
        errno = EXDEV;
        log_info("plain");
        log_debug("not seen");
        log_warning("two\nlines");
        log_notice("trailing newlines\n\n");
        log_error("hostile \x1b[2J %s", "\xff");
        assert_int_equal(log_error_errno(-ENOENT, "Failed: %m"), -ENOENT);
        assert_int_equal(log_warning_errno(EACCES, "Failed: %m"), -EACCES);
        assert_int_equal(log_oom(), -ENOMEM);
        log_script("main.py", "a\nb\r\x1b]0;x\x07", 10);
        log_full(LOG_INFO, 0, (const char *const[]) { "MPYD_EVENT", "x", NULL }, "with fields");
        log_info("%s", "");
        assert_int_equal(errno, EXDEV); /* a log line changes nothing */
        log_set_max_level(LOG_DEBUG);
        log_debug("seen");
        log_set_max_level(LOG_WARNING);
        log_notice("not seen");
        log_script("main.py", "not seen", 8);
        stderr_give_back();
        (void) safe_close(fds[1]);

        (void) snprintf(expected, sizeof expected,
                        "mpyd[%d]: plain\n"
                        "mpyd[%d]: two\n        lines\n"
                        "mpyd[%d]: trailing newlines\n"
                        "mpyd[%d]: hostile \\x1b[2J \\xff\n"
                        "mpyd[%d]: Failed: No such file or directory\n"
                        "mpyd[%d]: Failed: Permission denied\n"
                        "mpyd[%d]: Out of memory.\n"
                        "main.py[%d]: a\\x0ab\\x0d\\x1b]0;x\\x07\n"
                        "mpyd[%d]: with fields\n"
                        "mpyd[%d]: \n"
                        "mpyd[%d]: seen\n",
                        pid, pid, pid, pid, pid, pid, pid, pid, pid, pid, pid);
        assert_string_equal(drain(fds[0]), expected);
        (void) safe_close(fds[0]);
}

/* An inherited pipe that nobody reads: nothing blocks, its flags stay, what is lost is told. */
static void test_pipe_full(void **state) {
        static char filler[1 << 20];
        char line[1000];
        const char *s;
        uint64_t begin;
        unsigned lost = 0;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fd_set_nonblock(fds[1], true), 0);
        assert_true(write(fds[1], filler, sizeof filler) > 0); /* full from the start */
        assert_int_equal(fd_set_nonblock(fds[1], false), 0);
        memset(line, 'x', sizeof line);

        stderr_take(fds[1], "mpyd");
        begin = now_usec(CLOCK_MONOTONIC);
        for (unsigned i = 0; i < 300; i++)
                log_info("%.*s", (int) sizeof line, line);
        assert_true(now_usec(CLOCK_MONOTONIC) - begin < 5 * USEC_PER_SEC);
        assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
        (void) drain(fds[0]);
        log_info("again");
        stderr_give_back();
        (void) safe_close(fds[1]);

        s = strstr(drain(fds[0]), "mpyd[");
        assert_non_null(s);
        s = strchr(s, ' ');
        assert_int_equal(sscanf(s, " %u log lines lost", &lost), 1);
        assert_int_equal(lost, 300);
        assert_non_null(strstr(s, "]: again\n"));
        (void) safe_close(fds[0]);
}

/* A stream socket, as from a supervisor of another kind; and one that nobody reads. */
static void test_socket(void **state) {
        char expected[128];
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        stderr_take(fds[1], "mpyd");
        log_info("hello");
        stderr_give_back();
        (void) snprintf(expected, sizeof expected, "mpyd[%d]: hello\n", (int) getpid());
        assert_string_equal(drain(fds[0]), expected);

        stderr_take(fds[1], "mpyd");
        for (unsigned i = 0; i < 2000; i++)
                log_info("%01000d", 0);
        (void) safe_close(fds[0]);
        log_info("nobody is there: no SIGPIPE");
        stderr_give_back();
        (void) safe_close(fds[1]);
}

/* A regular file keeps its position, which others may share. */
static void test_file(void **state) {
        _cleanup_close_ int fd = open("log", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        _cleanup_free_ char *content = NULL;
        char expected[128];

        assert_int_equal(write_all(fd, "before\n", 7), 0);
        stderr_take(fd, "mpyd");
        log_info("within");
        assert_int_equal(write_all(STDERR_FILENO, "after\n", 6), 0);
        stderr_give_back();
        (void) snprintf(expected, sizeof expected, "before\nmpyd[%d]: within\nafter\n",
                        (int) getpid());
        assert_int_equal(read_file(AT_FDCWD, "log", 1024, &content, NULL), 0);
        assert_string_equal(content, expected);
        assert_int_equal(unlink("log"), 0);
}

static void assert_time(const char **s) {
        unsigned h, m, sec, ms;
        int n = 0;

        assert_int_equal(sscanf(*s, "%2u:%2u:%2u.%3u %n", &h, &m, &sec, &ms, &n), 4);
        assert_true(n == 13 && h < 24 && m < 60 && sec < 61);
        *s += n;
}

static void test_terminal(void **state) {
        static const char *const terms[] = { "xterm", "dumb" };

        for (size_t i = 0; i < ELEMENTSOF(terms); i++) {
                bool colour = i == 0;
                int master, slave;
                const char *s;

                (void) setenv("TERM", terms[i], 1);
                assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
                stderr_take(slave, "mpyd");
                log_info("fine");
                log_error("bad\nworse");
                log_script("main.py", "\x1b[31mscript", 11);
                stderr_give_back();

                s = drain(master);
                assert_time(&s);
                assert_begins(&s, "mpyd: fine\r\r\n");
                assert_time(&s);
                assert_begins(&s, colour ? "mpyd: \x1b[1;31mbad\r\r\n        worse\x1b[0m\r\r\n"
                                         : "mpyd: bad\r\r\n        worse\r\r\n");
                assert_time(&s);
                assert_begins(&s, "main.py: \\x1b[31mscript\r\r\n");
                assert_string_equal(s, "");
                (void) safe_close(master);
                (void) safe_close(slave);
        }
}

static int journal_listen(void) {
        static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "journal" };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        (void) unlink("journal");
        assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof address), 0);
        return fd;
}

static void set_journal_stream(int fd) {
        char buf[64];
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        (void) snprintf(buf, sizeof buf, "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        assert_int_equal(setenv("JOURNAL_STREAM", buf, 1), 0);
}

/* One datagram of the native protocol as "NAME=value|NAME=value|", or NULL when there is none. */
static const char *journal_receive(int fd) {
        static char out[1 << 16];
        char buf[1 << 16];
        ssize_t size = recv(fd, buf, sizeof buf, 0);
        size_t n = 0;

        if (size < 0)
                return NULL;
        for (char *p = buf, *end = buf + size; p < end;) {
                char *newline = memchr(p, '\n', (size_t) (end - p));
                uint64_t length;

                assert_true(newline && end - newline > 9);
                memcpy(&length, newline + 1, sizeof length);
                length = le64toh(length);
                assert_true(length < (uint64_t) (end - newline - 9));
                assert_int_equal(newline[9 + length], '\n');
                n += (size_t) snprintf(out + n, sizeof out - n, "%.*s=%.*s|", (int) (newline - p),
                                       p, (int) length, newline + 9);
                p = newline + 9 + length + 1;
        }
        out[n] = '\0';
        return out;
}

static void test_journal(void **state) {
        int journal = journal_listen(), fds[2];
        char *rest;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        set_journal_stream(fds[1]);
        stderr_take(fds[1], "mpyd");
        log_info("plain");
        (void) log_error_errno(-ENOENT, "Failed: %m\nsecond line");
        log_full(LOG_NOTICE, 0,
                 (const char *const[]){ "MPYD_EVENT", "re\nset", "MPYD_X", NULL, NULL }, "reset");
        log_script("boot.py", "\x1bhello", 6);
        log_set_field("MPYD_BOARD", "0123");
        log_set_script_limit(1, USEC_PER_HOUR, (const char *const[]) { "MPYD_EVENT", "lost", NULL });
        log_script("main.py", "one", 3);
        log_script("main.py", "two", 3);
        log_set_script_limit(1, 0, (const char *const[]) { "MPYD_EVENT", "lost", NULL });
        log_warning("last");
        log_set_field(NULL, NULL);
        log_set_script_limit(1, 0, NULL);
        stderr_give_back();

        assert_string_equal(journal_receive(journal),
                            "MESSAGE=plain|PRIORITY=6|SYSLOG_IDENTIFIER=mpyd|");
        assert_string_equal(journal_receive(journal),
                            "MESSAGE=Failed: No such file or directory\nsecond line|PRIORITY=3|"
                            "SYSLOG_IDENTIFIER=mpyd|ERRNO=2|");
        assert_string_equal(journal_receive(journal),
                            "MESSAGE=reset|PRIORITY=5|SYSLOG_IDENTIFIER=mpyd|MPYD_EVENT=re\nset|");
        assert_string_equal(journal_receive(journal),
                            "MESSAGE=\\x1bhello|PRIORITY=6|SYSLOG_IDENTIFIER=boot.py|"
                            "MPYD_SCRIPT=boot.py|");
        assert_string_equal(journal_receive(journal),
                            "MESSAGE=one|PRIORITY=6|SYSLOG_IDENTIFIER=main.py|MPYD_SCRIPT=main.py|"
                            "MPYD_BOARD=0123|");
        assert_string_equal(journal_receive(journal),
                            "MESSAGE=1 lines suppressed: printed too fast.|PRIORITY=5|"
                            "SYSLOG_IDENTIFIER=main.py|MPYD_EVENT=lost|MPYD_SCRIPT=main.py|"
                            "MPYD_BOARD=0123|");
        assert_string_equal(journal_receive(journal),
                            "MESSAGE=last|PRIORITY=4|SYSLOG_IDENTIFIER=mpyd|MPYD_BOARD=0123|");
        assert_null(journal_receive(journal));

        /* journald restarts: its stream takes the lines. */
        (void) safe_close(journal);
        (void) unlink("journal");
        stderr_take(fds[1], "mpyd");
        log_info("while it is away");
        stderr_give_back();
        rest = drain(fds[0]);
        assert_non_null(strstr(rest, "]: while it is away\n"));
        assert_null(strstr(rest, "plain")); /* before, stderr had got nothing */
        (void) safe_close(fds[0]);
        (void) safe_close(fds[1]);
}

static void count_wakes(void *userdata) {
        ++*(unsigned *) userdata;
}

/* A journald that hangs: no line blocks. What it does not take waits, the daemon's lines longer than a
 * script's, and the number of those lost is told. */
static void test_journal_full(void **state) {
        enum { LINES = 20000 };
        int journal = journal_listen(), fds[2];
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        unsigned spam = 0, said = 0, lost = 0, others = 0, wakes = 0;
        const char *s;
        int r;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        set_journal_stream(fds[1]);
        stderr_take(fds[1], "mpyd");
        log_set_wake(count_wakes, &wakes);
        for (unsigned i = 0; i < LINES; i++)
                log_script("main.py", "spam", 4);
        for (unsigned i = 0; i < 100; i++)
                log_info("the daemon speaks: %u", i);
        for (unsigned i = 0; i < LINES; i++)
                log_script("main.py", "spam", 4);
        assert_true(now_usec(CLOCK_MONOTONIC) - begin < 5 * USEC_PER_SEC);
        assert_int_equal(log_flush(false), -EAGAIN);
        assert_int_equal(wakes, 1);
        log_info("last");
        do {
                r = log_flush(false);
                while ((s = journal_receive(journal))) {
                        unsigned n;

                        if (strstr(s, "MESSAGE=spam|"))
                                spam++;
                        else if (sscanf(s, "MESSAGE=the daemon speaks: %u|", &n) == 1)
                                assert_int_equal(n, said++); /* in order, all */
                        else if (sscanf(s, "MESSAGE=%u log lines lost", &n) == 1)
                                lost += n;
                        else if (strncmp(s, "MESSAGE=last|", 13) == 0)
                                others++;
                }
        } while (r != 0);
        assert_int_equal(log_flush(false), 0);
        stderr_give_back();
        log_set_wake(NULL, NULL);

        assert_int_equal(said, 100);
        assert_int_equal(others, 1);
        assert_in_range(spam, 100, LINES);
        assert_int_equal(spam + lost, 2 * LINES);
        assert_string_equal(drain(fds[0]), ""); /* not on stderr as well */
        (void) safe_close(journal);
        (void) unlink("journal");
        (void) safe_close(fds[0]);
        (void) safe_close(fds[1]);
}

/* $JOURNAL_STREAM is inherited by children whose stderr is another file. */
static void test_journal_stream_of_another(void **state) {
        int journal = journal_listen(), fds[2];

        (void) setenv("JOURNAL_STREAM", "1:2", 1);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        stderr_take(fds[1], "mpyd");
        log_info("hello");
        stderr_give_back();
        assert_null(journal_receive(journal));
        assert_non_null(strstr(drain(fds[0]), "hello"));
        (void) safe_close(journal);
        (void) unlink("journal");
        (void) safe_close(fds[0]);
        (void) safe_close(fds[1]);
}

typedef struct Heard {
        unsigned n;
        bool in_time;
        int level;
        bool script;
        char ident[64];
        char message[9000];
} Heard;

static void hear(void *userdata, uint64_t realtime_usec, int level, bool script, const char *ident,
                 const char *message) {
        Heard *h = userdata;

        h->script = script;

        h->in_time = now_usec(CLOCK_REALTIME) - realtime_usec < USEC_PER_MINUTE;
        h->n++;
        h->level = level;
        (void) snprintf(h->ident, sizeof h->ident, "%s", ident);
        (void) snprintf(h->message, sizeof h->message, "%s", message);
        log_error("from within the sink"); /* must not come back for ever */
}

static void test_sink(void **state) {
        _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        char big[20000], nasty[100];
        Heard h = {};

        stderr_take(null_fd, "mpyd");
        log_set_sink(hear, &h);
        log_warning("one\xff");
        assert_int_equal(h.n, 1);
        assert_true(h.in_time);
        assert_int_equal(h.level, LOG_WARNING);
        assert_string_equal(h.ident, "mpyd");
        assert_false(h.script);
        assert_string_equal(h.message, "one\\xff"); /* fit for D-Bus */
        log_debug("dropped");
        assert_int_equal(h.n, 1);

        memset(nasty, '\n', sizeof nasty - 1);
        nasty[99] = '\0';
        log_script(nasty, "x", 1);
        assert_int_equal(h.n, 2);
        assert_int_equal(h.level, LOG_INFO);
        assert_true(h.script);
        assert_true(strlen(h.ident) <= 63 && !strchr(h.ident, '\n')); /* cut */

        /* Long lines are cut, and say so. */
        memset(big, 'y', sizeof big);
        log_script("main.py", big, sizeof big);
        assert_int_equal(strlen(h.message), 8191);
        assert_string_equal(h.message + 8188, "\xe2\x80\xa6");
        log_info("%.*s", (int) sizeof big, big);
        assert_int_equal(strlen(h.message), 8191);
        assert_string_equal(h.message + 8188, "\xe2\x80\xa6");
        memset(big, '\n', 9000);
        big[9000] = 'z';
        log_info("%.*s", 9001, big);

        log_set_sink(NULL, NULL);
        log_info("unheard");
        assert_int_equal(h.n, 5);
        stderr_give_back();
}

static void count_lines(void *userdata, uint64_t realtime_usec, int level, bool script,
                        const char *ident, const char *message) {
        unsigned *n = userdata, suppressed;

        assert_int_equal(script, level == LOG_INFO && streq(ident, "main.py"));
        if (level == LOG_NOTICE) {
                assert_string_equal(ident, "main.py");
                assert_int_equal(sscanf(message, "%u lines suppressed", &suppressed), 1);
                n[1] += suppressed;
                n[2]++;
        } else if (streq(ident, "main.py"))
                n[0]++;
}

/* A script that prints without end does not flood the log, and the daemon's lines still pass. */
static void test_script_flood(void **state) {
        _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        unsigned n[3] = {}, total = 0;
        uint64_t begin;

        stderr_take(null_fd, "mpyd");
        log_set_script_limit(1000, USEC_PER_SEC / 100, NULL);
        log_set_sink(count_lines, n);
        begin = now_usec(CLOCK_MONOTONIC);
        while (now_usec(CLOCK_MONOTONIC) - begin < 1200000) {
                for (unsigned i = 0; i < 500; i++, total++)
                        log_script("main.py", "spam", 4);
                log_info("the daemon speaks");
        }
        assert_in_range(n[0], 900, 1400); /* the burst and a refill */
        assert_in_range(n[2], 1, 2);
        assert_int_equal(log_flush(false), -EAGAIN);
        (void) usleep(1100000);
        assert_int_equal(log_flush(false), 0); /* tells the rest */
        assert_int_equal(n[0] + n[1], total);
        assert_in_range(n[2], 2, 3);
        log_set_script_limit(1000, 0, NULL);
        for (unsigned i = 0; i < 5000; i++)
                log_script("main.py", "as much as it likes", 19);
        stderr_give_back();
        assert_int_equal(n[0] + n[1], total + 5000);
        assert_true(n[0] > 5000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_pipe, each_test),
                cmocka_unit_test_setup(test_pipe_full, each_test),
                cmocka_unit_test_setup(test_socket, each_test),
                cmocka_unit_test_setup(test_file, each_test),
                cmocka_unit_test_setup(test_terminal, each_test),
                cmocka_unit_test_setup(test_journal, each_test),
                cmocka_unit_test_setup(test_journal_full, each_test),
                cmocka_unit_test_setup(test_journal_stream_of_another, each_test),
                cmocka_unit_test_setup(test_sink, each_test),
                cmocka_unit_test_setup(test_script_flood, each_test),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
