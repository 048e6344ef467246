/* SPDX-License-Identifier: MIT */
/* mpyctl history: why the board reset, and what else happened, months later. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/cli.h"
#include "ctl/history-export.h"
#include "ctl/history-source.h"
#include "ctl/style.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/totals.h"
#include "util/parse.h"

enum { OPTION_SINCE = 0x100, OPTION_ONLY, OPTION_TOTALS, OPTION_FORMAT };

#define LIMIT_DEFAULT 20u
#define LIMIT_MAX 100000u
#define FOLD_DEPTH 25u /* for a row of the table, at most so many entries are read */

static Style cause_style(const HistoryRecord *h) {
        if (h->cause == RESET_CAUSE_WDT || h->crashed ||
            (h->name && streq(h->name, "board-stuck")))
                return STYLE_RED;
        if (h->traceback)
                return STYLE_YELLOW;
        return h->name ? STYLE_DIM : STYLE_NONE;
}

/* As what the board began again, or which event it is. */
static const char *what(const HistoryRecord *h) {
        return h->name ? h->name : reset_cause_words(h->cause);
}

static bool has_ended_life(const HistoryRecord *h) {
        return h->stage != BOARD_STAGE_OFF || h->uptime_usec > 0 || h->signal != 0 ||
               h->exit_status > 0;
}

/* The last line of a traceback names the exception. The caller frees it. */
static char *exception_line(const char *traceback) {
        size_t end = strlen(traceback), start;

        while (end > 0 && (traceback[end - 1] == '\n' || traceback[end - 1] == '\r'))
                end--;
        for (start = end; start > 0 && traceback[start - 1] != '\n';)
                start--;
        return strndup(traceback + start, end - start);
}

static char *summary(const HistoryRecord *h) {
        _cleanup_free_ char *exception = NULL;
        char times[32] = "";
        char *text;

        if (h->traceback && !(h->name && streq(h->name, "exception"))) /* which has it in its detail */
                exception = exception_line(h->traceback);
        if (h->repeats > 0)
                (void) snprintf(times, sizeof(times), " (%s%" PRIu64 ")", glyph(GLYPH_TIMES),
                                h->repeats + 1);
        if (asprintf(&text, "%s%s%s%s", h->detail ? h->detail : "", times,
                     exception && *exception ? "; " : "", exception ? exception : "") < 0)
                return NULL;
        return text;
}

/* What a tool leaves at the REPL each time that it comes: mpremote alone soft-resets before each command. */
static bool is_routine(const HistoryRecord *h) {
        return !h->name && h->cause == RESET_CAUSE_SOFT && h->stage == BOARD_STAGE_REPL && !h->traceback &&
               !h->crashed && !h->delayed && h->detail;
}

/* Those in a row, for the same reason, become the newest of them with their number, so that they do not push
 * out of sight what people look for. Keeps the newest limit rows. Returns how many remain. */
static size_t fold_routine(HistoryRecord *records, size_t n, size_t limit) {
        bool full = false;
        size_t k = 0;

        for (size_t i = 0; i < n; i++) {
                HistoryRecord *h = &records[i], *newer = k > 0 ? &records[k - 1] : NULL;

                if (full) {
                        history_record_done(h);
                } else if (newer && is_routine(h) && is_routine(newer) && streq(h->detail, newer->detail) &&
                           streq(h->boot_id, newer->boot_id)) {
                        newer->repeats += 1 + h->repeats;
                        history_record_done(h);
                } else if (k == limit) {
                        full = true;
                        history_record_done(h);
                } else if (&records[k++] != h) {
                        records[k - 1] = *h;
                        *h = (HistoryRecord) {};
                }
        }
        return k;
}

static const TableColumn columns[] = {
        { .title = "ID", .right = true },
        { .title = "WHEN" },
        { .title = "WHAT", .min_width = 10, .drop = 1 },
        { .title = "AFTER", .right = true, .drop = 3 },
        { .title = "WHILE IN", .drop = 2 },
        { .title = "WHY", .min_width = 24 },
};

static int add_row(Table *t, const HistoryRecord *h) {
        char id[24], when[TIMESTAMP_MAX + 1], after[TIMESPAN_MAX] = "";
        _cleanup_free_ char *why = summary(h);
        const char *stage = "";

        if (!why)
                return -ENOMEM;
        (void) snprintf(id, sizeof(id), "%" PRId64, h->id);
        format_timestamp(when, TIMESTAMP_MAX, h->realtime_usec);
        if (!h->clock_synced)
                (void) strcat(when, "?");
        if (has_ended_life(h)) {
                format_timespan(after, sizeof(after), h->uptime_usec);
                stage = board_stage_to_string(h->stage);
        }
        return table_add(t, cause_style(h),
                         (const char *const[]) { id, when, what(h), after,
                                                 stage, why });
}

