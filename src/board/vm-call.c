/* SPDX-License-Identifier: MIT */
/* The outermost frame of the VM. See vm-call.h. */
#include "board/vm-call.h"

#include "board/irq.h"
#include "py/runtime.h"

static VmCallEnd call(void (*f)(void *arg), void *arg, void **ret_exception) {
        nlr_buf_t nlr;

        nlr_set_abort(&nlr);
        if (nlr_push(&nlr) == 0) {
                f(arg);
                nlr_pop();
                nlr_set_abort(NULL);
                return VM_CALL_DONE;
        }
        nlr_set_abort(NULL);
        irq_abort_done();
        *ret_exception = nlr.ret_val;
        return nlr.ret_val ? VM_CALL_RAISED : VM_CALL_ABORTED;
}

static void print_exception(void *exception) {
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(exception));
}

VmCallEnd vm_call(void (*f)(void *arg), void *arg) {
        void *exception = NULL, *another = NULL;
        VmCallEnd end;

        end = call(f, arg, &exception);
        if (end != VM_CALL_RAISED)
                return end;
        /* Printing runs the exception's own __str__, which may raise in its turn: that is how most
         * of these come about. */
        if (call(print_exception, exception, &another) != VM_CALL_DONE)
                mp_print_str(&mp_plat_print, "(an exception that cannot be printed)\n");
        return VM_CALL_RAISED;
}
