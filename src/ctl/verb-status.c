/* SPDX-License-Identifier: MIT */
/* mpyctl status: all that matters on one screen, made to be pasted into a bug report. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/doctor.h"
#include "ctl/headline.h"
#include "ctl/history-source.h"
#include "ctl/style.h"
#include "ctl/text.h"
#include "ctl/totals.h"
#include "mpyd/control.h"
#include "util/parse.h"
#include "util/text.h"

#define LABEL_WIDTH 11

/* Long lines break between words so that they stay under their first word. */
static void print_wrapped(const char *text, size_t indent) {
        unsigned columns = style_columns(stdout);
        size_t room = columns > indent + 20 ? columns - indent : SIZE_MAX;

        while (text_width(text) > room) {
                size_t w, fit = text_fit(text, room, &w), n = fit;

                while (n > 0 && text[n] != ' ')
                        n--;
                if (n == 0)
                        n = fit;
                printf("%.*s\n%*s", (int) n, text, (int) indent, "");
                text += n + strspn(text + n, " ");
        }
        printf("%s\n", text);
}

static void print_field(const char *label, Style style, const char *value) {
        _cleanup_free_ char *text = text_printable(value, false);

        printf("%s%*s%c%s %s", style_on(stdout, STYLE_BOLD), LABEL_WIDTH, label,
               *label ? ':' : ' ', style_off(stdout), style_on(stdout, style));
        print_wrapped(text ? text : "", LABEL_WIDTH + 2);
        fputs(style_off(stdout), stdout);
}

static void print_next_step(const char *text) {
        printf("%*s%s%s%s ", LABEL_WIDTH + 2, "", style_on(stdout, STYLE_CYAN), glyph(GLYPH_ARROW),
               style_off(stdout));
        print_wrapped(text, LABEL_WIDTH + 4);
}

static void print_block(const char *label, const char *value) {
        _cleanup_free_ char *text = text_printable(value, true);
        char *line, *rest = text;

        printf("%s%*s:%s\n", style_on(stdout, STYLE_BOLD), LABEL_WIDTH, label, style_off(stdout));
        while (rest && *rest) {
                line = strsep(&rest, "\n");
                printf("%*s%s\n", 4, "", line);
        }
}

/* It may be long ago, and mended since. board_usec: when the life that runs began, 0 when none does. */
static void print_last_error(const char *traceback, uint64_t realtime_usec, uint64_t board_usec) {
        uint64_t now = now_usec(CLOCK_REALTIME);
        char label[TIMESPAN_MAX + 64], span[TIMESPAN_MAX];
        bool earlier = realtime_usec < board_usec;

        if (realtime_usec == 0 || realtime_usec > now)
                (void) snprintf(label, sizeof label, "Last error");
        else
                (void) snprintf(label, sizeof label, "Last error, %s ago%s",
                                format_timespan(span, sizeof span, now - realtime_usec),
                                earlier ? ", before the last reset" : "");
        print_block(label, traceback);
        if (strstr(traceback, "EACCES") && !earlier)
                print_next_step("EACCES is most often a file that the board's user may not read or write (chmod g+rw; a "
                                "directory: chmod g+rwx), or a port below 1024");
}

static void print_safe_mode(const json_t *p) {
        const char *text = property_string(p, "safe_mode_text");
        uint64_t retry = property_u64(p, "safe_mode_retry_boottime"), now = now_usec(CLOCK_BOOTTIME);
        uint64_t strikes = property_u64(p, "strikes");
        char span[TIMESPAN_MAX], line[TIMESPAN_MAX + 80];

        if (!*text) {
                if (strikes == 0)
                        return;
                (void) snprintf(line, sizeof(line), "%" PRIu64 " since the last stable time", strikes);
                print_field("Strikes", STYLE_YELLOW, line);
                return;
        }
        print_field("Mode", STYLE_YELLOW, text);
        if (retry > now) {
                (void) snprintf(line, sizeof(line), "the program is tried again in %s; at once: "
                                                    "mpyctl safe-mode leave",
                                format_timespan(span, sizeof(span), retry - now));
                print_next_step(line);
        } else
                print_next_step("mpyctl safe-mode leave runs the program again");
}