static int print_table(const HistoryRecord *records, size_t n) {
        _cleanup_(table_freep) Table *t = NULL;
        bool unsynced = false;
        int r;

        r = table_new(&t, columns, ELEMENTSOF(columns));
        for (size_t i = n; i > 0 && r >= 0; i--) {
                const HistoryRecord *h = &records[i - 1];

                if (i < n && !streq(h->boot_id, records[i].boot_id)) {
                        char line[64];

                        (void) snprintf(line, sizeof(line), "%s host was booted %s",
                                        glyph(GLYPH_DASH), glyph(GLYPH_DASH));
                        r = table_add_line(t, line);
                }
                if (r >= 0)
                        r = add_row(t, h);
                unsynced = unsynced || !h->clock_synced;
        }
        if (r < 0) {
                complain("Failed to make the table: %s.", strerror(-r));
                return CTL_EXIT_FAILURE;
        }
        table_print(t, stdout, style_columns(stdout));
        if (unsynced && isatty(STDOUT_FILENO))
                printf("%s?: the clock was not synchronised then%s\n", style_on(stdout, STYLE_DIM),
                       style_off(stdout));
        return CTL_EXIT_OK;
}

static int print_json(const HistoryRecord *records, size_t n, bool single) {
        json_t *array = json_array();
        json_t *j = NULL;
        int r = 0;

        for (size_t i = n; i > 0 && r >= 0; i--)
                r = json_array_append_new(array, history_record_to_json(&records[i - 1]));
        if (r >= 0)
                j = single ? json_array_get(array, 0) : array;
        if (!j || json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0) {
                json_decref(array);
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        fputc('\n', stdout);
        json_decref(array);
        return CTL_EXIT_OK;
}

static void print_field(const char *name, const char *value) {
        _cleanup_free_ char *text = text_printable(value, false);

        printf("%s%12s%s%s %s\n", style_on(stdout, STYLE_BOLD), name, *name ? ":" : " ",
               style_off(stdout), text ? text : "");
}

/* Why it is told as what it is: a line for each finding. */
static void print_evidence(const char *evidence) {
        json_t *array = json_loads(evidence, 0, NULL), *item;
        size_t i;

        json_array_foreach(array, i, item) {
                const char *finding = NULL, *source = NULL, *confidence = NULL, *detail = NULL;
                char line[512];

                if (json_unpack(item, "{s:s, s:s, s:s, s:s}", "finding", &finding, "source", &source,
                                "confidence", &confidence, "detail", &detail) < 0)
                        continue;
                (void) snprintf(line, sizeof(line), "%s (%s): %s [%s]", finding, confidence, detail,
                                source);
                print_field(i == 0 ? "Evidence" : "", line);
        }
        json_decref(array);
}

static void print_traceback(const char *traceback) {
        _cleanup_free_ char *text = text_printable(traceback, true);
        size_t n = text ? strlen(text) : 0;

        if (n == 0)
                return;
        printf("\n%s", text);
        if (text[n - 1] != '\n')
                fputc('\n', stdout);
}

/* As what the next life began. */
static void print_cause(const HistoryRecord *h) {
        const char *name;
        char line[256];

        name = reset_cause_to_string(h->cause);
        (void) snprintf(line, sizeof(line), "%s (machine.%s)", reset_cause_words(h->cause),
                        name ? name : "?");
        print_field("Cause", line);
        name = reset_reason_to_string(h->reason);
        (void) snprintf(line, sizeof(line), "ResetReason.%s", name ? name : "?");
        print_field("Reason", line);
        name = run_reason_to_string(h->run_reason);
        (void) snprintf(line, sizeof(line), "RunReason.%s", name ? name : "?");
        print_field("Run reason", line);
}

static void print_life(const HistoryRecord *h) {
        char span[TIMESPAN_MAX], line[256];
        const char *name;

        (void) snprintf(line, sizeof(line), "in %s, after %s",
                        h->stage == BOARD_STAGE_OFF ? "no code yet"
                                                    : board_stage_to_string(h->stage),
                        format_timespan(span, sizeof(span), h->uptime_usec));
        print_field(h->name && streq(h->name, "exception") ? "Happened" : "Ended", line);
        if (h->signal != 0) {
                name = sigabbrev_np(h->signal);
                (void) snprintf(line, sizeof(line), "killed by signal %d (SIG%s)", h->signal,
                                name ? name : "?");
                print_field("Process", line);
        } else if (h->exit_status >= 0) {
                (void) snprintf(line, sizeof(line), "exited with status %d", h->exit_status);
                print_field("Process", line);
        }
}

static void print_one(const HistoryRecord *h) {
        char when[TIMESTAMP_MAX], span[TIMESPAN_MAX], line[256];

        (void) snprintf(line, sizeof(line), "%" PRId64 "%s%s", h->id, h->name ? ", " : "",
                        h->name ? h->name : "");
        print_field(h->name ? "Event" : "Reset", line);
        (void) snprintf(line, sizeof(line), "%s%s",
                        format_timestamp(when, sizeof(when), h->realtime_usec),
                        h->clock_synced ? "" : " (the clock was not synchronised)");
        print_field("When", line);
        print_field(h->name ? "What" : "Why", h->detail ? h->detail : "not known");
        if (!h->name)
                print_cause(h);
        if (has_ended_life(h))
                print_life(h);
        if (h->repeats > 0) {
                (void) snprintf(line, sizeof(line), "%" PRIu64 " more like it followed at once",
                                h->repeats);
                print_field("Repeats", line);
        }
        (void) snprintf(line, sizeof(line), "%s, %s after its boot", h->boot_id,
                        format_timespan(span, sizeof(span), h->boottime_usec));
        print_field("Host boot", line);
        if (h->delayed)
                print_field("Note", "resets came too fast: the next board was held back");
        if (h->late)
                print_field("Note", "the disk was slow: the board booted before this was stored");
        if (h->evidence)
                print_evidence(h->evidence);
        if (h->traceback)
                print_traceback(h->traceback);
}

static int history_show(const Ctl *c, const char *which) {
        /* "show last" is about the last reset, not about what mpyd noted since. */
        HistoryQuery q = { .limit = 1, .only = HISTORY_ONLY_RESETS };
        HistoryRecord *records = NULL;
        uint64_t id = 0;
        size_t n = 0;
        bool live;
        int r;

        if (which && !streq(which, "last") &&
            (parse_u64(which, &id) < 0 || id == 0 || id > INT64_MAX)) {
                complain("\"%s\" is not the number of an entry.", which);
                advise("mpyctl history lists them in the first column");
                return CTL_EXIT_USAGE;
        }
        q.id = (int64_t) id;
        if (id > 0)
                q.only[0] = '\0';
        r = history_fetch(c, &q, &records, &n, &live);
        if (r > 0)
                return r;
        if (n == 0) {
                if (id > 0)
                        complain("There is no entry %" PRIu64 " in the history.", id);
                else
                        complain("The history is empty.");
                advise("mpyctl history lists what there is");
                r = CTL_EXIT_NOT_FOUND;
        } else if (c->json)
                r = print_json(records, 1, true);
        else
                print_one(&records[0]);
        history_records_free(records, n);
        return r;
}

/* An event's name may be misspelt, and a crash is no event: it is a reset. */
static void tell_nothing(const HistoryQuery *q) {
        fprintf(stderr, "Nothing%s%s%s.\n", *q->only ? " of " : "", q->only,
                q->since_usec > 0 ? " since then" : " yet");
        if (*q->only && !streq(q->only, HISTORY_ONLY_RESETS) && !streq(q->only, HISTORY_ONLY_EVENTS))
                advise("--only takes resets (crashes are among them), events, or an event's name: those that there "
                       "were are in mpyctl history --totals");
}

static int history_list(const Ctl *c, const HistoryQuery *q) {
        HistoryQuery wide = *q;
        HistoryRecord *records = NULL;
        size_t n = 0;
        bool live;
        int r;

        if (!c->json)
                wide.limit = MIN(q->limit * FOLD_DEPTH, LIMIT_MAX);
        r = history_fetch(c, &wide, &records, &n, &live);
        if (r > 0)
                return r;
        if (!c->json)
                n = fold_routine(records, n, q->limit);
        if (!live && !c->json && isatty(STDERR_FILENO))
                fprintf(stderr, "mpyd is not running; this is from %s.\n", c->state_dir);
        if (c->json)
                r = print_json(records, n, false);
        else if (n == 0)
                tell_nothing(q);
        else
                r = print_table(records, n);
        history_records_free(records, n);
        return r;
}

static int history_totals_run(const Ctl *c) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);
        int r;

        if (!t) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        r = history_fetch_totals(c, t);
        if (r > 0)
                return r;
        if (c->json) {
                json_t *j = history_totals_to_json(t);

                json_dumpf(j, stdout, JSON_INDENT(2));
                fputc('\n', stdout);
                json_decref(j);
        } else
                totals_print(t);
        return CTL_EXIT_OK;
}

