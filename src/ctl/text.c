/* SPDX-License-Identifier: MIT */
/* Widths, cuts, quoting, and times as people write them. */
#include "ctl/text.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <wchar.h>

#include "util/parse.h"

/* One character of s (not at its end): bytes it takes, and its width; invalid ones are one byte. */
static size_t next_char(const char *s, size_t *ret_width, bool *ret_printable) {
        mbstate_t state = { 0 };
        wchar_t c;
        size_t n = mbrtowc(&c, s, strnlen(s, MB_LEN_MAX), &state);
        int w;

        *ret_width = 1;
        *ret_printable = false;
        if (n == 0 || n == (size_t) -1 || n == (size_t) -2)
                return 1;
        w = wcwidth(c);
        if (w < 0)
                return n;
        *ret_width = (size_t) w;
        *ret_printable = true;
        return n;
}

size_t text_width(const char *s) {
        size_t total = 0, w;
        bool printable;

        while (*s) {
                s += next_char(s, &w, &printable);
                total += w;
        }
        return total;
}

size_t text_fit(const char *s, size_t columns, size_t *ret_width) {
        size_t used = 0, at = 0;

        while (s[at]) {
                size_t w, n;
                bool printable;

                n = next_char(s + at, &w, &printable);
                if (used + w > columns)
                        break;
                used += w;
                at += n;
        }
        *ret_width = used;
        return at;
}

char *text_printable(const char *s, bool keep_lines) {
        char *out = malloc(strlen(s) + 1), *p = out;

        if (!out)
                return NULL;
        while (*s) {
                size_t w, n;
                bool printable;

                n = next_char(s, &w, &printable);
                if (printable)
                        p = mempcpy(p, s, n);
                else if (*s == '\n' && keep_lines)
                        *p++ = '\n';
                else if (*s == '\t' || *s == '\n')
                        *p++ = ' ';
                else if (*s != '\r')
                        *p++ = '?';
                s += n;
        }
        *p = '\0';
        return out;
}

unsigned text_distance(const char *a, const char *b) {
        size_t la = strnlen(a, 64), lb = strnlen(b, 64);
        unsigned row[65];

        for (size_t j = 0; j <= lb; j++)
                row[j] = (unsigned) j;
        for (size_t i = 1; i <= la; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned) i;
                for (size_t j = 1; j <= lb; j++) {
                        unsigned old = row[j];
                        unsigned change = diagonal + (a[i - 1] != b[j - 1]);

                        row[j] = MIN(MIN(row[j] + 1, row[j - 1] + 1), change);
                        diagonal = old;
                }
        }
        return row[lb];
}

char *text_shell_quote(const char *s) {
        static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "_-+./:@%,";
        size_t size = 3;
        char *out, *p;

        /* No "=": at the front it would make an assignment of the word. */
        if (*s && !s[strspn(s, safe)])
                return strdup(s);
        for (const char *c = s; *c; c++)
                size += *c == '\'' ? 4 : 1;
        p = out = malloc(size);
        if (!out)
                return NULL;
        *p++ = '\'';
        for (; *s; s++)
                if (*s == '\'')
                        p = mempcpy(p, "'\\''", 4);
                else
                        *p++ = *s;
        *p++ = '\'';
        *p = '\0';
        return out;
}

