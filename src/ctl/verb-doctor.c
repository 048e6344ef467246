/* SPDX-License-Identifier: MIT */
/* mpyctl doctor: is everything armed that shall bring the board back, and what mends what is not. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/doctor.h"
#include "ctl/history-source.h"
#include "ctl/pin-line.h"
#include "ctl/style.h"
#include "mpyd/control.h"
#include "util/parse.h"

/* Lines that are outputs and that nobody holds. */
static void list_driven(sd_bus *bus, DoctorHost *h) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char name[PIN_NAME_MAX];
        PinLine l;

        if (pin_lines_ask(bus, NULL, &m) < 0)
                return;
        while (pin_lines_next(m, &l) > 0) {
                size_t n = strlen(h->driven);

                if (l.used || !streq(l.direction, "output"))
                        continue;
                h->n_driven++;
                (void) snprintf(h->driven + n, sizeof h->driven - n, "%s%s", n ? " " : "", pin_line_name(&l, name));
        }
}

static void print_finding(const DoctorFinding *d) {
        static const struct {
                Style style;
                const char *word;
        } looks[DOCTOR_VERDICT_MAX] = {
                [DOCTOR_FINE] = { STYLE_GREEN, "ok" },
                [DOCTOR_NOTE] = { STYLE_DIM, "note" },
                [DOCTOR_WARNING] = { STYLE_YELLOW, "warning" },
                [DOCTOR_PROBLEM] = { STYLE_RED, "problem" },
        };

        printf("%s%7s%s  %c%s.\n", style_on(stdout, looks[d->verdict].style), looks[d->verdict].word,
               style_off(stdout), d->text[0] >= 'a' && d->text[0] <= 'z' && strncmp(d->text, "mpy", 3) != 0
                                          ? d->text[0] - 'a' + 'A'
                                          : d->text[0],
               d->text + 1);
        if (*d->remedy)
                printf("%9s%s%s%s %s\n", "", style_on(stdout, STYLE_CYAN), glyph(GLYPH_ARROW), style_off(stdout),
                       d->remedy);
}

static void count(const DoctorFinding *found, size_t n, unsigned ret[static DOCTOR_VERDICT_MAX]) {
        memset(ret, 0, DOCTOR_VERDICT_MAX * sizeof *ret);
        for (size_t i = 0; i < n; i++)
                ret[found[i].verdict]++;
}

static void print_text(const DoctorFinding *found, size_t n, const unsigned counts[static DOCTOR_VERDICT_MAX]) {
        for (size_t i = 0; i < n; i++)
                print_finding(&found[i]);
        if (counts[DOCTOR_PROBLEM] + counts[DOCTOR_WARNING] == 0)
                printf("\nAll is well.\n");
        else
                printf("\n%u problem%s, %u warning%s.\n", counts[DOCTOR_PROBLEM],
                       counts[DOCTOR_PROBLEM] == 1 ? "" : "s", counts[DOCTOR_WARNING],
                       counts[DOCTOR_WARNING] == 1 ? "" : "s");
}

static void print_json(const DoctorFinding *found, size_t n, const char *verdict) {
        json_t *o = json_object(), *list = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "check", found[i].check, "verdict",
                                                      doctor_verdict_to_string(found[i].verdict), "text",
                                                      found[i].text, "remedy", found[i].remedy));
        json_object_set_new(o, "verdict", json_string(verdict));
        json_object_set_new(o, "checks", list);
        json_dumpf(o, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(o);
}

static int doctor_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ HistoryTotals *totals = calloc(1, sizeof *totals);
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        DoctorFacts f = { .realtime_usec = now_usec(CLOCK_REALTIME) };
        DoctorFinding found[DOCTOR_FINDINGS_MAX];
        unsigned counts[DOCTOR_VERDICT_MAX];
        DoctorVerdict worst;
        json_t *p;
        size_t n;
        int r;

        r = bus_read_state_if_running(c, &bus, &p);
        if (r > 0)
                return r;
        if (totals && (bus ? history_fetch_totals_live(bus, totals, NULL)
                           : history_fetch_totals_offline(c, totals)) >= 0)
                f.totals = totals;
        f.properties = p;
        doctor_read_host(root_fd, p ? property_string(p, "state_dir") : c->state_dir, p, &f.host);
        if (bus)
                list_driven(bus, &f.host);

        n = doctor_examine(&f, found);
        count(found, n, counts);
        worst = counts[DOCTOR_PROBLEM] > 0   ? DOCTOR_PROBLEM
                : counts[DOCTOR_WARNING] > 0 ? DOCTOR_WARNING
                                             : DOCTOR_FINE;
        if (c->json)
                print_json(found, n, doctor_verdict_to_string(worst));
        else
                print_text(found, n, counts);
        json_decref(p);
        return !f.properties ? CTL_EXIT_NOT_RUNNING : worst == DOCTOR_PROBLEM ? 2 : worst == DOCTOR_WARNING ? 1 : 0;
}

const Verb verb_doctor = {
        .name = "doctor",
        .summary = "check everything that shall bring the board back, and say what mends it",
        .usage = "",
        .help = "Looks at the whole chain, from the program to the hardware watchdog: what is really\n"
                "armed, as kernel and systemd tell it, not what was configured. Some of it is told to\n"
                "root only.\n\n"
                "Examples:\n"
                "  sudo mpyctl doctor\n"
                "  mpyctl -H pi@greenhouse doctor\n"
                "  mpyctl --json doctor | jq -r '.checks[] | select(.verdict != \"fine\") | .text'\n\n"
                "Exit codes (as a plugin of Nagios has them):\n"
                "  0  all is well    1  warnings    2  problems    3  mpyd does not run\n",
        .letters = "",
        .max_arguments = 0,
        .run = doctor_run,
};
