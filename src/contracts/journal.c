/* SPDX-License-Identifier: MIT */
/* Names, ids and priorities of the events in include/mpyd/journal.h. */
#include "mpyd/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

#include "util/macros.h"

static const struct {
        const char *name;
        int priority;
        char id[33];
        const char *fields;
} events[JOURNAL_EVENT_MAX] = {
#define X(symbol, name, priority, id, fields) [JOURNAL_##symbol] = { name, priority, id, fields },
        JOURNAL_EVENTS(X)
#undef X
};

#define X(symbol, name, priority, id, fields) static_assert(sizeof(id) == 33, "an sd-id128 of " name);
JOURNAL_EVENTS(X)
#undef X

static bool valid(JournalEvent e) {
        return e >= 0 && e < JOURNAL_EVENT_MAX;
}

const char *journal_event_to_string(JournalEvent e) {
        return valid(e) ? events[e].name : NULL;
}

const char *journal_event_message_id(JournalEvent e) {
        return valid(e) ? events[e].id : NULL;
}

int journal_event_priority(JournalEvent e) {
        return valid(e) ? events[e].priority : -EINVAL;
}

const char *journal_event_fields(JournalEvent e) {
        return valid(e) ? events[e].fields : NULL;
}
