/* SPDX-License-Identifier: MIT */
#include "daemon/journal.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/log.h"

#define PAIRS_MAX 14u
#define MESSAGE_MAX 1024u /* for the watch */

static JournalWatch watch_event;
static void *watch_userdata;

void journal_set_watch(JournalWatch watch, void *userdata) {
        watch_event = watch;
        watch_userdata = userdata;
}

/* A field that docs/JOURNAL.md does not name would be found by nobody. */
static bool is_declared(JournalEvent e, const char *name) {
        const char *list = journal_event_fields(e), *found = list;
        size_t size = strlen(name);

        while ((found = strstr(found, name))) {
                if ((found == list || found[-1] == ' ') && (found[size] == ' ' || !found[size]))
                        return true;
                found += size;
        }
        return false;
}

const char *const *journal_event_constant_fields(JournalEvent e) {
        static const char *const fields[JOURNAL_EVENT_MAX][5] = {
#define X(symbol, name, priority, id, fields)                                                       \
        [JOURNAL_##symbol] = { "MESSAGE_ID", id, "MPYD_EVENT", name, NULL },
                JOURNAL_EVENTS(X)
#undef X
        };

        return fields[e];
}

static _printf_(4, 0) void journal_logv(JournalEvent e, int error, const char *const fields[],
                                        const char *format, va_list ap) {
        const char *all[2 * PAIRS_MAX + 1];
        char message[MESSAGE_MAX];
        va_list again;
        size_t n = 0;

        for (const char *const *f = journal_event_constant_fields(e); *f; f++)
                all[n++] = *f;
        for (const char *const *f = fields; f && *f; f += 2) {
                assert(is_declared(e, f[0]) && n + 2 < ELEMENTSOF(all));
                all[n++] = f[0];
                all[n++] = f[1];
        }
        all[n] = NULL;
        va_copy(again, ap);
        log_fullv(journal_event_priority(e), error, all, format, ap);
        if (watch_event) {
                errno = abs(error); /* for %m */
                (void) vsnprintf(message, sizeof message, format, again);
                watch_event(watch_userdata, e, fields, message);
        }
        va_end(again);
}

void journal_log(JournalEvent e, const char *const fields[], const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        journal_logv(e, 0, fields, format, ap);
        va_end(ap);
}

int journal_log_errno(JournalEvent e, int error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        journal_logv(e, error, NULL, format, ap);
        va_end(ap);
        return -abs(error);
}
