/* SPDX-License-Identifier: MIT */
/* Which script printed which byte. Stage messages and output travel separately and may be learned in
 * any order; the lines must come out the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "daemon/script-output.h"
#include "util/macros.h"

/* Every line as "stage|line\n". */
static char seen[1 << 18];
static size_t seen_size, longest;

static void on_line(void *userdata, BoardStage stage, const char *line, size_t size) {
        const char *name = board_stage_to_string(stage);

        assert_ptr_equal(userdata, &seen_size);
        assert_in_range(size, 1, SCRIPT_LINE_MAX);
        assert_true(seen_size + strlen(name) + size + 2 < sizeof seen);
        longest = MAX(longest, size);
        seen_size += (size_t) snprintf(seen + seen_size, sizeof seen - seen_size, "%s|", name);
        memcpy(seen + seen_size, line, size);
        seen_size += size;
        seen[seen_size++] = '\n';
        seen[seen_size] = '\0';
}

static void begin(ScriptOutput *o) {
        seen_size = longest = 0;
        seen[0] = '\0';
        script_output_init(o, on_line, &seen_size);
}

static void feed(ScriptOutput *o, const char *text) {
        script_output_feed(o, text, strlen(text));
}

/* A life: what was printed, and at which position each stage began. */
typedef struct Mark {
        BoardStage stage;
        uint64_t pos;
} Mark;

#define ALL_STAGES                                                                       \
        { { BOARD_STAGE_BOOT_INTERNAL, 0 }, { BOARD_STAGE_BOOT, 5 }, { BOARD_STAGE_MAIN, 12 }, \
          { BOARD_STAGE_REPL, 25 } }

static const struct {
        const char *text;
        Mark marks[5];
        size_t n;
        const char *lines;
} lives[] = {
        { "int1\nboot 1\nmain 1\nmain 2>>> 1+1\n2\n>>> ", ALL_STAGES, 4,
          "_boot.py|int1\nboot.py|boot 1\nmain.py|main 1\nmain.py|main 2\n" },
        /* a stage that prints nothing, and one without a newline at its end */
        { "abc",
          { { BOARD_STAGE_BOOT_INTERNAL, 0 }, { BOARD_STAGE_BOOT, 0 }, { BOARD_STAGE_MAIN, 2 } }, 3,
          "boot.py|ab\nmain.py|c\n" },
        /* no stage at all: output of the port itself */
        { "hello\nworld", { { 0 } }, 0, "" },
        { "before\nx\n", { { BOARD_STAGE_MAIN, 7 } }, 1, "main.py|x\n" },
        /* carriage returns and empty lines */
        { "a\r\n\r\n\n b\r\r\nc\rd\n", { { BOARD_STAGE_MAIN, 0 } }, 1,
          "main.py|a\nmain.py| b\nmain.py|c\rd\n" },
        /* what the board prints while it stops is not the script's */
        { "one\nMPY: soft reboot\n", { { BOARD_STAGE_MAIN, 0 }, { BOARD_STAGE_STOPPING, 4 } }, 2,
          "main.py|one\n" },
        /* marks that go back count from the one before */
        { "aabbcc", { { BOARD_STAGE_BOOT, 4 }, { BOARD_STAGE_MAIN, 1 } }, 2, "main.py|cc\n" },
        /* a mark that is never reached */
        { "aa\nbb", { { BOARD_STAGE_BOOT, 0 }, { BOARD_STAGE_MAIN, UINT64_MAX } }, 2,
          "boot.py|aa\nboot.py|bb\n" },
};

/* All marks before the output, in pieces of every size. */
static void test_marks_first(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(lives); i++) {
                size_t size = strlen(lives[i].text);

                for (size_t piece = 1; piece <= size; piece++) {
                        ScriptOutput o;

                        begin(&o);
                        for (size_t k = 0; k < lives[i].n; k++)
                                script_output_mark(&o, lives[i].marks[k].stage, lives[i].marks[k].pos);
                        for (size_t at = 0; at < size; at += piece)
                                script_output_feed(&o, lives[i].text + at, MIN(piece, size - at));
                        assert_int_equal(o.pos, size);
                        script_output_end(&o);
                        assert_string_equal(seen, lives[i].lines);
                }
        }
}

