/* SPDX-License-Identifier: MIT */
/* [board] flash-quota=: what the flash directory may hold, as a board's flash has a size. It stops programs
 * that write too much; the host's administrator, who uses the same directory over SSH, is not stopped. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "board/flash-path.h"
#include "util/macros.h"

/* bytes: 0 for no quota; nothing is measured then. */
void flash_quota_init(uint64_t bytes);

bool flash_quota_is_set(void);

/* A file or directory is going to be made there; one that exists already takes nothing. -ENOSPC when there is no
 * room for one more. */
int flash_quota_create(const FlashPath *path) _must_check_;

/* An open file of old_size bytes is going to have new_size. -ENOSPC when that is too much. */
int flash_quota_grow(uint64_t old_size, uint64_t new_size) _must_check_;

/* In TREE_BLOCK_SIZE, for statvfs(). -ENOENT without a quota. */
int flash_quota_figures(uint64_t *ret_blocks, uint64_t *ret_free) _must_check_;
