/* SPDX-License-Identifier: MIT */
/* machine.Timer's clockwork for the I/O thread: one timerfd for all of them. */
#pragma once

#include "util/macros.h"

int timer_init(void) _must_check_;
int timer_fd(void);
/* The heap is about to go: nothing is due any more. */
void timer_end(void);
/* The timerfd has expired: schedules the callbacks that are due. */
void timer_expire(void);
