/* SPDX-License-Identifier: MIT */
/* mpyctl top: what the board does and needs, again and again. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/headline.h"
#include "ctl/style.h"
#include "ctl/term.h"
#include "ctl/text.h"
#include "mpyd/control.h"
#include "util/io.h"
#include "util/parse.h"

enum { OPTION_INTERVAL = 0x100 };

#define INTERVAL_DEFAULT_USEC USEC_PER_SEC
#define INTERVAL_MIN_USEC (100 * USEC_PER_MSEC)
#define LABEL_WIDTH 11
#define LOG_LINES 10u
#define STAT_MAX 4096u

/* Of the board's process, as /proc tells it to everybody. */
typedef struct Usage {
        uint64_t pid; /* 0: there is none */
        uint64_t cpu_usec, memory, threads;
} Usage;

typedef struct Sample {
        uint64_t monotonic_usec;
        json_t *properties;
        Usage usage;
} Sample;

static void sample_done(Sample *s) {
        json_decref(s->properties);
        *s = (Sample) {};
}

/* proc_pid_stat(5): behind the name, which may hold anything, field 3 comes first. */
static Usage read_usage(uint64_t pid) {
        enum { UTIME = 14 - 3, STIME = 15 - 3, THREADS = 20 - 3, RSS = 24 - 3 };
        uint64_t hz = (uint64_t) sysconf(_SC_CLK_TCK), page = (uint64_t) sysconf(_SC_PAGESIZE), ticks = 0;
        _cleanup_free_ char *text = NULL;
        Usage u = { .pid = pid };
        char path[64], *field, *rest;
        size_t size;

        (void) snprintf(path, sizeof path, "/proc/%" PRIu64 "/stat", pid);
        if (pid == 0 || read_file(AT_FDCWD, path, STAT_MAX, &text, &size) < 0 || !(rest = strrchr(text, ')')))
                return (Usage) {};
        rest += MIN((size_t) 2, strlen(rest));
        for (int i = 0; i <= RSS && (field = strsep(&rest, " ")); i++) {
                uint64_t v;

                if (parse_u64(field, &v) < 0)
                        continue;
                if (i == UTIME || i == STIME)
                        ticks += v;
                else if (i == THREADS)
                        u.threads = v;
                else if (i == RSS)
                        u.memory = v * page;
        }
        u.cpu_usec = ticks * USEC_PER_SEC / hz;
        return u;
}

/* Of one processor, since the sample before or, without one of this board, since it started. */
static double processor_percent(const Sample *s, const Sample *before) {
        uint64_t started = property_u64(s->properties, "board_started_boottime"), now = now_usec(CLOCK_BOOTTIME);
        uint64_t used = s->usage.cpu_usec, time = started < now ? now - started : 0;

        if (before->usage.pid == s->usage.pid) {
                used -= MIN(before->usage.cpu_usec, used);
                time = s->monotonic_usec - before->monotonic_usec;
        }
        return time == 0 ? 0 : 100.0 * (double) used / (double) time;
}

/* ---- the screen ---- */

static void _printf_(3, 4) put(FILE *f, const char *label, const char *format, ...) {
        va_list ap;

        fprintf(f, "%*s: ", LABEL_WIDTH, label);
        va_start(ap, format);
        (void) vfprintf(f, format, ap);
        va_end(ap);
        fputc('\n', f);
}

static void put_process(FILE *f, const Sample *s, const Sample *before) {
        char memory[TIMESPAN_MAX], span[TIMESPAN_MAX];

        if (s->usage.pid == 0)
                return;
        put(f, "Board", "up %s, %.1f%% of a processor, %s of memory, %" PRIu64 " threads (pid %" PRIu64 ")",
            since_boottime(span, sizeof span, property_u64(s->properties, "board_started_boottime")),
            processor_percent(s, before), format_size(memory, sizeof memory, s->usage.memory), s->usage.threads,
            s->usage.pid);
}

static void put_heap(FILE *f, const json_t *p, const json_t *before, uint64_t usec) {
        char size[TIMESPAN_MAX], max[TIMESPAN_MAX], left[TIMESPAN_MAX], last[TIMESPAN_MAX], longest[TIMESPAN_MAX];
        uint64_t n = property_u64(p, "gc_count"), n_before = before ? property_u64(before, "gc_count") : 0;
        bool same_board = before && property_u64(p, "board_pid") == property_u64(before, "board_pid");

        if (property_u64(p, "heap_size") == 0)
                return;
        put(f, "Heap", "%s, %s of it free after the last collection; it may grow to %s",
            format_size(size, sizeof size, property_u64(p, "heap_size")),
            format_size(left, sizeof left, property_u64(p, "heap_free")),
            format_size(max, sizeof max, property_u64(p, "heap_max")));
        if (n == 0) {
                put(f, "GC", "no collection yet");
                return;
        }
        format_timespan(last, sizeof last, property_u64(p, "gc_last_usec"));
        format_timespan(longest, sizeof longest, property_u64(p, "gc_longest_usec"));
        if (same_board && usec > 0)
                put(f, "GC", "%" PRIu64 " collections, %.1f a second; the last took %s, the longest %s", n,
                    (double) (n - MIN(n_before, n)) * 1e6 / (double) usec, last, longest);
        else
                put(f, "GC", "%" PRIu64 " collections; the last took %s, the longest %s", n, last, longest);
}

