/* SPDX-License-Identifier: MIT */
/* mpyctl's text helpers: widths, harmless text, quoting, spelling, times as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "ctl/style.h"
#include "ctl/text.h"
#include "util/macros.h"

#define SECOND UINT64_C(1000000)

static void test_width_utf8(void **state) {
        size_t w;

        assert_int_equal(text_width("abc"), 3);
        assert_int_equal(text_width("Grün"), 4);
        assert_int_equal(text_width("温度"), 4); /* two columns each */
        assert_int_equal(text_width("e\xcc\x81"), 1); /* combining accent */
        assert_int_equal(text_width("\xff\xfe"), 2); /* not UTF-8 */
        assert_int_equal(text_width(""), 0);

        assert_int_equal(text_fit("Grün", 3, &w), 4);
        assert_int_equal(w, 3);
        assert_int_equal(text_fit("温度", 3, &w), 3); /* never half a character */
        assert_int_equal(w, 2);
        assert_int_equal(text_fit("ab", 10, &w), 2);
}

static void assert_printable(const char *in, bool keep_lines, const char *want) {
        _cleanup_free_ char *out = text_printable(in, keep_lines);

        assert_string_equal(out, want);
}

static void test_printable_is_harmless(void **state) {
        assert_printable("plain Grün", false, "plain Grün");
        assert_printable("\x1b[31mred\x1b]0;title\x07", false, "?[31mred?]0;title?");
        assert_printable("a\r\nb\tc", false, "a b c");
        assert_printable("a\r\nb", true, "a\nb");
        assert_printable("\xc2\x9b" "31m", false, "?31m"); /* C1 CSI */
        assert_printable("bad \xff\xc3", false, "bad ??");
}

static void assert_quoted(const char *in, const char *want) {
        _cleanup_free_ char *out = text_shell_quote(in);

        assert_string_equal(out, want);
}

static void test_shell_quote(void **state) {
        assert_quoted("status", "status");
        assert_quoted("--timeout", "--timeout");
        assert_quoted("", "''");
        assert_quoted("a b", "'a b'");
        assert_quoted("it's", "'it'\\''s'");
        assert_quoted("$(reboot)`x`;\n\\", "'$(reboot)`x`;\n\\'");
        assert_quoted("A=1", "'A=1'");
        assert_quoted("~", "'~'");
}

/* What a real shell makes of it is what was meant. */
static void test_shell_quote_through_sh(void **state) {
        static const char *const words[] = {
                "a", "", "it's", "'", "''", "\"", "\\", "$HOME", "a\nb", "*", "~", "A=1 B",
                "!x", "# no comment", "\x01\x7f", "Grün", "-n", "%s", "{a,b}", "a\t b ",
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                _cleanup_free_ char *quoted = text_shell_quote(words[i]), *command = NULL;
                char got[64] = "";
                size_t n;
                FILE *f;

                assert_true(asprintf(&command, "printf '<%%s>' %s", quoted) > 0);
                f = popen(command, "re");
                assert_non_null(f);
                n = fread(got, 1, sizeof(got) - 1, f);
                assert_int_equal(pclose(f), 0);
                assert_true(n >= 2);
                got[n - 1] = '\0';
                assert_string_equal(got + 1, words[i]);
        }
}

static void test_distance(void **state) {
        assert_int_equal(text_distance("status", "status"), 0);
        assert_int_equal(text_distance("stauts", "status"), 2);
        assert_int_equal(text_distance("stats", "status"), 1);
        assert_int_equal(text_distance("", "abc"), 3);
        assert_int_equal(text_distance("kitten", "sitting"), 3);
}

/* Now: Wednesday 2026-03-18 15:30:00 local, an hour east of Greenwich. */
static const struct {
        const char *text;
        uint64_t want; /* seconds */
} times[] = {
        { "now", 1773844200 },
        { "2h", 1773844200 - 7200 },
        { "2h ago", 1773844200 - 7200 },
        { "-2h", 1773844200 - 7200 },
        { "3 days", 1773844200 - 3 * 86400 },
        { "3 days ago", 1773844200 - 3 * 86400 },
        { "1h 30min", 1773844200 - 5400 },
        { "90s", 1773844200 - 90 },
        { "today", 1773788400 },
        { "yesterday", 1773702000 },
        { "12:00", 1773831600 },
        { "9:05", 1773821100 },
        { "12:00:30", 1773831630 },
        { "2026-01-01", 1767222000 },
        { "2026-01-01 12:00", 1767265200 },
        { "2026-01-01T12:00:05", 1767265205 },
        { "2025-07-01 12:00", 1751364000 }, /* summer time */
        { "@1767265200", 1767265200 },
        { " 2h", 1773844200 - 7200 },
        { "4000 weeks", 0 }, /* before 1970: as far as there is */
};

static void test_since(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                uint64_t t = 1;

                if (parse_since(times[i].text, 1773844200 * SECOND, &t) < 0)
                        fail_msg("\"%s\" was refused", times[i].text);
                if (t != times[i].want * SECOND)
                        fail_msg("\"%s\" is %ju s, not %ju s", times[i].text,
                                 (uintmax_t) (t / SECOND), (uintmax_t) times[i].want);
        }
}

static void test_since_refused(void **state) {
        static const char *const wrong[] = {
                "",     "5",      "soon",       "25:00",      "12:60",      "12",    "12:",
                "2026", "2026-1", "2026-13-01", "2026-02-30", "2026-01-01 99:00", "ago",
                "2 parsecs", "2026-01-01x", "tomorrow", "-", "@", "@x", "@99999999999999999999",
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                uint64_t t = 42;

                if (parse_since(wrong[i], 1773844200 * SECOND, &t) >= 0)
                        fail_msg("\"%s\" was taken", wrong[i]);
                assert_int_equal(t, 42);
        }
}

static void test_timestamp(void **state) {
        char buf[TIMESTAMP_MAX];

        assert_string_equal(format_timestamp(buf, sizeof(buf), 1773844200 * SECOND),
                            "2026-03-18 15:30:00");
        assert_string_equal(format_timestamp(buf, sizeof(buf), 0), "never");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_width_utf8),
                cmocka_unit_test(test_printable_is_harmless),
                cmocka_unit_test(test_shell_quote),
                cmocka_unit_test(test_shell_quote_through_sh),
                cmocka_unit_test(test_distance),
                cmocka_unit_test(test_since),
                cmocka_unit_test(test_since_refused),
                cmocka_unit_test(test_timestamp),
        };

        /* A rule instead of a name: no tzdata needed. */
        (void) setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        tzset();
        style_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
