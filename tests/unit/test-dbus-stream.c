/* SPDX-License-Identifier: MIT */
/* Authentication and the lengths of messages, however the bytes arrive. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <endian.h>
#include <stdbool.h>

#include "daemon/dbus-stream.h"

#define LARGEST 1000u

/* All of data in pieces of piece bytes. What may pass, or the error. */
static ssize_t take(DbusStream *s, const void *data, size_t size, size_t piece) {
        size_t at = 0;

        while (at < size) {
                size_t n = MIN(piece, size - at);
                ssize_t r = dbus_stream_take(s, (const uint8_t *) data + at, n);

                if (r < 0)
                        return r;
                at += (size_t) r;
                if ((size_t) r < n)
                        break;
        }
        return (ssize_t) at;
}

static DbusStream authenticated(void) {
        static const char auth[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        DbusStream s;

        dbus_stream_init(&s, LARGEST);
        assert_int_equal(take(&s, auth, sizeof auth - 1, 100), sizeof auth - 1);
        assert_int_equal(dbus_stream_begin(&s), 0);
        return s;
}

static void test_auth(void **state) {
        static const struct {
                const char *text;
                ssize_t passes; /* of it, or the error */
                bool held;
        } cases[] = {
#define T(text) text, sizeof text - 1
                { T("\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"), true },
                { T("\0BEGIN\r\n"), true },
                { T("\0\r\n\r\nBEGIN\r\n"), true },
                { "\0BEGIN\r\nl\1", 8, true },
                { T("\0BEGIN\n"), false },
                { T("\0BEGIN\r"), false },
                { T("\0begin\r\n"), false },
                { T("\0BEGIN \r\n"), false },
                { T("\0 BEGIN\r\n"), false },
                { T("\0xBEGIN\r\n"), false },
                { T("\0BEGINBEGIN\r\n"), false },
                { T("\0x\r\rBEGIN\r\n"), false },
                { T("\0BEGIN\r\r\n"), false },
                { T("\0x\nBEGIN\r\n"), false },
                { T("\0x\r\n\nBEGIN\r\n"), false },
                { T("\0\n\rBEGIN\r\n"), false },
                { "BEGIN\r\n", -EPROTO, false },
                { "l\1\0\1", -EPROTO, false },
#undef T
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t piece = 1; piece < 12; piece++) {
                        ssize_t size = cases[i].passes < 0 ? 4 : cases[i].passes + 2 * (i == 3);
                        DbusStream s;

                        dbus_stream_init(&s, LARGEST);
                        assert_int_equal(dbus_stream_begin(&s), -EPROTO);
                        assert_int_equal(take(&s, cases[i].text, (size_t) size, piece),
                                         cases[i].passes);
                        assert_int_equal(s.phase == DBUS_PHASE_HELD, cases[i].held);
                        if (cases[i].held)
                                assert_int_equal(dbus_stream_take(&s, (const uint8_t *) "x", 1), 0);
                        assert_int_equal(dbus_stream_begin(&s), cases[i].held ? 0 : -EPROTO);
                }
}

static void test_auth_is_bounded(void **state) {
        static char line[2 * DBUS_AUTH_MAX];
        DbusStream s;

        for (unsigned lines = 0; lines < 2; lines++) {
                memset(line, 'A', sizeof line);
                for (size_t i = 10; lines && i < sizeof line; i += 10)
                        memcpy(line + i, "\r\n", 2);
                line[0] = '\0';
                dbus_stream_init(&s, LARGEST);
                assert_int_equal(take(&s, line, DBUS_AUTH_MAX + 1, 64), DBUS_AUTH_MAX + 1);
                assert_int_equal(take(&s, "A", 1, 1), -EMSGSIZE);
        }
}

static size_t message(uint8_t *buf, bool big, uint32_t body, uint32_t fields) {
        memset(buf, 0x55, LARGEST);
        memcpy(buf, big ? "B\1\0\1" : "l\1\0\1", 4);
        body = big ? htobe32(body) : htole32(body);
        fields = big ? htobe32(fields) : htole32(fields);
        memcpy(buf + 4, &body, 4);
        memcpy(buf + 12, &fields, 4);
        return DBUS_HEADER_SIZE;
}

static void test_lengths(void **state) {
        static const struct {
                uint32_t body, fields;
                ssize_t size; /* of the message, or the error */
        } cases[] = {
                { 0, 0, 16 }, { 1, 0, 17 }, { 0, 1, 24 }, { 3, 7, 27 }, { 3, 8, 27 }, { 3, 9, 35 },
                { LARGEST - 16, 0, LARGEST }, { LARGEST - 15, 0, -EMSGSIZE },
                { 0, LARGEST - 16, LARGEST }, { 0, LARGEST - 15, -EMSGSIZE }, /* 984 is a multiple of 8 */
                { 128 << 20, 0, -EMSGSIZE }, { 0, 128 << 20, -EMSGSIZE },
                { UINT32_MAX, 0, -EMSGSIZE }, { 0, UINT32_MAX, -EMSGSIZE },
                { UINT32_MAX, UINT32_MAX, -EMSGSIZE }, { UINT32_MAX - 15, 0, -EMSGSIZE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (unsigned k = 0; k < 2 * 40; k++) {
                        DbusStream s = authenticated();
                        uint8_t buf[LARGEST];
                        size_t size = message(buf, k % 2, cases[i].body, cases[i].fields);

                        if (cases[i].size < 0) {
                                assert_int_equal(take(&s, buf, size - 1, k / 2 + 1), size - 1);
                                assert_int_equal(take(&s, buf + size - 1, 1, 1), cases[i].size);
                                continue;
                        }
                        /* Behind it comes the next one, and nothing of it is taken for a header. */
                        for (unsigned round = 0; round < 3; round++) {
                                assert_int_equal(s.n_header + s.rest, 0);
                                assert_int_equal(take(&s, buf, (size_t) cases[i].size, k / 2 + 1),
                                                 cases[i].size);
                        }
                        assert_int_equal(s.n_header + s.rest, 0);
                }
}

static void test_order_of_bytes(void **state) {
        uint8_t buf[LARGEST];
        DbusStream s = authenticated();

        (void) message(buf, false, 0, 0);
        for (unsigned c = 0; c < 256; c++) {
                DbusStream copy = s;

                buf[0] = (uint8_t) c;
                assert_int_equal(take(&copy, buf, DBUS_HEADER_SIZE, 5),
                                 c == 'l' || c == 'B' ? (ssize_t) DBUS_HEADER_SIZE : -EPROTO);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_auth),
                cmocka_unit_test(test_auth_is_bounded),
                cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_order_of_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
