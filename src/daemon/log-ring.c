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

static LogLine *line_at(LogRing *r, size_t i) {
        return &r->lines[(r->first + i) % LOG_RING_LINES];
}

/* What is older than line i moves up by one place. */
static void drop(LogRing *r, size_t i) {
        LogLine *l = line_at(r, i);
        size_t bytes = line_bytes(l);

        r->bytes -= bytes;
        if (l->script) {
                r->n_script--;
                r->script_bytes -= bytes;
        }
        line_done(l);
        for (; i > 0; i--)
                *line_at(r, i) = *line_at(r, i - 1);
        *line_at(r, 0) = (LogLine) {};
        r->first = (r->first + 1) % LOG_RING_LINES;
        r->n--;
}

/* The oldest line goes; when scripts have more than their share, the oldest of theirs. */
static void make_room(LogRing *r) {
        size_t i = 0;

        if (r->n_script >= LOG_RING_LINES / 4 * 3 || r->script_bytes >= LOG_RING_BYTES / 4 * 3)
                while (!line_at(r, i)->script)
                        i++;
        drop(r, i);
}

const LogLine *log_ring_add(LogRing *r, uint64_t realtime_usec, int level, bool script,
                            const char *ident, const char *text) {
        LogLine l = {
                .realtime_usec = realtime_usec,
                .level = level,
                .script = script,
                .ident = strdup(ident),
                .text = strndup(text, LOG_RING_BYTES / 16),
        };

        if (!l.ident || !l.text) {
                line_done(&l);
                return NULL;
        }
        while (r->n > 0 && (r->n == LOG_RING_LINES || r->bytes + line_bytes(&l) > LOG_RING_BYTES))
                make_room(r);
        *line_at(r, r->n) = l;
        r->n++;
        r->bytes += line_bytes(&l);
        if (script) {
                r->n_script++;
                r->script_bytes += line_bytes(&l);
        }
        return line_at(r, r->n - 1);
}

const LogLine *log_ring_get(const LogRing *r, size_t i) {
        return i < r->n ? &r->lines[(r->first + i) % LOG_RING_LINES] : NULL;
}

void log_ring_done(LogRing *r) {
        while (r->n > 0)
                drop(r, 0);
}
