/* SPDX-License-Identifier: MIT */
/* The machine module's functions (SPEC 2.2); MicroPython's extmod/modmachine.c has the table. */
#include "util/macros.h"

#include "board/board.h"
#include "board/cpu-freq.h"
#include "board/input.h"
#include "board/irq.h"
#include "board/modules/machine.h"
#include "board/pins.h"
#include "board/reset.h"
#include "board/wait.h"
#include "py/runtime.h"

mp_obj_t machine_unique_id_bytes(void) {
        return mp_obj_new_bytes(board.boot.unique_id, sizeof board.boot.unique_id);
}

mp_obj_t machine_freq_hz(void) {
        static uint64_t hz;

        if (hz == 0)
                hz = cpu_freq_hz();
        return mp_obj_new_int_from_ull(hz);
}

/* Milliseconds as nanoseconds, bounded. */
static int64_t sleep_nsec(mp_obj_t time) {
        mp_int_t ms = mp_obj_get_int(time);

        if (ms < 0)
                mp_raise_ValueError(MP_ERROR_TEXT("sleep time is negative"));
        return (int64_t) ms < INT64_MAX / 1000000 ? (int64_t) ms * 1000000 : VM_SLEEP_FOREVER;
}

static mp_int_t light_wake = -1; /* what ended the last light sleep of this life; -1: there was none */

/* All state is kept; only the program stops. Without a time it sleeps until something happens: a
 * key, a callback, Ctrl-C. With one it ends earlier only for a pin that is to wake it. */
void machine_lightsleep_for(mp_obj_t time) {
        bool timed = time != MP_OBJ_NULL && time != mp_const_none;
        int64_t nsec = timed ? sleep_nsec(time) : VM_SLEEP_FOREVER;

        pins_sleep_begins();
        if (timed)
                vm_delay_unless(nsec, pins_woken);
        else {
                irq_handle_events();
                (void) vm_sleep(NULL, 0, VM_SLEEP_FOREVER, input_available);
                irq_handle_events();
        }
        light_wake = pins_woken() ? MACHINE_PIN_WAKE : timed ? MACHINE_RTC_WAKE : 0;
}

_Noreturn void machine_deepsleep_for(mp_obj_t time) {
        uint64_t usec = UINT64_MAX;

        if (time != MP_OBJ_NULL && time != mp_const_none) {
                int64_t nsec = sleep_nsec(time);

                usec = nsec == VM_SLEEP_FOREVER ? UINT64_MAX : (uint64_t) nsec / 1000;
        }
        pins_tell_wake();
        reset_deepsleep(usec);
}

/* Of the last sleep, as esp32 has the numbers: a light one of this life, or the deep one that the last hard reset came out
 * of. 0: there was none, or something else ended it. */
static mp_obj_t machine_wake_reason(void) {
        return MP_OBJ_NEW_SMALL_INT(light_wake >= 0                          ? light_wake
                                    : board.boot.flags & LINK_BOOT_PIN_WAKE  ? MACHINE_PIN_WAKE
                                    : board.boot.flags & LINK_BOOT_TIME_WAKE ? MACHINE_RTC_WAKE
                                                                             : 0);
}
MP_DEFINE_CONST_FUN_OBJ_0(machine_wake_reason_obj, machine_wake_reason);

/* The token says whether they were off before, so that pairs nest. */
static mp_obj_t machine_disable_irq(void) {
        return mp_obj_new_bool(irq_mask(true));
}
MP_DEFINE_CONST_FUN_OBJ_0(machine_disable_irq_obj, machine_disable_irq);

static mp_obj_t machine_enable_irq(mp_obj_t were_off) {
        (void) irq_mask(mp_obj_is_true(were_off));
        return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(machine_enable_irq_obj, machine_enable_irq);