char *format_timestamp(char *buf, size_t size, uint64_t realtime_usec) {
        time_t t = (time_t) (realtime_usec / USEC_PER_SEC);
        struct tm tm;

        if (realtime_usec == 0)
                (void) snprintf(buf, size, "never");
        else if (!localtime_r(&t, &tm) || strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                (void) snprintf(buf, size, "?");
        return buf;
}

/* Reads a number of exactly `digits` digits (one fewer is fine for hours). */
static const char *read_number(const char *s, int min_digits, int max_digits, int *ret) {
        int n = 0, v = 0;

        while (n < max_digits && isdigit((unsigned char) s[n]))
                v = v * 10 + (s[n++] - '0');
        if (n < min_digits)
                return NULL;
        *ret = v;
        return s + n;
}

/* "12:00", "12:00:30" to the end of s. */
static int read_clock(const char *s, struct tm *tm) {
        int h, m, sec = 0;

        if (!(s = read_number(s, 1, 2, &h)) || *s != ':' || !(s = read_number(s + 1, 2, 2, &m)))
                return -EINVAL;
        if (*s == ':' && !(s = read_number(s + 1, 2, 2, &sec)))
                return -EINVAL;
        if (*s || h > 23 || m > 59 || sec > 59)
                return -EINVAL;
        tm->tm_hour = h;
        tm->tm_min = m;
        tm->tm_sec = sec;
        return 0;
}

static int read_calendar(const char *s, struct tm *tm) {
        int y, m, d;

        if (!(s = read_number(s, 4, 4, &y)) || *s != '-' || !(s = read_number(s + 1, 2, 2, &m)) ||
            *s != '-' || !(s = read_number(s + 1, 2, 2, &d)))
                return -EINVAL;
        if (m < 1 || m > 12 || d < 1 || d > 31)
                return -EINVAL;
        tm->tm_year = y - 1900;
        tm->tm_mon = m - 1;
        tm->tm_mday = d;
        tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
        if (!*s)
                return 0;
        if (*s != ' ' && *s != 'T')
                return -EINVAL;
        return read_clock(s + 1 + strspn(s + 1, " "), tm);
}

static int tm_to_usec(struct tm *tm, uint64_t *ret) {
        struct tm wanted = *tm;
        time_t t;

        tm->tm_isdst = -1;
        t = mktime(tm);
        if (tm->tm_mday != wanted.tm_mday)
                return -EINVAL; /* 31 February */
        if (t < 0)
                return -ERANGE;
        *ret = (uint64_t) t * USEC_PER_SEC;
        return 0;
}

static int parse_ago(const char *s, uint64_t now, uint64_t *ret) {
        static const char ago[] = " ago";
        char buf[128];
        size_t n = strlen(s);
        uint64_t span;
        int r;

        if (*s == '-') {
                s++;
                n--;
        }
        if (n > strlen(ago) && streq(s + n - strlen(ago), ago))
                n -= strlen(ago);
        /* a bare number is not said to be seconds by anybody */
        if (n == 0 || n >= sizeof(buf) || strspn(s, "0123456789. ") >= n)
                return -EINVAL;
        memcpy(buf, s, n);
        buf[n] = '\0';
        r = parse_timespan(buf, &span);
        if (r < 0)
                return r;
        *ret = span >= now ? 0 : now - span;
        return 0;
}

int parse_since(const char *s, uint64_t now_realtime_usec, uint64_t *ret) {
        time_t now = (time_t) (now_realtime_usec / USEC_PER_SEC);
        struct tm tm;
        uint64_t n;

        s += strspn(s, " ");
        if (!localtime_r(&now, &tm))
                return -EINVAL;
        if (streq(s, "now")) {
                *ret = now_realtime_usec;
                return 0;
        }
        if (*s == '@' && parse_u64(s + 1, &n) >= 0) {
                if (n > UINT64_MAX / USEC_PER_SEC)
                        return -ERANGE;
                *ret = n * USEC_PER_SEC;
                return 0;
        }
        if (streq(s, "today") || streq(s, "yesterday")) {
                tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
                tm.tm_isdst = -1;
                if (streq(s, "yesterday"))
                        tm.tm_mday--;
                now = mktime(&tm);
                if (now < 0)
                        return -ERANGE;
                *ret = (uint64_t) now * USEC_PER_SEC;
                return 0;
        }
        if (read_clock(s, &tm) >= 0 || read_calendar(s, &tm) >= 0)
                return tm_to_usec(&tm, ret);
        return parse_ago(s, now_realtime_usec, ret);
}
