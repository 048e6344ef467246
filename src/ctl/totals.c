/* SPDX-License-Identifier: MIT */
/* Lifetime totals in words: those that people ask for by what they call them, the others by name. */
#include "ctl/totals.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "ctl/style.h"
#include "ctl/text.h"

/* In the order in which they are told. The first ones add up to all resets. */
static const struct Word {
        const char *name;      /* in the history */
        const char *singular;  /* on a line of its own */
        const char *plural;
        const char *brief;     /* among its like */
} words[] = {
        { "resets", "reset", "resets", NULL },
        { "power-ons", "power-on", "power-ons", "power-on" },
        { "soft-resets", "soft reset", "soft resets", "soft" },
        { "hard-resets", "hard reset", "hard resets", "hard" },
        { "watchdog-resets", "watchdog reset", "watchdog resets", "watchdog" },
        { "deep-sleep-wakes", "wake from deep sleep", "wakes from deep sleep", "deep sleep" },
        { "crashes", "crash", "crashes", NULL },
        { "exception", "uncaught exception", "uncaught exceptions", NULL },
        { "delayed-resets", "reset held back", "resets held back", NULL },
        { "deep-sleep", "deep sleep begun", "deep sleeps begun", NULL },
        { "board-stuck", "board that could not be killed", "boards that could not be killed", NULL },
        { "daemon-start", "start of mpyd", "starts of mpyd", NULL },
        { "daemon-stop", "orderly stop of mpyd", "orderly stops of mpyd", NULL },
        { "board-stop", "life ended by a stop of mpyd", "lives ended by a stop of mpyd", NULL },
};

#define NUMBER_MAX 32

/* 1,203; a minus sign only from a database that somebody changed. */
static const char *grouped(int64_t v, char buf[static NUMBER_MAX]) {
        char digits[NUMBER_MAX];
        size_t n, out = 0;
        int start;

        n = (size_t) snprintf(digits, sizeof digits, "%" PRIi64, v);
        start = digits[0] == '-';
        for (size_t i = 0; i < n; i++) {
                if (i > (size_t) start && (n - i) % 3 == 0)
                        buf[out++] = ',';
                buf[out++] = digits[i];
        }
        buf[out] = '\0';
        return buf;
}

typedef struct Text {
        char *buf;
        size_t size, n;
} Text;

static void _printf_(2, 3) put(Text *t, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(t->buf + t->n, t->size - t->n, format, ap);
        va_end(ap);
        t->n = n < 0 ? t->n : MIN(t->n + (size_t) n, t->size - 1);
}

static void put_word(Text *out, const char *separator, const struct Word *w, int64_t v) {
        char number[NUMBER_MAX];

        put(out, "%s%s %s", separator, grouped(v, number),
            w->brief ? w->brief : v == 1 ? w->singular : w->plural);
}

char *totals_sentence(const HistoryTotals *t, char *buf, size_t size) {
        static const char *const troubles[] = { "crashes", "exception", "delayed-resets" };
        Text out = { .buf = buf, .size = size };
        const char *separator = " (";
        char when[TIMESTAMP_MAX];

        buf[0] = '\0';
        put_word(&out, "", &words[0], history_totals_get(t, words[0].name));
        if (t->since_usec)
                put(&out, " since %s%s", format_timestamp(when, sizeof when, t->since_usec),
                    t->since_synced ? "" : "?");
        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                int64_t v = history_totals_get(t, words[i].name);

                if (!words[i].brief || v == 0)
                        continue;
                put_word(&out, separator, &words[i], v);
                separator = ", ";
        }
        if (*separator == ',')
                put(&out, ")");
        separator = "; ";
        for (size_t k = 0; k < ELEMENTSOF(troubles); k++)
                for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                        int64_t v = history_totals_get(t, words[i].name);

                        if (v == 0 || !streq(words[i].name, troubles[k]))
                                continue;
                        put_word(&out, separator, &words[i], v);
                        separator = ", ";
                }
        return buf;
}

static const struct Word *find_word(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i].name, name))
                        return &words[i];
        return NULL;
}

static void print_total(const char *what, int64_t v) {
        char number[NUMBER_MAX];

        printf("%s%14s%s %s\n", style_on(stdout, STYLE_BOLD), grouped(v, number),
               style_off(stdout), what);
}

void totals_print(const HistoryTotals *t) {
        char when[TIMESTAMP_MAX];

        if (t->since_usec)
                printf("Since %s%s:\n", format_timestamp(when, sizeof when, t->since_usec),
                       t->since_synced ? "" : " (the clock was not synchronised)");
        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                int64_t v = history_totals_get(t, words[i].name);

                if (v != 0 || i == 0)
                        print_total(v == 1 ? words[i].singular : words[i].plural, v);
        }
        for (size_t i = 0; i < t->n; i++)
                if (!find_word(t->items[i].name))
                        print_total(t->items[i].name, t->items[i].value);
}
