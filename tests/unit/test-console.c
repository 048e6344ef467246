/* SPDX-License-Identifier: MIT */
/* The console between real terminals, real sockets and the two pipes of a board: whose turn it is, and
 * that every byte arrives, once and in order. The test plays the board. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <termios.h>
#include <time.h>

#include "daemon/console.h"
#include "mpyd/board-link.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"

#define STALL_USEC (100 * USEC_PER_MSEC)
#define PATIENCE_USEC (20 * USEC_PER_SEC)

static char directory[] = "/tmp/test-console.XXXXXX";
static char link_path[64];
static sd_event *event;
static Console *console;
static int board_in = -EBADF, board_out = -EBADF; /* the board's ends of its pipes */

/* Stage messages that "have arrived": delivered when the console asks for them. */
static struct {
        BoardStage stage;
        uint64_t pos;
} arrived[8];
static size_t n_arrived;

static char log_text[1 << 16];

static void on_log(void *userdata, uint64_t realtime_usec, int level, bool script, const char *ident,
                   const char *message) {
        size_t n = strlen(log_text);

        (void) snprintf(log_text + n, sizeof log_text - n, "%s|%s\n", ident, message);
}

/* Another holder of the board's end: it writes whenever something was read. */
static int left_behind = -EBADF;
static unsigned n_left_behind;

static void on_sync(void *userdata) {
        static const char data[16 * 1024];

        if (left_behind >= 0 && write(left_behind, data, sizeof data) > 0 && ++n_left_behind > 10000)
                fail_msg("it reads for ever");
        for (size_t i = 0; i < n_arrived; i++)
                console_set_stage(console, arrived[i].stage, arrived[i].pos);
        n_arrived = 0;
}

static int setup(void **state) {
        int fd;

        if (!mkdtemp(directory))
                return -1;
        (void) snprintf(link_path, sizeof link_path, "%s/repl", directory);
        /* The lines that are looked at come by the sink. */
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        {
                int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

                (void) dup2(fd, STDERR_FILENO);
                log_open("mpyd");
                (void) dup2(saved, STDERR_FILENO);
                (void) close(saved);
        }
        (void) close(fd);
        log_set_sink(on_log, NULL);
        return 0;
}

static int teardown(void **state) {
        return rmdir(directory);
}

static void attach(void) {
        int in[2], out[2], unread;
        char path[64];

        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        (void) snprintf(path, sizeof path, "/proc/self/fd/%d", in[0]);
        unread = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        assert_true(unread >= 0);
        for (int i = 0; i < 2; i++)
                assert_true(fd_set_nonblock(in[i], true) == 0 && fd_set_nonblock(out[i], true) == 0);
        board_in = in[0];
        board_out = out[1];
        assert_int_equal(console_attach_board(console, in[1], out[0], unread), 0);
}

/* The board's process is gone: its descriptors are closed, then the supervisor acts. */
static void detach(void) {
        board_in = safe_close(board_in);
        board_out = safe_close(board_out);
        console_detach_board(console, true);
}

static bool users_code;

static bool is_users_code(void *userdata) {
        return users_code;
}

static int begin(void **state) {
        users_code = false;
        log_text[0] = '\0';
        n_arrived = 0;
        if (sd_event_new(&event) < 0)
                return -1;
        if (console_new(&console, event,
                        &(ConsoleOptions) {
                                .link = link_path,
                                .gid = (gid_t) -1,
                                .stall_timeout_usec = STALL_USEC,
                                .is_users_code = is_users_code,
                                .patience_usec = 6 * STALL_USEC,
                        },
                        on_sync, NULL) < 0)
                return -1;
        attach();
        return 0;
}

static int end(void **state) {
        board_in = safe_close(board_in);
        board_out = safe_close(board_out);
        console = console_free(console);
        event = sd_event_unref(event);
        return access(link_path, F_OK) == 0;
}

static unsigned turn(uint64_t usec) {
        int r = sd_event_run(event, usec);

        assert_true(r >= 0);
        return r > 0;
}

