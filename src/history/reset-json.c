/* SPDX-License-Identifier: MIT */
/* The one JSON form of a reset. */
#include <jansson.h>

#include "history/record.h"
#include "util/text.h"

/* Valid UTF-8 whatever s is; null for NULL. */
static json_t *text_to_json(const char *s) {
        _cleanup_free_ char *clean = NULL;
        size_t room;
        json_t *j;

        if (!s)
                return json_null();
        j = json_string(s);
        if (j)
                return j;
        room = 4 * strlen(s) + 4;
        clean = malloc(room);
        if (!clean)
                return NULL;
        (void) text_sanitise(clean, room, s, strlen(s), true);
        return json_string(clean);
}

/* A number, null where it says that there is none. */
static json_t *number_to_json(int64_t v, bool absent) {
        return absent ? json_null() : json_integer(v);
}

static json_t *u64_to_json(uint64_t v) {
        return json_integer((json_int_t) MIN(v, (uint64_t) INT64_MAX));
}

static json_t *evidence_to_json(const char *s) {
        return (s ? json_loads(s, 0, NULL) : NULL) ?: json_null();
}

json_t *history_reset_to_json(const HistoryReset *r) {
        const struct {
                const char *key;
                json_t *value;
        } members[] = {
                { "id", number_to_json(r->id, r->id <= 0) },
                { "cause", text_to_json(reset_cause_to_string(r->cause)) },
                { "reason", text_to_json(reset_reason_to_string(r->reason)) },
                { "kind", text_to_json(reset_kind_to_string(r->kind)) },
                { "run_reason", text_to_json(run_reason_to_string(r->run_reason)) },
                { "detail", text_to_json(r->detail) },
                { "stage", text_to_json(board_stage_to_string(r->stage)) },
                { "exit_status", number_to_json(r->exit_status, r->exit_status < 0) },
                { "signal", number_to_json(r->signal, r->signal <= 0) },
                { "uptime_usec", u64_to_json(r->uptime_usec) },
                { "traceback", text_to_json(r->traceback) },
                { "boot_id", text_to_json(*r->boot_id ? r->boot_id : NULL) },
                { "realtime_usec", u64_to_json(r->realtime_usec) },
                { "clock_synced", json_boolean(r->clock_synced) },
                { "boottime_usec", u64_to_json(r->boottime_usec) },
                { "late", json_boolean(r->late) },
                { "repeats", u64_to_json(r->repeats) },
                { "evidence", evidence_to_json(r->evidence) },
        };
        json_t *object = json_object();
        bool ok = object;

        for (size_t i = 0; i < ELEMENTSOF(members); i++) /* each value is consumed, also a NULL */
                ok = ok ? json_object_set_new(object, members[i].key, members[i].value) >= 0
                        : (json_decref(members[i].value), false);
        if (ok)
                return object;
        json_decref(object);
        return NULL;
}

/* ---- and back: one function a type, each 0 or -EINVAL (or -ENOMEM) ---- */

static int take_number(const json_t *j, const char *key, int64_t min, int64_t max, int64_t absent,
                       int64_t *ret) {
        const json_t *v = json_object_get(j, key);
        int64_t n;

        if (!v || json_is_null(v)) {
                *ret = absent;
                return 0;
        }
        if (!json_is_integer(v))
                return -EINVAL;
        n = json_integer_value(v);
        if (n < min || n > max)
                return -EINVAL;
        *ret = n;
        return 0;
}

static int take_u64(const json_t *j, const char *key, uint64_t *ret) {
        int64_t n;
        int r = take_number(j, key, 0, INT64_MAX, 0, &n);

        if (r >= 0)
                *ret = (uint64_t) n;
        return r;
}

static int take_int(const json_t *j, const char *key, int min, int absent, int *ret) {
        int64_t n;
        int r = take_number(j, key, min, INT32_MAX, absent, &n);

        if (r >= 0)
                *ret = (int) n;
        return r;
}

static int take_boolean(const json_t *j, const char *key, bool *ret) {
        const json_t *v = json_object_get(j, key);

        if (v && !json_is_null(v) && !json_is_boolean(v))
                return -EINVAL;
        *ret = json_is_true(v);
        return 0;
}

