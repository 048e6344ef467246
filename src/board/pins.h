/* SPDX-License-Identifier: MIT */
/* Edges of GPIO lines on their way from the kernel to a handler, for the I/O thread
 * (modules/machine-pin.c). */
#pragma once

#include "util/macros.h"

int pins_init(void) _must_check_;

/* Is ready when an edge waits. */
int pins_fd(void);

/* Reads what has come and has the VM call the handlers. */
void pins_take_edges(void);
