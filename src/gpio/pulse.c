/* SPDX-License-Identifier: MIT */
#include "gpio/pulse.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <time.h>

#define CONSUMER "mpyd-pulse"

struct GpioPulse {
        GpioRequest *request;
        sd_event_source *timer;
        bool high;
        GpioPulseOver over;
        void *userdata;
        char line[GPIO_NAME_MAX];
};

static int configure(GpioPulse *p, GpioDirection direction, bool value) {
        return gpio_request_configure(p->request, &(GpioSettings) { .direction = direction, .value = value });
}

static int end(GpioPulse *p) {
        int r = p->high ? configure(p, GPIO_DIRECTION_OUTPUT, false) : 0, r2;

        r2 = configure(p, GPIO_DIRECTION_INPUT, false);
        p->request = gpio_request_free(p->request);
        return r < 0 ? r : r2;
}

GpioPulse *gpio_pulse_free(GpioPulse *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->timer);
        if (p->request)
                (void) !end(p);
        free(p);
        return NULL;
}

static int on_end(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_(gpio_pulse_freep) GpioPulse *p = userdata;
        int r = end(p);

        p->over(p->userdata, p, r);
        return 0;
}

int gpio_pulse_new(GpioPulse **ret, Gpio *g, sd_event *event, const char *line, bool high, uint64_t usec,
                   GpioPulseOver over, void *userdata, char holder[static GPIO_NAME_MAX]) {
        _cleanup_(gpio_pulse_freep) GpioPulse *p = NULL;
        int r;

        holder[0] = '\0';
        if (usec < GPIO_PULSE_MIN_USEC || usec > GPIO_PULSE_MAX_USEC)
                return -ERANGE;
        p = calloc(1, sizeof *p);
        if (!p)
                return -ENOMEM;
        *p = (GpioPulse) { .high = high, .over = over, .userdata = userdata };
        (void) snprintf(p->line, sizeof p->line, "%s", line);
        r = gpio_request(g, line, CONSUMER, &p->request, holder);
        if (r >= 0) /* before the pulse: one that has no end must not begin */
                r = sd_event_add_time_relative(event, &p->timer, CLOCK_MONOTONIC, usec, 1, on_end, p);
        if (r >= 0)
                r = configure(p, high ? GPIO_DIRECTION_OUTPUT : GPIO_DIRECTION_OPEN_DRAIN, high);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

const char *gpio_pulse_line(const GpioPulse *p) {
        return p->line;
}