/* Until nothing happens for a moment. */
static void settle(void) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

        while (turn(3000) > 0)
                assert_true(now_usec(CLOCK_MONOTONIC) < until);
}

static int client(void) {
        int fd = open(link_path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        assert_true(fd >= 0);
        settle();
        return fd;
}

static void leave(int fd) {
        (void) close(fd);
        settle();
}

static int session(const char *who) {
        int fd = -EBADF;

        assert_int_equal(console_open_session(console, who, false, &fd), 0);
        assert_int_equal(fd_set_nonblock(fd, true), 0);
        return fd;
}

/* A stream of bytes with a period that is no power of two. */
static char pattern(size_t i) {
        return (char) (i * 31 + i / 251);
}

static void fill(char *buf, size_t from, size_t size) {
        for (size_t i = 0; i < size; i++)
                buf[i] = pattern(from + i);
}

/* All that can be read now. */
static size_t drain(int fd, char *buf, size_t size) {
        size_t n_got = 0;
        ssize_t n;

        settle();
        while (n_got < size && (n = read(fd, buf + n_got, size - n_got)) > 0) {
                n_got += (size_t) n;
                settle();
        }
        return n_got;
}

/* No less and no more. On its way through a pty it waits for a thread of the kernel's, which a busy machine delays. */
static void assert_reads(int fd, const char *expected) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
        char buf[4096];
        size_t n = 0;

        do
                n += drain(fd, buf + n, sizeof buf - 1 - n);
        while (n < strlen(expected) && now_usec(CLOCK_MONOTONIC) < until);
        buf[n] = '\0';
        assert_string_equal(buf, expected);
}

static void put(int fd, const char *text) {
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        settle();
}

/* As much as a pipe (64 KiB) and the console (64 KiB) are sure to hold while a board does not read. */
#define HELD 130000u

static void send_all(int fd, const char *data, size_t size) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

        for (size_t sent = 0; sent < size;) {
                ssize_t n = write(fd, data + sent, size - sent);

                if (n > 0)
                        sent += (size_t) n;
                (void) turn(1000);
                if (now_usec(CLOCK_MONOTONIC) > until)
                        fail_msg("%zu of %zu bytes could be sent", sent, size);
        }
        settle();
}

/* ---- users ---- */

static void test_pty_client(void **state) {
        int a;

        assert_false(console_in_use(console));
        assert_string_equal(console_holder(console), "");
        put(board_out, "nobody sees this\n");
        a = client();
        assert_true(console_in_use(console));
        assert_string_equal(console_holder(console), "another program");
        assert_reads(a, "");
        put(board_out, ">>> ");
        assert_reads(a, ">>> ");
        put(a, "1+1\r\x03");
        assert_reads(board_in, "1+1\r\x03");
        leave(a);
        assert_false(console_in_use(console));
        assert_string_equal(console_holder(console), "");
}

/* Printing to nobody costs a program nothing and is kept for nobody. */
static void test_nobody_there(void **state) {
        static char data[3000000];
        int a;

        send_all(board_out, data, sizeof data);
        a = client();
        assert_reads(a, "");
        put(board_out, "now");
        assert_reads(a, "now");
        leave(a);
}

static void test_stale_output(void **state) {
        static char data[200000];
        int a = client();

        memset(data, 'x', sizeof data);
        for (unsigned i = 0; i < 20; i++) {
                (void) !write(board_out, data, sizeof data);
                settle();
        }
        leave(a);
        a = client();
        assert_reads(a, "");
        put(board_out, "fresh");
        assert_reads(a, "fresh");
        leave(a);
}

