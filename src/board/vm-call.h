/* SPDX-License-Identifier: MIT */
/* The outermost frame of the VM: where an abort lands, and an exception that nobody else has
 * caught. */
#pragma once

typedef enum VmCallEnd {
        VM_CALL_DONE = 0,
        VM_CALL_ABORTED, /* irq_leave_reason() says why */
        VM_CALL_RAISED,  /* it has been printed */
} VmCallEnd;

VmCallEnd vm_call(void (*f)(void *arg), void *arg);
