/* SPDX-License-Identifier: MIT */
/* The last lines of the log: order, and both bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "daemon/log-ring.h"
#include "util/macros.h"

static LogRing ring;

static int teardown(void **state) {
        log_ring_done(&ring);
        return 0;
}

static size_t bytes_of(const LogRing *r) {
        size_t n = 0;

        for (size_t i = 0; i < r->n; i++)
                n += strlen(log_ring_get(r, i)->ident) + strlen(log_ring_get(r, i)->text);
        return n;
}

static void test_order(void **state) {
        char ident[8] = "mpyd", text[16];

        assert_null(log_ring_get(&ring, 0));
        for (unsigned i = 0; i < 3 * LOG_RING_LINES + 7; i++) {
                (void) snprintf(text, sizeof text, "line %u", i);
                (void) log_ring_add(&ring, i, (int) (i % 8), false, ident, text); /* copies */
        }
        memset(text, 0, sizeof text);
        memset(ident, 0, sizeof ident);
        assert_int_equal(ring.n, LOG_RING_LINES);
        for (unsigned i = 0; i < LOG_RING_LINES; i++) {
                const LogLine *l = log_ring_get(&ring, i);
                unsigned expected = 2 * LOG_RING_LINES + 7 + i;

                (void) snprintf(text, sizeof text, "line %u", expected);
                assert_string_equal(l->text, text);
                assert_string_equal(l->ident, "mpyd");
                assert_int_equal(l->realtime_usec, expected);
                assert_int_equal(l->level, (int) (expected % 8));
        }
        assert_null(log_ring_get(&ring, LOG_RING_LINES));
        assert_null(log_ring_get(&ring, SIZE_MAX));
        assert_int_equal(ring.bytes, bytes_of(&ring));
}

static void test_bytes(void **state) {
        static char text[40000];
        uint32_t seed = 3;

        for (unsigned i = 0; i < 5000; i++) {
                size_t size = (seed = seed * 1664525u + 1013904223u) % (i % 5 ? 300 : sizeof text);

                memset(text, 'x', size);
                text[size] = '\0';
                (void) log_ring_add(&ring, i, 6, true, "main.py", text);
                assert_true(ring.bytes <= LOG_RING_BYTES);
                assert_true(ring.n > 0 && ring.n <= LOG_RING_LINES);
                assert_int_equal(log_ring_get(&ring, ring.n - 1)->realtime_usec, i);
                assert_int_equal(ring.bytes, bytes_of(&ring));
        }
}

/* The daemon's lines, oldest first, are those numbered from..to. */
static void assert_daemon_lines(unsigned from, unsigned to) {
        for (size_t i = 0; i < ring.n; i++) {
                const LogLine *l = log_ring_get(&ring, i);

                if (i > 0)
                        assert_true(log_ring_get(&ring, i - 1)->realtime_usec < l->realtime_usec);
                if (!l->script)
                        assert_int_equal((unsigned) strtoul(l->text, NULL, 10), from++);
        }
        assert_int_equal(from, to + 1);
}

/* A script that prints without end leaves the daemon a quarter, in lines and in bytes. */
static void test_chatty_script(void **state) {
        static char big[4000];
        uint64_t t = 0;
        char text[16];

        memset(big, 'x', sizeof big - 1);
        for (unsigned i = 1; i <= 200; i++) {
                (void) snprintf(text, sizeof text, "%u", i);
                (void) log_ring_add(&ring, t++, 4, false, "mpyd", text);
                for (unsigned k = 0; k < 50; k++)
                        (void) log_ring_add(&ring, t++, 6, true, "main.py", "spam");
        }
        assert_int_equal(ring.n, LOG_RING_LINES);
        assert_daemon_lines(1, 200);
        for (unsigned i = 201; i <= 300; i++) {
                (void) snprintf(text, sizeof text, "%u", i);
                (void) log_ring_add(&ring, t++, 4, false, "mpyd", text);
                (void) log_ring_add(&ring, t++, 6, true, "main.py", "spam");
        }
        assert_int_equal(ring.n, LOG_RING_LINES); /* of the daemon's, its own quarter stays */
        assert_daemon_lines(51, 300);
        for (unsigned k = 0; k < 500; k++)
                (void) log_ring_add(&ring, t++, 6, true, "main.py", big);
        assert_daemon_lines(51, 300);
        assert_true(ring.script_bytes > LOG_RING_BYTES / 2);
        assert_int_equal(ring.bytes, bytes_of(&ring));
        log_ring_done(&ring);
        assert_int_equal(ring.n_script + ring.script_bytes + ring.bytes, 0);
}

static void test_empty_lines(void **state) {
        for (unsigned i = 0; i < 2 * LOG_RING_LINES; i++)
                (void) log_ring_add(&ring, i, 6, i % 2, "", "");
        assert_int_equal(ring.n, LOG_RING_LINES);
        assert_int_equal(ring.bytes, 0);
        log_ring_done(&ring);
        assert_int_equal(ring.n, 0);
        log_ring_done(&ring);
        assert_non_null(log_ring_add(&ring, 1, 6, false, "mpyd", "again"));
        assert_string_equal(log_ring_get(&ring, 0)->text, "again");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_order, teardown),
                cmocka_unit_test_teardown(test_bytes, teardown),
                cmocka_unit_test_teardown(test_chatty_script, teardown),
                cmocka_unit_test_teardown(test_empty_lines, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
