/* SPDX-License-Identifier: MIT */
/* Pulses at reset and power pins of what hangs on the board (gpio/pulse.h): who asked for one, and that none is
 * left standing. A board's resets do not touch them. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/supervisor-private.h"
#include "gpio/pulse.h"
#include "util/log.h"
#include "util/parse.h"

#define PULSES_MAX 16u /* at a time */

static void take_out(Supervisor *s, const GpioPulse *p) {
        for (size_t i = 0; i < s->n_pulses; i++)
                if (s->pulses[i] == p) {
                        s->pulses[i] = s->pulses[--s->n_pulses];
                        break;
                }
        supervisor_pins_note(s);
}

static void on_over(void *userdata, GpioPulse *p, int r) {
        take_out(userdata, p);
        if (r < 0)
                log_warning_errno(r, "The pulse at line %s has not ended as it should: %m", gpio_pulse_line(p));
        else
                log_debug("The pulse at line %s is over.", gpio_pulse_line(p));
}

int supervisor_pulse(Supervisor *s, const char *line, bool high, uint64_t usec, const char *who,
                     char holder[static GPIO_NAME_MAX]) {
        char span[32];
        GpioPulse **bigger;
        int r;

        holder[0] = '\0';
        if (s->n_pulses >= PULSES_MAX)
                return -EMFILE;
        bigger = reallocarray(s->pulses, s->n_pulses + 1, sizeof *bigger);
        if (!bigger)
                return -ENOMEM;
        s->pulses = bigger;
        r = gpio_pulse_new(&s->pulses[s->n_pulses], s->gpio, s->event, line, high, usec, on_over, s, holder);
        if (r < 0)
                return r;
        s->n_pulses++;
        supervisor_pins_note(s); /* if we crash now, the next run lets go of it */
        log_info("Line %s is held %s for %s: %s.", line, high ? "high" : "low",
                 format_timespan(span, sizeof span, usec), who);
        return 0;
}

void supervisor_pulses_done(Supervisor *s) {
        if (!s->pulses)
                return;
        while (s->n_pulses > 0)
                (void) gpio_pulse_free(s->pulses[--s->n_pulses]);
        supervisor_pins_note(s);
        free(s->pulses);
        s->pulses = NULL;
}
