/* SPDX-License-Identifier: MIT */
/* Text made harmless, and the rate at which a script may log: src/util/text.c, rate-limit.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "util/macros.h"
#include "util/rate-limit.h"
#include "util/text.h"

#define SEC UINT64_C(1000000)

static void test_utf8(void **state) {
        static const struct {
                const char *text;
                size_t size, character;
        } cases[] = {
                { "", 0, 0 },
                { "a", 1, 1 },
                { "\0", 1, 1 },
                { "\x7f", 1, 1 },
                { "\x80", 1, 0 },             /* a continuation alone */
                { "\xc2\x80", 2, 2 },
                { "\xc2", 1, 0 },             /* cut short */
                { "\xc2" "a", 2, 0 },
                { "\xc1\xbf", 2, 0 },         /* overlong */
                { "\xe0\xa0\x80", 3, 3 },
                { "\xe0\x9f\xbf", 3, 0 },     /* overlong */
                { "\xe2\x82\xac", 3, 3 },
                { "\xe2\x82\xac", 2, 0 },
                { "\xed\x9f\xbf", 3, 3 },
                { "\xed\xa0\x80", 3, 0 },     /* surrogate */
                { "\xef\xbf\xbf", 3, 3 },
                { "\xf0\x90\x80\x80", 4, 4 },
                { "\xf0\x8f\xbf\xbf", 4, 0 }, /* overlong */
                { "\xf4\x8f\xbf\xbf", 4, 4 }, /* U+10FFFF */
                { "\xf4\x90\x80\x80", 4, 0 }, /* beyond */
                { "\xf5\x80\x80\x80", 4, 0 },
                { "\xf0\x9f\x90\x8d", 3, 0 },
                { "\xff", 1, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(utf8_character(cases[i].text, cases[i].size), cases[i].character);
}

static void test_sanitise(void **state) {
        static const struct {
                const char *in;
                size_t size;
                const char *out, *with_newline;
        } cases[] = {
                { "", 0, "", "" },
                { "plain", 5, "plain", "plain" },
                { "tab\there", 8, "tab\there", "tab\there" },
                { "a\nb", 3, "a\\x0ab", "a\nb" },
                { "a\r\n", 3, "a\\x0d\\x0a", "a\\x0d\n" },
                { "\x1b[31mred\x1b[0m", 12, "\\x1b[31mred\\x1b[0m", "\\x1b[31mred\\x1b[0m" },
                { "nul\0x", 5, "nul\\x00x", "nul\\x00x" },
                { "\x7f", 1, "\\x7f", "\\x7f" },
                /* CSI in one character */
                { "\xc2\x9b" "31m", 5, "\\xc2\\x9b31m", "\\xc2\\x9b31m" },
                { "\xc2\xa0", 2, "\xc2\xa0", "\xc2\xa0" },
                { "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
                { "\xff\xfe", 2, "\\xff\\xfe", "\\xff\\xfe" },
                { "\xe2\x82", 2, "\\xe2\\x82", "\\xe2\\x82" },
        };
        char out[256];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t n = text_sanitise(out, sizeof out, cases[i].in, cases[i].size, false);

                assert_string_equal(out, cases[i].out);
                assert_int_equal(n, strlen(out));
                n = text_sanitise(out, sizeof out, cases[i].in, cases[i].size, true);
                assert_string_equal(out, cases[i].with_newline);
                assert_int_equal(n, strlen(out));
        }
}

static void test_sanitise_cuts(void **state) {
        static const struct {
                size_t room;
                const char *in, *out;
        } cases[] = {
                { 4, "abc", "abc" },
                { 4, "abcd", "\xe2\x80\xa6" },
                { 6, "abcdef", "ab\xe2\x80\xa6" },
                { 7, "abcdef", "abcdef" },
                { 6, "a\xc3\xbc\xc3\xbc\xc3\xbc", "a\xe2\x80\xa6" }, /* no half characters */
                { 7, "a\xc3\xbc\xc3\xbc\xc3\xbc", "a\xc3\xbc\xe2\x80\xa6" },
                { 8, "ab\x1b\x1b", "ab\xe2\x80\xa6" },               /* nor half escapes */
        };
        char out[16];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                memset(out, '!', sizeof out);
                assert_int_equal(text_sanitise(out, cases[i].room, cases[i].in, strlen(cases[i].in),
                                               false),
                                 strlen(cases[i].out));
                assert_string_equal(out, cases[i].out);
                assert_int_equal(out[cases[i].room], '!');
        }
}

/* Whatever goes in, what comes out is UTF-8 without controls and fits. */
static void test_sanitise_random(void **state) {
        srand(3);
        for (unsigned round = 0; round < 20000; round++) {
                char in[32], out[64];
                size_t size = (size_t) rand() % (sizeof in + 1);
                size_t room = 4 + (size_t) rand() % (sizeof out - 3), n;

                for (size_t i = 0; i < size; i++)
                        in[i] = (char) (rand() >> 5);
                n = text_sanitise(out, room, in, size, false);
                assert_true(n < room);
                assert_int_equal(strlen(out), n);
                for (size_t i = 0; i < n;) {
                        size_t c = utf8_character(out + i, n - i);

                        assert_true(c > 0);
                        assert_true(c > 1 || (uint8_t) out[i] >= 0x20 || out[i] == '\t');
                        i += c;
                }
        }
}

