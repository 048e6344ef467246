/* SPDX-License-Identifier: MIT */
/* The raw REPL client against a peer that plays recorded bytes of a device (SPEC 1.8, 8.1, 8.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "ctl/raw-repl.h"
#include "util/io.h"
#include "util/parse.h"

#define BANNER "raw REPL; CTRL-B to exit\r\n>"
#define GREETING                                        \
        "\r\nMicroPython v1.25.0 on 2025-04-15; mpyd\r\n" \
        "Type \"help()\" for more information.\r\n>>> "
#define WINDOW "R\x01\x80\x00\x01"
#define PASTE "\x05" "A\x01"
#define SECOND USEC_PER_SEC
#define SHORT (200 * USEC_PER_MSEC)

/* The device waits for `expect` (n bytes of the host) and then says `answer`. */
typedef struct Step {
        const char *expect;
        size_t n_expect;
        const char *answer;
        size_t n_answer;
} Step;
#define STEP(e, a) { (e), sizeof(e) - 1, (a), sizeof(a) - 1 }

typedef struct Device {
        int fd, host;
        const Step *steps;
        size_t n_steps;
        bool hang_up;       /* after the last step */
        char wrong[256];    /* what did not come as expected */
        pthread_t thread;
        char *output, *error;
        size_t n_output, n_error;
} Device;

static void *play(void *userdata) {
        Device *d = userdata;

        for (size_t i = 0; i < d->n_steps; i++) {
                const Step *s = &d->steps[i];
                char got[512];
                size_t n = 0;

                assert(s->n_expect <= sizeof(got));
                while (n < s->n_expect) {
                        struct pollfd p = { .fd = d->fd, .events = POLLIN };
                        ssize_t k = poll(&p, 1, 3000) > 0 ? read(d->fd, got + n, s->n_expect - n)
                                                          : -1;

                        if (k <= 0) {
                                (void) snprintf(d->wrong, sizeof(d->wrong),
                                                "step %zu: only %zu bytes came", i, n);
                                return NULL;
                        }
                        n += (size_t) k;
                }
                if (memcmp(got, s->expect, n) != 0) {
                        (void) snprintf(d->wrong, sizeof(d->wrong), "step %zu: other bytes came",
                                       i);
                        return NULL;
                }
                if (write_all(d->fd, s->answer, s->n_answer) < 0)
                        return NULL;
        }
        if (d->hang_up)
                d->fd = safe_close(d->fd);
        return NULL;
}

static void device_start(Device *d, RawRepl **r, const Step *steps, size_t n) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        d->host = pair[0];
        d->fd = pair[1];
        d->steps = steps;
        d->n_steps = n;
        d->n_output = d->n_error = 0;
        d->output = calloc(1, 65536);
        d->error = calloc(1, 65536);
        assert_int_equal(raw_repl_new(r, d->host, -EBADF), 0);
        assert_int_equal(pthread_create(&d->thread, NULL, play, d), 0);
}

static void device_stop(Device *d, RawRepl *r) {
        char extra[64];
        ssize_t n;

        assert_int_equal(pthread_join(d->thread, NULL), 0);
        assert_string_equal(d->wrong, "");
        n = d->fd >= 0 ? recv(d->fd, extra, sizeof(extra), MSG_DONTWAIT) : -1;
        assert_true(n <= 0); /* the host said no more than was awaited */
        raw_repl_free(r);
        safe_close(d->fd);
        safe_close(d->host);
        free(d->output);
        free(d->error);
}

static int on_output(void *userdata, bool is_error, const char *data, size_t size) {
        Device *d = userdata;
        size_t *n = is_error ? &d->n_error : &d->n_output;

        assert(*n + size < 65536);
        memcpy((is_error ? d->error : d->output) + *n, data, size);
        *n += size;
        return 0;
}

static int exec(RawRepl *r, Device *d, const char *code, bool *ret_exception, bool *ret_reset) {
        return raw_repl_exec(r, code, strlen(code), now_usec(CLOCK_MONOTONIC) + 2 * SECOND,
                             on_output, d, ret_exception, ret_reset);
}

static void test_m4_enter_exec_leave(void **state) {
        static const Step steps[] = {
                STEP("\x03", "\r\n>>> "),
                STEP("\r\x01", "\r\n>>> \r\n" BANNER),
                STEP("\x04", "OK\r\nMPY: soft reboot\r\nfrom boot.py > here\r\n" BANNER),
                STEP(PASTE, WINDOW),
                STEP("print(6*7)\n\x04", "\x04" "42\r\n\x04\x04>"),
                STEP("\r\x02", GREETING),
        };
        bool exception = true, reset = true;
        Device d = {};
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(raw_repl_enter(r, true, 2 * SECOND), 0);
        assert_int_equal(exec(r, &d, "print(6*7)\n", &exception, &reset), 0);
        assert_false(exception);
        assert_false(reset);
        assert_string_equal(d.output, "42\r\n");
        assert_int_equal(d.n_error, 0);
        assert_int_equal(raw_repl_leave(r, false, SECOND), 0);
        device_stop(&d, r);
}

