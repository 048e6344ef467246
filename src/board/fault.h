/* SPDX-License-Identifier: MIT */
/* The last word of a board that runs out of C stack. Python code that recurses gets RuntimeError long before; C code
 * that recurses without asking (the hash of a tuple in a tuple in a tuple …) runs into the guard below the stack
 * (SPEC 4.18, STACK_OVERFLOW). The kernel's signal alone would look like any other fault. */
#pragma once

#include <stddef.h>

/* For the calling thread, from whose start on no more than size bytes of stack are: says why before SIGSEGV or SIGBUS
 * ends the process, when it is this. The process ends by that signal all the same. */
void fault_watch_stack(size_t size);
/* The thread ends. */
void fault_unwatch_stack(void);
