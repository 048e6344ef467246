/* SPDX-License-Identifier: MIT */
/* How much a directory tree holds. */
#pragma once

#include <stdint.h>

#include "util/macros.h"

/* A tree is counted in these, as a small file system on a flash chip would: an entry takes one at least. */
#define TREE_BLOCK_SIZE UINT64_C(4096)

/* Of a file of so many bytes, or of a directory. */
static inline uint64_t tree_blocks(uint64_t size) {
        return size == 0 ? 1 : (size - 1) / TREE_BLOCK_SIZE + 1;
}

/* Counts the blocks of all that is below a directory, itself not counted. Symbolic links are entries and
 * are not followed. What comes and goes meanwhile is counted or not; what cannot be looked into (a directory
 * that is not ours to read, or more than 64 deep) counts as an entry. fd may be O_PATH. A negative errno when it
 * cannot be read itself. */
int tree_size(int fd, uint64_t *ret_blocks) _must_check_;
