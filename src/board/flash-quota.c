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

int flash_quota_grow(int64_t old_size, uint64_t new_size) {
        uint64_t had, wanted;
        int r;

        if (quota.blocks == 0)
                return 0;
        had = old_size < 0 ? 0 : tree_blocks((uint64_t) old_size);
        wanted = tree_blocks(new_size);
        if (wanted <= had)
                return 0;
        if (wanted - had > quota.left) {
                r = measure();
                if (r < 0)
                        return r;
        }
        if (wanted - had > quota.left)
                return -ENOSPC;
        quota.left -= wanted - had;
        return 0;
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