/* At the REPL because the program failed or was stopped: it is not left there. */
static void print_restart(const json_t *p) {
        uint64_t at = property_u64(p, "restart_boottime"), now = now_usec(CLOCK_BOOTTIME);
        char span[TIMESPAN_MAX], line[TIMESPAN_MAX + 80];

        if (at <= now)
                return;
        (void) snprintf(line, sizeof(line), "a soft reset in %s runs boot.py and main.py again, unless "
                                            "somebody uses the REPL", format_timespan(span, sizeof(span), at - now));
        print_field("Restart", STYLE_NONE, line);
}

static void print_board(const json_t *p) {
        char when[TIMESTAMP_MAX], span[TIMESPAN_MAX], line[256];

        if (property_u64(p, "board_pid") == 0)
                return;
        (void) snprintf(line, sizeof(line), "up %s, since %s (pid %" PRIu64 ")",
                        since_boottime(span, sizeof(span),
                                       property_u64(p, "board_started_boottime")),
                        format_timestamp(when, sizeof(when), property_u64(p, "board_started_at")),
                        property_u64(p, "board_pid"));
        print_field("Board", STYLE_NONE, line);
}

static void print_last_reset(const json_t *p) {
        const char *sentence = property_string(p, "last_reset");
        char line[256];

        if (*sentence)
                print_field("Last reset", STYLE_NONE, sentence);
        if (!*property_string(p, "reset_cause"))
                return;
        (void) snprintf(line, sizeof(line), "machine.%s, ResetReason.%s, RunReason.%s",
                        property_string(p, "reset_cause"), property_string(p, "reset_reason"),
                        property_string(p, "run_reason"));
        print_field("Cause", STYLE_NONE, line);
}

static void print_counters(const json_t *p) {
        char when[TIMESTAMP_MAX], line[256];
        uint64_t crashes = property_u64(p, "crashes"), delayed = property_u64(p, "resets_delayed");

        (void) snprintf(line, sizeof(line),
                        "%" PRIu64 " soft, %" PRIu64 " hard, %" PRIu64 " crash%s, %" PRIu64
                        " held back, since %s",
                        property_u64(p, "soft_resets"), property_u64(p, "hard_resets"), crashes,
                        crashes == 1 ? "" : "es", delayed,
                        format_timestamp(when, sizeof(when), property_u64(p, "started_at")));
        print_field("Resets", crashes > 0 ? STYLE_YELLOW : STYLE_NONE, line);
}

static void print_problem(const json_t *p) {
        const StateWords *w = state_words(property_string(p, "state"));
        const char *problem = property_string(p, "problem");

        if (*problem)
                print_field("Problem", STYLE_RED, problem);
        if (*problem || streq(w->state, "stuck"))
                print_next_step(w->next_step ? w->next_step : "mpyctl log says more");
        else if (w->next_step)
                print_field("Next", STYLE_NONE, w->next_step);
}

/* "watchdog_timeout" and "watchdog_fed_before", "watchdog2_…". */
static void print_watchdog(const json_t *p, const char *prefix, WatchdogId id) {
        char name[64], timeout[TIMESPAN_MAX], fed[TIMESPAN_MAX], line[256];
        uint64_t timeout_usec;

        (void) snprintf(name, sizeof(name), "%s_timeout", prefix);
        timeout_usec = property_u64(p, name);
        if (timeout_usec == 0)
                return;
        (void) snprintf(name, sizeof(name), "%s_fed_before", prefix);
        (void) snprintf(line, sizeof(line), "%s is armed, %s; last fed %s ago",
                        watchdog_id_to_string(id),
                        format_timespan(timeout, sizeof(timeout), timeout_usec),
                        format_timespan(fed, sizeof(fed), property_u64(p, name)));
        print_field("Watchdog", STYLE_NONE, line);
}

static void print_watchdogs(const json_t *p) {
        uint64_t stalled = property_u64(p, "stalled_boottime");
        char span[TIMESPAN_MAX], line[256];

        if (stalled > 0) {
                (void) snprintf(line, sizeof(line), "for %s: the program neither runs Python nor waits",
                                since_boottime(span, sizeof(span), stalled));
                print_field("Stalled", STYLE_RED, line);
                print_next_step("it is stuck outside of Python; mpyctl reset ends it");
        }
        print_watchdog(p, "watchdog", WATCHDOG_MACHINE);
        print_watchdog(p, "watchdog2", WATCHDOG_MICROCONTROLLER);
}

