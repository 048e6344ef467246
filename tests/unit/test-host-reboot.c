/* SPDX-License-Identifier: MIT */
/* When the host may be rebooted as the last resort: src/host/host-reboot.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host/host-reboot.h"
#include "util/macros.h"
#include "util/parse.h"

#define MINUTE USEC_PER_MINUTE
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NOW_SEC UINT64_C(1790000000)
#define H_SEC UINT64_C(3600)

static const struct {
        const char *name;
        HostRebootFacts facts;
        uint64_t wait;
        const char *why; /* part of it */
} cases[] = {
        { "off", { false, DAY, 10 * MINUTE, HOUR, NOW_SEC, 0, 0 }, UINT64_MAX, "[host] reboot is no" },
        { "off, whatever else", { false, 0, 0, DAY, NOW_SEC, 1, HOUR }, UINT64_MAX, "[host] reboot is no" },
        { "now", { true, DAY, 10 * MINUTE, HOUR, NOW_SEC, 0, 0 }, 0, "" },
        { "just booted", { true, DAY, 10 * MINUTE, 4 * MINUTE, NOW_SEC, 0, 0 }, 6 * MINUTE, "min-uptime" },
        { "up just long enough", { true, DAY, 10 * MINUTE, 10 * MINUTE, NOW_SEC, 0, 0 }, 0, "" },
        { "budget spent", { true, DAY, 10 * MINUTE, HOUR, NOW_SEC, NOW_SEC - 2 * H_SEC, 0 }, 22 * HOUR, "budget" },
        { "budget back", { true, DAY, 10 * MINUTE, HOUR, NOW_SEC, NOW_SEC - 24 * H_SEC, 0 }, 0, "" },
        { "no budget", { true, 0, 10 * MINUTE, HOUR, NOW_SEC, NOW_SEC - 1, 0 }, 0, "" },
        { "the clock went back: only this boot's time counts",
          { true, DAY, 10 * MINUTE, HOUR, NOW_SEC - 1000, NOW_SEC, 0 }, 23 * HOUR, "budget" },
        { "no clock at all, but up for a day", { true, DAY, 10 * MINUTE, DAY, 0, NOW_SEC, 0 }, 0, "" },
        { "a clock from far away", { true, DAY, 10 * MINUTE, HOUR, UINT64_MAX, 1, 0 }, 0, "" },
        { "put off", { true, DAY, 10 * MINUTE, HOUR, NOW_SEC, 0, HOUR + 15 * MINUTE }, 15 * MINUTE, "snooze" },
        { "put off until a while ago", { true, DAY, 10 * MINUTE, HOUR, NOW_SEC, 0, HOUR - 1 }, 0, "" },
        { "the longest wait is the one that is told",
          { true, DAY, 10 * MINUTE, 5 * MINUTE, NOW_SEC, NOW_SEC - 2 * H_SEC, 6 * MINUTE }, 22 * HOUR, "budget" },
        { "and this one", { true, DAY, 10 * MINUTE, 9 * MINUTE, NOW_SEC, 0, 19 * MINUTE }, 10 * MINUTE, "snooze" },
};

static void test_wait(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *why = NULL;
                uint64_t wait = host_reboot_wait_usec(&cases[i].facts, &why);

                if (wait != cases[i].wait || !strstr(why, cases[i].why) || !*cases[i].why != !*why)
                        fail_msg("%s: %ju (%s)", cases[i].name, (uintmax_t) wait, why);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_wait) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
