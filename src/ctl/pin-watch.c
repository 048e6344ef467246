/* SPDX-License-Identifier: MIT */
/* The daemon is asked for all lines, twenty times a second, and what differs from the time before is told: reading
 * edges would take them from the program that waits for them. */
#include "ctl/pin-watch.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/pin-line.h"
#include "ctl/style.h"
#include "util/parse.h"

#define PERIOD_USEC (50 * USEC_PER_MSEC)

typedef struct Watch {
        const Ctl *ctl;
        char *const *names;
        size_t n;
        json_t *known; /* name → what was told last */
} Watch;

static bool is_watched(const Watch *w, const char *name, bool used) {
        for (size_t i = 0; i < w->n; i++)
                if (streq(w->names[i], name))
                        return true;
        return w->n == 0 && (used || json_object_get(w->known, name));
}

static void print_line(const Watch *w, const char *name, const char *text, const json_t *line) {
        uint64_t now = now_usec(CLOCK_REALTIME);
        time_t sec = (time_t) (now / USEC_PER_SEC);
        unsigned ms = (unsigned) (now % USEC_PER_SEC / USEC_PER_MSEC);
        char when[32];
        struct tm tm;

        if (!localtime_r(&sec, &tm) || strftime(when, sizeof when, "%H:%M:%S", &tm) == 0)
                (void) strcpy(when, "?");
        if (w->ctl->json) {
                json_t *o = json_deep_copy(line);

                json_object_set_new(o, "time", json_real((double) now / 1e6));
                json_dumpf(o, stdout, JSON_COMPACT);
                fputc('\n', stdout);
                json_decref(o);
        } else
                printf("%s%s.%03u%s  %-12s  %s\n", style_on(stdout, STYLE_DIM), when, ms, style_off(stdout), name,
                       text);
}

static void look(Watch *w, const PinLine *l) {
        char text[256], place[PIN_NAME_MAX];
        const char *name = pin_line_name(l, place);
        const json_t *before;
        json_t *line;

        if (!is_watched(w, name, l->used))
                return;
        (void) snprintf(text, sizeof text, "%s  %-10s  %-9s  %s", l->level < 0 ? "?" : l->level ? "1" : "0",
                        l->direction, streq(l->pull, "as-is") ? "" : l->pull,
                        l->used && !*l->consumer ? "the kernel" : l->consumer);
        for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--)
                text[n - 1] = '\0';
        line = json_pack("{s:s, s:o, s:s, s:s, s:b, s:s}", "name", name, "level",
                         l->level < 0 ? json_null() : json_integer(l->level), "direction", l->direction, "pull",
                         l->pull, "used", l->used, "consumer", l->consumer);
        before = json_object_get(w->known, name);
        if (!before || !json_equal(before, line))
                print_line(w, name, text, line);
        json_object_set_new(w->known, name, line);
}

static int look_at_all(Watch *w, sd_bus *bus, sd_bus_error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = pin_lines_ask(bus, e, &m);
        PinLine l;

        while (r >= 0 && (r = pin_lines_next(m, &l)) > 0)
                look(w, &l);
        return r;
}

static int first_missing(const Watch *w) {
        for (size_t i = 0; i < w->n; i++)
                if (!json_object_get(w->known, w->names[i])) {
                        complain("There is no line \"%s\".", w->names[i]);
                        advise("mpyctl pin list names them all");
                        return CTL_EXIT_NOT_FOUND;
                }
        return CTL_EXIT_OK;
}

int pin_watch(const Ctl *c, sd_bus *bus, char *const *names, size_t n) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        Watch w = { .ctl = c, .names = names, .n = n, .known = json_object() };
        bool first = true;
        int r;

        do {
                r = look_at_all(&w, bus, &e);
                if (r >= 0 && first)
                        r = first_missing(&w);
                first = false;
                (void) fflush(stdout);
        } while (r == 0 && !ferror(stdout) &&
                 nanosleep(&(struct timespec) { .tv_nsec = (long) (PERIOD_USEC * 1000) }, NULL) == 0);
        json_decref(w.known);
        return r < 0 ? bus_explain(c, r, &e, "read the GPIO lines") : r;
}