static void print_snooze(const json_t *p) {
        uint64_t until = property_u64(p, "snooze_boottime"), now = now_usec(CLOCK_BOOTTIME),
                 left = property_u64(p, "watchdogs_suspended_usec");
        char span[TIMESPAN_MAX], line[128];

        if (left > 0) {
                (void) snprintf(line, sizeof(line), "no watchdog bites for %s (mpyctl snooze --watchdogs)",
                                format_timespan(span, sizeof(span), left));
                print_field("Snooze", STYLE_YELLOW, line);
        }
        if (until <= now)
                return;
        (void) snprintf(line, sizeof(line), "no reboot of the host for %s (mpyctl snooze)",
                        format_timespan(span, sizeof(span), until - now));
        print_field("Snooze", STYLE_NONE, line);
}

static void print_console(const json_t *p) {
        const char *holder = property_string(p, "console_holder");
        char line[512];

        if (*holder)
                (void) snprintf(line, sizeof(line), "%s, in use by %s",
                                property_string(p, "console_path"), holder);
        else
                (void) snprintf(line, sizeof(line), "%s, free",
                                property_string(p, "console_path"));
        print_field("REPL", STYLE_NONE, line);
}

/* How many there were. */
static size_t print_lines(const json_t *p, const char *property, const char *label) {
        const json_t *lines = json_object_get(p, property);
        size_t n = json_array_size(lines);

        for (size_t i = 0; i < n; i++) {
                const char *s = json_string_value(json_array_get(lines, i));

                print_field(i == 0 ? label : "", STYLE_YELLOW, s ? s : "");
        }
        return n;
}

static void print_warnings(const json_t *p) {
        if (print_lines(p, "config_warnings", "Config") > 0)
                print_next_step("correct it, then: mpyctl reload");
        (void) print_lines(p, "warnings", "Warning");
}

/* The last link of the chain, as the kernel and PID 1 tell it; nothing where there is none. */
static void print_hardware_watchdog(void) {
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        DoctorFacts f = {};
        DoctorFinding d;

        doctor_read_watchdogs(root_fd, &f.host);
        if (f.host.n_watchdogs == 0)
                return;
        d = doctor_examine_one(&f, "hardware-watchdog");
        print_field("Host", d.verdict == DOCTOR_FINE ? STYLE_NONE : STYLE_YELLOW, d.text);
        if (*d.remedy)
                print_next_step("mpyctl doctor has the command that arms it");
}

static void print_totals(const HistoryTotals *t) {
        char line[512];

        print_field("In all", STYLE_NONE,
                    t ? totals_sentence(t, line, sizeof(line))
                      : "not known yet: the disk does not answer");
}

static void print_live(const json_t *p, const HistoryTotals *totals) {
        const char *history = property_string(p, "history_state");
        const char *confinement = property_string(p, "confinement");
        const char *traceback = property_string(p, "last_traceback");
        char line[256];

        headline_print(stdout, p);
        print_problem(p);
        print_safe_mode(p);
        print_restart(p);
        print_snooze(p);
        print_board(p);
        print_last_reset(p);
        print_counters(p);
        print_totals(totals);
        print_watchdogs(p);
        print_console(p);
        print_field("History", streq(history, "ok") ? STYLE_NONE : STYLE_YELLOW, history);
        if (!streq(confinement, "ok") && !streq(confinement, ""))
                print_field("Scripts", STYLE_YELLOW, confinement);
        print_field("Files", STYLE_NONE, property_string(p, "flash_dir"));
        (void) snprintf(line, sizeof(line), "pid %" PRIu64 ", state in %s", property_u64(p, "pid"),
                        property_string(p, "state_dir"));
        print_field("Daemon", STYLE_NONE, line);
        print_hardware_watchdog();
        print_warnings(p);
        if (*traceback)
                print_last_error(traceback, property_u64(p, "last_traceback_at"),
                                 property_u64(p, "board_started_at"));
}

/* NULL when they are not known yet: the database is still being opened. */
static HistoryTotals *fetch_totals(sd_bus *bus) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof(*t));

        return t && history_fetch_totals_live(bus, t, NULL) >= 0 ? TAKE_PTR(t) : NULL;
}