static void put_resets(FILE *f, const json_t *p) {
        uint64_t timeout = property_u64(p, "watchdog_timeout");
        char span[TIMESPAN_MAX], fed[TIMESPAN_MAX];

        put(f, "Last reset", "%s", property_string(p, "last_reset"));
        put(f, "Resets", "%" PRIu64 " soft, %" PRIu64 " hard, %" PRIu64 " crashes, %" PRIu64 " held back; %" PRIu64 " strikes",
            property_u64(p, "soft_resets"), property_u64(p, "hard_resets"), property_u64(p, "crashes"),
            property_u64(p, "resets_delayed"), property_u64(p, "strikes"));
        if (*property_string(p, "safe_mode_text"))
                put(f, "Mode", "%s", property_string(p, "safe_mode_text"));
        if (*property_string(p, "problem"))
                put(f, "Problem", "%s", property_string(p, "problem"));
        if (timeout > 0)
                put(f, "Watchdog", "%s; last fed %s ago", format_timespan(span, sizeof span, timeout),
                    format_timespan(fed, sizeof fed, property_u64(p, "watchdog_fed_before")));
        if (property_u64(p, "stalled_boottime") > 0)
                put(f, "Stalled", "for %s: the program neither runs Python nor waits",
                    since_boottime(span, sizeof span, property_u64(p, "stalled_boottime")));
}

static void put_log(FILE *f, sd_bus *bus, uint32_t lines) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *ident, *text;
        uint64_t usec;
        uint8_t level;

        if (lines == 0 || bus_call(bus, "GetLog", NULL, &reply, "u", lines) < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(tyss)") < 0)
                return;
        fputc('\n', f);
        while (sd_bus_message_read(reply, "(tyss)", &usec, &level, &ident, &text) > 0) {
                char when[TIMESTAMP_MAX];

                fprintf(f, "%s %s: %s\n", format_timestamp(when, sizeof when, usec), ident, text);
        }
}

/* Draws over what was drawn before, line by line and none of them longer than the terminal. Returns how many
 * lines there are now. */
static unsigned draw(const char *screen, unsigned n_before, bool terminal) {
        unsigned columns = style_columns(stdout), n = 0;
        _cleanup_free_ char *text = text_printable(screen, true);
        char *line, *rest = text;

        if (terminal && n_before > 0)
                printf("\r\033[%uA", n_before);
        while (rest && *rest) {
                size_t width, fit;

                line = strsep(&rest, "\n");
                fit = columns > 0 ? text_fit(line, columns, &width) : strlen(line);
                printf("%.*s%s\n", (int) fit, line, terminal ? "\033[K\r" : "");
                n++;
        }
        if (terminal)
                fputs("\033[J", stdout);
        return n;
}

static unsigned terminal_rows(void) {
        struct winsize ws;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) >= 0 && ws.ws_row > 0 ? ws.ws_row : 24;
}

/* ---- a sample ---- */

static void print_json(const Sample *s, const Sample *before) {
        static const char *const names[] = {
                "state", "stage", "board_pid", "heap_max", "heap_size", "heap_free", "gc_count", "gc_last_usec",
                "gc_longest_usec", "soft_resets", "hard_resets", "crashes", "resets_delayed", "strikes", "safe_mode",
        };
        json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:f}", "realtime_usec", (json_int_t) now_usec(CLOCK_REALTIME),
                              "cpu_usec", (json_int_t) s->usage.cpu_usec, "memory_bytes",
                              (json_int_t) s->usage.memory, "threads", (json_int_t) s->usage.threads,
                              "processor_percent", s->usage.pid > 0 ? processor_percent(s, before) : 0.0);

        for (size_t i = 0; o && i < ELEMENTSOF(names); i++)
                (void) json_object_set(o, names[i], json_object_get(s->properties, names[i]));
        if (o) {
                json_dumpf(o, stdout, JSON_COMPACT);
                fputc('\n', stdout);
        }
        json_decref(o);
}

