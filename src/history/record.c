/* SPDX-License-Identifier: MIT */
/* Resets and events as values: copies whose text is bounded and fit to be stored. */
#include "history/record.h"

#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/timex.h>
#include <time.h>

#include "mpyd/board-link.h"
#include "util/io.h"
#include "util/parse.h"
#include "util/text.h"

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define INPUT_MAX (64u * 1024u) /* what is looked at of a text that nobody bounded */
#define ESCAPE_MAX 4u           /* "\xNN" for one byte */

static_assert(HISTORY_TRACEBACK_MAX == LINK_TEXT_MAX, "a traceback of the link is stored whole");

int record_copy_detail(const char *s, char **ret) {
        char *copy = NULL;

        if (s) {
                char text[HISTORY_DETAIL_MAX + 1];

                (void) text_sanitise(text, sizeof text, s, strnlen(s, INPUT_MAX), false);
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

int record_copy_traceback(const char *s, char **ret) {
        _cleanup_free_ char *clean = NULL;
        char fit[HISTORY_TRACEBACK_MAX];
        char *copy;
        size_t n;

        if (!s) {
                *ret = NULL;
                return 0;
        }
        /* Cut, made valid, which may lengthen it, and cut again. */
        n = link_text_fit(s, strnlen(s, INPUT_MAX), fit);
        clean = malloc(n * ESCAPE_MAX + ESCAPE_MAX);
        if (!clean)
                return -ENOMEM;
        n = text_sanitise(clean, n * ESCAPE_MAX + ESCAPE_MAX, fit, n, true);
        n = link_text_fit(clean, n, fit);
        copy = strndup(fit, n);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int record_copy_evidence(const char *s, char **ret) {
        json_t *j = s && strnlen(s, HISTORY_EVIDENCE_MAX + 1) <= HISTORY_EVIDENCE_MAX
                            ? json_loads(s, 0, NULL)
                            : NULL;
        bool good = json_is_array(j) && json_array_size(j) > 0;
        char *copy = NULL;

        json_decref(j);
        if (good) {
                copy = strdup(s);
                if (!copy)
                        return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

bool record_name_valid(const char *s) {
        size_t n = s ? strnlen(s, HISTORY_NAME_MAX + 1) : 0;

        if (n == 0 || n > HISTORY_NAME_MAX || !(s[0] >= 'a' && s[0] <= 'z') || s[n - 1] == '-')
                return false;
        for (size_t i = 0; i < n; i++) {
                bool word = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');

                if (!word && (s[i] != '-' || s[i - 1] == '-'))
                        return false;
        }
        return true;
}

bool record_boot_id_valid(const char *s) {
        size_t n = s ? strnlen(s, 33) : 0;

        for (size_t i = 0; i < n; i++)
                if (!isxdigit((unsigned char) s[i]))
                        return false;
        return n == 32;
}

bool record_reset_valid(const HistoryReset *r) {
        /* The names know the ranges. */
        return reset_cause_to_string(r->cause) && reset_reason_to_string(r->reason) &&
               reset_kind_to_string(r->kind) && run_reason_to_string(r->run_reason) &&
               board_stage_to_string(r->stage);
}

static bool clock_synced(void) {
        struct timex t = {};

        return adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC);
}

void record_stamp(HistoryEvent *e, const char *boot_id) {
        (void) memcpy(e->boot_id, boot_id, sizeof e->boot_id);
        e->realtime_usec = now_usec(CLOCK_REALTIME);
        e->boottime_usec = now_usec(CLOCK_BOOTTIME);
        e->clock_synced = clock_synced();
}

void record_read_boot_id(char ret[static 33]) {
        _cleanup_free_ char *text = NULL;
        char id[33] = "";
        size_t size, n = 0;

        if (read_file(AT_FDCWD, BOOT_ID_FILE, 64, &text, &size) >= 0)
                for (size_t i = 0; i < size && n < 32; i++)
                        if (isxdigit((unsigned char) text[i]))
                                id[n++] = text[i];
        id[n] = '\0';
        (void) strcpy(ret, n == 32 ? id : "");
}

void history_reset_done(HistoryReset *r) {
        free(r->detail);
        free(r->traceback);
        free(r->evidence);
        *r = (HistoryReset) {};
}

int history_reset_copy(const HistoryReset *r, HistoryReset *ret) {
        HistoryReset copy = *r;
        int q;

        copy.detail = copy.traceback = copy.evidence = NULL;
        q = record_copy_detail(r->detail, &copy.detail);
        if (q >= 0)
                q = record_copy_traceback(r->traceback, &copy.traceback);
        if (q >= 0)
                q = record_copy_evidence(r->evidence, &copy.evidence);
        if (q < 0) {
                history_reset_done(&copy);
                return q;
        }
        if (!record_boot_id_valid(r->boot_id))
                copy.boot_id[0] = '\0';
        *ret = copy;
        return 0;
}

HistoryReset *history_resets_free(HistoryReset *resets, size_t n) {
        for (size_t i = 0; resets && i < n; i++)
                history_reset_done(&resets[i]);
        free(resets);
        return NULL;
}

void history_event_done(HistoryEvent *e) {
        free(e->name);
        free(e->detail);
        *e = (HistoryEvent) {};
}

HistoryEvent *history_events_free(HistoryEvent *events, size_t n) {
        for (size_t i = 0; events && i < n; i++)
                history_event_done(&events[i]);
        free(events);
        return NULL;
}