static void test_m5_resume_keeps_vm(void **state) {
        static const Step steps[] = {
                STEP("\x03\r\x01", BANNER), /* it was in the raw REPL already */
                STEP(PASTE, WINDOW),
                STEP("x\x04", "\x04\x04Traceback (most recent call last):\r\n  ...\r\n"
                              "NameError: name 'x' isn't defined\r\n\x04>"),
                STEP("\r\x02", GREETING),
                STEP("\x04", "\r\nMPY: soft reboot\r\n"),
        };
        bool exception = false, reset = true;
        Device d = {};
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(raw_repl_enter(r, false, 2 * SECOND), 0);
        assert_int_equal(exec(r, &d, "x", &exception, &reset), 0);
        assert_true(exception);
        assert_false(reset);
        assert_int_equal(d.n_output, 0);
        assert_non_null(strstr(d.error, "NameError"));
        assert_int_equal(raw_repl_leave(r, true, SECOND), 0);
        device_stop(&d, r);
}

static void test_m6_banner_twice(void **state) {
        /* A second Ctrl-A crossed the first answer: the stray ">" must not be taken for
         * anything. */
        static const Step steps[] = {
                STEP("\x03\r\x01", "\r\n" BANNER BANNER),
                STEP(PASTE, BANNER WINDOW),
                STEP("1\x04", "\x04\x04\x04>"),
        };
        bool exception = true, reset = true;
        Device d = {};
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(raw_repl_enter(r, false, 2 * SECOND), 0);
        assert_int_equal(exec(r, &d, "1", &exception, &reset), 0);
        assert_false(exception || reset);
        device_stop(&d, r);
}

static void test_m11_window(void **state) {
        /* 300 bytes through windows of 128: two at once, then one for each 01. */
        static char code[301], first[257], second[46];
        static Step steps[] = {
                STEP(PASTE, WINDOW),
                { first, 256, "\x01", 1 },
                { second, 45, "\x04" "done\x04\x04>", 8 },
        };
        bool exception = true, reset = true;
        Device d = {};
        RawRepl *r;

        for (size_t i = 0; i < 300; i++)
                code[i] = (char) ('a' + i % 26);
        memcpy(first, code, 256);
        memcpy(second, code + 256, 44);
        second[44] = '\x04';
        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(exec(r, &d, code, &exception, &reset), 0);
        assert_string_equal(d.output, "done");
        device_stop(&d, r);
}

static void test_m11_early_abort(void **state) {
        /* The device gives up inside the text; the host must end it with Ctrl-D and read the
         * error. */
        static char code[1001], first[257];
        static Step steps[] = {
                STEP(PASTE, WINDOW),
                { first, 256, "\x04", 1 },
                STEP("\x04", "\x04Traceback\r\nSyntaxError: invalid syntax\r\n\x04>"),
        };
        bool exception = false, reset = true;
        Device d = {};
        RawRepl *r;

        memset(code, '!', 1000);
        memset(first, '!', 256);
        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(exec(r, &d, code, &exception, &reset), 0);
        assert_true(exception);
        assert_false(reset);
        assert_string_equal(d.error, "Traceback\r\nSyntaxError: invalid syntax\r\n");
        device_stop(&d, r);
}

static void test_m16_system_exit(void **state) {
        static const Step steps[] = {
                STEP(PASTE, WINDOW),
                STEP("exit\x04", "\x04" "bye\r\n\x04\x04\r\nMPY: soft reboot\r\n" BANNER),
        };
        bool exception = true, reset = false;
        Device d = {};
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(exec(r, &d, "exit", &exception, &reset), 0);
        assert_false(exception);
        assert_true(reset);
        assert_string_equal(d.output, "bye\r\n");
        device_stop(&d, r);
}

static void test_no_raw_paste(void **state) {
        static const Step steps[] = { STEP(PASTE, "R\x00>") };
        bool exception, reset;
        Device d = {};
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(exec(r, &d, "1", &exception, &reset), -EPROTO);
        device_stop(&d, r);
}

static void test_silence_times_out(void **state) {
        static const Step steps[] = { STEP("\x03\r\x01", "still counting\r\n") };
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        Device d = {};
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(raw_repl_enter(r, true, SHORT), -ETIMEDOUT);
        assert_true(now_usec(CLOCK_MONOTONIC) - begin < 2 * SECOND);
        device_stop(&d, r);
}

