/* SPDX-License-Identifier: MIT */
#include "daemon/dbus-stream.h"

#include <stdbool.h>

void dbus_stream_init(DbusStream *s, uint32_t message_max) {
        *s = (DbusStream) { .message_max = message_max };
}

static bool line_is_begin(const DbusStream *s) {
        return s->line_size == strlen("BEGIN\r") && memcmp(s->line, "BEGIN\r", s->line_size) == 0;
}

/* Lines are cut at "\r\n" as the server cuts them (sd-bus: the first such pair), so that both see the
 * same BEGIN. */
static int take_auth(DbusStream *s, char c) {
        if (++s->auth_size > DBUS_AUTH_MAX)
                return -EMSGSIZE;
        if (c == '\n' && s->before == '\r') {
                if (line_is_begin(s))
                        s->phase = DBUS_PHASE_HELD;
                s->line_size = 0;
                s->before = 0;
                return 0;
        }
        if (s->line_size < sizeof s->line)
                s->line[s->line_size] = c;
        s->line_size++;
        s->before = c;
        return 0;
}

static uint32_t header_u32(const uint8_t header[static DBUS_HEADER_SIZE], size_t at) {
        const uint8_t *p = header + at;

        return header[0] == 'l'
                       ? (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24
                       : (uint32_t) p[3] | (uint32_t) p[2] << 8 | (uint32_t) p[1] << 16 | (uint32_t) p[0] << 24;
}

/* Byte order, type, flags, version; length of the body; serial; length of the fields, which are padded
 * to a multiple of 8. */
static int take_header(DbusStream *s) {
        uint64_t body, fields;

        if (s->header[0] != 'l' && s->header[0] != 'B')
                return -EPROTO;
        body = header_u32(s->header, 4);
        fields = (header_u32(s->header, 12) + UINT64_C(7)) & ~UINT64_C(7);
        if (DBUS_HEADER_SIZE + fields + body > s->message_max)
                return -EMSGSIZE;
        s->rest = (uint32_t) (fields + body);
        s->n_header = 0;
        return 0;
}

static ssize_t take_message(DbusStream *s, const uint8_t *data, size_t size) {
        size_t n;
        int r;

        if (s->rest > 0) {
                n = MIN(size, (size_t) s->rest);
                s->rest -= (uint32_t) n;
                return (ssize_t) n;
        }
        n = MIN(size, (size_t) (DBUS_HEADER_SIZE - s->n_header));
        memcpy(s->header + s->n_header, data, n);
        s->n_header += (uint32_t) n;
        r = s->n_header == DBUS_HEADER_SIZE ? take_header(s) : 0;
        return r < 0 ? r : (ssize_t) n;
}

ssize_t dbus_stream_take(DbusStream *s, const uint8_t *data, size_t size) {
        size_t at = 0;

        while (at < size && s->phase != DBUS_PHASE_HELD) {
                ssize_t r = 1;

                if (s->phase == DBUS_PHASE_MESSAGES)
                        r = take_message(s, data + at, size - at);
                else if (s->phase == DBUS_PHASE_AUTH)
                        r = take_auth(s, (char) data[at]) < 0 ? -EMSGSIZE : 1;
                else if (data[at] == 0)
                        s->phase = DBUS_PHASE_AUTH;
                else
                        r = -EPROTO;
                if (r < 0)
                        return r;
                at += (size_t) r;
        }
        return (ssize_t) at;
}

int dbus_stream_begin(DbusStream *s) {
        if (s->phase != DBUS_PHASE_HELD)
                return -EPROTO;
        s->phase = DBUS_PHASE_MESSAGES;
        return 0;
}
