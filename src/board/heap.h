/* SPDX-License-Identifier: MIT */
/* The Python heap: memory of the kernel's, asked for at run time, growing up to a limit. */
#pragma once

#include <stddef.h>

#include "util/macros.h"

/* Makes the first area and starts the garbage collector with it. What the heap is like stands in words of the
 * retained page (RETAINED_WORD_HEAP_SIZE and behind it) from here on, for mpyctl top. */
int heap_init(size_t size, size_t max, void *retained) _must_check_;
