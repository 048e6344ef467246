/* SPDX-License-Identifier: MIT */
/* What a conservative garbage collector, which reads the stack, needs of AddressSanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
        return "detect_stack_use_after_return=0:detect_leaks=0";
}