/* Each mark at the last moment: when the output has just reached it. */
static void test_marks_at_the_boundary(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(lives); i++) {
                size_t at = 0, size = strlen(lives[i].text);
                ScriptOutput o;

                begin(&o);
                for (size_t k = 0; k < lives[i].n; k++) {
                        if (lives[i].marks[k].pos <= size && lives[i].marks[k].pos > at) {
                                size_t n = (size_t) lives[i].marks[k].pos - at;

                                script_output_feed(&o, lives[i].text + at, n);
                                at += n;
                        }
                        script_output_mark(&o, lives[i].marks[k].stage, lives[i].marks[k].pos);
                }
                script_output_feed(&o, lives[i].text + at, size - at);
                script_output_end(&o);
                assert_string_equal(seen, lives[i].lines);
        }
}

/* A mark for bytes that have been seen already counts from here; it cannot take a line back. */
static void test_late_mark(void **state) {
        ScriptOutput o;

        begin(&o);
        script_output_mark(&o, BOARD_STAGE_BOOT, 0);
        feed(&o, "one\ntwo");
        script_output_mark(&o, BOARD_STAGE_MAIN, 4);
        feed(&o, "three\n");
        script_output_end(&o);
        assert_string_equal(seen, "boot.py|one\nboot.py|two\nmain.py|three\n");
}

/* The next board starts with nothing of the one before: no stage, no marks, no half line. */
static void test_next_board(void **state) {
        ScriptOutput o;

        begin(&o);
        script_output_mark(&o, BOARD_STAGE_MAIN, 0);
        script_output_mark(&o, BOARD_STAGE_REPL, 100);
        feed(&o, "half a line");
        script_output_end(&o);
        assert_string_equal(seen, "main.py|half a line\n");
        assert_int_equal(o.pos, 0);
        feed(&o, "says the port\n");
        script_output_mark(&o, BOARD_STAGE_BOOT, 14);
        feed(&o, "boot\n");
        script_output_end(&o);
        script_output_end(&o);
        assert_string_equal(seen, "main.py|half a line\nboot.py|boot\n");
}

static void test_long_lines(void **state) {
        static char text[3 * SCRIPT_LINE_MAX + 2];
        static const size_t sizes[] = {
                SCRIPT_LINE_MAX - 1, SCRIPT_LINE_MAX, SCRIPT_LINE_MAX + 1, 2 * SCRIPT_LINE_MAX,
                3 * SCRIPT_LINE_MAX,
        };
        static const char *const ends[] = { "\n", "\r\n", "" };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                for (size_t k = 0; k < ELEMENTSOF(ends); k++) {
                        size_t n_x = 0, n_lines = 0;
                        ScriptOutput o;

                        begin(&o);
                        script_output_mark(&o, BOARD_STAGE_MAIN, 0);
                        memset(text, 'x', sizes[i]);
                        text[sizes[i]] = '\0';
                        feed(&o, text);
                        feed(&o, ends[k]);
                        script_output_end(&o);
                        for (size_t n = 0; n < seen_size; n++) {
                                n_x += seen[n] == 'x';
                                n_lines += seen[n] == '\n';
                        }
                        assert_int_equal(n_x, sizes[i]);
                        assert_int_equal(n_lines, (sizes[i] + SCRIPT_LINE_MAX - 1) / SCRIPT_LINE_MAX);
                        assert_int_equal(longest, MIN(sizes[i], SCRIPT_LINE_MAX));
                        assert_null(strchr(seen, '\r'));
                }
}

/* A long line is not cut within a character. */
static void test_long_lines_of_characters(void **state) {
        static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };

        for (size_t i = 0; i < ELEMENTSOF(characters); i++)
                for (size_t offset = 0; offset < 4; offset++) {
                        size_t size = strlen(characters[i]), n = 0;
                        const char *p = seen;
                        ScriptOutput o;

                        begin(&o);
                        script_output_mark(&o, BOARD_STAGE_MAIN, 0);
                        script_output_feed(&o, "abc", offset);
                        for (unsigned k = 0; k < 2000; k++)
                                feed(&o, characters[i]);
                        script_output_end(&o);
                        while (*p) {
                                assert_memory_equal(p, "main.py|", 8);
                                for (p += 8 + (n == 0 ? offset : 0); *p != '\n'; p += size, n++)
                                        assert_memory_equal(p, characters[i], size);
                                p++;
                        }
                        assert_int_equal(n, 2000);
                }
}

