/* SPDX-License-Identifier: MIT */
/* mpyctl metrics: the board for Prometheus, as OpenMetrics 1.0. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/headline.h"
#include "ctl/history-source.h"
#include "ctl/style.h"
#include "util/io.h"
#include "util/parse.h"

enum { OPTION_OUTPUT = 0x100 };

#define HELP(f, name, type, text) \
        fprintf(f, "# TYPE mpyd_" name " " type "\n# HELP mpyd_" name " " text "\n")

static void put_label(FILE *f, const char *s) {
        for (; *s; s++)
                if (*s == '\\' || *s == '"')
                        fprintf(f, "\\%c", *s);
                else if (*s == '\n')
                        fputs("\\n", f);
                else
                        fputc(*s, f);
}

static double seconds_since(uint64_t boottime_usec) {
        uint64_t now = now_usec(CLOCK_BOOTTIME);

        return boottime_usec == 0 || boottime_usec > now ? 0 : (double) (now - boottime_usec) / 1e6;
}

static void put_board(FILE *f, const json_t *p) {
        static const char *const states[] = { "off", "waiting", "powering-on", "booting", "running", "idle",
                                              "stopping", "deep-sleep", "stuck" };
        const char *state = repl_state_runs(p) ? "running" : property_string(p, "state");

        HELP(f, "build", "info", "Version of the daemon.");
        fputs("mpyd_build_info{version=\"", f);
        put_label(f, property_string(p, "version"));
        fputs("\"} 1\n", f);

        HELP(f, "board_state", "stateset", "What the board does.");
        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                fprintf(f, "mpyd_board_state{mpyd_board_state=\"%s\"} %d\n", states[i],
                        streq(states[i], state));

        HELP(f, "safe_mode", "gauge", "1 when neither boot.py nor main.py runs.");
        fprintf(f, "mpyd_safe_mode %d\n", *property_string(p, "safe_mode") != '\0');
        HELP(f, "problem", "gauge", "1 when mpyctl status tells a problem.");
        fprintf(f, "mpyd_problem %d\n", *property_string(p, "problem") != '\0');
        HELP(f, "strikes", "gauge", "Abnormal ends since the last stable time.");
        fprintf(f, "mpyd_strikes %" PRIu64 "\n", property_u64(p, "strikes"));
        HELP(f, "stalled", "gauge", "1 while the VM neither runs Python nor waits.");
        fprintf(f, "mpyd_stalled %d\n", property_u64(p, "stalled_boottime") > 0);
        HELP(f, "history_on_disk", "gauge", "0 when the history cannot be stored.");
        fprintf(f, "mpyd_history_on_disk %d\n", streq(property_string(p, "history_state"), "ok"));
        HELP(f, "heap_bytes", "gauge", "Of the VM, as far as it has grown; 0 when there is none.");
        fprintf(f, "mpyd_heap_bytes %" PRIu64 "\n", property_u64(p, "heap_size"));
        HELP(f, "heap_free_bytes", "gauge", "Of that, after the last collection.");
        fprintf(f, "mpyd_heap_free_bytes %" PRIu64 "\n", property_u64(p, "heap_free"));
        HELP(f, "config_problems", "gauge", "Mistakes in mpyd.conf.");
        fprintf(f, "mpyd_config_problems %zu\n", json_array_size(json_object_get(p, "config_warnings")));
        HELP(f, "uptime_seconds", "gauge", "How long this board has been up; 0 when there is none.");
        fprintf(f, "mpyd_uptime_seconds %.3f\n",
                property_u64(p, "board_pid") > 0 ? seconds_since(property_u64(p, "board_started_boottime"))
                                                 : 0.0);
}

/* Counted since the first entry of the history, so that they grow over restarts too. */
static void put_totals(FILE *f, const HistoryTotals *t) {
        HELP(f, "events", "counter", "Resets by kind, and events, by name, since the history began.");
        for (size_t i = 0; i < t->n; i++) {
                if (t->items[i].value < 0)
                        continue;
                fputs("mpyd_events_total{event=\"", f);
                put_label(f, t->items[i].name);
                fprintf(f, "\"} %" PRIi64 "\n", t->items[i].value);
        }
}

static void put_all(FILE *f, const json_t *p, const HistoryTotals *t) {
        HELP(f, "up", "gauge", "1 when the daemon answers.");
        fprintf(f, "mpyd_up %d\n", p != NULL);
        if (p)
                put_board(f, p);
        if (t)
                put_totals(f, t);
        fputs("# EOF\n", f);
}

/* What is known: with no daemon that it is down, and the totals from the file. */
static int gather(const Ctl *c, char **ret, size_t *ret_size) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);
        json_t *p;
        bool known;
        FILE *f;
        int r;

        r = bus_read_state_if_running(c, &bus, &p);
        if (r > 0)
                return r;
        known = t && (bus ? history_fetch_totals_live(bus, t, NULL) : history_fetch_totals_offline(c, t)) >= 0;

        f = open_memstream(ret, ret_size);
        if (f) {
                put_all(f, p, known ? t : NULL);
                (void) fclose(f);
        }
        json_decref(p);
        if (!f || !*ret) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        return CTL_EXIT_OK;
}

static int metrics_run(const Ctl *c, const Invocation *in) {
        const char *output = invocation_argument(in, OPTION_OUTPUT);
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r;

        r = gather(c, &text, &size);
        if (r > 0)
                return r;
        if (!output)
                return fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0 ? CTL_EXIT_OK
                                                                                    : CTL_EXIT_FAILURE;
        r = write_file_atomic(AT_FDCWD, output, text, size, 0644);
        if (r < 0) {
                complain("Failed to write %s: %s.", output, strerrordesc_np(-r) ?: "?");
                return CTL_EXIT_FAILURE;
        }
        return CTL_EXIT_OK;
}

static const struct option options[] = {
        { "output", required_argument, NULL, OPTION_OUTPUT },
        {},
};

const Verb verb_metrics = {
        .name = "metrics",
        .summary = "print the board's state and counters as OpenMetrics",
        .usage = "[--output FILE]",
        .help = "For Prometheus and its like: state, safe mode, problems, and how often everything\n"
                "in the history has happened since it began. Without a running mpyd: mpyd_up 0, and\n"
                "the counters.\n\n"
                "Options:\n"
                "  --output FILE    replace FILE, in one step; for the textfile collector of\n"
                "                   node_exporter\n\n"
                "Examples:\n"
                "  mpyctl metrics\n"
                "  mpyctl metrics --output /var/lib/prometheus/node-exporter/mpyd.prom\n\n"
                "Exit codes:\n"
                "  0  printed, also when mpyd does not run    2  the file cannot be written\n",
        .letters = "",
        .options = options,
        .max_arguments = 0,
        .run = metrics_run,
};
