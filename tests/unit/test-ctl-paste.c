/* SPDX-License-Identifier: MIT */
/* Pastes and pipes into the friendly REPL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/paste.h"

#define BEGIN "\x1b[200~"
#define END "\x1b[201~"

typedef int (*Filter)(PasteFilter *f, bool flag, const char *in, size_t size, char **out,
                      size_t *out_size);

/* In pieces of every size: where a read() ends must not matter, but for an ESC at a piece's end. */
static void assert_filtered(Filter filter, bool flag, const char *in, const char *want) {
        size_t n = strlen(in);

        for (size_t piece = n; piece > 0; piece--) {
                PasteFilter f = {};
                char *out = NULL;
                size_t size = 0;
                bool split_marker = false;

                for (size_t at = 0; at < n; at += piece) {
                        size_t len = MIN(piece, n - at);

                        assert_int_equal(filter(&f, flag, in + at, len, &out, &size), 0);
                        split_marker = split_marker || in[at + len - 1] == '\x1b' ||
                                       (len > 1 && in[at + len - 2] == '\x1b') ||
                                       (at > 0 && in[at - 1] == '\x1b');
                }
                if (!split_marker || piece == n) {
                        assert_int_equal(size, strlen(want));
                        if (size > 0)
                                assert_memory_equal(out, want, size);
                }
                free(out);
                paste_filter_done(&f);
        }
}

static void test_keys(void **state) {
        assert_filtered(paste_filter_keys, true, "print(1)\r\x03\x04", "print(1)\r\x03\x04");
        /* arrows, Insert, F9 */
        assert_filtered(paste_filter_keys, true, "\x1b[A\x1b[B\x1b", "\x1b[A\x1b[B\x1b");
        assert_filtered(paste_filter_keys, true, "\x1b[2~\x1b[20~x", "\x1b[2~\x1b[20~x");
        assert_filtered(paste_filter_keys, true, "\x1b\x1b[A", "\x1b\x1b[A");
}

static void test_paste_of_lines(void **state) {
        assert_filtered(paste_filter_keys, true,
                        "a" BEGIN "if x:\r    y()\r\rz()" END "\r",
                        "a\x05if x:\r    y()\r\rz()\x04\r");
        /* line ends as they come */
        assert_filtered(paste_filter_keys, true, BEGIN "a\nb\r\nc" END, "\x05" "a\rb\rc\x04");
        /* what would end the paste mode early, and a marker inside */
        assert_filtered(paste_filter_keys, true, BEGIN "a\x04\x03\rb\t" BEGIN "\r\x01" END,
                        "\x05" "a\rb\t[200~\r\x04");
}

static void test_paste_as_it_is(void **state) {
        /* one line, with or without its end */
        assert_filtered(paste_filter_keys, true, BEGIN "print(1)" END, "print(1)");
        assert_filtered(paste_filter_keys, true, BEGIN "print(1)\r" END, "print(1)\r");
        /* a program reads, or a line is half typed */
        assert_filtered(paste_filter_keys, false, BEGIN "a\rb" END, "a\rb");
        assert_filtered(paste_filter_keys, true, BEGIN END "x", "x");
        /* the line editor drops what is not ASCII: a whole line goes through the paste mode too */
        assert_filtered(paste_filter_keys, true, BEGIN "print('ü')" END, "print('ü')");
        assert_filtered(paste_filter_keys, true, BEGIN "print('ü')\r" END,
                        "\x05print('ü')\r\x04");
}

static void test_pipe(void **state) {
        assert_filtered(paste_filter_pipe, false, "a\n b\r\nc\r", "a\r b\rc\r");
        assert_filtered(paste_filter_pipe, true, "if 1:\n  a\n\nb\n",
                        "if 1:\r\x15  a\r\x15\r\x15" "b\r");
        assert_filtered(paste_filter_pipe, false, "\x03\x04", "\x03\x04");
}

static bool ready_after(const char *text) {
        PromptWatch p = {};

        prompt_watch_feed(&p, text, strlen(text));
        return prompt_watch_is_ready(&p);
}

static void test_prompt(void **state) {
        assert_true(ready_after(">>> "));
        assert_true(ready_after("MicroPython v1.25\r\n>>> "));
        assert_false(ready_after(">>> x"));
        assert_false(ready_after("... "));
        assert_false(ready_after("x>>> "));
        assert_false(ready_after(">>> \r\n"));
        assert_false(ready_after("a very long line that ends in >>> "));
        assert_false(ready_after(""));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_keys),
                cmocka_unit_test(test_paste_of_lines),
                cmocka_unit_test(test_paste_as_it_is),
                cmocka_unit_test(test_pipe),
                cmocka_unit_test(test_prompt),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