/* Options of the list. Has complained when it returns an exit code > 0. */
static int read_query(const Invocation *in, HistoryQuery *q) {
        const char *since = invocation_argument(in, OPTION_SINCE);
        const char *limit = invocation_argument(in, 'n');
        const char *only = invocation_argument(in, OPTION_ONLY);
        uint64_t n;

        q->limit = since ? LIMIT_MAX : LIMIT_DEFAULT;
        if (since && parse_since(since, now_usec(CLOCK_REALTIME), &q->since_usec) < 0) {
                complain("\"%s\" is not a time.", since);
                advise("try 2h, '3 days', today, yesterday, 12:00 or '2026-01-31 12:00'");
                return CTL_EXIT_USAGE;
        }
        if (limit) {
                if (parse_u64(limit, &n) < 0 || n == 0) {
                        complain("\"%s\" is not a number of entries.", limit);
                        return CTL_EXIT_USAGE;
                }
                q->limit = (unsigned) MIN(n, (uint64_t) LIMIT_MAX);
        }
        if (only) {
                if (!*only || strlen(only) >= sizeof(q->only)) {
                        complain("\"%s\" is not a kind of entry.", only);
                        advise("resets, events, or an event's name as the WHAT column has it");
                        return CTL_EXIT_USAGE;
                }
                (void) strcpy(q->only, only);
        }
        return 0;
}

