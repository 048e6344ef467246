/* SPDX-License-Identifier: MIT */
/* Bytes from one descriptor to another, with a bar for who waits at a terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

typedef struct CopyProgress {
        const char *name;       /* of what is copied */
        uint64_t size;          /* 0: not known */
        uint64_t done;
        uint64_t begun_usec;    /* CLOCK_MONOTONIC, of the whole command; 0: with this copy */
} CopyProgress;

/* To the end of in. progress may be NULL; the bar is drawn on stderr when that is a terminal and it, or all copies of
 * this command together, takes longer than a moment; show_for_now("") takes it away. Negative errno. */
int copy_all(int in_fd, int out_fd, CopyProgress *progress) _must_check_;

/* "1.4 MiB". Returns buf. */
char *copy_format_size(char *buf, size_t size, uint64_t bytes);

/* The bar as a line: "main.py  [#####.....]  50 %  1.4 MiB". Pure. Returns buf. */
char *copy_format_bar(char *buf, size_t size, const CopyProgress *p, unsigned columns);