/* A text of at most max bytes without a NUL in it, NULL for null. Borrowed from j. */
static int take_text(const json_t *j, const char *key, size_t max, const char **ret) {
        const json_t *v = json_object_get(j, key);
        size_t n;

        if (!v || json_is_null(v)) {
                *ret = NULL;
                return 0;
        }
        n = json_string_length(v);
        if (!json_is_string(v) || n > max || strlen(json_string_value(v)) != n)
                return -EINVAL;
        *ret = json_string_value(v);
        return 0;
}

static int take_enum(const json_t *j, const char *key, int (*from_string)(const char *s),
                     int *ret) {
        const char *name;
        int r, v;

        r = take_text(j, key, HISTORY_NAME_MAX, &name);
        if (r < 0)
                return r;
        v = from_string(name);
        if (v < 0)
                return -EINVAL;
        *ret = v;
        return 0;
}

static int cause_from(const char *s) {
        return (int) reset_cause_from_string(s);
}
static int reason_from(const char *s) {
        return (int) reset_reason_from_string(s);
}
static int kind_from(const char *s) {
        return (int) reset_kind_from_string(s);
}
static int run_reason_from(const char *s) {
        return (int) run_reason_from_string(s);
}
static int stage_from(const char *s) {
        return (int) board_stage_from_string(s);
}

static int take_enums(const json_t *j, HistoryReset *ret) {
        int cause, reason, kind, run_reason, stage;

        if (take_enum(j, "cause", cause_from, &cause) < 0 ||
            take_enum(j, "reason", reason_from, &reason) < 0 ||
            take_enum(j, "kind", kind_from, &kind) < 0 ||
            take_enum(j, "run_reason", run_reason_from, &run_reason) < 0 ||
            take_enum(j, "stage", stage_from, &stage) < 0)
                return -EINVAL;
        ret->cause = (ResetCause) cause;
        ret->reason = (ResetReason) reason;
        ret->kind = (ResetKind) kind;
        ret->run_reason = (RunReason) run_reason;
        ret->stage = (BoardStage) stage;
        return 0;
}

/* An array, as a text. */
static int take_evidence(const json_t *j, char **ret) {
        _cleanup_free_ char *text = NULL;
        const json_t *v = json_object_get(j, "evidence");
        int r;

        if (!v || json_is_null(v)) {
                *ret = NULL;
                return 0;
        }
        text = json_dumps(v, JSON_COMPACT);
        r = record_copy_evidence(text, ret);
        return r < 0 ? r : *ret ? 0 : -EINVAL;
}

int history_reset_from_json(const json_t *j, HistoryReset *ret) {
        const char *detail, *traceback, *boot_id;
        HistoryReset r = {};
        int q;

        if (!json_is_object(j) || take_enums(j, &r) < 0 ||
            take_number(j, "id", 0, INT64_MAX, 0, &r.id) < 0 ||
            take_text(j, "detail", HISTORY_DETAIL_MAX, &detail) < 0 ||
            take_int(j, "exit_status", 0, -1, &r.exit_status) < 0 ||
            take_int(j, "signal", 0, 0, &r.signal) < 0 ||
            take_u64(j, "uptime_usec", &r.uptime_usec) < 0 ||
            take_text(j, "traceback", HISTORY_TRACEBACK_MAX, &traceback) < 0 ||
            take_text(j, "boot_id", 32, &boot_id) < 0 ||
            take_u64(j, "realtime_usec", &r.realtime_usec) < 0 ||
            take_boolean(j, "clock_synced", &r.clock_synced) < 0 ||
            take_u64(j, "boottime_usec", &r.boottime_usec) < 0 ||
            take_boolean(j, "late", &r.late) < 0 || take_u64(j, "repeats", &r.repeats) < 0)
                return -EINVAL;
        if (boot_id && !record_boot_id_valid(boot_id))
                return -EINVAL;
        (void) strcpy(r.boot_id, boot_id ?: "");
        q = take_evidence(j, &r.evidence);
        if (q < 0)
                return q;
        if (free_and_strdup(&r.detail, detail) < 0 ||
            free_and_strdup(&r.traceback, traceback) < 0) {
                history_reset_done(&r);
                return -ENOMEM;
        }
        *ret = r;
        return 0;
}
