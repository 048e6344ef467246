/* SPDX-License-Identifier: MIT */
/* When is a reset one of a storm? A program that resets itself every 200 ms must not cost the disk
 * 432,000 commits a day (DESIGN 10). */
#include "history/storm.h"

static bool text_equal(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

bool storm_alike(const HistoryRecord *a, const HistoryRecord *b) {
        /* What an exception says a program may vary each time ("23.51 is too warm"), and boot.py and
         * main.py may take turns: the texts are in the journal. */
        if (a->name || b->name)
                return text_equal(a->name, b->name);
        return a->cause == b->cause && a->kind == b->kind && a->stage == b->stage &&
               a->exit_status == b->exit_status && a->signal == b->signal &&
               a->crashed == b->crashed && a->delayed == b->delayed &&
               text_equal(a->detail, b->detail);
}

/* Clocks of another boot of the host, or one that went back, say nothing. */
static bool close_together(const HistoryRecord *earlier, const HistoryRecord *later) {
        return streq(earlier->boot_id, later->boot_id) &&
               later->boottime_usec >= earlier->boottime_usec &&
               later->boottime_usec - earlier->boottime_usec < STORM_GAP_USEC;
}

static void remember(Storm *s, const HistoryRecord *r) {
        char *detail, *name;

        if ((!text_equal(s->last.detail, r->detail) &&
             free_and_strdup(&s->last.detail, r->detail) < 0) ||
            (!text_equal(s->last.name, r->name) && free_and_strdup(&s->last.name, r->name) < 0)) {
                storm_done(s); /* out of memory: the next one gets a row */
                return;
        }
        detail = s->last.detail;
        name = s->last.name;
        s->last = *r;
        s->last.detail = detail;
        s->last.name = name;
        s->last.traceback = s->last.evidence = NULL;
}

StormVerdict storm_feed(Storm *s, const HistoryRecord *r) {
        bool goes_on = s->run > 0 && storm_alike(&s->last, r) && close_together(&s->last, r);

        s->run = goes_on ? MIN(s->run + 1, STORM_RUN_MAX + 1) : 1;
        remember(s, r);
        return s->run > STORM_RUN_MAX ? STORM_VERDICT_COUNT : STORM_VERDICT_STORE;
}

void storm_done(Storm *s) {
        history_record_done(&s->last);
        *s = (Storm) {};
}