/* `echo 'print(1)' > repl` */
static void test_write_and_leave(void **state) {
        for (unsigned i = 0; i < 20; i++) {
                int a = open(link_path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

                assert_true(a >= 0);
                if (i % 2)
                        settle();
                assert_int_equal(write(a, "print(1)\r", 9), 9);
                leave(a);
                assert_false(console_in_use(console));
                assert_reads(board_in, "print(1)\r");
        }
}

/* It writes more than the board takes, and goes: a part is kept, the loss is said, order is kept. */
static void test_leave_with_much_unread(void **state) {
        static char data[1000000], got[1000000];
        size_t size = 0, n_got;
        ssize_t n;
        int a = client();

        fill(data, 0, sizeof data);
        for (unsigned idle = 0; idle < 3;) {
                n = write(a, data + size, sizeof data - size);
                if (n > 0)
                        size += (size_t) n;
                idle = n > 0 ? 0 : idle + 1;
                settle();
        }
        assert_in_range(size, 128 * 1024, 512 * 1024); /* it is held back */
        leave(a);
        assert_false(console_in_use(console));

        n_got = drain(board_in, got, sizeof got);
        assert_true(n_got >= 128 * 1024 && n_got <= size);
        assert_memory_equal(got, data, n_got);
        assert_int_equal(n_got < size,
                         strstr(log_text, "bytes typed at the REPL were dropped") != NULL);
        a = client();
        put(a, "next");
        assert_reads(board_in, "next");
        leave(a);
}

/* As much as the contract lets a board hand back still finds room, whatever a user left behind. */
static void test_room_for_returned_input(void **state) {
        static char data[1000000], got[1000000], returned[LINK_INPUT_MAX];
        int s = -EBADF;
        size_t size = 0, n_got;

        fill(data, 0, sizeof data);
        memset(returned, 'r', sizeof returned);
        assert_int_equal(console_open_session(console, "mpyctl", false, &s), 0);
        assert_int_equal(fd_set_nonblock(s, true), 0);
        for (unsigned idle = 0; idle < 3;) {
                ssize_t n = write(s, data + size, sizeof data - size);

                if (n > 0)
                        size += (size_t) n;
                idle = n > 0 ? 0 : idle + 1;
                settle();
        }
        (void) close(s);
        settle();
        for (size_t at = 0; at < sizeof returned; at += 4096)
                assert_int_equal(console_return_input(console, returned + at, 4096), 0);
        detach();
        attach();
        n_got = drain(board_in, got, sizeof got);
        /* the pipe's 64 KiB and, of what the console keeps, at most 192 KiB */
        assert_in_range(n_got - sizeof returned, 128 * 1024, (64 + 192) * 1024);
        assert_memory_equal(got, returned, sizeof returned);
        assert_memory_equal(got + sizeof returned, data, n_got - sizeof returned);
        assert_int_equal(n_got - sizeof returned < size,
                         strstr(log_text, "bytes typed at the REPL were dropped") != NULL);
}

/* ---- sessions ---- */

static void test_session(void **state) {
        int a, s = session("mpyctl eval (pid 1, uid 0)"), other = -EBADF;

        assert_true(console_in_use(console));
        assert_string_equal(console_holder(console), "mpyctl eval (pid 1, uid 0)");
        put(s, "\x01print(1)\x04");
        assert_reads(board_in, "\x01print(1)\x04");
        put(board_out, "OK1\r\n");
        assert_reads(s, "OK1\r\n");

        assert_int_equal(console_open_session(console, "second", false, &other), -EBUSY);
        assert_int_equal(other, -EBADF);

        /* A terminal that comes meanwhile hears whose turn it is, once, and is not read. */
        a = client();
        put(board_out, "for the session");
        assert_reads(s, "for the session");
        assert_reads(a, "");
        put(a, "x");
        put(a, "y");
        assert_reads(a, "\r\nmpyd: the REPL is in use by mpyctl eval (pid 1, uid 0); "
                        "what you type is not read. "
                        "mpyctl repl --take-over takes it.\r\n");
        assert_reads(board_in, "");

        /* And has its turn when the session is over. */
        (void) close(s);
        settle();
        assert_string_equal(console_holder(console), "another program");
        put(a, "z");
        assert_reads(board_in, "z");
        put(board_out, "hello");
        assert_reads(a, "hello");
        leave(a);
        assert_false(console_in_use(console));
}

static void test_session_says_its_last_words(void **state) {
        int s = session("mpyctl");

        assert_int_equal(write(s, "print(1)\r", 9), 9);
        (void) close(s);
        assert_reads(board_in, "print(1)\r");
        assert_false(console_in_use(console));
}

static void test_busy_terminal(void **state) {
        int a = client(), s = -EBADF;

        assert_int_equal(console_open_session(console, "mpyctl", false, &s), -EBUSY);
        assert_int_equal(console_open_session(console, "mpyctl (root)", true, &s), 0);
        assert_reads(a, "\r\nmpyd: mpyctl (root) took over the REPL. mpyctl repl --take-over takes it back.\r\n");
        put(s, "for the board");
        assert_reads(board_in, "for the board");
        leave(a); /* is nothing to the session */
        assert_string_equal(console_holder(console), "mpyctl (root)");
        put(board_out, "still here");
        assert_int_equal(fd_set_nonblock(s, true), 0);
        assert_reads(s, "still here");
        (void) close(s);
        settle();
}

static void test_session_takes_over_a_session(void **state) {
        char c;
        int s = session("first"), second = -EBADF;

        put(board_out, "not read by first");
        assert_int_equal(console_open_session(console, "second", true, &second), 0);
        assert_int_equal(fd_set_nonblock(second, true), 0);
        assert_reads(s, "not read by first\r\nmpyd: second took over the REPL. mpyctl repl --take-over takes it back.\r\n");
        assert_int_equal(read(s, &c, 1), 0); /* closed */
        assert_reads(second, "");
        put(second, "x");
        assert_reads(board_in, "x");
        (void) close(s);
        settle();
        assert_string_equal(console_holder(console), "second");
        (void) close(second);
        settle();
}

/* ---- nothing is lost ---- */

typedef struct Stream {
        int from, to;
        size_t size, n_in, n_out;
        size_t piece;            /* read at once */
        uint64_t pause_usec;     /* between two reads */
        uint64_t next_usec;
} Stream;

static void stream_step(Stream *s) {
        static char buf[100000];
        ssize_t n;

        if (s->n_in < s->size) {
                size_t size = MIN(s->size - s->n_in, sizeof buf);

                fill(buf, s->n_in, size);
                n = write(s->from, buf, size);
                if (n > 0)
                        s->n_in += (size_t) n;
        }
        if (s->n_out < s->size && now_usec(CLOCK_MONOTONIC) >= s->next_usec) {
                n = read(s->to, buf, MIN(s->piece, sizeof buf));
                s->next_usec = now_usec(CLOCK_MONOTONIC) + s->pause_usec;
                for (ssize_t i = 0; i < n; i++)
                        if (buf[i] != pattern(s->n_out + (size_t) i))
                                fail_msg("byte %zu is wrong", s->n_out + (size_t) i);
                if (n > 0)
                        s->n_out += (size_t) n;
        }
}

static void stream_all(Stream *a, Stream *b) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

        while (a->n_out < a->size || (b && b->n_out < b->size)) {
                size_t before = a->n_out + (b ? b->n_out : 0);

                stream_step(a);
                if (b)
                        stream_step(b);
                (void) turn(200);
                if (a->n_out + (b ? b->n_out : 0) > before)
                        until = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
                if (now_usec(CLOCK_MONOTONIC) > until)
                        fail_msg("%zu of %zu bytes arrived", a->n_out, a->size);
        }
        assert_null(strstr(log_text, "dropped"));
}

