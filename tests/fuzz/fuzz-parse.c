/* SPDX-License-Identifier: MIT */
/* Numbers, sizes, time spans and text of unknown origin: src/util/parse.c and text.c. */
#include <string.h>

#include "fuzz.h"
#include "util/parse.h"
#include "util/text.h"

size_t fuzz_seed(unsigned n, uint8_t *buf) {
        static const char *const seeds[] = {
                "0", "18446744073709551615", "18446744073709551616", "yes", "OFF", "1.5M",
                "16777215T",
                "512B", "1min 30s", "1.5h", "500ms", "infinity", "2 weeks 3 days", "7\xc2\xb5s",
                "0.000001s", "18446744073709551614us", "\x1b[31mred\x1b[0m", "gr\xc3\xbc\xc3\x9f",
                "\xf0\x9f\x90\x8d\xed\xa0\x80\xc2\x9b",
        };

        if (n >= ELEMENTSOF(seeds))
                return SIZE_MAX;
        memcpy(buf, seeds[n], strlen(seeds[n]));
        return strlen(seeds[n]);
}

#define UNTOUCHED UINT64_C(0xa5a5a5a5a5a5a5a5)

static void check_number(int r, uint64_t v) {
        FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
        FUZZ_CHECK(r == 0 || v == UNTOUCHED);
}

static void check_parsers(const char *s) {
        uint64_t v = UNTOUCHED, back = 0;
        char buf[TIMESPAN_MAX];
        bool b = true;
        int r;

        r = parse_u64(s, &v);
        check_number(r, v);
        if (r == 0) {
                uint64_t size;

                /* Plain digits are a size, and the same one. */
                FUZZ_CHECK(parse_size(s, &size) == 0 && size == v);
        }

        v = UNTOUCHED;
        r = parse_size(s, &v);
        check_number(r, v);
        if (r == 0) {
                FUZZ_CHECK(parse_size(format_size(buf, sizeof buf, v), &back) == 0);
                FUZZ_CHECK(back <= v && v - back <= v / 10);
        }

        v = UNTOUCHED;
        r = parse_timespan(s, &v);
        check_number(r, v);
        if (r == 0) {
                FUZZ_CHECK(parse_timespan(format_timespan(buf, sizeof buf, v), &back) == 0);
                FUZZ_CHECK((back == USEC_INFINITY) == (v == USEC_INFINITY));
                FUZZ_CHECK(back <= v && v - back <= v / 10);
        }

        r = parse_boolean(s, &b);
        FUZZ_CHECK(r == 0 || (r == -EINVAL && b));
}

static void check_sanitise(const char *s, size_t size, size_t room, bool keep_newline) {
        char *out = malloc(room);
        size_t n;

        if (!out)
                abort();
        n = text_sanitise(out, room, s, size, keep_newline);
        FUZZ_CHECK(n < room && strlen(out) == n);
        for (size_t i = 0, c; i < n; i += c) {
                c = utf8_character(out + i, n - i);
                FUZZ_CHECK(c > 0);
                FUZZ_CHECK(c > 1 || (uint8_t) out[i] >= 0x20 || out[i] == '\t' ||
                           (out[i] == '\n' && keep_newline));
        }
        free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *s = malloc(size + 1);

        if (!s)
                abort();
        if (size > 0)
                memcpy(s, data, size);
        s[size] = '\0';
        check_parsers(s);
        for (size_t room = 4; room < 4 * size + 8; room += 1 + room / 2) {
                check_sanitise(s, size, room, false);
                check_sanitise(s, size, room, true);
        }
        free(s);
        return 0;
}
