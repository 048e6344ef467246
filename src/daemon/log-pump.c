/* SPDX-License-Identifier: MIT */
/* A timer that runs only while something waits, so that an idle daemon does not wake up for it. */
#include "daemon/log-pump.h"

#include <systemd/sd-event.h>
#include <time.h>

#include "util/log.h"
#include "util/parse.h"

#define WAIT_MIN_USEC (10 * USEC_PER_MSEC)
#define WAIT_MAX_USEC USEC_PER_SEC
#define LAST_TRIES 20 /* of WAIT_MIN_USEC each */

struct LogPump {
        sd_event_source *timer;
        uint64_t wait_usec;
};

static void arm(LogPump *p, uint64_t wait_usec) {
        p->wait_usec = wait_usec;
        (void) sd_event_source_set_time_relative(p->timer, wait_usec);
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void on_wake(void *userdata) {
        arm(userdata, WAIT_MIN_USEC);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        LogPump *p = userdata;
        int r = log_flush(false);

        if (r != 0)
                arm(p, r > 0 ? WAIT_MIN_USEC : MIN(2 * p->wait_usec, WAIT_MAX_USEC));
        return 0;
}

int log_pump_new(LogPump **ret, sd_event *event) {
        _cleanup_(log_pump_freep) LogPump *p = calloc(1, sizeof *p);
        int r;

        if (!p)
                return -ENOMEM;
        r = sd_event_add_time(event, &p->timer, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_MSEC, on_timer, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        log_set_wake(on_wake, p);
        *ret = TAKE_PTR(p);
        return 0;
}

LogPump *log_pump_free(LogPump *p) {
        if (!p)
                return NULL;
        log_set_wake(NULL, NULL);
        for (int i = 0; i < LAST_TRIES && log_flush(true) != 0; i++)
                (void) usleep(WAIT_MIN_USEC);
        sd_event_source_disable_unref(p->timer);
        free(p);
        return NULL;
}