/* Big bursts both ways at once: 8-bit, unmodified (M17). */
static void test_bursts(void **state) {
        for (unsigned way = 0; way < 2; way++) {
                int a = way == 0 ? client() : session("mpyctl");
                Stream down = { .from = a, .to = board_in, .size = 2000000, .piece = 5000 };
                Stream up = { .from = board_out, .to = a, .size = 2000000, .piece = 5000 };

                stream_all(&down, &up);
                leave(a);
        }
}

/* Slow is not stalled: the queue is full for many times the stall timeout, and all arrives. */
static void test_slow_but_steady(void **state) {
        for (unsigned way = 0; way < 2; way++) {
                int a = way == 0 ? client() : session("mpyctl");
                Stream up = {
                        .from = board_out, .to = a, .size = 500000,
                        .piece = 16000, .pause_usec = 30 * USEC_PER_MSEC,
                };

                stream_all(&up, NULL);
                leave(a);
        }
}

/* A board that is slow to read: typing waits, nothing is lost. */
static void test_slow_board(void **state) {
        for (unsigned way = 0; way < 2; way++) {
                int a = way == 0 ? client() : session("mpyctl");
                Stream down = {
                        .from = a, .to = board_in, .size = 600000,
                        .piece = 10000, .pause_usec = 2 * USEC_PER_MSEC,
                };

                stream_all(&down, NULL);
                leave(a);
        }
}

