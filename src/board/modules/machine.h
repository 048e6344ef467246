/* SPDX-License-Identifier: MIT */
/* What the machine module is made of, for machine-port.h. */
#pragma once

#include "py/obj.h"

extern const mp_obj_type_t machine_pin_type;
extern const mp_obj_type_t machine_rtc_type;
extern const mp_obj_type_t machine_timer_type;
extern const mp_obj_type_t machine_wdt_type;
MP_DECLARE_CONST_FUN_OBJ_0(machine_disable_irq_obj);
MP_DECLARE_CONST_FUN_OBJ_0(machine_wake_reason_obj);
enum { MACHINE_PIN_WAKE = 2, MACHINE_RTC_WAKE = 4 };
MP_DECLARE_CONST_FUN_OBJ_1(machine_enable_irq_obj);

mp_obj_t machine_unique_id_bytes(void);
mp_obj_t machine_freq_hz(void);
void machine_lightsleep_for(mp_obj_t time);         /* ms, or MP_OBJ_NULL */
_Noreturn void machine_deepsleep_for(mp_obj_t time); /* ms, or MP_OBJ_NULL */
