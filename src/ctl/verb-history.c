/* SPDX-License-Identifier: MIT */
/* mpyctl history: why the board reset, months later. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/cli.h"
#include "ctl/history-source.h"
#include "ctl/style.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "util/parse.h"

enum { OPTION_SINCE = 0x100 };

#define LIMIT_DEFAULT 20u
#define LIMIT_MAX 100000u

static Style cause_style(const HistoryReset *h) {
        if (h->cause == RESET_CAUSE_WDT || h->signal != 0)
                return STYLE_RED;
        return h->traceback ? STYLE_YELLOW : STYLE_NONE;
}

static bool has_ended_life(const HistoryReset *h) {
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

static char *summary(const HistoryReset *h) {
        _cleanup_free_ char *exception = h->traceback ? exception_line(h->traceback) : NULL;
        char times[32] = "";
        char *text;

        if (h->repeats > 0)
                (void) snprintf(times, sizeof(times), " (%s%" PRIu64 ")", glyph(GLYPH_TIMES),
                                h->repeats + 1);
        if (asprintf(&text, "%s%s%s%s", h->detail ? h->detail : "", times,
                     exception && *exception ? "; " : "", exception ? exception : "") < 0)
                return NULL;
        return text;
}

static const TableColumn columns[] = {
        { .title = "ID", .right = true },
        { .title = "WHEN" },
        { .title = "CAUSE", .min_width = 10, .drop = 1 },
        { .title = "AFTER", .right = true, .drop = 3 },
        { .title = "WHILE IN", .drop = 2 },
        { .title = "WHY", .min_width = 24 },
};

static int add_row(Table *t, const HistoryReset *h) {
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
                         (const char *const[]) { id, when, reset_cause_words(h->cause), after,
                                                 stage, why });
}

static int print_table(const HistoryReset *resets, size_t n) {
        _cleanup_(table_freep) Table *t = NULL;
        bool unsynced = false;
        int r;

        r = table_new(&t, columns, ELEMENTSOF(columns));
        for (size_t i = n; i > 0 && r >= 0; i--) {
                const HistoryReset *h = &resets[i - 1];

                if (i < n && !streq(h->boot_id, resets[i].boot_id)) {
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

static int print_json(const HistoryReset *resets, size_t n, bool single) {
        json_t *array = json_array();
        json_t *j = NULL;
        int r = 0;

        for (size_t i = n; i > 0 && r >= 0; i--)
                r = json_array_append_new(array, history_reset_to_json(&resets[i - 1]));
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

        printf("%s%12s:%s %s\n", style_on(stdout, STYLE_BOLD), name, style_off(stdout),
               text ? text : "");
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

static void print_one(const HistoryReset *h) {
        char when[TIMESTAMP_MAX], span[TIMESPAN_MAX], line[256];
        const char *name;

        (void) snprintf(line, sizeof(line), "%" PRId64, h->id);
        print_field("Reset", line);
        (void) snprintf(line, sizeof(line), "%s%s",
                        format_timestamp(when, sizeof(when), h->realtime_usec),
                        h->clock_synced ? "" : " (the clock was not synchronised)");
        print_field("When", line);
        print_field("Why", h->detail ? h->detail : "not known");
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
        if (has_ended_life(h)) {
                (void) snprintf(line, sizeof(line), "in %s, after %s",
                                h->stage == BOARD_STAGE_OFF ? "no code yet"
                                                            : board_stage_to_string(h->stage),
                                format_timespan(span, sizeof(span), h->uptime_usec));
                print_field("Ended", line);
                if (h->signal != 0) {
                        name = sigabbrev_np(h->signal);
                        (void) snprintf(line, sizeof(line), "killed by signal %d (SIG%s)",
                                        h->signal, name ? name : "?");
                        print_field("Process", line);
                } else if (h->exit_status >= 0) {
                        (void) snprintf(line, sizeof(line), "exited with status %d",
                                        h->exit_status);
                        print_field("Process", line);
                }
        }
        if (h->repeats > 0) {
                (void) snprintf(line, sizeof(line), "%" PRIu64 " more like it followed at once",
                                h->repeats);
                print_field("Repeats", line);
        }
        (void) snprintf(line, sizeof(line), "%s, %s after its boot", h->boot_id,
                        format_timespan(span, sizeof(span), h->boottime_usec));
        print_field("Host boot", line);
        if (h->late)
                print_field("Note", "the disk was slow: the board booted before this was stored");
        if (h->traceback)
                print_traceback(h->traceback);
}

static int history_show(const Ctl *c, const char *which) {
        HistoryQuery q = { .limit = 1 };
        HistoryReset *resets = NULL;
        uint64_t id = 0;
        size_t n = 0;
        bool live;
        int r;

        if (which && !streq(which, "last") &&
            (parse_u64(which, &id) < 0 || id == 0 || id > INT64_MAX)) {
                complain("\"%s\" is not the number of a reset.", which);
                advise("mpyctl history lists them in the first column");
                return CTL_EXIT_USAGE;
        }
        q.id = (int64_t) id;
        r = history_fetch(c, &q, &resets, &n, &live);
        if (r > 0)
                return r;
        if (n == 0) {
                if (id > 0)
                        complain("There is no reset %" PRIu64 " in the history.", id);
                else
                        complain("The history is empty.");
                advise("mpyctl history lists what there is");
                r = CTL_EXIT_NOT_FOUND;
        } else if (c->json)
                r = print_json(resets, 1, true);
        else
                print_one(&resets[0]);
        history_resets_free(resets, n);
        return r;
}

static int history_list(const Ctl *c, const HistoryQuery *q) {
        HistoryReset *resets = NULL;
        size_t n = 0;
        bool live;
        int r;

        r = history_fetch(c, q, &resets, &n, &live);
        if (r > 0)
                return r;
        if (!live && !c->json && isatty(STDERR_FILENO))
                fprintf(stderr, "mpyd is not running; this is from %s.\n", c->state_dir);
        if (c->json)
                r = print_json(resets, n, false);
        else if (n == 0)
                fprintf(stderr, "No resets%s.\n", q->since_usec > 0 ? " since then" : " yet");
        else
                r = print_table(resets, n);
        history_resets_free(resets, n);
        return r;
}

static int history_run(const Ctl *c, const Invocation *in) {
        const char *since = invocation_argument(in, OPTION_SINCE);
        const char *limit = invocation_argument(in, 'n');
        HistoryQuery q = { .limit = since ? LIMIT_MAX : LIMIT_DEFAULT };
        uint64_t n;

        if (in->n_arguments > 0 && !streq(in->arguments[0], "show")) {
                complain("history does not know \"%s\".", in->arguments[0]);
                advise("mpyctl history, or mpyctl history show N");
                return CTL_EXIT_USAGE;
        }
        if (in->n_arguments > 0) {
                if (since || limit) {
                        complain("history show takes a number, no --since or --limit.");
                        return CTL_EXIT_USAGE;
                }
                return history_show(c, in->arguments[1]);
        }
        if (since && parse_since(since, now_usec(CLOCK_REALTIME), &q.since_usec) < 0) {
                complain("\"%s\" is not a time.", since);
                advise("try 2h, '3 days', today, yesterday, 12:00 or '2026-01-31 12:00'");
                return CTL_EXIT_USAGE;
        }
        if (limit) {
                if (parse_u64(limit, &n) < 0 || n == 0) {
                        complain("\"%s\" is not a number of resets.", limit);
                        return CTL_EXIT_USAGE;
                }
                q.limit = (unsigned) MIN(n, (uint64_t) LIMIT_MAX);
        }
        return history_list(c, &q);
}

static const struct option options[] = {
        { "since", required_argument, NULL, OPTION_SINCE },
        { "limit", required_argument, NULL, 'n' },
        {},
};

const Verb verb_history = {
        .name = "history",
        .summary = "list the board's resets, or show one with its traceback",
        .usage = "[show [N]] [--since TIME] [--limit N]",
        .help = "Lists the resets, the newest last: when, as what the board started again, how\n"
                "long the life before it had lasted, what ran, and why it ended. Works without a\n"
                "running mpyd. \"history show N\" tells all about reset N, with the traceback;\n"
                "without N about the last.\n\n"
                "Options:\n"
                "  --since TIME     2h, '3 days', today, yesterday, 12:00, '2026-01-31 12:00'\n"
                "  -n, --limit N    the newest N (20 without --since)\n\n"
                "Examples:\n"
                "  mpyctl history --since yesterday\n"
                "  mpyctl history show 17\n"
                "  mpyctl --json history -n 100 | jq '.[] | select(.signal > 0)'\n\n"
                "Exit codes:\n"
                "  0  done    9  no such reset    3  not running and no history file\n",
        .letters = "n:",
        .options = options,
        .max_arguments = 2,
        .run = history_run,
};
