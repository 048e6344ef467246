/* SPDX-License-Identifier: MIT */
/* mpyctl log: the daemon's and the scripts' lines, also where there is no journal. */
#include <jansson.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/style.h"
#include "ctl/text.h"
#include "mpyd/control.h"
#include "util/parse.h"

#define LINES_DEFAULT 50u
#define RECONNECT_USEC (500 * USEC_PER_MSEC)

typedef struct Follow {
        const Ctl *ctl;
        uint32_t lines;
        uint64_t started_at;  /* of the daemon that was followed */
        uint64_t last_usec;   /* of the last line printed: what is older has been seen */
        bool caught_up;       /* the answer of GetLog has come: signals before it are in it */
        bool failed;
} Follow;

static Style level_style(int level) {
        if (level <= LOG_ERR)
                return STYLE_RED;
        if (level == LOG_WARNING)
                return STYLE_YELLOW;
        if (level == LOG_NOTICE)
                return STYLE_BOLD;
        return level >= LOG_DEBUG ? STYLE_DIM : STYLE_NONE;
}

static void print_line(const Ctl *c, uint64_t usec, uint8_t level, const char *ident,
                       const char *text) {
        _cleanup_free_ char *name = NULL, *message = NULL;
        char when[TIMESTAMP_MAX];

        if (c->json) {
                json_t *j = json_pack("{s:I,s:i,s:s,s:s}", "realtime_usec", (json_int_t) usec,
                                      "priority", (int) level, "ident", ident, "message", text);

                if (j) {
                        json_dumpf(j, stdout, JSON_COMPACT);
                        fputc('\n', stdout);
                        json_decref(j);
                }
                return;
        }
        name = text_printable(ident, false);
        message = text_printable(text, false);
        if (!name || !message)
                return;
        format_timestamp(when, sizeof(when), usec);
        printf("%s%s.%03u%s %s%s:%s %s%s%s\n", style_on(stdout, STYLE_DIM), when,
               (unsigned) (usec / USEC_PER_MSEC % 1000), style_off(stdout),
               style_on(stdout, STYLE_CYAN), name, style_off(stdout),
               style_on(stdout, level_style(level)), message, style_off(stdout));
}

static int print_reply(const Ctl *c, sd_bus_message *m, uint64_t *last_usec) {
        const char *ident, *text;
        uint64_t usec, seen = *last_usec;
        uint8_t level;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(tyss)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(tyss)", &usec, &level, &ident, &text)) > 0)
                if (usec > seen) {
                        print_line(c, usec, level, ident, text);
                        *last_usec = usec;
                }
        return r;
}

static int log_print(const Ctl *c, uint32_t lines) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        uint64_t last = 0;
        int r;

        r = bus_connect_or_explain(c, &bus);
        if (r > 0) {
                if (r == CTL_EXIT_NOT_RUNNING)
                        advise("older lines: journalctl -u mpyd");
                return r;
        }
        r = bus_call(bus, "GetLog", &e, &reply, "u", lines);
        if (r >= 0)
                r = print_reply(c, reply, &last);
        return r < 0 ? bus_explain(c, r, &e, "read the log") : CTL_EXIT_OK;
}

static int on_logged(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Follow *f = userdata;
        const char *ident, *text;
        uint64_t usec;
        uint8_t level;

        if (!f->caught_up || sd_bus_message_read(m, "tyss", &usec, &level, &ident, &text) < 0)
                return 0;
        print_line(f->ctl, usec, level, ident, text);
        f->last_usec = usec;
        return 0;
}

static int on_lines(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Follow *f = userdata;

        if (sd_bus_message_is_method_error(m, NULL) || print_reply(f->ctl, m, &f->last_usec) < 0)
                f->failed = true;
        f->caught_up = true;
        return 0;
}

