/* SPDX-License-Identifier: MIT */
/* Resets as values and as JSON: src/history/record.c, src/history/record-json.c. */
#include <jansson.h>
#include <time.h>

#include "history/record.h"
#include "test-history.h"
#include "util/parse.h"
#include "util/text.h"

static void test_copy_bounds_texts(void **state) {
        char detail[2000], *traceback = malloc(100001);
        HistoryRecord r = { .cause = RESET_CAUSE_HARD, .detail = detail, .traceback = traceback },
                     copy;

        memset(detail, 'x', sizeof detail);
        detail[sizeof detail - 1] = '\0';
        memset(traceback, 'y', 100000);
        (void) strcpy(traceback + 60000, "\nValueError: the end");
        assert_int_equal(history_record_copy(&r, &copy), 0);
        assert_true(strlen(copy.detail) <= HISTORY_DETAIL_MAX);
        assert_true(strlen(copy.detail) > HISTORY_DETAIL_MAX - 4);
        assert_true(strlen(copy.traceback) <= HISTORY_TRACEBACK_MAX);
        /* The last line names the exception: it stays. */
        assert_non_null(strstr(copy.traceback, "ValueError: the end"));
        assert_non_null(strstr(copy.traceback, "bytes left out"));
        history_record_done(&copy);
        free(traceback);
}

static void test_copy_sanitises(void **state) {
        HistoryRecord r = { .detail = (char *) "a\x1b[2J\xff\n",
                           .traceback = (char *) "l1\nl2\x07\xc3" };
        HistoryRecord copy;

        (void) strcpy(r.boot_id, "not a boot id");
        assert_int_equal(history_record_copy(&r, &copy), 0);
        assert_string_equal(copy.detail, "a\\x1b[2J\\xff\\x0a");
        assert_string_equal(copy.traceback, "l1\nl2\\x07\\xc3");
        assert_string_equal(copy.boot_id, "");
        history_record_done(&copy);
        assert_null(copy.detail);
        history_record_done(&copy);
}

/* Escapes take four bytes for one: the bound holds all the same. */
static void test_copy_of_garbage(void **state) {
        char garbage[9000];
        char *copy;

        srand(1);
        for (unsigned n = 0; n < 50; n++) {
                for (size_t i = 0; i < sizeof garbage; i++)
                        garbage[i] = (char) (rand() % 255 + 1);
                garbage[rand() % sizeof garbage] = '\0';
                garbage[sizeof garbage - 1] = '\0';
                assert_int_equal(record_copy_traceback(garbage, &copy), 0);
                assert_true(strlen(copy) <= HISTORY_TRACEBACK_MAX);
                for (size_t i = 0, k; copy[i]; i += k) {
                        k = utf8_character(copy + i, strlen(copy + i));
                        assert_true(k > 0);
                }
                free(copy);
                assert_int_equal(record_copy_detail(garbage, &copy), 0);
                assert_true(strlen(copy) <= HISTORY_DETAIL_MAX);
                free(copy);
        }
        assert_int_equal(record_copy_traceback("", &copy), 0);
        assert_string_equal(copy, "");
        free(copy);
        assert_int_equal(record_copy_traceback(NULL, &copy), 0);
        assert_null(copy);
}

/* Nothing but a bounded JSON array with something in it. */
static void test_copy_of_evidence(void **state) {
        _cleanup_free_ char *big = malloc(HISTORY_EVIDENCE_MAX + 2);
        static const char *const bad[] = { "", "[", "{}", "[]", "null", "[1] x", "\"text\"", "[\"\xff\"]" };
        char *copy;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(record_copy_evidence(bad[i], &copy), 0);
                assert_null(copy);
        }
        assert_int_equal(record_copy_evidence(NULL, &copy), 0);
        assert_null(copy);
        memset(big, ' ', HISTORY_EVIDENCE_MAX + 1);
        memcpy(big, "[1]", 3);
        big[HISTORY_EVIDENCE_MAX + 1] = '\0';
        assert_int_equal(record_copy_evidence(big, &copy), 0);
        assert_null(copy);
        big[HISTORY_EVIDENCE_MAX] = '\0';
        assert_int_equal(record_copy_evidence(big, &copy), 0);
        assert_string_equal(copy, big);
        free(copy);
}

