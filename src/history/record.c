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

bool record_valid(const HistoryRecord *r) {
        if (r->name)
                return record_name_valid(r->name) && board_stage_to_string(r->stage);
        /* The names know the ranges. */
        return reset_cause_to_string(r->cause) && reset_reason_to_string(r->reason) &&
               reset_kind_to_string(r->kind) && run_reason_to_string(r->run_reason) &&
               board_stage_to_string(r->stage);
}

static bool clock_synced(void) {
        struct timex t = {};

        return adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC);
}

void record_stamp(HistoryRecord *r, const char *boot_id) {
        (void) memcpy(r->boot_id, boot_id, sizeof r->boot_id);
        r->realtime_usec = now_usec(CLOCK_REALTIME);
        r->boottime_usec = now_usec(CLOCK_BOOTTIME);
        r->clock_synced = clock_synced();
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

void history_record_done(HistoryRecord *r) {
        free(r->name);
        free(r->detail);
        free(r->traceback);
        free(r->evidence);
        *r = (HistoryRecord) {};
}

int history_record_copy(const HistoryRecord *r, HistoryRecord *ret) {
        HistoryRecord copy = *r;
        int q;

        copy.name = copy.detail = copy.traceback = copy.evidence = NULL;
        q = record_copy_detail(r->name, &copy.name);
        if (q >= 0)
                q = record_copy_detail(r->detail, &copy.detail);
        if (q >= 0)
                q = record_copy_traceback(r->traceback, &copy.traceback);
        if (q >= 0)
                q = record_copy_evidence(r->evidence, &copy.evidence);
        if (q < 0) {
                history_record_done(&copy);
                return q;
        }
        if (!record_boot_id_valid(r->boot_id))
                copy.boot_id[0] = '\0';
        *ret = copy;
        return 0;
}

HistoryRecord *history_records_free(HistoryRecord *records, size_t n) {
        for (size_t i = 0; records && i < n; i++)
                history_record_done(&records[i]);
        free(records);
        return NULL;
}
