/* SPDX-License-Identifier: MIT */
/* The Python heap: memory of the kernel's, asked for at run time, growing up to a limit. */
#pragma once

#include <stddef.h>

#include "util/macros.h"

/* Makes the first area and starts the garbage collector with it. What the heap is like stands in words of the
 * retained page (RETAINED_WORD_HEAP_SIZE and behind it) from here on, for mpyctl top. */
int heap_init(size_t size, size_t max, void *retained) _must_check_;

/* micropython.alloc_emergency_exception_buf(): where an exception is made that is raised with the heap locked.
 * size, a Python int, is bytes of a microcontroller. Raises MemoryError, and TypeError and OverflowError for what is
 * no size. Both are mp_obj_t. */
void *heap_exception_buf(void *size);
