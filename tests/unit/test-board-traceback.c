/* SPDX-License-Identifier: MIT */
/* Catching the text of an exception: only when asked, only from the right moment, bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "board/traceback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_text(const char *expected) {
        const char *text;
        size_t size = traceback_end(&text);

        assert_int_equal(size, strlen(expected));
        assert_memory_equal(text, expected, size);
}

static void test_catches_between_begin_and_end(void **state) {
        traceback_enable(1);
        traceback_add("printed by the program", 22);
        traceback_begin();
        traceback_add("Trace", 5);
        traceback_add("back", 4);
        assert_text("Traceback");
        traceback_add("more", 4);
        traceback_begin(); /* the next one starts anew */
        assert_text("");
}

static void test_off_for_the_repl(void **state) {
        traceback_enable(0);
        traceback_begin();
        traceback_add("Traceback", 9);
        assert_text("");
}

/* Of more than it can hold the beginning and the end are there. */
static void test_bounded(void **state) {
        const char *text;
        char line[64];
        size_t size;

        traceback_enable(1);
        traceback_begin();
        for (int i = 0; i < 10000; i++) {
                int n = snprintf(line, sizeof line, "line %d\n", i);

                traceback_add(line, (size_t) n);
        }
        traceback_add("ValueError: x", 13);
        size = traceback_end(&text);
        assert_in_range(size, 16 * 1024, 64 * 1024);
        assert_memory_equal(text, "line 0\nline 1\n", 14);
        assert_memory_equal(text + size - 13, "ValueError: x", 13);
        assert_memory_equal(text + size - 13 - 10, "line 9999\n", 10);
}

static void test_one_huge_piece(void **state) {
        size_t huge_size = 1024 * 1024, size;
        char *huge = malloc(huge_size);
        const char *text;

        assert_non_null(huge);
        memset(huge, 'x', huge_size);
        huge[0] = 'A';
        huge[huge_size - 1] = 'Z';
        traceback_enable(1);
        traceback_begin();
        traceback_add(huge, huge_size);
        size = traceback_end(&text);
        assert_true(size < 64 * 1024);
        assert_int_equal(text[0], 'A');
        assert_int_equal(text[size - 1], 'Z');
        free(huge);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_catches_between_begin_and_end),
                cmocka_unit_test(test_off_for_the_repl),
                cmocka_unit_test(test_bounded),
                cmocka_unit_test(test_one_huge_piece),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