/* Follows one connection to its end. */
static int follow_bus(Follow *f, sd_bus *bus, sd_bus_error *e) {
        uint64_t started_at;
        int r;

        f->caught_up = false;
        r = sd_bus_get_property_trivial(bus, NULL, CONTROL_PATH, CONTROL_INTERFACE, "StartedAt", e,
                                        't', &started_at);
        if (r < 0)
                return r;
        if (started_at != f->started_at)
                f->last_usec = 0; /* another daemon: all of its lines are new */
        f->started_at = started_at;
        r = sd_bus_match_signal(bus, NULL, NULL, CONTROL_PATH, CONTROL_INTERFACE, "Logged",
                                on_logged, f);
        if (r >= 0)
                r = bus_call(bus, "FollowLog", e, NULL, "");
        /* Asynchronous, so that the answer keeps its place among the signals: no line is lost or
         * shown twice. */
        if (r >= 0)
                r = sd_bus_call_method_async(bus, NULL, NULL, CONTROL_PATH, CONTROL_INTERFACE,
                                             "GetLog", on_lines, f, "u", f->lines);
        while (r >= 0 && !f->failed) {
                r = sd_bus_process(bus, NULL);
                if (r == 0) {
                        if (fflush(stdout) != 0)
                                return -EPIPE;
                        r = sd_bus_wait(bus, UINT64_MAX);
                        if (r == -EINTR)
                                r = 0;
                }
        }
        return f->failed ? -EBADMSG : r;
}

static bool is_lost(int r) {
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ESHUTDOWN;
}

/* -f: for ever, over restarts of the daemon. */
static int log_follow(const Ctl *c, uint32_t lines) {
        Follow f = { .ctl = c, .lines = lines };
        bool waiting = false;

        for (;;) {
                _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
                _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
                struct timespec ts = { .tv_nsec = (long) (RECONNECT_USEC * 1000) };
                int r;

                r = bus_connect(c, &bus);
                if (r < 0 && !bus_is_absent(r))
                        return bus_explain(c, r, NULL, "talk to mpyd");
                if (r >= 0) {
                        if (waiting)
                                fprintf(stderr, "-- mpyd is back --\n");
                        waiting = false;
                        r = follow_bus(&f, bus, &e);
                        if (ferror(stdout))
                                return CTL_EXIT_FAILURE;
                        if (!is_lost(r))
                                return bus_explain(c, r, &e, "follow the log");
                        /* All that the next one has to tell is new. */
                        f.lines = UINT32_MAX;
                }
                if (!waiting)
                        fprintf(stderr, "-- mpyd is not running, waiting for it --\n");
                waiting = true;
                (void) nanosleep(&ts, NULL);
        }
}

static int log_run(const Ctl *c, const Invocation *in) {
        const char *lines = invocation_argument(in, 'n');
        uint64_t n = LINES_DEFAULT;

        if (lines && (parse_u64(lines, &n) < 0 || n > UINT32_MAX)) {
                complain("\"%s\" is not a number of lines.", lines);
                advise("mpyctl log -n 100 shows the last hundred");
                return CTL_EXIT_USAGE;
        }
        return invocation_has(in, 'f') ? log_follow(c, (uint32_t) n) : log_print(c, (uint32_t) n);
}

static const struct option options[] = {
        { "follow", no_argument, NULL, 'f' },
        { "lines", required_argument, NULL, 'n' },
        {},
};

const Verb verb_log = {
        .name = "log",
        .summary = "show what mpyd and the scripts have said",
        .usage = "[-f] [-n N]",
        .help = "Shows the last lines of the log: what mpyd did and what boot.py and main.py\n"
                "printed. mpyd keeps the last 1000 in memory; older: journalctl -u mpyd.\n\n"
                "Options:\n"
                "  -f, --follow     go on as new lines come, over restarts of mpyd too\n"
                "  -n, --lines N    the last N (50)\n\n"
                "Examples:\n"
                "  mpyctl log -f\n"
                "  mpyctl -H pi@greenhouse log -n 200\n"
                "  mpyctl --json log -f | jq -r 'select(.ident == \"main.py\") | .message'\n\n"
                "Exit codes:\n"
                "  0  done    3  mpyd is not running (without -f)\n",
        .letters = "fn:",
        .options = options,
        .max_arguments = 0,
        .run = log_run,
};
