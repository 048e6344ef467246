/* SPDX-License-Identifier: MIT */
/* mpyctl pin: the machine's GPIO lines, who has them, and what is at them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/pin-line.h"
#include "ctl/pin-watch.h"
#include "ctl/style.h"
#include "ctl/table.h"
#include "mpyd/control.h"
#include "util/parse.h"

#define PULSE_USEC (200 * USEC_PER_MSEC) /* resets most of what has a reset pin */

enum { OPTION_HIGH = 0x100, OPTION_TIME };

static const char *level_text(int32_t level) {
        return level < 0 ? "" : level ? "1" : "0";
}

/* ---- list ---- */

static const TableColumn columns[] = {
        { .title = "LINE" },
        { .title = "LEVEL", .right = true },
        { .title = "DIRECTION" },
        { .title = "PULL", .drop = 2 },
        { .title = "USED BY", .min_width = 8 },
        { .title = "CHIP", .min_width = 6, .drop = 1 },
};

static int add_row(Table *t, const PinLine *l) {
        char name[128], chip[128];
        const char *pull = streq(l->pull, "as-is") ? "" : l->pull;

        (void) snprintf(chip, sizeof chip, "%s:%u", l->chip, (unsigned) l->offset);
        return table_add(t, l->used ? STYLE_NONE : STYLE_DIM,
                         (const char *const[]) {
                                 pin_line_name(l, name), level_text(l->level), l->direction, pull,
                                 !l->used       ? ""
                                 : *l->consumer ? l->consumer
                                                : "the kernel",
                                 chip,
                         });
}

static int print_table(sd_bus_message *m) {
        _cleanup_(table_freep) Table *t = NULL;
        size_t n = 0;
        PinLine l;
        int r = table_new(&t, columns, ELEMENTSOF(columns));

        while (r >= 0 && (r = pin_lines_next(m, &l)) > 0) {
                r = add_row(t, &l);
                n++;
        }
        if (r >= 0 && n == 0)
                printf("This machine has no GPIO lines.\n");
        else if (r >= 0)
                table_print(t, stdout, style_columns(stdout));
        return r;
}

static json_t *line_to_json(const PinLine *l) {
        return json_pack("{s:s, s:i, s:s, s:b, s:s, s:s, s:s, s:o}", "chip", l->chip, "offset", (int) l->offset,
                         "name", l->name, "used", l->used, "consumer", l->consumer, "direction", l->direction,
                         "pull", l->pull, "level", l->level < 0 ? json_null() : json_integer(l->level));
}

static int print_json(sd_bus_message *m) {
        json_t *array = json_array();
        PinLine l;
        int r;

        while ((r = pin_lines_next(m, &l)) > 0)
                if (json_array_append_new(array, line_to_json(&l)) < 0) {
                        r = -ENOMEM;
                        break;
                }
        if (r >= 0) {
                json_dumpf(array, stdout, JSON_INDENT(2));
                fputc('\n', stdout);
        }
        json_decref(array);
        return r;
}

/* ---- one line ---- */

static int no_such_line(const char *name) {
        complain("There is no line \"%s\".", name);
        advise("mpyctl pin list names them all");
        return CTL_EXIT_NOT_FOUND;
}

static int show_level(sd_bus_message *m, const char *name) {
        char buf[128];
        PinLine l;
        int r;

        while ((r = pin_lines_next(m, &l)) > 0) {
                if (!streq(pin_line_name(&l, buf), name))
                        continue;
                if (l.level < 0) {
                        complain("Nobody has %s requested, and reading it would change its function.", name);
                        advise("mpyctl exec 'import machine; print(machine.Pin(\"%s\").value())' asks for it", name);
                        return CTL_EXIT_FAILURE;
                }
                printf("%d\n", (int) l.level);
                return CTL_EXIT_OK;
        }
        return r < 0 ? r : no_such_line(name);
}

static int list_or_get(const Ctl *c, sd_bus *bus, const char *name) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = pin_lines_ask(bus, &e, &m);

        if (r >= 0)
                r = name ? show_level(m, name) : c->json ? print_json(m) : print_table(m);
        return r < 0 ? bus_explain(c, r, &e, "read the GPIO lines") : r;
}

static int set_level(const Ctl *c, sd_bus *bus, const char *name, const char *text) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int32_t level = streq(text, "0") ? 0 : streq(text, "1") ? 1 : streq(text, "open") ? -1 : -2;
        int r;

        if (level == -2) {
                complain("\"%s\" is no level.", text);
                advise("0, 1, or open for nothing that drives the line");
                return CTL_EXIT_USAGE;
        }
        r = bus_call(bus, "DrivePin", &e, NULL, "si", name, level);
        if (r < 0 && sd_bus_error_has_name(&e, CONTROL_ERROR_NO_PIN))
                return no_such_line(name);
        return r < 0 ? bus_explain(c, r, &e, "drive the line") : CTL_EXIT_OK;
}

