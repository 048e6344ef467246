/* SPDX-License-Identifier: MIT */
/* Included before MicroPython's py/compile.c: @micropython.native means the same Python, only faster, so where
 * 1.25 has no emitter for the processor (AArch64) it makes bytecode and a driver that uses it imports. viper
 * is a language of its own and stays a SyntaxError there. */
#pragma once

#include "py/mpconfig.h"
#include "py/qstr.h"

#if !MICROPY_EMIT_NATIVE
static inline qstr decorator_for_bytecode(qstr attr) {
        return attr == MP_QSTR_native ? attr : MP_QSTR_bytecode;
}
/* Its one use compares it with attr. */
#define MP_QSTR_bytecode decorator_for_bytecode(attr)
#endif
