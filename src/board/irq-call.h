/* SPDX-License-Identifier: MIT */
/* What irq.c does for the scheduler, for files that know MicroPython's objects. */
#pragma once

#include <stdbool.h>

#include "py/obj.h"
#include "py/runtime.h"

/* Calls a callback of the program, as the scheduler does: an exception is printed, but SystemExit and
 * KeyboardInterrupt go on in the code that was interrupted. MP_OBJ_NULL when there was one. */
mp_obj_t irq_call_scheduled(mp_obj_t fun, mp_obj_t arg);
/* The same without the printing: *ret_exception is MP_OBJ_NULL when there was none. Its code is what LINK_INTERRUPT and
 * LINK_STOP interrupt at the prompt (that of the main thread's: others know no KeyboardInterrupt). */
mp_obj_t irq_call(mp_obj_t fun, mp_obj_t arg, mp_obj_t *ret_exception);
/* One that has left a callback: SystemExit and KeyboardInterrupt are meant for the program, not for the callback. They
 * go on in the code that was interrupted (S11). False: it is the callback's own. */
bool irq_exception_is_programs(mp_obj_t exception);

/* KeyboardInterrupt: somebody's wish, no fault of the code. */
bool irq_exception_is_interrupt(mp_obj_t exception);

/* Tells of an exception that has left a callback, below head (a line; NULL: none). It raises nothing, whatever the
 * exception's own __repr__() or a Ctrl-C meanwhile does. */
void irq_print_exception(const char *head, mp_obj_t exception);

/* What a peripheral has for the program: serve() is called in the VM's thread, between two instructions or
 * out of a sleep. All zeroes but serve() to begin with; where it lies must stay reachable while
 * irq_request_waits(). */
typedef struct IrqRequest {
        mp_sched_node_t node;
        void (*serve)(struct IrqRequest *r);
        struct IrqRequest *next; /* of those that are held */
        bool held;
} IrqRequest;

/* Any thread; one that waits already is not served twice. While any request is served, and then a moment for the
 * program, requests are held: MicroPython's scheduler calls what is due until nothing is, and would never come back
 * to a program whose peripherals want more than there is time, nor see Ctrl-C. */
void irq_request(IrqRequest *r);
/* With the lock. */
bool irq_request_waits(const IrqRequest *r);
