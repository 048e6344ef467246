/* SPDX-License-Identifier: MIT */
/* The interrupt controller: whether Ctrl-C and scheduled callbacks may reach the VM now, and what
 * the supervisor wants of it. The I/O thread raises, the VM's thread takes. One recursive lock (the
 * arming lock) guards all of it and the input buffer, so that "is user code running?" and "is this
 * byte an interrupt?" have one answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/macros.h"

int irq_init(void) _must_check_;

/* Also MicroPython's atomic section. */
void irq_lock(void);
void irq_unlock(void);

/* ---- the I/O thread ---- */

/* LINK_INTERRUPT: KeyboardInterrupt in user code; at a prompt in a callback that runs there, or nothing. */
void irq_interrupt(void);
/* LINK_STOP: the same, and the life ends at the next return to the prompt. */
void irq_stop(void);
/* LINK_ABORT: the VM jumps out of whatever it runs. pyexec may swallow one, so it must be repeated
 * every IRQ_ABORT_PERIOD_MSEC as long as this answers true. */
void irq_abort(void);
bool irq_abort_repeat(void);
#define IRQ_ABORT_PERIOD_MSEC 10

/* The character that interrupts just now, or -1. Call with the lock held. */
int irq_char_locked(void);
/* Such a character came. Call with the lock held. */
void irq_interrupt_locked(void);

/* Ends a wait of the VM's thread; cheap when it is not waiting. Any thread. */
void irq_wake_vm(void);

/* Ready when the program has had its moment: held requests (irq-call.h) go on. */
int irq_request_fd(void);
void irq_request_release(void);
/* The heap, in which they lie, is about to go: what waits is forgotten, and nothing is requested any more. */
void irq_requests_end(void);

/* ---- the VM's thread ---- */

typedef enum IrqLeave {
        IRQ_LEAVE_ABORT = 0, /* LINK_ABORT */
        IRQ_LEAVE_STOP,      /* LINK_STOP, noticed at the prompt */
        IRQ_LEAVE_EXIT,      /* SystemExit in a callback that ran at the prompt */
} IrqLeave;

/* In a callback of the program's: of a peripheral's, or a scheduled one. */
bool irq_in_callback(void);
/* True from the start of a script or line to its end. */
bool irq_in_user_code(void);
/* Counts an interrupt character typed before user code began as one typed just after (a stage
 * script; on a board, it would have fallen between two lives). */
void irq_arm_early(bool early);

/* The character that interrupts just now, or -1: os.dupterm()'s streams may bring it too. */
int irq_char(void);

/* Raises pending exceptions and runs callbacks, as mp_handle_pending() does, but outside of user
 * code, where nothing could catch an exception, leaves the VM instead when one of them asks for
 * it. */
void irq_handle_events(void);
/* irq_handle_events() has something to do. at_prompt: the wait is for a key at the prompt. */
bool irq_events_pending(bool at_prompt);

/* From here on a stop is what happens already: finalisers are not interrupted by an earlier one. */
void irq_begin_finalising(void);

/* Whether the life is to end; why the VM was left by an abort. */
bool irq_stop_wanted(void);
bool irq_exit_wanted(void);
IrqLeave irq_leave_reason(void);
_Noreturn void irq_leave(IrqLeave reason);
/* The abort has arrived where it is wanted. clears locks that the jump skipped. */
void irq_abort_done(void);

/* machine.disable_irq() and enable_irq(): hold Ctrl-C and callbacks off. Returns whether they
 * were. */
bool irq_mask(bool mask);
