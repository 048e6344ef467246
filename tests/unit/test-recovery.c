/* SPDX-License-Identifier: MIT */
/* Starting a program again that nobody looks after: a pure policy, walked as a table. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/recovery.h"
#include "mpyd/retained.h"
#include "util/parse.h"

#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE
#define START (1000 * SEC)
#define NEVER UINT64_MAX

static const RecoveryLimits limits = { 30 * SEC, 2, 15 * MINUTE, 10 * MINUTE };

enum { NOTHING = RECOVERY_NOTHING, RELOAD = RECOVERY_RELOAD, HARD = RECOVERY_HARD_RESET };

/* One step of a story, at a time after START. */
typedef struct Step {
        uint64_t at;
        enum { RESET, OURS, MAIN, BOOT, REPL, REPL_RAW, COMES, GOES, LOOK, RUNS, ENDS } what;
        int result;        /* MAIN, BOOT: how it ended; LOOK: the action */
        uint64_t ran;      /* MAIN, BOOT */
        uint64_t due;      /* after it, after START; 0 means NEVER */
} Step;

static void tell(const RecoveryLimits *l, const Step *steps, size_t n) {
        uint64_t repl = 0;
        Recovery r;

        recovery_init(&r, l, 0);
        for (size_t i = 0; i < n; i++) {
                const Step *s = &steps[i];
                uint64_t now = START + s->at, due = s->due == 0 ? NEVER : START + s->due;

                switch (s->what) {
                case RESET:
                case OURS:
                        recovery_on_reset(&r, s->what == OURS);
                        break;
                case MAIN:
                case BOOT:
                        recovery_on_stage_end(&r, s->what == MAIN ? BOARD_STAGE_MAIN : BOARD_STAGE_BOOT,
                                              (StageResult) s->result, s->ran);
                        break;
                case REPL:
                case REPL_RAW:
                        recovery_on_repl(&r, s->what == REPL_RAW, now);
                        break;
                case COMES:
                case GOES:
                        recovery_on_user(&r, s->what == COMES, repl, now);
                        break;
                case RUNS:
                        repl = (repl + RETAINED_REPL_ONE) | RETAINED_REPL_RUNS;
                        break;
                case ENDS:
                        repl = (repl & ~RETAINED_REPL_RUNS) ^ RETAINED_REPL_RAW;
                        break;
                case LOOK:
                        if ((int) recovery_look(&r, repl, now) != s->result)
                                fail_msg("step %zu: another action than %d", i, s->result);
                        break;
                }
                if (r.due_usec != due)
                        fail_msg("step %zu: due %lld, not %lld", i, (long long) (r.due_usec - START),
                                 (long long) (due - START));
        }
}
#define TELL_WITH(l, ...) \
        tell(l, (const Step[]) { __VA_ARGS__ }, ELEMENTSOF(((const Step[]) { __VA_ARGS__ })))
#define TELL(...) TELL_WITH(&limits, __VA_ARGS__)

static void test_an_exception_is_tried_again(void **state) {
        TELL({ 0, RESET },
             { 1 * SEC, MAIN, STAGE_RESULT_EXCEPTION },
             { 1 * SEC, REPL, .due = 31 * SEC },
             { 31 * SEC - 1, LOOK, NOTHING, .due = 31 * SEC },
             { 31 * SEC, LOOK, RELOAD },
             { 31 * SEC, LOOK, NOTHING }, /* told once */
             { 31 * SEC, OURS },
             { 32 * SEC, MAIN, STAGE_RESULT_EXCEPTION },
             { 32 * SEC, REPL, .due = 92 * SEC }, /* longer */
             { 92 * SEC, LOOK, RELOAD },
             { 92 * SEC, OURS },
             { 92 * SEC, BOOT, STAGE_RESULT_EXCEPTION }, /* boot.py's counts as well */
             { 92 * SEC, REPL, .due = 212 * SEC },
             { 212 * SEC, LOOK, HARD },
             { 212 * SEC, OURS },
             { 213 * SEC, MAIN, STAGE_RESULT_EXCEPTION },
             { 213 * SEC, REPL, .due = 243 * SEC }); /* from the beginning */
}

static void test_what_ends_the_row(void **state) {
        TELL({ 0, MAIN, STAGE_RESULT_EXCEPTION }, { 0, REPL, .due = 30 * SEC }, { 30 * SEC, LOOK, RELOAD },
             { 30 * SEC, OURS },
             { 31 * SEC, RESET }, /* somebody else's reset */
             { 31 * SEC, MAIN, STAGE_RESULT_EXCEPTION }, { 31 * SEC, REPL, .due = 61 * SEC });
        TELL({ 0, MAIN, STAGE_RESULT_EXCEPTION }, { 0, REPL, .due = 30 * SEC }, { 30 * SEC, LOOK, RELOAD },
             { 30 * SEC, OURS }, /* and now it ran well for a while */
             { 20 * MINUTE, MAIN, STAGE_RESULT_EXCEPTION, .ran = 10 * MINUTE },
             { 20 * MINUTE, REPL, .due = 20 * MINUTE + 30 * SEC });
}

static void test_a_program_that_returned_is_left_alone(void **state) {
        TELL({ 0, BOOT, STAGE_RESULT_OK }, { 0, MAIN, STAGE_RESULT_OK }, { 0, REPL },
             { 99 * MINUTE, LOOK, NOTHING }, { 99 * MINUTE, COMES }, { 99 * MINUTE, GOES });
        TELL({ 0, BOOT, STAGE_RESULT_MISSING }, { 0, MAIN, STAGE_RESULT_MISSING }, { 0, REPL });
}