static void test_hang_up(void **state) {
        static const Step steps[] = {
                STEP(PASTE, WINDOW),
                STEP("1\x04", "\x04half a l"),
        };
        bool exception, reset;
        Device d = { .hang_up = true };
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(exec(r, &d, "1", &exception, &reset), -ECONNRESET);
        assert_string_equal(d.output, "half a l"); /* nothing that came is lost */
        device_stop(&d, r);
}

static void test_deadline_then_interrupt(void **state) {
        static const Step steps[] = {
                STEP("\x03\r\x01", BANNER),
                STEP(PASTE, WINDOW),
                STEP("loop\x04", "\x04tick\r\n"),
                STEP("\x03", "tock\r\n\x04Traceback\r\nKeyboardInterrupt: \r\n\x04>"),
                STEP("\r\x02", GREETING),
        };
        bool exception, reset;
        Device d = {};
        RawRepl *r;

        device_start(&d, &r, steps, ELEMENTSOF(steps));
        assert_int_equal(raw_repl_enter(r, false, SECOND), 0);
        assert_int_equal(raw_repl_exec(r, "loop", 4, now_usec(CLOCK_MONOTONIC) + SHORT,
                                       on_output, &d, &exception, &reset),
                         -ETIMEDOUT);
        assert_int_equal(raw_repl_interrupt(r, SECOND, on_output, &d), 0);
        assert_string_equal(d.output, "tick\r\ntock\r\n");
        assert_string_equal(d.error, "Traceback\r\nKeyboardInterrupt: \r\n");
        assert_int_equal(raw_repl_leave(r, false, SECOND), 0);
        device_stop(&d, r);
}

static int cancel_pipe[2];

static int on_output_cancel(void *userdata, bool is_error, const char *data, size_t size) {
        assert_int_equal(write_all(cancel_pipe[1], "!", 1), 0);
        return on_output(userdata, is_error, data, size);
}

static void test_cancel(void **state) {
        static const Step steps[] = {
                STEP(PASTE, WINDOW),
                STEP("loop\x04", "\x04tick\r\n"),
                STEP("\x03", "\x04KeyboardInterrupt: \r\n\x04>"),
        };
        bool exception, reset;
        Device d = {};
        RawRepl *r;

        assert_int_equal(pipe(cancel_pipe), 0);
        device_start(&d, &r, steps, ELEMENTSOF(steps));
        raw_repl_free(r);
        assert_int_equal(raw_repl_new(&r, d.host, cancel_pipe[0]), 0);
        assert_int_equal(raw_repl_exec(r, "loop", 4, UINT64_MAX, on_output_cancel, &d, &exception,
                                       &reset),
                         -ECANCELED);
        /* It stays readable: the interrupt must have its time all the same. */
        assert_int_equal(raw_repl_interrupt(r, SECOND, on_output, &d), 0);
        assert_string_equal(d.output, "tick\r\n");
        assert_string_equal(d.error, "KeyboardInterrupt: \r\n");
        device_stop(&d, r);
        close(cancel_pipe[0]);
        close(cancel_pipe[1]);
}

/* The watched descriptor ends the wait, and what the console held until then is still delivered. */
static int watch_pipe[2];

static int on_output_watch(void *userdata, bool is_error, const char *data, size_t size) {
        Device *d = userdata;

        if (d->n_output == 0)
                assert_int_equal(write_all(watch_pipe[1], "!", 1), 0);
        return on_output(userdata, is_error, data, size);
}

static int on_watch(void *userdata) {
        Device *d = userdata;

        assert_int_equal(write_all(d->fd, ", last words", 12), 0);
        return -EOWNERDEAD;
}

static void test_watch(void **state) {
        static const Step steps[] = {
                STEP(PASTE, WINDOW),
                STEP("reset\x04", "\x04" "going"),
        };
        bool exception, reset;
        Device d = {};
        RawRepl *r;

        assert_int_equal(pipe(watch_pipe), 0);
        device_start(&d, &r, steps, ELEMENTSOF(steps));
        raw_repl_set_watch(r, watch_pipe[0], on_watch, &d);
        assert_int_equal(raw_repl_exec(r, "reset", 5, UINT64_MAX, on_output_watch, &d, &exception,
                                       &reset),
                         -EOWNERDEAD);
        assert_string_equal(d.output, "going, last words");
        device_stop(&d, r);
        close(watch_pipe[0]);
        close(watch_pipe[1]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_m4_enter_exec_leave),
                cmocka_unit_test(test_m5_resume_keeps_vm),
                cmocka_unit_test(test_m6_banner_twice),
                cmocka_unit_test(test_m11_window),
                cmocka_unit_test(test_m11_early_abort),
                cmocka_unit_test(test_m16_system_exit),
                cmocka_unit_test(test_no_raw_paste),
                cmocka_unit_test(test_silence_times_out),
                cmocka_unit_test(test_hang_up),
                cmocka_unit_test(test_deadline_then_interrupt),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_watch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
