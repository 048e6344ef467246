/* SPDX-License-Identifier: MIT */
/* The VM's clocks. Its wall clock is the host's plus an offset of its own (D16), kept in the
 * retained page: setting it never touches the host's. */
#pragma once

#include <stdint.h>

int64_t clock_monotonic_nsec(void);

/* Reads the offset that an earlier life has left. */
void clock_init(void);

/* Microseconds since 1970, by the VM's wall clock. */
int64_t clock_vm_usec(void);
int64_t clock_vm_offset_usec(void);
void clock_set_vm_usec(int64_t usec);