/* Somebody holds the REPL and does not read: the program is held up once, then goes on. */
static void test_stall(void **state) {
        static char data[50000], got[400000];

        memset(data, 'x', sizeof data);
        for (unsigned way = 0; way < 2; way++) {
                uint64_t start = now_usec(CLOCK_MONOTONIC);
                int a = way == 0 ? client() : session("mpyctl");
                size_t size = 0, n;

                log_text[0] = '\0';
                while (size < 20000000) {
                        ssize_t w = write(board_out, data, sizeof data);

                        if (w > 0)
                                size += (size_t) w;
                        else
                                (void) turn(1000);
                        assert_true(now_usec(CLOCK_MONOTONIC) - start < PATIENCE_USEC);
                }
                assert_true(now_usec(CLOCK_MONOTONIC) - start >= STALL_USEC);
                assert_non_null(strstr(log_text, "does not read; the program goes on without them"));

                put(board_out, "the newest"); /* of what it does not read */
                while (turn(20) > 0)
                        ;

                /* It reads again: what was kept, then a gap, then the newest, then all that is new. */
                n = drain(a, got, sizeof got);
                assert_true(n > 0 && n < sizeof got);
                assert_memory_equal(got + n - strlen("the newest"), "the newest", strlen("the newest"));
                assert_non_null(strstr(log_text, "bytes of output were dropped"));
                put(board_out, "here again");
                assert_reads(a, "here again");
                leave(a);
        }
}

/* Writes until the program is held up, then what is told of it when it has waited for usec more. */
static uint64_t stall(uint64_t at_most_usec) {
        static char data[50000];
        uint64_t start = now_usec(CLOCK_MONOTONIC);

        log_text[0] = '\0';
        while (!strstr(log_text, "does not read") && now_usec(CLOCK_MONOTONIC) - start < at_most_usec)
                if (write(board_out, data, sizeof data) <= 0)
                        (void) turn(1000);
        return now_usec(CLOCK_MONOTONIC) - start;
}

/* What the user has started waits for them, but not for ever; and the moment it is another's, no longer. */
static void test_patience(void **state) {
        for (unsigned way = 0; way < 2; way++) {
                int a = way == 0 ? client() : session("mpyctl");

                users_code = true;
                assert_true(stall(3 * STALL_USEC) >= 3 * STALL_USEC);
                assert_null(strstr(log_text, "does not read"));
                if (way == 0)
                        users_code = false;
                (void) stall(PATIENCE_USEC);
                assert_non_null(strstr(log_text, "does not read"));
                leave(a);
        }
}

/* Two lives end with a full pipe while the user does not read: their outputs are more than may wait, and what is
 * dropped is one gap, in the order in which it was printed. */
static void test_one_gap_over_resets(void **state) {
        static char got[400000];
        char mark[32];
        int a = client();
        size_t n = 0;
        long before = -1;

        users_code = true;
        for (unsigned life = 0; life < 4; life++) {
                for (unsigned i = 0; i < 200000; i++) {
                        int size = snprintf(mark, sizeof mark, "<%09u>", life * 1000000 + i);

                        if (write(board_out, mark, (size_t) size) < size) {
                                if (turn(1000) == 0)
                                        break;
                        }
                }
                detach();
                attach();
        }
        put(board_out, "<999999999>");
        n = drain(a, got, sizeof got - 1);
        got[n] = '\0';
        for (char *p = got; (p = strchr(p, '<')); p++) {
                long number;

                if (sscanf(p, "<%9ld>", &number) == 1 && strlen(p) >= 11 && p[10] == '>') {
                        assert_true(number > before);
                        before = number;
                }
        }
        assert_int_equal(before, 999999999);
        leave(a);
}

