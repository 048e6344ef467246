/* SPDX-License-Identifier: MIT */
/* Included by MicroPython's extmod/modtime.c: the VM's wall clock, and sleep(). */
#include "board/clock.h"
#include "board/wait.h"
#include "shared/timeutils/timeutils.h"

static mp_obj_t mp_time_localtime_get(void) {
        timeutils_struct_time_t tm;

        timeutils_seconds_since_epoch_to_struct_time((uint64_t) (clock_vm_usec() / 1000000), &tm);
        mp_obj_t items[8] = {
                MP_OBJ_NEW_SMALL_INT(tm.tm_year), MP_OBJ_NEW_SMALL_INT(tm.tm_mon),
                MP_OBJ_NEW_SMALL_INT(tm.tm_mday), MP_OBJ_NEW_SMALL_INT(tm.tm_hour),
                MP_OBJ_NEW_SMALL_INT(tm.tm_min),  MP_OBJ_NEW_SMALL_INT(tm.tm_sec),
                MP_OBJ_NEW_SMALL_INT(tm.tm_wday), MP_OBJ_NEW_SMALL_INT(tm.tm_yday),
        };
        return mp_obj_new_tuple(8, items);
}

static mp_obj_t mp_time_time_get(void) {
        return mp_obj_new_int_from_ll(clock_vm_usec() / 1000000);
}

/* A negative time is over at once, as in sleep_ms(). */
static void mp_time_sleep(mp_obj_t seconds) {
        mp_float_t nsec = mp_obj_get_float(seconds) * MICROPY_FLOAT_CONST(1e9);

        if (nsec >= (mp_float_t) (VM_SLEEP_FOREVER / 2))
                vm_delay(VM_SLEEP_FOREVER);
        else if (nsec > 0)
                vm_delay((int64_t) nsec);
        else
                vm_delay(0);
}
