/* SPDX-License-Identifier: MIT */
/* Runs the stages in their order and tells the supervisor how each of them ends. */
#include "board/stages.h"

#include <stdio.h>

#include "board/board.h"
#include "board/console.h"
#include "board/irq.h"
#include "board/link.h"
#include "board/mpy-file.h"
#include "board/traceback.h"
#include "board/vm-call.h"
#include "mpyd/retained.h"
#include "py/builtin.h"
#include "py/frozenmod.h"
#include "py/runtime.h"
#include "shared/runtime/pyexec.h"

/* How the last script or line has ended; text is its traceback, for stages. */
static struct {
        StageResult result;
        const char *text;
        size_t text_size;
} last_exec;

/* ---- what the REPL does, for the supervisor ---- */

static bool at_repl, main_had_its_turn;

bool stages_program_at_repl(void) {
        return at_repl && main_had_its_turn;
}

static void show_repl(uint64_t runs) {
        static uint64_t count;
        uint64_t raw = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? RETAINED_REPL_RAW : 0;

        count += runs ? RETAINED_REPL_ONE : 0;
        retained_word_set(retained_word(board.retained, RETAINED_WORD_REPL), count | raw | runs);
}

/* ---- pyexec tells ---- */

void exec_begin(void) {
        if (at_repl)
                show_repl(RETAINED_REPL_RUNS);
        last_exec.result = STAGE_RESULT_OK;
        last_exec.text_size = 0;
}

static bool is_keyboard_interrupt(const mp_obj_base_t *exception) {
        return exception && mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(exception->type),
                                                    MP_OBJ_FROM_PTR(&mp_type_KeyboardInterrupt));
}

void exec_end(void *exception, int *ret) {
        last_exec.text_size = traceback_end(&last_exec.text);
        if (*ret & PYEXEC_FORCED_EXIT)
                last_exec.result = STAGE_RESULT_EXIT;
        else if (*ret)
                last_exec.result = STAGE_RESULT_OK;
        else if (is_keyboard_interrupt(exception))
                last_exec.result = STAGE_RESULT_INTERRUPTED;
        else
                last_exec.result = STAGE_RESULT_EXCEPTION;
        if (last_exec.result == STAGE_RESULT_OK || last_exec.result == STAGE_RESULT_EXIT)
                last_exec.text_size = 0; /* a callback printed it */
        (void) irq_mask(false); /* interrupts that were left off would lock the prompt */
        if (at_repl)
                show_repl(0);
}

/* ---- the supervisor is told ---- */

void stage_begin(BoardStage stage) {
        LinkMessage m = { .type = LINK_STAGE, .stage.stage = stage };

        m.stage.console_pos = console_flush_all();
        link_send(&m);
}

static void stage_end(BoardStage stage, StageResult result) {
        char text[LINK_TEXT_MAX];
        LinkMessage m = {
                .type = LINK_STAGE_END,
                .stage_end = { .stage = stage, .result = result, .text = text },
        };

        m.stage_end.text_size = link_text_fit(last_exec.text, last_exec.text_size, text);
        m.stage_end.console_pos = console_flush_all();
        link_send(&m);
        last_exec.text_size = 0;
}

/* ---- scripts ---- */

typedef struct Script {
        const char *py, *mpy;
        bool missing;
} Script;

/* A frozen one wins over a file, .py over .mpy. */
static void script_run(void *arg) {
        Script *s = arg;

        if (mp_find_frozen_module(s->py, NULL, NULL) == MP_IMPORT_STAT_FILE)
                (void) pyexec_frozen_module(s->py, true);
        else if (mp_import_stat(s->py) == MP_IMPORT_STAT_FILE)
                (void) pyexec_file(s->py);
        else if (mp_import_stat(s->mpy) == MP_IMPORT_STAT_FILE)
                mpy_file_run(s->mpy);
        else
                s->missing = true;
}

static void boot_internal_run(void *arg) {
        (void) pyexec_frozen_module("_boot.py", false);
}

static StageResult leave_result(void) {
        switch (irq_leave_reason()) {
        case IRQ_LEAVE_ABORT:
                return STAGE_RESULT_ABORTED;
        case IRQ_LEAVE_STOP:
        case IRQ_LEAVE_EXIT:
                return STAGE_RESULT_EXIT;
        }
        return STAGE_RESULT_ABORTED;
}

