/* SPDX-License-Identifier: MIT */
/* What irq.c does for the scheduler, for files that know MicroPython's objects. */
#pragma once

#include "py/obj.h"

/* Calls a callback of the program, as the scheduler does: an exception is printed, but SystemExit and
 * KeyboardInterrupt go on in the code that was interrupted. MP_OBJ_NULL when there was one. */
mp_obj_t irq_call_scheduled(mp_obj_t fun, mp_obj_t arg);