/* KeyboardInterrupt alone never starts it again: its user has to go first, and stay away. */
static void test_a_forgotten_ctrl_c(void **state) {
        TELL({ 0, RESET },
             { 1 * SEC, COMES },
             { 2 * SEC, MAIN, STAGE_RESULT_INTERRUPTED },
             { 2 * SEC, REPL },
             { 9 * MINUTE, LOOK, NOTHING },
             { 10 * MINUTE, GOES, .due = 25 * MINUTE },
             { 20 * MINUTE, COMES }, /* he is back */
             { 50 * MINUTE, LOOK, NOTHING },
             { 60 * MINUTE, GOES, .due = 75 * MINUTE },
             { 75 * MINUTE, LOOK, RELOAD },
             { 75 * MINUTE, OURS });
        /* mpyctl interrupt, with nobody at the REPL */
        TELL({ 2 * SEC, MAIN, STAGE_RESULT_INTERRUPTED }, { 2 * SEC, REPL, .due = 15 * MINUTE + 2 * SEC });
}

static void test_a_tool_that_has_gone(void **state) {
        TELL({ 0, COMES }, { 0, BOOT, STAGE_RESULT_OK }, { 0, REPL_RAW },
             { 1 * SEC, GOES, .due = 15 * MINUTE + 1 * SEC },
             { 15 * MINUTE + 1 * SEC, LOOK, RELOAD });
}

/* mpremote run --no-follow: what runs at the REPL is a program too. */
static void test_code_that_was_left_running(void **state) {
        TELL({ 0, COMES }, { 0, REPL_RAW },
             { 1 * SEC, RUNS }, { 1 * SEC, GOES, .due = 15 * MINUTE + 1 * SEC },
             { 15 * MINUTE + 1 * SEC, LOOK, NOTHING, .due = 30 * MINUTE + 1 * SEC },
             { 29 * MINUTE, ENDS, .due = 30 * MINUTE + 1 * SEC },
             { 30 * MINUTE + 1 * SEC, LOOK, NOTHING, .due = 45 * MINUTE + 1 * SEC }, /* it ran a minute ago */
             { 45 * MINUTE + 1 * SEC, LOOK, RELOAD });
        /* It ran and ended between two looks, the second time with its user gone already. */
        TELL({ 0, COMES }, { 0, REPL_RAW }, { 1 * SEC, RUNS }, { 2 * SEC, ENDS },
             { 3 * SEC, GOES, .due = 15 * MINUTE + 3 * SEC }, { 4 * SEC, RUNS, .due = 15 * MINUTE + 3 * SEC },
             { 5 * SEC, ENDS, .due = 15 * MINUTE + 3 * SEC },
             { 15 * MINUTE + 3 * SEC, LOOK, NOTHING, .due = 30 * MINUTE + 3 * SEC },
             { 30 * MINUTE + 3 * SEC, LOOK, RELOAD });
        /* Nor does an exception of main.py, seen by nobody, end what runs now. */
        TELL({ 0, MAIN, STAGE_RESULT_EXCEPTION }, { 0, REPL, .due = 30 * SEC }, { 1 * SEC, RUNS, .due = 30 * SEC },
             { 30 * SEC, LOOK, NOTHING, .due = 60 * SEC }, { 60 * SEC, LOOK, NOTHING, .due = 90 * SEC });
}

static void test_who_looks_at_an_exception_is_not_disturbed(void **state) {
        TELL({ 0, MAIN, STAGE_RESULT_EXCEPTION }, { 0, REPL, .due = 30 * SEC },
             { 10 * SEC, COMES },
             { 60 * SEC, LOOK, NOTHING },
             { 60 * SEC, GOES, .due = 16 * MINUTE },
             { 16 * MINUTE, LOOK, RELOAD });
        TELL({ 0, COMES }, { 0, MAIN, STAGE_RESULT_EXCEPTION }, { 0, REPL }, { 99 * MINUTE, LOOK, NOTHING });
        /* who only watched while it ran, and left before it ended, has not seen it */
        TELL({ 0, COMES }, { 1 * SEC, GOES }, { 2 * SEC, MAIN, STAGE_RESULT_EXCEPTION },
             { 2 * SEC, REPL, .due = 32 * SEC });
}

static void test_off(void **state) {
        static const RecoveryLimits off = { 0, 2, 0, 10 * MINUTE };

        TELL_WITH(&off, { 0, MAIN, STAGE_RESULT_EXCEPTION }, { 0, REPL });
        TELL_WITH(&off, { 0, MAIN, STAGE_RESULT_INTERRUPTED }, { 0, REPL });
}

static void test_a_count_from_outside_is_bounded(void **state) {
        Recovery r;

        recovery_init(&r, &limits, UINT64_MAX); /* the board can write there */
        assert_int_equal(r.reloads, RECOVERY_RELOADS_MAX);
        recovery_on_stage_end(&r, BOARD_STAGE_MAIN, STAGE_RESULT_EXCEPTION, 0);
        recovery_on_repl(&r, false, START);
        assert_true(r.due_usec > START && r.due_usec < NEVER);
        assert_int_equal(recovery_look(&r, 0, r.due_usec), RECOVERY_HARD_RESET);
        assert_int_equal(r.reloads, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_exception_is_tried_again),
                cmocka_unit_test(test_what_ends_the_row),
                cmocka_unit_test(test_a_program_that_returned_is_left_alone),
                cmocka_unit_test(test_a_forgotten_ctrl_c),
                cmocka_unit_test(test_a_tool_that_has_gone),
                cmocka_unit_test(test_code_that_was_left_running),
                cmocka_unit_test(test_who_looks_at_an_exception_is_not_disturbed),
                cmocka_unit_test(test_off),
                cmocka_unit_test(test_a_count_from_outside_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
