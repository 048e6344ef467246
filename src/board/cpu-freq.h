/* SPDX-License-Identifier: MIT */
/* How fast the processor can go. */
#pragma once

#include <stdint.h>

/* In Hz; 0 when the kernel does not say. It is a property of the machine and does not follow the
 * governor (S25). */
uint64_t cpu_freq_hz(void);
