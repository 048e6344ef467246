/* SPDX-License-Identifier: MIT */
/* What is left is counted down as files grow, and measured again when it does not suffice: what was removed
 * meanwhile, by the program or by somebody else, is found then, and what somebody else has added. */
#include "board/flash-quota.h"

#include "mpyd/board-link.h"
#include "util/tree-size.h"

static struct {
        uint64_t blocks; /* 0: no quota */
        uint64_t left;
} quota;

static int measure(void) {
        uint64_t used;
        int r = tree_size(BOARD_FD_FLASH, &used);

        if (r < 0)
                return r;
        quota.left = quota.blocks > used ? quota.blocks - used : 0;
        return 0;
}

void flash_quota_init(uint64_t bytes) {
        quota.blocks = bytes / TREE_BLOCK_SIZE;
        quota.left = 0;
}

bool flash_quota_is_set(void) {
        return quota.blocks > 0;
}

static int take(uint64_t blocks) {
        int r;

        if (blocks > quota.left) {
                r = measure();
                if (r < 0)
                        return r;
        }
        if (blocks > quota.left)
                return -ENOSPC;
        quota.left -= blocks;
        return 0;
}

int flash_quota_create(const FlashPath *path) {
        struct stat st;

        return flash_quota_is_set() && flash_path_stat(path, &st) == -ENOENT ? take(1) : 0;
}

int flash_quota_grow(uint64_t old_size, uint64_t new_size) {
        uint64_t had = tree_blocks(old_size), wanted = tree_blocks(new_size);

        return flash_quota_is_set() && wanted > had ? take(wanted - had) : 0;
}

int flash_quota_figures(uint64_t *ret_blocks, uint64_t *ret_free) {
        int r;

        if (quota.blocks == 0)
                return -ENOENT;
        r = measure();
        if (r < 0)
                return r;
        *ret_blocks = quota.blocks;
        *ret_free = quota.left;
        return 0;
}
