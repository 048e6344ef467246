/* SPDX-License-Identifier: MIT */
/* Text to numbers and back, for configuration and command lines. */
#include "util/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define BLANKS " \t\n\r"
#define FRACTION_DIGITS_MAX 9u /* more are read and have no weight */

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* A number as people write it, "12" or "1.5": the whole part, and the fraction in units of
 * 1/scale. */
typedef struct Decimal {
        uint64_t whole;
        uint64_t fraction;
        uint64_t scale;
} Decimal;

/* Reads digits at *s and moves it behind them. -EINVAL: there are none; -ERANGE: too many. */
static int take_digits(const char **s, uint64_t *ret) {
        const char *p = *s;
        uint64_t v = 0;
        bool overflow = false;

        if (!is_digit(*p))
                return -EINVAL;
        for (; is_digit(*p); p++)
                if (__builtin_mul_overflow(v, 10u, &v) ||
                    __builtin_add_overflow(v, (uint64_t) (*p - '0'), &v))
                        overflow = true;
        *s = p;
        if (overflow)
                return -ERANGE;
        *ret = v;
        return 0;
}

static int take_decimal(const char **s, Decimal *ret) {
        Decimal d = { .scale = 1 };
        const char *p = *s;
        int r;

        r = take_digits(&p, &d.whole);
        if (r == -EINVAL)
                return r;
        if (*p == '.') {
                p++;
                if (!is_digit(*p))
                        return -EINVAL;
                for (unsigned n = 0; is_digit(*p); p++, n++)
                        if (n < FRACTION_DIGITS_MAX) {
                                d.fraction = d.fraction * 10 + (uint64_t) (*p - '0');
                                d.scale *= 10;
                        }
        }
        *s = p;
        if (r < 0)
                return r;
        *ret = d;
        return 0;
}

/* d * unit, cut to a whole number. In 64 bits (32-bit machines have no more): fraction * unit / scale
 * with the unit taken apart, fraction * (unit % scale) being below scale², 10 to the 18th. */
static int decimal_times(const Decimal *d, uint64_t unit, uint64_t *ret) {
        uint64_t whole;
        uint64_t part = d->fraction * (unit / d->scale) + d->fraction * (unit % d->scale) / d->scale;

        if (__builtin_mul_overflow(d->whole, unit, &whole) ||
            __builtin_add_overflow(whole, part, &whole))
                return -ERANGE;
        *ret = whole;
        return 0;
}

int parse_boolean(const char *s, bool *ret) {
        static const struct {
                const char *name;
                bool value;
        } names[] = {
                { "yes", true }, { "true", true }, { "on", true }, { "1", true },
                { "no", false }, { "false", false }, { "off", false }, { "0", false },
        };

        if (!s)
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcasecmp(s, names[i].name) == 0) {
                        *ret = names[i].value;
                        return 0;
                }
        return -EINVAL;
}

int parse_u64(const char *s, uint64_t *ret) {
        uint64_t v;
        int r;

        if (!s)
                return -EINVAL;
        r = take_digits(&s, &v);
        if (r == -EINVAL || *s)
                return -EINVAL;
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}

int parse_size(const char *s, uint64_t *ret) {
        static const char suffixes[] = "BKMGT";
        const char *suffix = suffixes;
        uint64_t v;
        Decimal d;
        int r, q;

        if (!s)
                return -EINVAL;
        r = take_decimal(&s, &d);
        if (r == -EINVAL)
                return r;
        if (*s) {
                suffix = strchr(suffixes, *s);
                if (!suffix || s[1])
                        return -EINVAL;
        }
        if (r < 0)
                return r;
        if (suffix == suffixes && d.scale != 1) /* there is no half a byte */
                return -EINVAL;
        q = decimal_times(&d, UINT64_C(1) << (10 * (suffix - suffixes)), &v);
        if (q < 0)
                return q;
        *ret = v;
        return 0;
}

