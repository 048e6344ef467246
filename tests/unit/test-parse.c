/* SPDX-License-Identifier: MIT */
/* Text to numbers and back: src/util/parse.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "util/parse.h"

#define UNTOUCHED UINT64_C(0x5555)

typedef struct Case {
        const char *text;
        int result;
        uint64_t value;
} Case;

static void run(const Case *cases, size_t n, int (*parse)(const char *, uint64_t *)) {
        for (size_t i = 0; i < n; i++) {
                uint64_t v = UNTOUCHED;
                int r = parse(cases[i].text, &v);

                if (r != cases[i].result || v != (r < 0 ? UNTOUCHED : cases[i].value))
                        fail_msg("\"%s\": %d, %ju", cases[i].text ? cases[i].text : "(null)", r,
                                 (uintmax_t) v);
        }
}

static void test_boolean(void **state) {
        static const struct {
                const char *text;
                int result;
                bool value;
        } cases[] = {
                { "yes", 0, true },  { "TRUE", 0, true },   { "On", 0, true },   { "1", 0, true },
                { "no", 0, false },  { "false", 0, false }, { "OFF", 0, false }, { "0", 0, false },
                { "", -EINVAL },     { "y", -EINVAL },      { "2", -EINVAL },   { " yes", -EINVAL },
                { "yes ", -EINVAL }, { "01", -EINVAL },     { NULL, -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (int before = 0; before < 2; before++) {
                        bool v = before;

                        assert_int_equal(parse_boolean(cases[i].text, &v), cases[i].result);
                        assert_int_equal(v, cases[i].result < 0 ? before : cases[i].value);
                }
}

static void test_u64(void **state) {
        static const Case cases[] = {
                { "0", 0, 0 },
                { "007", 0, 7 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -ERANGE },
                { "99999999999999999999999999999999", -ERANGE },
                { "99999999999999999999999999999999x", -EINVAL },
                { "", -EINVAL },   { "-1", -EINVAL },   { "+1", -EINVAL }, { " 1", -EINVAL },
                { "1 ", -EINVAL }, { "0x10", -EINVAL }, { "1.0", -EINVAL }, { NULL, -EINVAL },
        };

        run(cases, ELEMENTSOF(cases), parse_u64);
}

static void test_size(void **state) {
        static const Case cases[] = {
                { "0", 0, 0 },
                { "4096", 0, 4096 },
                { "512B", 0, 512 },
                { "1K", 0, 1024 },
                { "16M", 0, 16 << 20 },
                { "2G", 0, UINT64_C(2) << 30 },
                { "1T", 0, UINT64_C(1) << 40 },
                { "1.5M", 0, 3 << 19 },
                { "0.25K", 0, 256 },
                { "1.000000000999K", 0, 1024 },
                { "16777215T", 0, UINT64_C(16777215) << 40 },
                { "16777216T", -ERANGE },
                { "18446744073709551616", -ERANGE },
                { "18446744073709551616K", -ERANGE },
                { "18446744073709551616Q", -EINVAL },
                { "", -EINVAL },    { "K", -EINVAL },   { "12Q", -EINVAL },  { "1k", -EINVAL },
                { "1 K", -EINVAL }, { "1KB", -EINVAL }, { "1.5", -EINVAL },  { "1.5B", -EINVAL },
                { "1.K", -EINVAL }, { ".5K", -EINVAL }, { "-1K", -EINVAL },  { "1,5K", -EINVAL },
                { "1K ", -EINVAL }, { "1\xffK", -EINVAL }, { NULL, -EINVAL },
        };

        run(cases, ELEMENTSOF(cases), parse_size);
}

static void test_timespan(void **state) {
        static const Case cases[] = {
                { "0", 0, 0 },
                { "2", 0, 2 * USEC_PER_SEC },
                { "1.5", 0, 1500000 },
                { "2s", 0, 2 * USEC_PER_SEC },
                { "500ms", 0, 500000 },
                { "7us", 0, 7 },
                { "7\xc2\xb5s", 0, 7 },
                { "1.6ms", 0, 1600 },
                { "1min 30s", 0, 90 * USEC_PER_SEC },
                { "1min30s", 0, 90 * USEC_PER_SEC },
                { "  1 min\t30 sec ", 0, 90 * USEC_PER_SEC },
                { "30s 1min", 0, 90 * USEC_PER_SEC },
                { "1.5h", 0, 90 * USEC_PER_MINUTE },
                { "1h 2m 3s", 0, USEC_PER_HOUR + 2 * USEC_PER_MINUTE + 3 * USEC_PER_SEC },
                { "1 day", 0, USEC_PER_DAY },
                { "2days", 0, 2 * USEC_PER_DAY },
                { "1w", 0, 7 * USEC_PER_DAY },
                { "3 weeks", 0, 21 * USEC_PER_DAY },
                { "0.0000001s", 0, 0 },
                { "1.9999999999s", 0, 1999999 },
                { "infinity", 0, USEC_INFINITY },
                { " infinity ", 0, USEC_INFINITY },
                { "18446744073709551614us", 0, UINT64_MAX - 1 },
                { "18446744073709551615us", -ERANGE }, /* would mean infinity */
                { "18446744073709551616us", -ERANGE },
                { "18446744073709551614us 1us", -ERANGE },
                { "18446744073709551614us 2us", -ERANGE },
                { "99999999999999999999999 weeks", -ERANGE },
                { "99999999999999999999999 moons", -EINVAL },
                { "300000 w 300000000000 w", -ERANGE },
                { "", -EINVAL },        { "   ", -EINVAL },   { "s", -EINVAL },
                { "-1s", -EINVAL },     { "+1s", -EINVAL },   { "1 2s", -EINVAL },
                { "1s 2", -EINVAL },    { "1S", -EINVAL },    { "1x", -EINVAL },
                { "1month", -EINVAL },  { "1.s", -EINVAL },   { ".5s", -EINVAL },
                { "1..5s", -EINVAL },   { "1s,2s", -EINVAL }, { "infinity 1s", -EINVAL },
                { "infinityx", -EINVAL }, { "1s infinity", -EINVAL }, { "1\xff", -EINVAL },
                { NULL, -EINVAL },
        };

        run(cases, ELEMENTSOF(cases), parse_timespan);
}