/* ---- resets ---- */

/* What was typed and not used is there for the next board, byte for byte: what the old one had taken
 * and hands back, then what was in its pipe, then what had waited for the pipe. */
static void test_input_over_a_soft_reset(void **state) {
        static char data[HELD], got[HELD];
        static const size_t sizes[] = { 10, 5000, 65536, 65537, 90000, HELD };

        fill(data, 0, sizeof data);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                for (unsigned way = 0; way < 2; way++) {
                        int a = way == 0 ? client() : session("mpyctl");
                        size_t taken, used = 4;

                        send_all(a, data, sizes[i]);
                        taken = (size_t) read(board_in, got, MIN(sizes[i], 3000u));
                        assert_true(taken > used && taken <= 3000);
                        for (size_t at = used; at < taken; at += MIN(taken - at, 700u))
                                assert_int_equal(
                                        console_return_input(console, got + at,
                                                             MIN(taken - at, (size_t) 700)),
                                        0);
                        detach();
                        put(a, "typed between two boards");
                        attach();
                        assert_int_equal(drain(board_in, got, sizes[i] - used), sizes[i] - used);
                        assert_memory_equal(got, data + used, sizes[i] - used);
                        assert_reads(board_in, "typed between two boards");
                        assert_true(console_in_use(console)); /* the user did not notice */
                        leave(a);
                }
}

/* As much as the contract allows comes back, and not a byte more. */
static void test_returned_input_is_bounded(void **state) {
        static char data[LINK_INPUT_MAX + 1], got[sizeof data];

        fill(data, 0, sizeof data);
        assert_int_equal(console_return_input(console, data, sizeof data), -ENOBUFS);
        for (size_t at = 0; at < LINK_INPUT_MAX; at += 4096)
                assert_int_equal(console_return_input(console, data + at, 4096), 0);
        assert_int_equal(console_return_input(console, data, 1), -ENOBUFS);
        assert_int_equal(console_return_input(console, data, 0), 0);
        assert_int_equal(console_return_input(console, data, SIZE_MAX), -ENOBUFS);
        detach();
        attach();
        assert_int_equal(drain(board_in, got, sizeof got), LINK_INPUT_MAX);
        assert_memory_equal(got, data, LINK_INPUT_MAX);
}

/* Hard reset: nothing typed before it counts (M35), wherever it is. */
static void test_discard(void **state) {
        for (unsigned way = 0; way < 2; way++) {
                int a = way == 0 ? client() : session("mpyctl");
                char data[HELD];

                memset(data, 'x', sizeof data);
                send_all(a, data, sizeof data);
                assert_int_equal(console_return_input(console, "returned", 8), 0);
                assert_int_equal(write(a, "\r\x02", 2), 2); /* not even read by the console yet */
                detach();
                console_discard_input(console);
                attach();
                assert_reads(board_in, "");
                put(a, "new");
                assert_reads(board_in, "new");
                leave(a);
        }
}

/* All that the board had printed arrives, though it is dead. */
static void test_last_output(void **state) {
        int a = client();

        assert_int_equal(write(board_out, "last words\n", 11), 11);
        arrived[0].stage = BOARD_STAGE_MAIN;
        arrived[0].pos = 5;
        n_arrived = 1;
        detach();
        assert_reads(a, "last words\n");
        assert_string_equal(log_text, "main.py|words\n");
        attach();
        put(board_out, "\r\nMPY: soft reboot\r\n");
        assert_reads(a, "\r\nMPY: soft reboot\r\n");
        assert_string_equal(log_text, "main.py|words\n"); /* stages and positions start anew */
        leave(a);
}