static void test_names(void **state) {
        static const char *const good[] = { "a", "daemon-start", "x1-2", "history-set-aside" };
        static const char *const bad[] = { "",  "-a",  "a-",  "a--b",    "1a",
                                           "A", "a_b", "a b", "\xc3\xa4" };
        char name[HISTORY_NAME_MAX + 2];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(record_name_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(record_name_valid(bad[i]));
        assert_false(record_name_valid(NULL));
        memset(name, 'a', sizeof name);
        name[HISTORY_NAME_MAX] = '\0';
        assert_true(record_name_valid(name));
        name[HISTORY_NAME_MAX] = 'a';
        name[HISTORY_NAME_MAX + 1] = '\0';
        assert_false(record_name_valid(name));
}

static void test_stamp(void **state) {
        HistoryRecord e = {};
        char boot_id[33];

        record_read_boot_id(boot_id);
        assert_true(*boot_id == '\0' || record_boot_id_valid(boot_id));
        record_stamp(&e, boot_id);
        assert_string_equal(e.boot_id, boot_id);
        assert_true(e.boottime_usec > 0 && e.boottime_usec <= now_usec(CLOCK_BOOTTIME));
        assert_true(e.realtime_usec > 0);
}

/* ---- JSON ---- */

static void assert_resets_equal(const HistoryRecord *a, const HistoryRecord *b) {
        assert_int_equal(a->id, b->id);
        assert_int_equal(a->cause, b->cause);
        assert_int_equal(a->reason, b->reason);
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->run_reason, b->run_reason);
        assert_int_equal(a->stage, b->stage);
        assert_int_equal(a->exit_status, b->exit_status);
        assert_int_equal(a->signal, b->signal);
        assert_true(a->uptime_usec == b->uptime_usec);
        assert_true(!a->detail == !b->detail && (!a->detail || streq(a->detail, b->detail)));
        assert_true(!a->traceback == !b->traceback &&
                    (!a->traceback || streq(a->traceback, b->traceback)));
        assert_true(!a->evidence == !b->evidence && (!a->evidence || streq(a->evidence, b->evidence)));
        assert_string_equal(a->boot_id, b->boot_id);
        assert_true(a->realtime_usec == b->realtime_usec);
        assert_int_equal(a->clock_synced, b->clock_synced);
        assert_true(a->boottime_usec == b->boottime_usec);
        assert_int_equal(a->late, b->late);
        assert_true(a->repeats == b->repeats);
}

static void assert_round_trip(const HistoryRecord *r) {
        json_t *j = history_record_to_json(r), *parsed;
        HistoryRecord back;
        char *text;

        assert_non_null(j);
        text = json_dumps(j, JSON_COMPACT);
        assert_non_null(text);
        parsed = json_loads(text, 0, NULL);
        assert_non_null(parsed);
        assert_int_equal(history_record_from_json(parsed, &back), 0);
        assert_resets_equal(r, &back);
        history_record_done(&back);
        free(text);
        json_decref(parsed);
        json_decref(j);
}

static void test_json_round_trip(void **state) {
        HistoryRecord full = reset_make(7);
        HistoryRecord empty = { .cause = RESET_CAUSE_PWRON, .exit_status = -1 };

        full.id = 42;
        full.late = true;
        full.repeats = 1000000;
        full.exit_status = 0;
        full.traceback = (char *) "\"quoted\"\n\tgr\xc3\xbc\xc3\x9f\x65\n";
        assert_round_trip(&full);
        assert_round_trip(&empty);
        for (int c = RESET_CAUSE_PWRON; c < RESET_CAUSE_MAX; c++)
                for (int k = 0; k < RESET_KIND_MAX; k++)
                        for (int s = 0; s < BOARD_STAGE_MAX; s++) {
                                full.cause = (ResetCause) c;
                                full.kind = (ResetKind) k;
                                full.stage = (BoardStage) s;
                                assert_round_trip(&full);
                        }
        full.uptime_usec = INT64_MAX;
        assert_round_trip(&full);
}