static unsigned count_lines(const char *text) {
        unsigned n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

static void show(sd_bus *bus, const Sample *s, const Sample *before, bool terminal, unsigned *n_lines) {
        _cleanup_free_ char *screen = NULL;
        size_t size;
        FILE *f = open_memstream(&screen, &size);

        if (!f)
                return;
        headline_print(f, s->properties);
        put_process(f, s, before);
        put_heap(f, s->properties, before->properties, s->monotonic_usec - before->monotonic_usec);
        put_resets(f, s->properties);
        if (terminal) {
                /* One line above the log, and the cursor's below it: what scrolls out cannot be drawn over. */
                unsigned rows = terminal_rows(), taken = 2;

                if (fflush(f) == 0)
                        taken += count_lines(screen);
                put_log(f, bus, rows > taken ? MIN(rows - taken, LOG_LINES) : 0);
        }
        (void) fclose(f);
        *n_lines = draw(screen, *n_lines, terminal);
}

static int take(const Ctl *c, sd_bus *bus, Sample *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r = bus_get_properties(bus, &ret->properties, &e);

        if (r < 0)
                return bus_explain(c, r, &e, "read the board's state");
        ret->monotonic_usec = now_usec(CLOCK_MONOTONIC);
        ret->usage = read_usage(property_u64(ret->properties, "board_pid"));
        return CTL_EXIT_OK;
}

/* True when q, Ctrl-C or Ctrl-D was typed meanwhile. */
static bool wait_or_quit(uint64_t usec, bool keys) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + usec, now;

        while ((now = now_usec(CLOCK_MONOTONIC)) < until) {
                struct pollfd pfd = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
                char key;

                if (poll(&pfd, 1, (int) ((until - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC)) <= 0)
                        continue;
                if (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q' || key == 3 || key == 4)
                        return true;
        }
        return false;
}

static int top(const Ctl *c, uint64_t count, uint64_t interval_usec, bool terminal) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        Sample before = {};
        unsigned n_lines = 0;
        int r;

        r = bus_connect_or_explain(c, &bus);
        for (uint64_t i = 0; r == CTL_EXIT_OK && i < count; i++) {
                Sample now = {};

                if (i > 0 && wait_or_quit(interval_usec, terminal))
                        break;
                r = take(c, bus, &now);
                if (r == CTL_EXIT_OK && c->json)
                        print_json(&now, &before);
                else if (r == CTL_EXIT_OK) {
                        if (!terminal && i > 0)
                                fputc('\n', stdout);
                        show(bus, &now, &before, terminal, &n_lines);
                }
                sample_done(&before);
                before = now;
                if (fflush(stdout) != 0)
                        r = CTL_EXIT_FAILURE;
        }
        sample_done(&before);
        return r;
}

static int top_run(const Ctl *c, const Invocation *in) {
        const char *n = invocation_argument(in, 'n'), *interval = invocation_argument(in, OPTION_INTERVAL);
        bool terminal = !c->json && isatty(STDOUT_FILENO);
        uint64_t count = terminal ? UINT64_MAX : 1, usec = INTERVAL_DEFAULT_USEC;
        int r;

        if (n && (parse_u64(n, &count) < 0 || count == 0)) {
                complain("\"%s\" is not a number of times.", n);
                return CTL_EXIT_USAGE;
        }
        if (interval && (parse_timespan(interval, &usec) < 0 || usec < INTERVAL_MIN_USEC || usec > USEC_PER_DAY)) {
                complain("\"%s\" is not a time from 100ms to a day; write one such as 2s.", interval);
                return CTL_EXIT_USAGE;
        }
        terminal = terminal && isatty(STDIN_FILENO) && term_set_raw(STDIN_FILENO, false) >= 0;
        r = top(c, count, usec, terminal);
        term_restore();
        return r;
}

static const struct option options[] = {
        { "interval", required_argument, NULL, OPTION_INTERVAL },
        {},
};

const Verb verb_top = {
        .name = "top",
        .summary = "watch what the board does and needs",
        .usage = "[-n COUNT] [--interval TIME]",
        .help = "Shows, again and again, what runs, how much of a processor and how much memory it takes,\n"
                "the heap and its collections, resets, and the last lines of the log. q ends it. Into a\n"
                "file or a pipe it prints what there is once.\n\n"
                "Options:\n"
                "  -n COUNT         so often, then end\n"
                "  --interval TIME  how long to wait between two (1s; 100ms at least)\n\n"
                "With --json, a line for each time.\n\n"
                "Examples:\n"
                "  mpyctl top\n"
                "  mpyctl --json top -n 3600 > hour.jsonl\n\n"
                "Exit codes:\n"
                "  0  done    3  mpyd is not running    7  it went away meanwhile\n",
        .letters = "n:",
        .options = options,
        .run = top_run,
};