/* The unit of n letters at s, 0 when there is none of that name. */
static uint64_t timespan_unit(const char *s, size_t n) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "us", 1 }, { "usec", 1 }, { "\xc2\xb5s", 1 }, { "\xce\xbcs", 1 },
                { "ms", USEC_PER_MSEC }, { "msec", USEC_PER_MSEC },
                { "s", USEC_PER_SEC }, { "sec", USEC_PER_SEC },
                { "second", USEC_PER_SEC }, { "seconds", USEC_PER_SEC },
                { "m", USEC_PER_MINUTE }, { "min", USEC_PER_MINUTE },
                { "minute", USEC_PER_MINUTE }, { "minutes", USEC_PER_MINUTE },
                { "h", USEC_PER_HOUR }, { "hr", USEC_PER_HOUR },
                { "hour", USEC_PER_HOUR }, { "hours", USEC_PER_HOUR },
                { "d", USEC_PER_DAY }, { "day", USEC_PER_DAY }, { "days", USEC_PER_DAY },
                { "w", 7 * USEC_PER_DAY }, { "week", 7 * USEC_PER_DAY },
                { "weeks", 7 * USEC_PER_DAY },
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == n && memcmp(units[i].name, s, n) == 0)
                        return units[i].usec;
        return 0;
}

int parse_timespan(const char *s, uint64_t *ret_usec) {
        uint64_t total = 0;
        bool overflow = false;

        if (!s)
                return -EINVAL;
        s += strspn(s, BLANKS);
        if (strncmp(s, "infinity", 8) == 0 && s[8 + strspn(s + 8, BLANKS)] == '\0') {
                *ret_usec = USEC_INFINITY;
                return 0;
        }
        if (!*s)
                return -EINVAL;

        for (bool first = true; *s; first = false) {
                uint64_t unit, part = 0;
                Decimal d;
                size_t n;
                int r;

                r = take_decimal(&s, &d);
                if (r == -EINVAL)
                        return r;
                if (r < 0)
                        overflow = true;
                s += strspn(s, BLANKS);
                n = strcspn(s, BLANKS "0123456789.");
                if (n > 0)
                        unit = timespan_unit(s, n);
                else /* a bare number stands alone: in "1 2s" it is more likely a slip */
                        unit = first && !*s ? USEC_PER_SEC : 0;
                if (unit == 0)
                        return -EINVAL;
                s += n;
                s += strspn(s, BLANKS);
                if (!overflow && (decimal_times(&d, unit, &part) < 0 ||
                                  __builtin_add_overflow(total, part, &total)))
                        overflow = true;
        }
        if (overflow || total == USEC_INFINITY)
                return -ERANGE;
        *ret_usec = total;
        return 0;
}

/* value/unit with at most one decimal, cut: 1.6ms and never a rounded-up 1000ms. */
static void format_decimal(char *buf, size_t size, uint64_t value, uint64_t unit,
                           const char *name) {
        uint64_t tenths = value % unit * 10 / unit;

        if (tenths > 0)
                (void) snprintf(buf, size, "%" PRIu64 ".%" PRIu64 "%s", value / unit, tenths, name);
        else
                (void) snprintf(buf, size, "%" PRIu64 "%s", value / unit, name);
}

char *format_timespan(char *buf, size_t size, uint64_t usec) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "d", USEC_PER_DAY }, { "h", USEC_PER_HOUR }, { "min", USEC_PER_MINUTE },
                { "s", USEC_PER_SEC },
        };

        if (usec == USEC_INFINITY)
                (void) snprintf(buf, size, "infinity");
        else if (usec == 0)
                (void) snprintf(buf, size, "0");
        else if (usec < USEC_PER_MSEC)
                (void) snprintf(buf, size, "%" PRIu64 "us", usec);
        else if (usec < USEC_PER_SEC)
                format_decimal(buf, size, usec, USEC_PER_MSEC, "ms");
        else if (usec < USEC_PER_MINUTE)
                format_decimal(buf, size, usec, USEC_PER_SEC, "s");
        else {
                size_t i = 0;
                uint64_t rest;

                while (usec < units[i].usec)
                        i++;
                rest = usec % units[i].usec / units[i + 1].usec;
                if (rest > 0)
                        (void) snprintf(buf, size, "%" PRIu64 "%s %" PRIu64 "%s",
                                        usec / units[i].usec, units[i].name, rest,
                                        units[i + 1].name);
                else
                        (void) snprintf(buf, size, "%" PRIu64 "%s", usec / units[i].usec,
                                        units[i].name);
        }
        return buf;
}

char *format_size(char *buf, size_t size, uint64_t bytes) {
        static const char *const suffixes[] = { "B", "K", "M", "G", "T" };
        size_t i = 0;

        while (i + 1 < ELEMENTSOF(suffixes) && bytes >> (10 * (i + 1)) > 0)
                i++;
        format_decimal(buf, size, bytes, UINT64_C(1) << (10 * i), suffixes[i]);
        return buf;
}

uint64_t now_usec(int clock) {
        struct timespec ts = {};

        (void) clock_gettime((clockid_t) clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}
