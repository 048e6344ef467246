/* SPDX-License-Identifier: MIT */
/* A pause for a loop that never gets one. */
#include "daemon/real-time.h"

#include <signal.h>
#include <sys/resource.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"
#include "util/parse.h"

#define PAUSE_USEC (5 * USEC_PER_MSEC) /* a watchdog is still in time, 10 ms */

struct RealTime {
        sd_event_source *busy;
        rlim_t soft_usec;
};

static int on_busy(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        const RealTime *t = userdata;
        struct rlimit limit;

        (void) usleep(PAUSE_USEC);
        /* The kernel has raised it by a second, to tell again if we had gone on. */
        if (getrlimit(RLIMIT_RTTIME, &limit) < 0)
                return 0;
        limit.rlim_cur = MIN(t->soft_usec, limit.rlim_max);
        if (setrlimit(RLIMIT_RTTIME, &limit) < 0)
                log_debug("Failed to set how long the loop may be busy: %s", strerrordesc_np(errno) ?: "?");
        return 0;
}

int real_time_new(RealTime **ret, sd_event *event) {
        _cleanup_(real_time_freep) RealTime *t = calloc(1, sizeof *t);
        struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
        int r;

        if (!t)
                return -ENOMEM;
        (void) getrlimit(RLIMIT_RTTIME, &limit);
        t->soft_usec = limit.rlim_cur;
        r = sd_event_add_signal(event, &t->busy, SIGXCPU, on_busy, t);
        /* Before all that could keep the loop busy. */
        if (r >= 0)
                r = sd_event_source_set_priority(t->busy, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

RealTime *real_time_free(RealTime *t) {
        if (!t)
                return NULL;
        sd_event_source_disable_unref(t->busy);
        free(t);
        return NULL;
}
