/* SPDX-License-Identifier: MIT */
/* The Python heap: memory of the kernel's, asked for at run time, growing up to a limit. */
#pragma once

#include <stddef.h>

#include "util/macros.h"

/* Makes the first area and starts the garbage collector with it. */
int heap_init(size_t size, size_t max) _must_check_;