/* Any bytes, and marks without end, from a board that is not honest: bounded, and nothing crashes. */
static void test_flood_of_marks(void **state) {
        static const BoardStage stages[] = { BOARD_STAGE_BOOT, BOARD_STAGE_REPL, BOARD_STAGE_MAIN };
        uint32_t seed = 7;
        ScriptOutput o;

        begin(&o);
        for (unsigned i = 0; i < 100000; i++) {
                uint32_t x = seed = seed * 1664525u + 1013904223u;
                char bytes[32];

                script_output_mark(&o, stages[i % ELEMENTSOF(stages)],
                                   x & 1 ? o.pos + (x >> 20) : ((uint64_t) x << 32) * (x & 2));
                assert_true(o.n_marks <= SCRIPT_MARKS_MAX);
                assert_true(o.size <= SCRIPT_LINE_MAX);
                memset(bytes, (int) (x >> 24), sizeof bytes);
                script_output_feed(&o, bytes, x >> 28);
                seen_size = 0;
        }
        script_output_end(&o);
        assert_int_equal(o.n_marks, 0);

        /* One mark too many costs what is between the newest, and only that. */
        begin(&o);
        for (unsigned i = 0; i <= SCRIPT_MARKS_MAX; i++)
                script_output_mark(&o, i % 2 ? BOARD_STAGE_MAIN : BOARD_STAGE_BOOT, 2 * (i + 1));
        for (unsigned i = 0; i < 2 * SCRIPT_MARKS_MAX + 4; i++)
                feed(&o, "x");
        script_output_end(&o);
        for (unsigned i = 0, at = 0; i < SCRIPT_MARKS_MAX - 1; i++, at += strlen("main.py|xx\n"))
                assert_int_equal(strncmp(seen + at, i % 2 && i < SCRIPT_MARKS_MAX - 2 ? "main.py|xx\n" : "boot.py|xx\n",
                                         strlen("main.py|xx\n")), 0);
        assert_int_equal(seen_size, (SCRIPT_MARKS_MAX - 1) * strlen("main.py|xx\n"));
}

/* The REPL and a program's callbacks print in turns, and the marks come long before the output: whatever is lost, the
 * REPL's is never emitted. */
static void test_the_repls_is_never_a_scripts(void **state) {
        for (unsigned ahead = 1; ahead < 4 * SCRIPT_MARKS_MAX; ahead += 17) {
                unsigned n = 8 * SCRIPT_MARKS_MAX, fed = 0;
                ScriptOutput o;

                begin(&o);
                for (unsigned i = 0; i < n; i++) {
                        script_output_mark(&o, i % 2 ? BOARD_STAGE_MAIN : BOARD_STAGE_REPL, 2 * i);
                        for (; i + 1 >= fed + ahead; fed++)
                                feed(&o, fed % 2 ? "p\n" : "r\n");
                }
                for (; fed < n; fed++)
                        feed(&o, fed % 2 ? "p\n" : "r\n");
                script_output_end(&o);
                assert_null(strstr(seen, "|r"));
                assert_non_null(strstr(seen, "main.py|p"));
                if (ahead <= SCRIPT_MARKS_MAX)
                        assert_int_equal(seen_size, n / 2 * strlen("main.py|p\n"));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_marks_first),
                cmocka_unit_test(test_marks_at_the_boundary),
                cmocka_unit_test(test_late_mark),
                cmocka_unit_test(test_next_board),
                cmocka_unit_test(test_long_lines),
                cmocka_unit_test(test_long_lines_of_characters),
                cmocka_unit_test(test_flood_of_marks),
                cmocka_unit_test(test_the_repls_is_never_a_scripts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