static void test_format_timespan(void **state) {
        static const struct {
                uint64_t usec;
                const char *text;
        } cases[] = {
                { 0, "0" },
                { 1, "1us" },
                { 999, "999us" },
                { 1000, "1ms" },
                { 1600, "1.6ms" },
                { 500000, "500ms" },
                { 999999, "999.9ms" },
                { USEC_PER_SEC, "1s" },
                { 1550000, "1.5s" },
                { USEC_PER_MINUTE - 1, "59.9s" },
                { USEC_PER_MINUTE, "1min" },
                { 192 * USEC_PER_SEC, "3min 12s" },
                { USEC_PER_HOUR - 1, "59min 59s" },
                { USEC_PER_HOUR, "1h" },
                { 3 * USEC_PER_HOUR + 59 * USEC_PER_SEC, "3h" },
                { USEC_PER_DAY - 1, "23h 59min" },
                { 400 * USEC_PER_DAY + 5 * USEC_PER_HOUR, "400d 5h" },
                { USEC_INFINITY, "infinity" },
                { USEC_INFINITY - 1, "213503982d 8h" },
        };
        char buf[TIMESPAN_MAX], tiny[4];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t back;

                assert_ptr_equal(format_timespan(buf, sizeof buf, cases[i].usec), buf);
                assert_string_equal(buf, cases[i].text);
                /* What is written can be read, and is cut, never more. */
                assert_int_equal(parse_timespan(buf, &back), 0);
                assert_true(back <= cases[i].usec);
        }
        assert_string_equal(format_timespan(tiny, sizeof tiny, 192 * USEC_PER_SEC), "3mi");
}

static void test_format_size(void **state) {
        static const struct {
                uint64_t bytes;
                const char *text;
        } cases[] = {
                { 0, "0B" },           { 1023, "1023B" },    { 1024, "1K" },
                { 65536, "64K" },      { 3 << 19, "1.5M" },  { (1 << 20) - 1, "1023.9K" },
                { 1 << 20, "1M" },     { UINT64_C(5) << 30, "5G" },
                { UINT64_C(1) << 40, "1T" }, { UINT64_MAX, "16777215.9T" },
        };
        char buf[32];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t back;

                assert_string_equal(format_size(buf, sizeof buf, cases[i].bytes), cases[i].text);
                assert_int_equal(parse_size(buf, &back), 0);
                assert_true(back <= cases[i].bytes);
        }
}

static void test_now(void **state) {
        uint64_t a = now_usec(CLOCK_MONOTONIC), b = now_usec(CLOCK_MONOTONIC);

        assert_true(a > 0 && b >= a && b - a < USEC_PER_MINUTE);
        assert_true(now_usec(CLOCK_BOOTTIME) >= a);
        assert_true(now_usec(CLOCK_REALTIME) / USEC_PER_SEC - (uint64_t) time(NULL) + 2 <= 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_boolean),
                cmocka_unit_test(test_u64),
                cmocka_unit_test(test_size),
                cmocka_unit_test(test_timespan),
                cmocka_unit_test(test_format_timespan),
                cmocka_unit_test(test_format_size),
                cmocka_unit_test(test_now),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
