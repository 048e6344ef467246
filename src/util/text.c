/* SPDX-License-Identifier: MIT */
/* Text of unknown origin made fit for a terminal, the journal and D-Bus. */
#include "util/text.h"

#include <stdint.h>
#include <stdio.h>

#include "util/macros.h"

#define ELLIPSIS "\xe2\x80\xa6"
#define ELLIPSIS_SIZE 3u

static bool is_continuation(uint8_t c) {
        return (c & 0xc0) == 0x80;
}

size_t utf8_character(const char *s, size_t size) {
        const uint8_t *p = (const uint8_t *) s;

        if (size == 0)
                return 0;
        if (p[0] < 0x80)
                return 1;
        if (p[0] >= 0xc2 && p[0] <= 0xdf)
                return size >= 2 && is_continuation(p[1]) ? 2 : 0;
        if ((p[0] & 0xf0) == 0xe0) {
                if (size < 3 || !is_continuation(p[1]) || !is_continuation(p[2]))
                        return 0;
                if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
                        return 0;
                return 3;
        }
        if (p[0] >= 0xf0 && p[0] <= 0xf4) {
                if (size < 4 || !is_continuation(p[1]) || !is_continuation(p[2]) ||
                    !is_continuation(p[3]))
                        return 0;
                if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
                        return 0;
                return 4;
        }
        return 0;
}

/* Is the character of n bytes at p one that a terminal acts on? */
static bool is_control(const uint8_t *p, size_t n, bool keep_newline) {
        if (n == 1)
                return (p[0] < 0x20 && p[0] != '\t' && !(p[0] == '\n' && keep_newline)) ||
                       p[0] == 0x7f;
        return n == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

size_t text_sanitise(char *out, size_t room, const char *in, size_t size, bool keep_newline) {
        size_t length = 0, fit = 0; /* fit: how much may stay when the ellipsis must follow */

        assert(room > ELLIPSIS_SIZE);

        for (size_t i = 0; i < size;) {
                const uint8_t *p = (const uint8_t *) in + i;
                char piece[4 * 2 + 1];
                size_t n, taken = utf8_character(in + i, size - i);

                if (taken == 0 || is_control(p, taken, keep_newline)) {
                        taken = MAX(taken, (size_t) 1);
                        n = 0;
                        for (size_t k = 0; k < taken; k++)
                                n += (size_t) snprintf(piece + n, sizeof piece - n, "\\x%02x",
                                                       p[k]);
                } else {
                        memcpy(piece, p, taken);
                        n = taken;
                }
                if (length + n >= room) {
                        memcpy(out + fit, ELLIPSIS, ELLIPSIS_SIZE);
                        length = fit + ELLIPSIS_SIZE;
                        break;
                }
                memcpy(out + length, piece, n);
                length += n;
                if (length + ELLIPSIS_SIZE < room)
                        fit = length;
                i += taken;
        }
        out[length] = '\0';
        return length;
}

const char *text_last_line(const char *text, size_t *ret_size) {
        size_t end = strlen(text), start;

        while (end > 0 && text[end - 1] == '\n')
                end--;
        for (start = end; start > 0 && text[start - 1] != '\n';)
                start--;
        *ret_size = end - start;
        return text + start;
}

bool text_is_interrupt(const char *traceback) {
        static const char name[] = "KeyboardInterrupt";
        size_t size;

        return strncmp(text_last_line(traceback, &size), name, sizeof name - 1) == 0;
}
