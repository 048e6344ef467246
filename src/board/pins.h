/* SPDX-License-Identifier: MIT */
/* Edges of GPIO lines on their way from the kernel to a handler, for the I/O thread
 * (modules/machine-pin-irq.c). */
#pragma once

#include <stdbool.h>

#include "util/macros.h"

int pins_init(void) _must_check_;

/* Is ready when an edge waits. -1 after pins_end(). */
int pins_fd(void);
/* The heap is about to go: edges are left alone. */
void pins_end(void);

/* machine.IDLE, .SLEEP, .DEEPSLEEP: for wake= of Pin.irq(). Idle is ended by whatever happens. */
enum { PIN_WAKE_FROM_IDLE = 1, PIN_WAKE_FROM_LIGHTSLEEP = 2, PIN_WAKE_FROM_DEEPSLEEP = 4 };

/* A light sleep begins; whether an edge has come since that ends it. */
void pins_sleep_begins(void);
bool pins_woken(void);

/* A deep sleep begins: the supervisor hears which lines end it. */
void pins_tell_wake(void);

/* Reads what has come and has the VM call the handlers. */
void pins_take_edges(void);
