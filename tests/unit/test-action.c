/* SPDX-License-Identifier: MIT */
/* Names and answers of include/mpyd/action.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mpyd/action.h"

static void test_names(void **state) {
        for (int v = 0; v < ACTION_VERB_MAX; v++)
                assert_int_equal(action_verb_from_string(action_verb_to_string((ActionVerb) v)), v);
        assert_null(action_verb_to_string(ACTION_VERB_MAX));
        assert_null(action_verb_to_string(ACTION_VERB_INVALID));
        assert_int_equal(action_verb_from_string(NULL), ACTION_VERB_INVALID);
        assert_int_equal(action_verb_from_string(""), ACTION_VERB_INVALID);
        assert_int_equal(action_verb_from_string("reboot "), ACTION_VERB_INVALID);
        assert_int_equal(action_verb_from_string("/bin/sh"), ACTION_VERB_INVALID);
        assert_null(action_result_to_string(ACTION_RESULT_MAX));
        for (int e = 0; e < FACTORY_RESET_ERASE_MAX; e++)
                assert_int_equal(factory_reset_erase_from_string(factory_reset_erase_to_string((FactoryResetErase) e)),
                                 e);
        assert_null(factory_reset_erase_to_string(FACTORY_RESET_ERASE_MAX));
        assert_int_equal(factory_reset_erase_from_string(NULL), FACTORY_RESET_ERASE_INVALID);
        assert_int_equal(factory_reset_erase_from_string("maybe"), FACTORY_RESET_ERASE_INVALID);
}

static void test_answers(void **state) {
        static const struct {
                const char *text, *why;
                ActionResult result;
        } cases[] = {
                { "ok", "", ACTION_OK },
                { "ok ", "", ACTION_OK },
                { "again the server answers 503", "the server answers 503", ACTION_AGAIN },
                { "failed  two blanks", " two blanks", ACTION_FAILED },
                { "", "", ACTION_RESULT_INVALID },
                { "okay", "", ACTION_RESULT_INVALID },
                { "o", "", ACTION_RESULT_INVALID },
                { " ok", "ok", ACTION_RESULT_INVALID },
                { "perhaps later", "later", ACTION_RESULT_INVALID },
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                const char *why;

                assert_int_equal(action_answer_parse(cases[i].text, &why), cases[i].result);
                assert_string_equal(why, cases[i].why);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