static void test_rate_limit(void **state) {
        RateLimit l = rate_limit_make(5, SEC / 2, 2, 100 * SEC);
        uint64_t now = 100 * SEC;

        for (unsigned i = 0; i < 5; i++)
                assert_true(rate_limit_take(&l, now));
        for (unsigned i = 0; i < 7; i++)
                assert_false(rate_limit_take(&l, now + SEC - 1));
        assert_int_equal(rate_limit_report(&l, now + SEC - 1), 0); /* not while it is shut */
        assert_int_equal(rate_limit_report(&l, now + SEC), 7);
        assert_int_equal(rate_limit_report(&l, now + SEC), 0); /* told once */
        assert_true(rate_limit_take(&l, now + SEC));
        assert_true(rate_limit_take(&l, now + SEC));
        assert_false(rate_limit_take(&l, now + SEC));
        /* Never more than the burst, however long it was quiet. */
        now += 1000000 * SEC;
        assert_int_equal(rate_limit_report(&l, now), 1);
        for (unsigned i = 0; i < 5; i++)
                assert_true(rate_limit_take(&l, now));
        assert_false(rate_limit_take(&l, now));
}

static void test_rate_limit_edges(void **state) {
        RateLimit l = rate_limit_make(3, SEC, 1, 10 * SEC);

        for (unsigned i = 0; i < 3; i++)
                assert_true(rate_limit_take(&l, 10 * SEC));
        assert_false(rate_limit_take(&l, 2 * SEC)); /* a clock that steps back fills nothing */
        assert_true(rate_limit_take(&l, 11 * SEC));
        assert_true(rate_limit_take(&l, INT64_MAX / 2)); /* and one that leaps overflows nothing */
        assert_int_equal(token_bucket_available(&l.bucket, INT64_MAX / 2), 2);

        l = rate_limit_make(UINT32_MAX, 1, UINT32_MAX, 0);
        assert_true(rate_limit_take(&l, INT64_MAX / 2));
        assert_true(rate_limit_take(&l, INT64_MAX / 2));
        assert_int_equal(token_bucket_available(&l.bucket, INT64_MAX / 2), UINT32_MAX - 2);

        /* One that can never hold so many opens when it is full. */
        l = rate_limit_make(2, SEC / 10, 10, 0);
        assert_true(rate_limit_take(&l, 0));
        assert_true(rate_limit_take(&l, 0));
        assert_false(rate_limit_take(&l, SEC / 10));
        assert_true(rate_limit_take(&l, SEC / 5));

        l = rate_limit_make(1, 0, 1, 0); /* no limit */
        for (unsigned i = 0; i < 100; i++)
                assert_true(rate_limit_take(&l, 0));
}

/* A steady flood: one block of lines each period, and each line is either passed or told of. */
static void test_rate_limit_flood(void **state) {
        RateLimit l = rate_limit_make(100, SEC / 10, 10, 0);
        uint64_t passed = 0, told = 0, reports = 0;

        for (uint64_t now = 0; now < 60 * SEC; now += 1000) {
                uint64_t n = rate_limit_report(&l, now);

                told += n;
                reports += n > 0;
                passed += rate_limit_take(&l, now);
        }
        assert_in_range(passed, 100 + 58 * 10, 100 + 60 * 10);
        assert_true(reports <= 60);
        assert_int_equal(passed + told + l.n_suppressed, 60000);
}

static void test_last_line(void **state) {
        static const struct {
                const char *text, *line;
                bool interrupt;
        } cases[] = {
                { "", "", false },
                { "\n\n", "", false },
                { "ValueError: no", "ValueError: no", false },
                { "Traceback:\n  File\nKeyboardInterrupt: \n\n", "KeyboardInterrupt: ", true },
                { "KeyboardInterrupt", "KeyboardInterrupt", true },
                { "Traceback:\nKeyboardInterrupt\nOSError: 5\n", "OSError: 5", false },
                { "Keyboard\n", "Keyboard", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t size;
                const char *line = text_last_line(cases[i].text, &size);

                assert_int_equal(size, strlen(cases[i].line));
                assert_memory_equal(line, cases[i].line, size);
                assert_int_equal(text_is_interrupt(cases[i].text), cases[i].interrupt);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_utf8),
                cmocka_unit_test(test_sanitise),
                cmocka_unit_test(test_sanitise_cuts),
                cmocka_unit_test(test_sanitise_random),
                cmocka_unit_test(test_rate_limit),
                cmocka_unit_test(test_rate_limit_edges),
                cmocka_unit_test(test_rate_limit_flood),
                cmocka_unit_test(test_last_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
