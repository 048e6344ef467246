/* SPDX-License-Identifier: MIT */
/* Tables: who shrinks, who goes, and that no line is wider than the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "ctl/style.h"
#include "ctl/table.h"
#include "ctl/text.h"

static const TableColumn columns[] = {
        { .title = "ID", .right = true },
        { .title = "CAUSE", .min_width = 6, .drop = 1 },
        { .title = "AFTER", .drop = 2 },
        { .title = "WHY", .min_width = 8 },
};

static const struct {
        unsigned total;
        size_t want[4];
} layouts[] = {
        { 0, { 3, 20, 8, 60 } },   /* unlimited */
        { 97, { 3, 20, 8, 60 } },  /* exactly */
        { 96, { 3, 20, 8, 59 } },  /* the widest gives */
        { 60, { 3, 20, 8, 23 } },
        { 50, { 3, 16, 8, 17 } },  /* then those that are equal, in turn */
        { 31, { 3, 6, 8, 8 } },    /* all at their least */
        { 30, { 3, 11, 0, 12 } },  /* the least important column goes */
        { 20, { 3, 0, 0, 15 } },
        { 10, { 3, 0, 0, 5 } },    /* the last one pays what nobody else can */
        { 2, { 3, 0, 0, 4 } },     /* no more to give */
};

static void test_layout(void **state) {
        static const size_t natural[] = { 3, 20, 8, 60 };

        for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
                size_t got[4];

                table_layout(columns, natural, 4, layouts[i].total, got);
                for (size_t k = 0; k < 4; k++)
                        if (got[k] != layouts[i].want[k])
                                fail_msg("%u columns: %zu %zu %zu %zu", layouts[i].total, got[0],
                                         got[1], got[2], got[3]);
        }
}

static char *print(unsigned width) {
        _cleanup_(table_freep) Table *t = NULL;
        char *text = NULL;
        size_t size;
        FILE *f = tmpfile();

        assert_non_null(f);
        assert_int_equal(table_new(&t, columns, ELEMENTSOF(columns)), 0);
        assert_int_equal(table_add(t, STYLE_RED,
                                   (const char *const[]) { "1", "hard reset", "3min 12s",
                                                           "machine.reset() in Gewächshaus.py" }),
                         0);
        assert_int_equal(table_add_line(t, "- host was booted -"), 0);
        assert_int_equal(table_add(t, STYLE_NONE,
                                   (const char *const[]) { "12", "watchdog reset", NULL,
                                                           "\x1b[2J\nevil" }),
                         0);
        table_print(t, f, width);
        size = (size_t) ftell(f);
        rewind(f);
        text = calloc(1, size + 1);
        assert_non_null(text);
        assert_int_equal(fread(text, 1, size, f), size);
        fclose(f);
        return text;
}

static void test_print(void **state) {
        _cleanup_free_ char *text = print(0);

        assert_string_equal(text,
                            "ID  CAUSE           AFTER     WHY\n"
                            " 1  hard reset      3min 12s  machine.reset() in Gewächshaus.py\n"
                            "- host was booted -\n"
                            "12  watchdog reset            ?[2J evil\n");
}

static void test_print_fits(void **state) {
        for (unsigned width = 12; width <= 100; width++) {
                _cleanup_free_ char *text = print(width);
                char *rest = text, *line;

                while ((line = strsep(&rest, "\n")))
                        if (text_width(line) > width)
                                fail_msg("%u columns: \"%s\"", width, line);
        }
}

static void test_limits(void **state) {
        TableColumn many[TABLE_COLUMNS_MAX + 1] = {};
        Table *t = NULL;

        assert_int_equal(table_new(&t, many, ELEMENTSOF(many)), -EINVAL);
        assert_int_equal(table_new(&t, many, 0), -EINVAL);
        assert_null(t);
        assert_null(table_free(NULL));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layout),
                cmocka_unit_test(test_print),
                cmocka_unit_test(test_print_fits),
                cmocka_unit_test(test_limits),
        };

        style_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
