/* SPDX-License-Identifier: MIT */
/* Included by MicroPython's extmod/modmachine.c: its hooks, in terms of our functions. */
#include "board/board.h"
#include "board/irq.h"
#include "board/modules/machine.h"
#include "board/pins.h"
#include "board/reset.h"
#include "board/wait.h"
#include "py/mphal.h"

static void mp_machine_idle(void) {
        irq_handle_events();
        vm_wait_event(1);
        irq_handle_events();
}

NORETURN void mp_machine_bootloader(size_t n_args, const mp_obj_t *args) {
        mp_raise_NotImplementedError(MP_ERROR_TEXT("this board has no bootloader"));
}

NORETURN static void mp_machine_reset(void) {
        reset_hard();
}

static mp_int_t mp_machine_reset_cause(void) {
        return board.boot.cause;
}

static mp_obj_t mp_machine_unique_id(void) {
        return machine_unique_id_bytes();
}

static mp_obj_t mp_machine_get_freq(void) {
        return machine_freq_hz();
}

/* Up to two arguments, as on rp2. */
static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
        mp_raise_ValueError(MP_ERROR_TEXT("the frequency is the host's affair"));
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
        machine_lightsleep_for(n_args > 0 ? args[0] : MP_OBJ_NULL);
}

NORETURN static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
        machine_deepsleep_for(n_args > 0 ? args[0] : MP_OBJ_NULL);
}