/* What people and their programs rely on. */
static void test_json_form(void **state) {
        HistoryRecord r = reset_make(1);
        json_t *j;

        r.signal = 0;
        r.traceback = NULL;
        j = history_record_to_json(&r);
        assert_string_equal(json_string_value(json_object_get(j, "cause")), "HARD_RESET");
        assert_string_equal(json_string_value(json_object_get(j, "reason")), "SOFTWARE");
        assert_string_equal(json_string_value(json_object_get(j, "kind")), "hard");
        assert_string_equal(json_string_value(json_object_get(j, "run_reason")), "STARTUP");
        assert_string_equal(json_string_value(json_object_get(j, "stage")), "main.py");
        assert_true(json_is_null(json_object_get(j, "id")));
        assert_true(json_is_null(json_object_get(j, "signal")));
        assert_true(json_is_null(json_object_get(j, "exit_status")));
        assert_true(json_is_null(json_object_get(j, "traceback")));
        assert_true(json_is_false(json_object_get(j, "late")));
        assert_int_equal(json_object_size(j), 22);
        assert_string_equal(json_string_value(json_object_get(j, "type")), "reset");
        assert_true(json_is_null(json_object_get(j, "name")));
        json_decref(j);
}

static void test_json_of_invalid_text(void **state) {
        HistoryRecord r = { .cause = RESET_CAUSE_HARD, .detail = (char *) "\xff\xfe" };
        json_t *j = history_record_to_json(&r);

        assert_non_null(j);
        assert_string_equal(json_string_value(json_object_get(j, "detail")), "\\xff\\xfe");
        json_decref(j);
}

static void test_json_refusals(void **state) {
        static const char *const changes[] = {
                "{\"cause\":null}",        "{\"cause\":\"NO_RESET\"}", "{\"cause\":1}",
                "{\"reason\":\"\"}",       "{\"kind\":\"HARD\"}",      "{\"stage\":\"code.py\"}",
                "{\"run_reason\":[]}",     "{\"id\":-1}",              "{\"id\":\"1\"}",
                "{\"id\":1.5}",            "{\"signal\":-9}",          "{\"signal\":99999999999}",
                "{\"exit_status\":-2}",    "{\"uptime_usec\":-1}",     "{\"repeats\":-1}",
                "{\"late\":1}",            "{\"clock_synced\":\"no\"}", "{\"boot_id\":\"123\"}",
                "{\"boot_id\":\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"}",  "{\"detail\":{}}",
                "{\"detail\":\"a\\u0000b\"}", "{\"evidence\":{}}", "{\"evidence\":[]}",
                "{\"evidence\":\"text\"}",
        };
        HistoryRecord r = reset_make(1), back = { .id = 77 };
        json_t *other;

        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                json_t *j = history_record_to_json(&r), *change;

                change = json_loads(changes[i], JSON_ALLOW_NUL, NULL);
                assert_non_null(change);
                assert_int_equal(json_object_update(j, change), 0);
                if (history_record_from_json(j, &back) != -EINVAL)
                        fail_msg("accepted: %s", changes[i]);
                assert_int_equal(back.id, 77);
                json_decref(change);
                json_decref(j);
        }
        other = json_array();
        assert_int_equal(history_record_from_json(other, &back), -EINVAL);
        assert_int_equal(history_record_from_json(NULL, &back), -EINVAL);
        json_decref(other);
}

static void test_json_bounds(void **state) {
        _cleanup_free_ char *big = malloc(HISTORY_TRACEBACK_MAX + 2);
        HistoryRecord r = reset_make(1), back;
        json_t *j;

        memset(big, 'x', HISTORY_TRACEBACK_MAX + 1);
        big[HISTORY_TRACEBACK_MAX + 1] = '\0';
        r.traceback = big;
        j = history_record_to_json(&r);
        assert_int_equal(history_record_from_json(j, &back), -EINVAL);
        json_decref(j);
        big[HISTORY_TRACEBACK_MAX] = '\0';
        assert_round_trip(&r);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_copy_bounds_texts),
                cmocka_unit_test(test_copy_sanitises),
                cmocka_unit_test(test_copy_of_garbage),
                cmocka_unit_test(test_copy_of_evidence),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_stamp),
                cmocka_unit_test(test_json_round_trip),
                cmocka_unit_test(test_json_form),
                cmocka_unit_test(test_json_of_invalid_text),
                cmocka_unit_test(test_json_refusals),
                cmocka_unit_test(test_json_bounds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
