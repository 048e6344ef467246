/* SPDX-License-Identifier: MIT */
/* The board's second thread. It runs no Python: it takes in console bytes and link messages while
 * the VM computes, and writes out what the VM has printed. When nothing happens it sleeps. */
#pragma once

#include "util/macros.h"

int io_thread_start(void) _must_check_;

/* Makes it look again at what it waits for. Any thread. */
void io_thread_kick(void);

/* Takes no more console input; what it has read is in the input buffer. The thread stays, so that
 * the board still notices that its supervisor has gone. */
void io_thread_stop_input(void);
