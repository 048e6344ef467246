/* SPDX-License-Identifier: MIT */
/* The end of a life. See reset.h. */
#include "board/reset.h"

#include "board/board.h"
#include "board/console.h"
#include "board/flash-file.h"
#include "board/input.h"
#include "board/io-thread.h"
#include "board/irq.h"
#include "board/link.h"
#include "board/pins.h"
#include "board/stages.h"
#include "board/threads.h"
#include "board/timer.h"
#include "board/vm-call.h"
#include "board/wdt.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/pyexec.h"

#define SWEEPS_MAX 3

static void send_reset(ResetKind kind, uint64_t sleep_usec) {
        bool raw_repl = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL;
        LinkMessage m = {
                .type = LINK_RESET,
                .reset = {
                        .kind = kind,
                        .raw_repl = kind == RESET_KIND_SOFT && raw_repl,
                        .sleep_usec = sleep_usec,
                },
        };

        m.reset.console_pos = console_flush_all();
        link_send(&m);
}

/* ---- soft ---- */

/* sys.atexit()'s function. Ctrl-C ends it if it does not end. */
static void run_exit_function(void *arg) {
        mp_obj_t f = MP_STATE_VM(sys_exitfunc);

        if (!mp_obj_is_callable(f))
                return;
        MP_STATE_VM(sys_exitfunc) = mp_const_none;
        mp_hal_set_interrupt_char(CHAR_CTRL_C);
        mp_call_function_0(f);
        mp_hal_set_interrupt_char(-1);
        mp_handle_pending(true);
}

/* Closes files and whatever else has a finaliser. What one of them raises is printed, but no more to
 * os.dupterm()'s stream, which is one of them. */
static void run_finalisers(void *arg) {
        MP_STATE_VM(dupterm_objs[0]) = MP_OBJ_NULL;
        mp_hal_set_interrupt_char(CHAR_CTRL_C);
        gc_sweep_all();
        mp_hal_set_interrupt_char(-1);
        mp_handle_pending(true);
}

static void finalise(void) {
        irq_begin_finalising();
        wdt_forget_callback();
        if (vm_call(run_exit_function, NULL) == VM_CALL_ABORTED)
                return;
        threads_freeze(); /* the heap that they use is about to go */
        irq_requests_end();
        timer_end();
        pins_end();
        /* A Ctrl-C between two finalisers leaves the sweep; the ones that ran do not run again. */
        for (int i = 0; i < SWEEPS_MAX; i++)
                if (vm_call(run_finalisers, NULL) != VM_CALL_RAISED)
                        return;
}

/* What was typed and not read goes to the next life, in order. */
static void hand_on_input(void) {
        char buf[2048];
        size_t n;

        io_thread_stop_input();
        while ((n = input_read(buf, sizeof buf)) > 0)
                link_send(&(LinkMessage) {
                        .type = LINK_UNREAD_INPUT,
                        .data = { .data = buf, .size = n },
                });
}

_Noreturn void reset_soft(void) {
        stage_begin(BOARD_STAGE_STOPPING);
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
        finalise();
        hand_on_input();
        send_reset(RESET_KIND_SOFT, 0);
        _exit(0);
}

/* ---- hard ---- */

static _Noreturn void wait_for_death(void) {
        for (;;)
                (void) pause();
}

_Noreturn void reset_hard(void) {
        io_thread_stop_input();
        flash_file_sync_all();
        send_reset(RESET_KIND_HARD, 0);
        wait_for_death();
}

_Noreturn void reset_deepsleep(uint64_t usec) {
        io_thread_stop_input();
        flash_file_sync_all();
        send_reset(RESET_KIND_DEEPSLEEP, usec);
        wait_for_death();
}