static int pulse(const Ctl *c, sd_bus *bus, const Invocation *in) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        const char *name = in->arguments[1], *time = invocation_argument(in, OPTION_TIME);
        bool high = invocation_has(in, OPTION_HIGH);
        uint64_t usec = PULSE_USEC;
        char span[TIMESPAN_MAX];
        int r;

        if (time && parse_timespan(time, &usec) < 0) {
                complain("\"%s\" is no time; write one such as 200ms.", time);
                return CTL_EXIT_USAGE;
        }
        r = bus_call(bus, "PulsePin", &e, NULL, "sbt", name, (int) high, usec);
        if (r < 0 && sd_bus_error_has_name(&e, CONTROL_ERROR_NO_PIN))
                return no_such_line(name);
        if (r < 0)
                return bus_explain(c, r, &e, "pulse the line");
        if (!c->json)
                printf("%s is held %s for %s.\n", name, high ? "high" : "low", format_timespan(span, sizeof span, usec));
        return CTL_EXIT_OK;
}

static int pin_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        const char *what = in->n_arguments > 0 ? in->arguments[0] : "list";
        static const struct {
                const char *name;
                size_t n;
        } verbs[] = { { "list", 1 }, { "get", 2 }, { "set", 3 }, { "watch", 1 }, { "pulse", 2 } };
        enum { PIN_LIST, PIN_GET, PIN_SET, PIN_WATCH, PIN_PULSE };
        size_t i = 0;
        int r;

        while (i < ELEMENTSOF(verbs) && !streq(what, verbs[i].name))
                i++;
        if (i == ELEMENTSOF(verbs)) {
                complain("\"%s\" is not one of list, get, set, watch and pulse.", what);
                return CTL_EXIT_USAGE;
        }
        if (in->n_arguments != verbs[i].n && in->n_arguments > 0 && i != PIN_WATCH) {
                complain("Usage: mpyctl pin list | get LINE | set LINE 0|1|open | watch [LINE…] | "
                         "pulse LINE");
                return CTL_EXIT_USAGE;
        }
        if (i != PIN_PULSE && (invocation_has(in, OPTION_HIGH) || invocation_has(in, OPTION_TIME))) {
                complain("--high and --time are for pulse.");
                return CTL_EXIT_USAGE;
        }
        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        if (i == PIN_WATCH)
                return pin_watch(c, bus, in->arguments + 1, in->n_arguments - 1);
        if (i == PIN_PULSE)
                return pulse(c, bus, in);
        return i == PIN_SET ? set_level(c, bus, in->arguments[1], in->arguments[2])
                            : list_or_get(c, bus, i == PIN_GET ? in->arguments[1] : NULL);
}

static const struct option options[] = {
        { "high", no_argument, NULL, OPTION_HIGH },
        { "time", required_argument, NULL, OPTION_TIME },
        {},
};

const Verb verb_pin = {
        .name = "pin",
        .summary = "GPIO lines: who has them, and what is at them",
        .usage = "[list | get LINE | set LINE LEVEL | watch [LINE…] | pulse LINE [--high] [--time TIME]]",
        .help = "Shows the machine's GPIO lines. The level is shown of lines that somebody has asked\n"
                "mpyd for; reading another one would change what it is used for.\n\n"
                "  list             all lines (default)\n"
                "  get LINE         the level at one, 0 or 1\n"
                "  set LINE LEVEL   what the world does to a simulated line ([gpio] chip=simulated):\n"
                "                   0 and 1 drive it, open lets go. A real one is wired to what drives it.\n"
                "  watch [LINE…]    a line for each change, of those (of all that are in use) until Ctrl-C.\n"
                "                   It looks 20 times a second: what is shorter is not seen.\n"
                "  pulse LINE       resets what hangs at a line: pulls it low, as an open drain does, and\n"
                "                   lets it go. Not one that somebody holds.\n\n"
                "LINE is its name, such as GPIO17, or CHIP:OFFSET.\n\n"
                "Options:\n"
                "  --high           the pulse drives the line high\n"
                "  --time TIME      for so long, 1ms to 1min (200ms)\n\n"
                "Examples:\n"
                "  mpyctl pin\n"
                "  mpyctl pin set GPIO4 0        # press the button at GPIO4 of a simulated board\n"
                "  mpyctl pin watch GPIO17 GPIO4\n"
                "  mpyctl pin pulse GPIO5 --time 500ms   # the reset pin of a modem\n"
                "  mpyctl --json pin | jq -r '.[] | select(.used) | .name'\n\n"
                "Exit codes:\n"
                "  0  done    2  the level is not known    9  no such line\n",
        .letters = "",
        .options = options,
        .max_arguments = 32,
        .run = pin_run,
};
