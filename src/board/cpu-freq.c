/* SPDX-License-Identifier: MIT */
/* The processor's top frequency, from cpufreq, from its name, or from what it runs at now. */
#include "board/cpu-freq.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>

#include "util/io.h"
#include "util/macros.h"

#define CPUFREQ_FILE "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq" /* in kHz */

static uint64_t from_cpufreq(void) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (read_file(AT_FDCWD, CPUFREQ_FILE, 64, &text, &size) < 0)
                return 0;
        return strtoull(text, NULL, 10) * 1000;
}

/* A decimal number in units of 10^6 Hz, e.g. "2200.000", as whole megahertz in Hz. */
static uint64_t parse_mhz(const char *s) {
        return (uint64_t) (strtod(s, NULL) + 0.5) * 1000000;
}

static uint64_t from_cpuinfo(void) {
        _cleanup_free_ char *text = NULL;
        const char *p;
        size_t size;

        if (read_file(AT_FDCWD, "/proc/cpuinfo", 1024 * 1024, &text, &size) < 0)
                return 0;
        p = strstr(text, "model name");
        if (p) {
                const char *line_end = strchrnul(p, '\n'), *at = strstr(p, " @ ");

                if (at && at < line_end && isdigit((unsigned char) at[3]))
                        return (uint64_t) (strtod(at + 3, NULL) * 1000 + 0.5) * 1000000;
        }
        p = strstr(text, "cpu MHz");
        p = p ? strchr(p, ':') : NULL;
        return p ? parse_mhz(p + 1) : 0;
}

uint64_t cpu_freq_hz(void) {
        uint64_t hz = from_cpufreq();

        return hz > 0 ? hz : from_cpuinfo();
}
