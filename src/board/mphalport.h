/* SPDX-License-Identifier: MIT */
/* The hardware abstraction that MicroPython's core expects, in terms of this port's files. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef CHAR_CTRL_C
#define CHAR_CTRL_C (3)
#endif

/* irq.c: what turns interrupts off on a chip keeps the I/O thread out here. */
void irq_lock(void);
void irq_unlock(void);
static inline mp_uint_t irq_begin_atomic(void) {
        irq_lock();
        return 0;
}
#define MICROPY_BEGIN_ATOMIC_SECTION() irq_begin_atomic()
#define MICROPY_END_ATOMIC_SECTION(state)                                                          \
        do {                                                                                       \
                (void) (state);                                                                    \
                irq_unlock();                                                                      \
        } while (0)

void mp_hal_set_interrupt_char(int c); /* pyexec: user code begins (Ctrl-C) or has ended (-1) */
void irq_set_char(int c);              /* micropython.kbd_intr() */

/* wait.c */
void vm_wait_event(mp_int_t timeout_ms);
#define MICROPY_INTERNAL_WFE(timeout_ms) vm_wait_event((mp_int_t) (timeout_ms))

/* clock.c */
mp_uint_t mp_hal_ticks_cpu(void);
