/* SPDX-License-Identifier: MIT */
/* What a fuzz target is: one function that eats anything, and seeds that show it what is right.
 *
 * Each target is built with driver.c and runs under `meson test` (suite fuzz): its seeds, what lies
 * in corpus/<target>/, and a fixed number of mutations, the same each time. With -Dfuzz=true and
 * clang it is built for libFuzzer as well:
 *
 *   CC=clang meson setup build-fuzz -Dfuzz=true && meson compile -C build-fuzz
 *   tests/fuzz/run build-fuzz 60
 *
 * An input that once broke something is kept in corpus/<target>/. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_INPUT_MAX 8192u

/* The name is libFuzzer's. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes seed number n into buf (FUZZ_INPUT_MAX bytes) and returns its size; SIZE_MAX when there
 * are no more. */
size_t fuzz_seed(unsigned n, uint8_t *buf);

/* As assert(), but not to be compiled away. */
#define FUZZ_CHECK(condition)                                                                \
        do {                                                                                 \
                if (!(condition)) {                                                          \
                        (void) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
                        abort();                                                             \
                }                                                                            \
        } while (0)