/* Something that the board left behind prints for ever: as fast as we read, here. The supervisor takes
 * what is there and does not listen for ever. */
static void test_left_behind(void **state) {
        static char data[32 * 1024];

        left_behind = fcntl(board_out, F_DUPFD_CLOEXEC, 3);
        assert_true(left_behind >= 0);
        assert_int_equal(write(left_behind, data, sizeof data), sizeof data);
        n_left_behind = 0;
        detach();
        assert_in_range(n_left_behind, 1, 8);
        left_behind = safe_close(left_behind);
        attach();
        settle();
}

static void test_script_lines(void **state) {
        put(board_out, "port\n");
        arrived[0].stage = BOARD_STAGE_BOOT;
        arrived[0].pos = 5;
        arrived[1].stage = BOARD_STAGE_MAIN;
        arrived[1].pos = 10;
        n_arrived = 2;
        put(board_out, "boot\nmain");
        arrived[0].stage = BOARD_STAGE_REPL;
        arrived[0].pos = 14;
        n_arrived = 1;
        put(board_out, ">>> 1+1\n2\n");
        assert_string_equal(log_text, "boot.py|boot\nmain.py|main\n");
}

/* Nobody does anything: not a single wake-up, with and without users. */
static void test_idle(void **state) {
        for (unsigned way = 0; way < 3; way++) {
                int a = way == 0 ? -EBADF : way == 1 ? client() : session("mpyctl");
                uint64_t until;

                settle();
                until = now_usec(CLOCK_MONOTONIC) + 150 * USEC_PER_MSEC;
                while (now_usec(CLOCK_MONOTONIC) < until)
                        assert_int_equal(turn(50000), 0);
                if (a >= 0)
                        leave(a);
        }
}

/* Users come and go while no board is there: what they type waits. */
static void test_no_board(void **state) {
        int a, s;

        detach();
        a = client();
        put(a, "one ");
        leave(a);
        s = session("mpyctl");
        put(s, "two");
        attach();
        assert_reads(board_in, "one two");
        (void) close(s);
        settle();
        detach();
        detach(); /* nothing there any more */
        attach();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_pty_client, begin, end),
                cmocka_unit_test_setup_teardown(test_nobody_there, begin, end),
                cmocka_unit_test_setup_teardown(test_stale_output, begin, end),
                cmocka_unit_test_setup_teardown(test_write_and_leave, begin, end),
                cmocka_unit_test_setup_teardown(test_leave_with_much_unread, begin, end),
                cmocka_unit_test_setup_teardown(test_room_for_returned_input, begin, end),
                cmocka_unit_test_setup_teardown(test_session, begin, end),
                cmocka_unit_test_setup_teardown(test_session_says_its_last_words, begin, end),
                cmocka_unit_test_setup_teardown(test_busy_terminal, begin, end),
                cmocka_unit_test_setup_teardown(test_session_takes_over_a_session, begin, end),
                cmocka_unit_test_setup_teardown(test_bursts, begin, end),
                cmocka_unit_test_setup_teardown(test_slow_but_steady, begin, end),
                cmocka_unit_test_setup_teardown(test_slow_board, begin, end),
                cmocka_unit_test_setup_teardown(test_stall, begin, end),
                cmocka_unit_test_setup_teardown(test_patience, begin, end),
                cmocka_unit_test_setup_teardown(test_one_gap_over_resets, begin, end),
                cmocka_unit_test_setup_teardown(test_input_over_a_soft_reset, begin, end),
                cmocka_unit_test_setup_teardown(test_returned_input_is_bounded, begin, end),
                cmocka_unit_test_setup_teardown(test_discard, begin, end),
                cmocka_unit_test_setup_teardown(test_last_output, begin, end),
                cmocka_unit_test_setup_teardown(test_left_behind, begin, end),
                cmocka_unit_test_setup_teardown(test_script_lines, begin, end),
                cmocka_unit_test_setup_teardown(test_idle, begin, end),
                cmocka_unit_test_setup_teardown(test_no_board, begin, end),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, setup, teardown);
}
