/* SPDX-License-Identifier: MIT */
#include "host/host-reboot.h"

#include "util/macros.h"
#include "util/parse.h"

static uint64_t left(uint64_t until, uint64_t now) {
        return until > now ? until - now : 0;
}

static uint64_t budget_wait(const HostRebootFacts *f) {
        uint64_t since = left(f->realtime_sec, f->rebooted_sec);

        if (f->rebooted_sec == 0)
                return 0;
        since = since > UINT64_MAX / USEC_PER_SEC ? UINT64_MAX : since * USEC_PER_SEC;
        return left(f->interval_usec, MAX(since, f->uptime_usec));
}

uint64_t host_reboot_wait_usec(const HostRebootFacts *f, const char **ret_why) {
        const struct {
                uint64_t usec;
                const char *why;
        } waits[] = {
                { left(f->min_uptime_usec, f->uptime_usec), "the host has not been up for long ([host] min-uptime)" },
                { budget_wait(f), "it was rebooted not long ago ([host] reboot-budget)" },
                { left(f->snooze_until_usec, f->uptime_usec), "an operator has put it off (mpyctl snooze)" },
        };
        uint64_t longest = 0;

        *ret_why = "[host] reboot is no";
        if (!f->enabled)
                return UINT64_MAX;
        *ret_why = "";
        for (size_t i = 0; i < ELEMENTSOF(waits); i++)
                if (waits[i].usec > longest) {
                        longest = waits[i].usec;
                        *ret_why = waits[i].why;
                }
        return longest;
}