static StageResult stage_run(BoardStage stage, void (*f)(void *arg), Script *script) {
        StageResult result = STAGE_RESULT_EXCEPTION;

        irq_arm_early(true); /* who reads that the stage begins may interrupt it at once */
        stage_begin(stage);
        last_exec.result = STAGE_RESULT_OK;
        last_exec.text_size = 0;
        traceback_enable(true);
        switch (vm_call(f, script)) {
        case VM_CALL_DONE:
                result = script && script->missing ? STAGE_RESULT_MISSING : last_exec.result;
                break;
        case VM_CALL_ABORTED:
                result = leave_result();
                break;
        case VM_CALL_RAISED: /* while it was printed: what has been printed so far is its text */
                last_exec.text_size = traceback_end(&last_exec.text);
                break;
        }
        irq_arm_early(false);
        traceback_enable(false);
        if (irq_exit_wanted() && result != STAGE_RESULT_ABORTED)
                result = STAGE_RESULT_EXIT;
        stage_end(stage, result);
        return result;
}

/* ---- REPL ---- */

static bool repl_ended;

/* Both loops return 0 to change into the other one. */
static void repl_run(void *arg) {
        for (;;) {
                int r;

                show_repl(0);
                r = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
                if (r != 0)
                        break;
        }
        repl_ended = true;
}

/* SPEC 4.7, C23. A tool that enters the raw REPL reads its answer first, and has no eyes. */
static void tell_safe_mode(void) {
        if (board.boot.safe_mode == SAFE_MODE_NONE || pyexec_mode_kind == PYEXEC_MODE_RAW_REPL)
                return;
        mp_printf(&mp_plat_print, "Running in safe mode! Not running saved code.\n\n"
                                  "You are in safe mode because:\n%s\n"
                                  "Press reset to exit safe mode.\n\n",
                  safe_mode_reason_text(board.boot.safe_mode));
}

static void repl_stage(void) {
        StageResult result = STAGE_RESULT_EXIT;

        at_repl = true;
        show_repl(0); /* before the stage: an earlier life may have been killed while it ran code */
        stage_begin(BOARD_STAGE_REPL);
        tell_safe_mode();
        while (!repl_ended)
                if (vm_call(repl_run, NULL) == VM_CALL_ABORTED) {
                        result = leave_result();
                        break;
                }
        stage_end(BOARD_STAGE_REPL, result);
        at_repl = false;
}

/* ---- all of them ---- */

/* Whether the life goes on behind a stage that ended so. */
static bool life_goes_on(StageResult result) {
        return result != STAGE_RESULT_EXIT && result != STAGE_RESULT_ABORTED && !irq_stop_wanted();
}

void stages_run(void) {
        uint32_t flags = board.boot.flags;
        Script boot = { .py = "boot.py", .mpy = "boot.mpy" };
        Script main = { .py = "main.py", .mpy = "main.mpy" };
        bool raw_repl = flags & LINK_BOOT_RAW_REPL;
        StageResult result;

        pyexec_mode_kind = raw_repl ? PYEXEC_MODE_RAW_REPL : PYEXEC_MODE_FRIENDLY_REPL;

        result = stage_run(BOARD_STAGE_BOOT_INTERNAL, boot_internal_run, NULL);
        if (result == STAGE_RESULT_ABORTED || irq_stop_wanted())
                return; /* any other result is not looked at (SPEC 1.3) */

        if (board.boot.safe_mode == SAFE_MODE_NONE) {
                result = stage_run(BOARD_STAGE_BOOT, script_run, &boot);
                if (!life_goes_on(result))
                        return;
                if (!raw_repl && !(flags & LINK_BOOT_SKIP_MAIN) &&
                    (result == STAGE_RESULT_OK || result == STAGE_RESULT_MISSING)) {
                        main_had_its_turn = true;
                        result = stage_run(BOARD_STAGE_MAIN, script_run, &main);
                        if (!life_goes_on(result))
                                return;
                }
        }
        repl_stage();
}
