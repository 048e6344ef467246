/* SPDX-License-Identifier: MIT */
/* Both forms have the keys of history_record_to_json(), in its order. */
#include "ctl/history-export.h"

#include <jansson.h>
#include <stdio.h>

#include "ctl/history-source.h"
#include "ctl/style.h"

#define CSV_END "\r\n" /* RFC 4180 */

static void print_csv_text(const char *s) {
        if (!s[strcspn(s, ",\"\r\n")]) {
                fputs(s, stdout);
                return;
        }
        putchar('"');
        for (; *s; s++) {
                if (*s == '"')
                        putchar('"');
                putchar(*s);
        }
        putchar('"');
}

/* Nothing for null; a list, which only the evidence is, as JSON. */
static void print_csv_value(const json_t *v) {
        char *text;

        switch (json_typeof(v)) {
        case JSON_STRING:
                print_csv_text(json_string_value(v));
                break;
        case JSON_INTEGER:
                printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
                break;
        case JSON_TRUE:
        case JSON_FALSE:
                fputs(json_is_true(v) ? "true" : "false", stdout);
                break;
        case JSON_ARRAY:
        case JSON_OBJECT:
                text = json_dumps(v, JSON_COMPACT);
                print_csv_text(text ? text : "");
                free(text);
                break;
        case JSON_REAL:
        case JSON_NULL:
                break;
        }
}

static void print_csv_line(json_t *o, bool head) {
        const char *key;
        json_t *value;
        size_t i = 0;

        json_object_foreach(o, key, value) {
                if (i++ > 0)
                        putchar(',');
                if (head)
                        fputs(key, stdout);
                else
                        print_csv_value(value);
        }
        fputs(CSV_END, stdout);
}

static int print_record(const HistoryRecord *r, bool csv) {
        json_t *o = history_record_to_json(r);

        if (!o) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        if (csv)
                print_csv_line(o, false);
        else {
                json_dumpf(o, stdout, JSON_COMPACT);
                putchar('\n');
        }
        json_decref(o);
        return CTL_EXIT_OK;
}

static int print_head(void) {
        json_t *o = history_record_to_json(&(HistoryRecord) { .name = (char *) "none" });

        if (!o) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        print_csv_line(o, true);
        json_decref(o);
        return CTL_EXIT_OK;
}

int history_export(const Ctl *c, const HistoryQuery *q, const char *format) {
        bool csv = streq(format, "csv"), live;
        HistoryRecord *records = NULL;
        size_t n = 0;
        int r;

        if (!csv && !streq(format, "jsonl")) {
                complain("\"%s\" is not a format.", format);
                advise("jsonl (a JSON object a line) or csv");
                return CTL_EXIT_USAGE;
        }
        r = history_fetch(c, q, &records, &n, &live);
        if (r > 0)
                return r;
        r = csv ? print_head() : CTL_EXIT_OK;
        for (size_t i = n; r == CTL_EXIT_OK && i > 0; i--)
                r = print_record(&records[i - 1], csv);
        if (r == CTL_EXIT_OK && (fflush(stdout) == EOF || ferror(stdout))) {
                complain("Failed to write: %s.", strerrordesc_np(errno) ?: "?");
                r = CTL_EXIT_FAILURE;
        }
        history_records_free(records, n);
        return r;
}
