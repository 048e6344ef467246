/* SPDX-License-Identifier: MIT */
/* Lifetime totals: under which names a record counts, and sums by name. */
#include "history/totals.h"

#include <stdio.h>

static const char *cause_total(ResetCause c) {
        switch (c) {
        case RESET_CAUSE_PWRON:
                return "power-ons";
        case RESET_CAUSE_HARD:
                return "hard-resets";
        case RESET_CAUSE_WDT:
                return "watchdog-resets";
        case RESET_CAUSE_DEEPSLEEP:
                return "deep-sleep-wakes";
        case RESET_CAUSE_SOFT:
                return "soft-resets";
        case RESET_CAUSE_MAX:
        case RESET_CAUSE_INVALID:
                break;
        }
        return NULL;
}

size_t totals_names(const HistoryRecord *r, const char *ret[static TOTALS_NAMES_MAX]) {
        size_t n = 0;

        if (r->name) {
                ret[n++] = r->name;
                return n;
        }
        ret[n++] = "resets";
        if (cause_total(r->cause))
                ret[n++] = cause_total(r->cause);
        if (r->crashed)
                ret[n++] = "crashes";
        if (r->delayed)
                ret[n++] = "delayed-resets";
        return n;
}

/* Where name is, or would be. */
static size_t find(const HistoryTotals *t, const char *name, bool *ret_found) {
        size_t i = 0;

        while (i < t->n && strcmp(t->items[i].name, name) < 0)
                i++;
        *ret_found = i < t->n && streq(t->items[i].name, name);
        return i;
}

int totals_add(HistoryTotals *t, const char *name, int64_t n) {
        bool found;
        size_t i = find(t, name, &found);

        if (!found) {
                if (t->n >= ELEMENTSOF(t->items))
                        return -E2BIG;
                (void) memmove(&t->items[i + 1], &t->items[i], (t->n - i) * sizeof t->items[0]);
                (void) snprintf(t->items[i].name, sizeof t->items[i].name, "%s", name);
                t->items[i].value = 0;
                t->n++;
        }
        if (__builtin_add_overflow(t->items[i].value, n, &t->items[i].value))
                t->items[i].value = n > 0 ? INT64_MAX : INT64_MIN;
        return 0;
}

void totals_add_record(HistoryTotals *t, const HistoryRecord *r, int64_t n) {
        const char *names[TOTALS_NAMES_MAX];
        size_t n_names = totals_names(r, names);

        for (size_t i = 0; i < n_names; i++)
                if (totals_add(t, names[i], n) < 0)
                        break;
}

int64_t history_totals_get(const HistoryTotals *t, const char *name) {
        bool found;
        size_t i = find(t, name, &found);

        return found ? t->items[i].value : 0;
}