static int history_run(const Ctl *c, const Invocation *in) {
        HistoryQuery q = {};
        int r;

        if (in->n_arguments > 0 && streq(in->arguments[0], "export")) {
                const char *format = invocation_argument(in, OPTION_FORMAT);

                if (in->n_arguments > 1 || invocation_has(in, OPTION_TOTALS)) {
                        complain("history export takes --since, --limit, --only and --format.");
                        return CTL_EXIT_USAGE;
                }
                r = read_query(in, &q);
                if (r > 0)
                        return r;
                if (!invocation_has(in, 'n'))
                        q.limit = LIMIT_MAX;
                return history_export(c, &q, format ?: "jsonl");
        }
        if (invocation_has(in, OPTION_FORMAT)) {
                complain("--format goes with history export.");
                return CTL_EXIT_USAGE;
        }
        if (in->n_arguments > 0 && !streq(in->arguments[0], "show")) {
                complain("history does not know \"%s\".", in->arguments[0]);
                advise("mpyctl history, mpyctl history show N, or mpyctl history export");
                return CTL_EXIT_USAGE;
        }
        if (in->n_arguments > 0) {
                if (in->n_options > 0) {
                        complain("history show takes a number and no options.");
                        return CTL_EXIT_USAGE;
                }
                return history_show(c, in->arguments[1]);
        }
        if (invocation_has(in, OPTION_TOTALS)) {
                if (in->n_options > 1) {
                        complain("--totals are those of all time: no other option goes with it.");
                        return CTL_EXIT_USAGE;
                }
                return history_totals_run(c);
        }
        r = read_query(in, &q);
        return r > 0 ? r : history_list(c, &q);
}

static const struct option options[] = {
        { "since", required_argument, NULL, OPTION_SINCE },
        { "limit", required_argument, NULL, 'n' },
        { "only", required_argument, NULL, OPTION_ONLY },
        { "totals", no_argument, NULL, OPTION_TOTALS },
        { "format", required_argument, NULL, OPTION_FORMAT },
        {},
};

const Verb verb_history = {
        .name = "history",
        .summary = "list resets and events, show one with its traceback, or the totals",
        .usage = "[show [N] | export] [--since TIME] [--limit N] [--only WHAT] [--totals] [--format FORMAT]",
        .help = "Lists what happened, the newest last: resets (as what the board started again, how\n"
                "long the life before it had lasted, what ran, and why it ended) and events (an\n"
                "exception, a deep sleep, a start or stop of mpyd, …). Works without a running mpyd.\n"
                "\"history show N\" tells all about entry N, with the traceback; without N about the\n"
                "last reset. Soft resets at the REPL in a row, as tools make them, are one line with\n"
                "their number; --json and export have each. \"history export\" prints all entries for\n"
                "other programs, oldest first, as a JSON object a line or as CSV. \"history --totals\"\n"
                "counts everything since the first entry, also what is too old to be listed.\n\n"
                "Options:\n"
                "  --since TIME     2h, '3 days', today, yesterday, 12:00, '2026-01-31 12:00'\n"
                "  -n, --limit N    the newest N (20 without --since)\n"
                "  --only WHAT      resets, events, or events of one name, as \"exception\"\n"
                "  --totals         how many of each since the first entry\n"
                "  --format FORMAT  of an export: jsonl (default) or csv\n\n"
                "Examples:\n"
                "  mpyctl history --since yesterday\n"
                "  mpyctl history show 17\n"
                "  mpyctl history --only exception -n 100\n"
                "  mpyctl history export --since 30d --format csv > resets.csv\n"
                "  mpyctl --json history -n 100 | jq '.[] | select(.signal > 0)'\n\n"
                "Exit codes:\n"
                "  0  done    9  no such entry    3  not running and no history file\n",
        .letters = "n:",
        .options = options,
        .max_arguments = 2,
        .run = history_run,
};
