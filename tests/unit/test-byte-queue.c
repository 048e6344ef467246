/* SPDX-License-Identifier: MIT */
/* Bytes that wait: order, bounds, and what a descriptor takes at a time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "daemon/byte-queue.h"
#include "util/io.h"
#include "util/macros.h"

static void assert_content(const ByteQueue *q, const char *expected) {
        assert_int_equal(q->size, strlen(expected));
        if (q->size > 0)
                assert_memory_equal(q->data + q->start, expected, q->size);
}

static void test_push(void **state) {
        ByteQueue q;

        byte_queue_init(&q, 8);
        assert_int_equal(byte_queue_room(&q), 8);
        assert_int_equal(byte_queue_push(&q, NULL, 0), 0);
        assert_int_equal(byte_queue_push_front(&q, NULL, 0), 0);
        assert_null(q.data); /* an empty queue costs nothing */
        assert_int_equal(byte_queue_push(&q, "cd", 2), 0);
        assert_int_equal(byte_queue_push_front(&q, "ab", 2), 0);
        assert_int_equal(byte_queue_push(&q, "ef", 2), 0);
        assert_content(&q, "abcdef");
        assert_int_equal(byte_queue_room(&q), 2);

        /* all or nothing */
        assert_int_equal(byte_queue_push(&q, "123", 3), -ENOBUFS);
        assert_int_equal(byte_queue_push_front(&q, "123", 3), -ENOBUFS);
        assert_int_equal(byte_queue_push(&q, "123", SIZE_MAX), -ENOBUFS);
        assert_int_equal(byte_queue_push_front(&q, "123", SIZE_MAX), -ENOBUFS);
        assert_content(&q, "abcdef");
        assert_int_equal(byte_queue_push_front(&q, "12", 2), 0);
        assert_content(&q, "12abcdef");
        assert_int_equal(byte_queue_push(&q, "x", 1), -ENOBUFS);

        byte_queue_clear(&q);
        assert_content(&q, "");
        assert_null(q.data);
        assert_int_equal(byte_queue_room(&q), 8);
        assert_int_equal(byte_queue_push_front(&q, "12345678", 8), 0);
        assert_content(&q, "12345678");
        byte_queue_done(&q);
        byte_queue_done(&q);
}

/* A pipe that takes a page at a time, and a reader of it. */
static void make_pipe(int fds[static 2]) {
        assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 0);
}

static void test_write(void **state) {
        static char data[10000], got[sizeof data];
        size_t n_got = 0;
        ByteQueue q;
        int fds[2];
        ssize_t n;
        int r;

        make_pipe(fds);
        for (size_t i = 0; i < sizeof data; i++)
                data[i] = (char) (i * 7 + i / 256);
        byte_queue_init(&q, sizeof data);
        assert_int_equal(byte_queue_write(&q, fds[1]), 1); /* nothing to do */
        assert_int_equal(byte_queue_push(&q, data, sizeof data), 0);
        do {
                r = byte_queue_write(&q, fds[1]);
                assert_true(r >= 0);
                while ((n = read(fds[0], got + n_got, sizeof got - n_got)) > 0)
                        n_got += (size_t) n;
                assert_int_equal(r, n_got == sizeof data);
        } while (r == 0);
        assert_memory_equal(got, data, sizeof data);
        assert_null(q.data);

        /* Nobody will ever read: the bytes stay. */
        assert_int_equal(byte_queue_push(&q, "kept", 4), 0);
        (void) close(fds[0]);
        assert_int_equal(byte_queue_write(&q, fds[1]), -EPIPE);
        assert_content(&q, "kept");
        (void) close(fds[1]);
        assert_int_equal(byte_queue_write(&q, fds[1]), -EBADF);
        byte_queue_done(&q);
}

/* Against a model that is too simple to be wrong. */
static void test_random(void **state) {
        enum { MAX_SIZE = 9000 };
        static char model[MAX_SIZE], piece[5000], out[MAX_SIZE];
        size_t size = 0;
        uint32_t seed = 1;
        ByteQueue q;
        int fds[2];

        make_pipe(fds);
        byte_queue_init(&q, MAX_SIZE);
        for (unsigned i = 0; i < 50000; i++) {
                uint32_t x = (seed = seed * 1664525u + 1013904223u) >> 8;
                size_t n = x % sizeof piece / (x & 64 ? 1 : 100);
                ssize_t written;

                memset(piece, (int) i, n);
                switch (x >> 16 & 3) {
                case 0:
                        assert_int_equal(byte_queue_push(&q, piece, n),
                                         size + n > MAX_SIZE ? -ENOBUFS : 0);
                        if (size + n <= MAX_SIZE) {
                                memcpy(model + size, piece, n);
                                size += n;
                        }
                        break;
                case 1:
                        assert_int_equal(byte_queue_push_front(&q, piece, n),
                                         size + n > MAX_SIZE ? -ENOBUFS : 0);
                        if (size + n <= MAX_SIZE) {
                                memmove(model + n, model, size);
                                memcpy(model, piece, n);
                                size += n;
                        }
                        break;
                default:
                        assert_int_equal(byte_queue_write(&q, fds[1]), size <= 4096);
                        written = read(fds[0], out, sizeof out);
                        assert_int_equal(written, size == 0 ? -1 : (ssize_t) MIN(size, 4096u));
                        if (written > 0) {
                                assert_memory_equal(out, model, (size_t) written);
                                size -= (size_t) written;
                                memmove(model, model + written, size);
                        }
                }
                assert_int_equal(q.size, size);
                if (size > 0)
                        assert_memory_equal(q.data + q.start, model, size);
        }
        byte_queue_done(&q);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_push),
                cmocka_unit_test(test_write),
                cmocka_unit_test(test_random),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
