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

/* modules/machine-pin.c: what MicroPython's software buses are made of */
struct Pin;
struct Pin *pin_from_obj(void *obj);
const char *pin_name(const struct Pin *p);
int pin_read(struct Pin *p);
void pin_write(struct Pin *p, int value);
void pin_set_input(struct Pin *p);
void pin_set_output(struct Pin *p);
void pin_set_open_drain(struct Pin *p);
#define MP_HAL_PIN_FMT "%s"
#define mp_hal_pin_obj_t struct Pin *
#define mp_hal_get_pin_obj(obj) pin_from_obj(obj)
#define mp_hal_pin_name(pin) pin_name(pin)
#define mp_hal_pin_input(pin) pin_set_input(pin)
#define mp_hal_pin_output(pin) pin_set_output(pin)
#define mp_hal_pin_open_drain(pin) pin_set_open_drain(pin)
#define mp_hal_pin_read(pin) pin_read(pin)
#define mp_hal_pin_write(pin, value) pin_write((pin), (value))
#define mp_hal_pin_low(pin) pin_write((pin), 0)
#define mp_hal_pin_high(pin) pin_write((pin), 1)
#define mp_hal_pin_od_low(pin) pin_write((pin), 0)
#define mp_hal_pin_od_high(pin) pin_write((pin), 1)

/* clock.c: never sleeps */
void mp_hal_delay_us_fast(mp_uint_t us);
/* Nothing here can keep the kernel from running something else. */
#define mp_hal_quiet_timing_enter() 0
#define mp_hal_quiet_timing_exit(state) ((void) (state))

/* wait.c */
void vm_wait_event(mp_int_t timeout_ms);
#define MICROPY_INTERNAL_WFE(timeout_ms) vm_wait_event((mp_int_t) (timeout_ms))

/* clock.c */
mp_uint_t mp_hal_ticks_cpu(void);
