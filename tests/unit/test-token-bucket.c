/* SPDX-License-Identifier: MIT */
/* The rate limit: burst, refill, debt, and clocks at their ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "util/token-bucket.h"
#include "util/macros.h"

#define INTERVAL 1000u

/* Takes at a time after the start, and how long each has to wait. */
static void test_takes(void **state) {
        static const struct {
                unsigned burst, n;
                struct {
                        uint64_t at, wait;
                } takes[6];
        } cases[] = {
                /* a burst, then one an interval, each behind the one before */
                { 3, 6, { { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 1000 }, { 0, 2000 }, { 0, 3000 } } },
                { 1, 5, { { 0, 0 }, { 0, 1000 }, { 1000, 1000 }, { 3000, 0 }, { 3000, 1000 } } },
                /* what is there of a token counts */
                { 1, 4, { { 0, 0 }, { 999, 1 }, { 1999, 1 }, { 3000, 0 } } },
                { 2, 5, { { 0, 0 }, { 0, 0 }, { 500, 500 }, { 1500, 500 }, { 2000, 1000 } } },
                /* one each interval is never held back */
                { 1, 6, { { 0, 0 }, { 1000, 0 }, { 2000, 0 }, { 3000, 0 }, { 4000, 0 },
                          { 4001, 999 } } },
                /* a long rest fills it, not more */
                { 2, 5, { { 0, 0 }, { 0, 0 }, { 1000000, 0 }, { 1000000, 0 }, { 1000000, 1000 } } },
                /* no tokens at all would be no board at all */
                { 0, 2, { { 0, 0 }, { 0, 1000 } } },
        };
        static const uint64_t starts[] = {
                0, 1, 999, 1u << 31, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 1500,
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t k = 0; k < ELEMENTSOF(starts); k++) {
                        TokenBucket b;

                        token_bucket_init(&b, cases[i].burst, INTERVAL, starts[k]);
                        for (size_t n = 0; n < cases[i].n; n++)
                                assert_int_equal(
                                        token_bucket_take(&b, starts[k] + cases[i].takes[n].at),
                                        cases[i].takes[n].wait);
                }
}

static void test_no_limit(void **state) {
        TokenBucket b;

        token_bucket_init(&b, 5, 0, 12345);
        for (unsigned i = 0; i < 10000; i++)
                assert_int_equal(token_bucket_take(&b, 12345), 0);
        assert_int_equal(token_bucket_available(&b, 12345), UINT32_MAX);
}

/* Looking takes nothing, and tells what can be had. */
static void test_available(void **state) {
        TokenBucket b;

        token_bucket_init(&b, 3, INTERVAL, 500);
        for (unsigned left = 3; left > 0; left--) {
                assert_int_equal(token_bucket_available(&b, 500), left);
                assert_int_equal(token_bucket_available(&b, 500), left);
                assert_int_equal(token_bucket_take(&b, 500), 0);
        }
        assert_int_equal(token_bucket_available(&b, 500 + INTERVAL - 1), 0);
        assert_int_equal(token_bucket_available(&b, 500 + INTERVAL), 1);
        assert_int_equal(token_bucket_available(&b, 0), 0); /* a clock that stepped back */
        assert_int_equal(token_bucket_available(&b, 500 + 100 * INTERVAL), 3);
        assert_int_equal(token_bucket_take(&b, 500), INTERVAL); /* in debt */
        assert_int_equal(token_bucket_available(&b, 500 + INTERVAL), 0);
        assert_int_equal(token_bucket_available(&b, 500 + 2 * INTERVAL), 1);
}

/* The whole of a burst is there after a rest of any length. */
static void test_long_rest(void **state) {
        static const uint64_t rests[] = { 5 * INTERVAL, UINT64_C(1) << 40, INT64_MAX / 2 };

        for (size_t i = 0; i < ELEMENTSOF(rests); i++) {
                uint64_t now = 7;
                TokenBucket b;

                token_bucket_init(&b, 5, INTERVAL, now);
                for (unsigned round = 0; round < 3; round++) {
                        for (unsigned n = 0; n < 5; n++)
                                assert_int_equal(token_bucket_take(&b, now), 0);
                        assert_int_equal(token_bucket_take(&b, now), INTERVAL);
                        now += INTERVAL + rests[i];
                }
        }
}

/* Whatever is configured: the burst is granted, the next one waits. */
static void test_large_numbers(void **state) {
        static const struct {
                unsigned burst;
                uint64_t interval;
        } cases[] = {
                { 1, UINT64_MAX }, { UINT32_MAX, UINT64_MAX }, { 20, UINT64_MAX / 3 },
                { UINT32_MAX, 86400000000 }, { 1000000, INT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned n = MIN(cases[i].burst, 1000u);
                TokenBucket b;

                token_bucket_init(&b, cases[i].burst, cases[i].interval, 1000);
                for (unsigned k = 0; k < n; k++)
                        assert_int_equal(token_bucket_take(&b, 1000), 0);
                if (n == cases[i].burst)
                        assert_true(token_bucket_take(&b, 1000) > UINT32_MAX);
        }
}

/* Over a long storm the rate is the configured one: whoever waits as told gets one an interval. */
static void test_rate(void **state) {
        uint64_t now = UINT64_MAX - 50 * INTERVAL, start = now; /* the clock wraps on the way */
        TokenBucket b;

        token_bucket_init(&b, 20, INTERVAL, now);
        for (unsigned i = 0; i < 1020; i++)
                now += token_bucket_take(&b, now);
        assert_int_equal(now - start, 1000 * INTERVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_takes),
                cmocka_unit_test(test_no_limit),
                cmocka_unit_test(test_available),
                cmocka_unit_test(test_long_rest),
                cmocka_unit_test(test_large_numbers),
                cmocka_unit_test(test_rate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
