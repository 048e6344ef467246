/* SPDX-License-Identifier: MIT */
/* The one JSON form of a record, and of the totals. */
#include <jansson.h>

#include "history/record.h"
#include "history/totals.h"
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

json_t *history_record_to_json(const HistoryRecord *r) {
        const struct {
                const char *key;
                json_t *value;
        } members[] = {
                { "type", text_to_json(r->name ? "event" : "reset") },
                { "id", number_to_json(r->id, r->id <= 0) },
                { "name", text_to_json(r->name) },
                { "cause", text_to_json(r->name ? NULL : reset_cause_to_string(r->cause)) },
                { "reason", text_to_json(r->name ? NULL : reset_reason_to_string(r->reason)) },
                { "kind", text_to_json(r->name ? NULL : reset_kind_to_string(r->kind)) },
                { "run_reason", text_to_json(r->name ? NULL : run_reason_to_string(r->run_reason)) },
                { "detail", text_to_json(r->detail) },
                { "stage", text_to_json(board_stage_to_string(r->stage)) },
                { "exit_status", number_to_json(r->exit_status, r->exit_status < 0) },
                { "signal", number_to_json(r->signal, r->signal <= 0) },
                { "uptime_usec", u64_to_json(r->uptime_usec) },
                { "traceback", text_to_json(r->traceback) },
                { "crashed", json_boolean(r->crashed) },
                { "boot_id", text_to_json(*r->boot_id ? r->boot_id : NULL) },
                { "realtime_usec", u64_to_json(r->realtime_usec) },
                { "clock_synced", json_boolean(r->clock_synced) },
                { "boottime_usec", u64_to_json(r->boottime_usec) },
                { "delayed", json_boolean(r->delayed) },
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

/* The four that only a reset has. */
static int take_reset_enums(const json_t *j, HistoryRecord *ret) {
        int cause, reason, kind, run_reason;

        if (take_enum(j, "cause", cause_from, &cause) < 0 ||
            take_enum(j, "reason", reason_from, &reason) < 0 ||
            take_enum(j, "kind", kind_from, &kind) < 0 ||
            take_enum(j, "run_reason", run_reason_from, &run_reason) < 0)
                return -EINVAL;
        ret->cause = (ResetCause) cause;
        ret->reason = (ResetReason) reason;
        ret->kind = (ResetKind) kind;
        ret->run_reason = (RunReason) run_reason;
        return 0;
}

static int take_enums(const json_t *j, const char *name, HistoryRecord *ret) {
        int stage;

        if (take_enum(j, "stage", stage_from, &stage) < 0)
                return -EINVAL;
        ret->stage = (BoardStage) stage;
        if (!name)
                return take_reset_enums(j, ret);
        return record_name_valid(name) ? 0 : -EINVAL;
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

int history_record_from_json(const json_t *j, HistoryRecord *ret) {
        const char *name, *detail, *traceback, *boot_id;
        HistoryRecord r = {};
        int q;

        if (!json_is_object(j) || take_text(j, "name", HISTORY_NAME_MAX, &name) < 0 ||
            take_enums(j, name, &r) < 0 ||
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
            take_boolean(j, "crashed", &r.crashed) < 0 ||
            take_boolean(j, "delayed", &r.delayed) < 0 || take_boolean(j, "late", &r.late) < 0 || take_u64(j, "repeats", &r.repeats) < 0)
                return -EINVAL;
        if (boot_id && !record_boot_id_valid(boot_id))
                return -EINVAL;
        (void) strcpy(r.boot_id, boot_id ?: "");
        q = take_evidence(j, &r.evidence);
        if (q < 0)
                return q;
        if (free_and_strdup(&r.name, name) < 0 || free_and_strdup(&r.detail, detail) < 0 ||
            free_and_strdup(&r.traceback, traceback) < 0) {
                history_record_done(&r);
                return -ENOMEM;
        }
        *ret = r;
        return 0;
}

json_t *history_totals_to_json(const HistoryTotals *t) {
        json_t *totals = json_object();
        int r = totals ? 0 : -1;

        for (size_t i = 0; r >= 0 && i < t->n; i++)
                r = json_object_set_new(totals, t->items[i].name, json_integer(t->items[i].value));
        if (r < 0) {
                json_decref(totals);
                return NULL;
        }
        return json_pack("{s:o,s:o,s:o}", "since_usec",
                         t->since_usec ? u64_to_json(t->since_usec) : json_null(), "since_synced",
                         json_boolean(t->since_synced), "totals", totals);
}

int history_totals_from_json(const json_t *j, HistoryTotals *ret) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);
        json_t *totals = json_object_get(j, "totals"), *value;
        const char *name;

        if (!t)
                return -ENOMEM;
        if (take_u64(j, "since_usec", &t->since_usec) < 0 ||
            take_boolean(j, "since_synced", &t->since_synced) < 0 || !json_is_object(totals))
                return -EINVAL;
        json_object_foreach(totals, name, value)
                if (!record_name_valid(name) || !json_is_integer(value) ||
                    totals_add(t, name, json_integer_value(value)) < 0)
                        return -EINVAL;
        *ret = *t;
        return 0;
}
