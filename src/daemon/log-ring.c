/* SPDX-License-Identifier: MIT */
#include "daemon/log-ring.h"

#include "util/macros.h"

static size_t line_bytes(const LogLine *l) {
        return strlen(l->ident) + strlen(l->text);
}

static void line_done(LogLine *l) {
        free(l->ident);
        free(l->text);
        *l = (LogLine) {};
}

static void drop_oldest(LogRing *r) {
        LogLine *l = &r->lines[r->first];

        r->bytes -= line_bytes(l);
        line_done(l);
        r->first = (r->first + 1) % LOG_RING_LINES;
        r->n--;
}

void log_ring_add(LogRing *r, uint64_t realtime_usec, int level, const char *ident, const char *text) {
        LogLine l = {
                .realtime_usec = realtime_usec,
                .level = level,
                .ident = strdup(ident),
                .text = strndup(text, LOG_RING_BYTES / 16),
        };

        if (!l.ident || !l.text) {
                line_done(&l);
                return;
        }
        while (r->n > 0 && (r->n == LOG_RING_LINES || r->bytes + line_bytes(&l) > LOG_RING_BYTES))
                drop_oldest(r);
        r->lines[(r->first + r->n) % LOG_RING_LINES] = l;
        r->n++;
        r->bytes += line_bytes(&l);
}

const LogLine *log_ring_get(const LogRing *r, size_t i) {
        return i < r->n ? &r->lines[(r->first + i) % LOG_RING_LINES] : NULL;
}

void log_ring_done(LogRing *r) {
        while (r->n > 0)
                drop_oldest(r);
}