static int status_live(const Ctl *c, sd_bus *bus) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_free_ HistoryTotals *totals = NULL;
        json_t *p = NULL;
        int r;

        r = bus_get_properties(bus, &p, &e);
        if (r < 0)
                return bus_explain(c, r, &e, "read the board's state");
        totals = fetch_totals(bus);
        if (c->json) {
                json_object_set_new(p, "totals",
                                    totals ? history_totals_to_json(totals) : json_null());
                json_object_set_new(p, "running", json_true());
                json_dumpf(p, stdout, JSON_INDENT(2));
                fputc('\n', stdout);
        } else
                print_live(p, totals);
        json_decref(p);
        return CTL_EXIT_OK;
}

static void print_offline(const Ctl *c, const HistoryRecord *last, const HistoryTotals *totals,
                          int error) {
        char when[TIMESTAMP_MAX], line[512];

        printf("%s%s mpyd is not running%s\n", style_on(stdout, STYLE_DIM), glyph(GLYPH_DOT),
               style_off(stdout));
        (void) snprintf(line, sizeof(line), "no answer at %s/%s", c->run_dir, CONTROL_SOCKET);
        print_field("Daemon", STYLE_NONE, line);
        if (streq(c->run_dir, CONTROL_DEFAULT_RUN_DIR))
                print_next_step("start it: systemctl start mpyd; why it ended: journalctl -u mpyd");
        else
                print_next_step("start it (in a source tree: make run), or see --run-dir");
        if (last) {
                (void) snprintf(line, sizeof(line), "%s: %s, %s",
                                format_timestamp(when, sizeof(when), last->realtime_usec),
                                reset_cause_words(last->cause),
                                last->detail ? last->detail : "nothing more is known");
                print_field("Last reset", STYLE_NONE, line);
                print_next_step("all of them: mpyctl history");
                print_totals(totals);
                if (last->traceback && !text_is_interrupt(last->traceback))
                        print_last_error(last->traceback, last->realtime_usec, 0);
                return;
        }
        if (error == -EACCES || error == -EPERM)
                (void) snprintf(line, sizeof(line), "not readable for you in %s (try sudo)",
                                c->state_dir);
        else if (error == -ENOENT || error == -ENOTDIR || error == 0)
                (void) snprintf(line, sizeof(line), "none in %s", c->state_dir);
        else
                (void) snprintf(line, sizeof(line), "not readable in %s: %s", c->state_dir,
                                strerror(-error));
        print_field("History", STYLE_NONE, line);
}

static int status_offline(const Ctl *c) {
        HistoryQuery q = { .limit = 1, .only = HISTORY_ONLY_RESETS };
        _cleanup_free_ HistoryTotals *totals = calloc(1, sizeof(*totals));
        HistoryRecord *resets = NULL;
        size_t n = 0;
        int r;

        r = history_fetch_offline(c, &q, &resets, &n);
        if (totals && history_fetch_totals_offline(c, totals) < 0) {
                free(totals);
                totals = NULL;
        }
        if (c->json) {
                json_t *o = json_object();

                json_object_set_new(o, "running", json_false());
                json_object_set_new(o, "state_dir", json_string(c->state_dir));
                json_object_set_new(o, "last_reset_record",
                                    n > 0 ? history_record_to_json(&resets[0]) : json_null());
                json_object_set_new(o, "totals",
                                    totals ? history_totals_to_json(totals) : json_null());
                json_dumpf(o, stdout, JSON_INDENT(2));
                fputc('\n', stdout);
                json_decref(o);
        } else
                print_offline(c, n > 0 ? &resets[0] : NULL, totals, r);
        if (resets)
                history_records_free(resets, n);
        return CTL_EXIT_NOT_RUNNING;
}

static int status_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_connect(c, &bus);
        if (r >= 0)
                return status_live(c, bus);
        if (bus_is_absent(r))
                return status_offline(c);
        return bus_explain(c, r, NULL, "talk to mpyd");
}

const Verb verb_status = {
        .name = "status",
        .summary = "show what the board does and why it last reset",
        .usage = "",
        .help = "Shows the state of the board, its last reset, what is wrong and what to do about\n"
                "it. Made to be pasted into a bug report. Without a running mpyd: the last reset\n"
                "from the state directory.\n\n"
                "Examples:\n"
                "  mpyctl status\n"
                "  mpyctl -H pi@greenhouse status\n"
                "  mpyctl --json status | jq -r .state\n\n"
                "Exit codes:\n"
                "  0  mpyd is running    3  it is not\n",
        .letters = "",
        .max_arguments = 0,
        .run = status_run,
};
